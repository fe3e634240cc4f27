"""Networks. Every network takes and returns tensors whose first axis is the ensemble member: ``(K, B, ...)``."""
