"""Distance models of features and patches, calibrated thresholds and p-values, and drift."""
