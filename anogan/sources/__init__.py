"""Where data comes from: tables, arrays and pictures on disk or in memory, read in pieces."""
