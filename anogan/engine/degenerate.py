"""Scores that cannot tell rows apart, and columns that scaling hides: issues that are found without labels."""

from collections.abc import Sequence

import numpy as np

from ..wording import counted

HIDDEN, CONSTANT, EXTREME = "hidden columns", "constant scores", "extreme threshold"
NAMED = 5  # hidden columns that are named, at most
FEWEST_SCORES = 10  # with fewer calibration rows nothing is said of their scores
LEAST_DIFFERENT = 0.1  # different scores per different row, below which scores count as constant; real tables have 0.8
REPEATED = 0.5  # different rows per row, below which equal scores may come from repeated rows
ENOUGH_ROWS = 30  # different rows that are enough whatever their share is
EXTREME_RATIO = 50.0  # distance of the threshold from the median, in those of the 95th percentile; real tables have 11
ROUNDING = 64 * float(np.finfo(np.float32).eps)  # relative to the median; scores that are closer count as equal


def column_issues(hidden: Sequence[str | int], total: int) -> dict[str, str]:
    """Return an issue, name -> evidence, if some of ``total`` columns are hidden (`Preprocessor.hidden_columns`)."""
    if not hidden:
        return {}
    names = ", ".join(repr(name) for name in hidden[:NAMED]) + (", ..." if len(hidden) > NAMED else "")
    which = f"{len(hidden)} of {total} columns" if total > 1 else "the only column"
    return {HIDDEN: f"a few extreme values set the scale of {which} ({names}), beside which most others are equal"}


def score_issues(scores: np.ndarray, different: int, threshold: float, unit: str = "row") -> dict[str, str]:
    """Return what is wrong with the scores of the calibration rows, name -> evidence.

    Parameters
    ----------
    scores : (m,) float64, ascending
    different : int
        How many of the rows are different.
    threshold : float
        Scores above are flagged.
    unit : str
        What messages call a sample: "row" or "picture".
    """
    rows = len(scores)
    if rows < FEWEST_SCORES:
        return {}
    if different == 1:
        return {CONSTANT: f"all {rows:,} calibration {unit}s are equal after scaling"}
    median, high = np.quantile(scores, [0.5, 0.95])
    values = 1 + int((np.diff(scores) > ROUNDING * abs(median)).sum())
    if values <= max(1, LEAST_DIFFERENT * different) and different >= min(REPEATED * rows, ENOUGH_ROWS):
        return {CONSTANT: f"{rows:,} calibration {unit}s have {counted(values, 'different score')}"}
    if high > median and threshold - median > EXTREME_RATIO * (high - median):
        ratio = (threshold - median) / (high - median)
        return {
            EXTREME: f"the threshold {threshold:.3g} is {ratio:,.0f} times as far from the median of the calibration "
            "scores as their 95th percentile"
        }
    return {}
