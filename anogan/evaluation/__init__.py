"""How well scores separate anomalous from normal rows and pixels."""
