"""Data of a source in pieces, as a fitted detector takes them, and what scoring them finds."""
