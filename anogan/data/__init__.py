"""Preprocessing: the user's arrays, tables and pictures as bounded or standardised tensors, and back."""
