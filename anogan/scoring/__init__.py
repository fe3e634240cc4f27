"""From raw scores to promises and reasons."""
