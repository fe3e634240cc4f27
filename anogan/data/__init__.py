"""From the user's arrays, tables and pictures to bounded tensors, and back."""
