"""Reports, displays, heatmaps and summaries: the output of a fitted detector for people."""
