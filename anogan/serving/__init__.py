"""A scoring service over HTTP: models that are exchanged while it runs, requests scored together, metrics."""
