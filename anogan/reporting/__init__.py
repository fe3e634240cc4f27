"""Reports, displays, heatmaps and summaries: what a fitted detector and its scores look like."""
