"""Batch scoring: the scores of a whole source, written to a file."""
