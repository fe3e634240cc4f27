"""Pure functions of tensors. A member axis K leads: ``(K, B, ...)`` in, one number per member ``(K,)`` out."""
