"""Training: what a module declares, and the one loop that executes it."""
