"""The names by which writing and reading of ONNX files agree."""

FORMAT = 1
PREFIX = "anogan."
"""What the names of this package's metadata begin with."""
SCORES, REFERENCE = "scores", "reference"
"""The names of the calibration scores and those of `Calibration.reference` among the arrays."""
OF_KNOWN = "score_of_known"
"""The output of the score as if unseen values said nothing."""
