"""Files, whatever they hold: where they are, who writes to them, and outputs that appear only when complete."""
