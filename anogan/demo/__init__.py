"""The demonstration behind `anogan demo`: real data that ship in packages, results in plain words, and a page."""
