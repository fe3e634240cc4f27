"""Whether new data still score like the normal rows that the threshold was set with."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom, mannwhitneyu

from .calibration import Calibration

FEWEST_ROWS = 30
SIGNIFICANT = 0.005  # of each of two tests
RISEN, FALLEN = 0.55, 0.45  # probabilities of superiority from which a significant difference matters
EXCESS = 1.5  # times the expected share of flagged rows, likewise
COLUMNS = 3  # named, at most

FITS = "still fits"
ROSE = "scores have risen: look, or recalibrate"
FELL = "scores have fallen: fewer false alarms than promised, and maybe other data; look, or recalibrate"
TOO_FEW = "too few rows to say"


@dataclass(frozen=True)
class Drift:
    """How the scores of new data compare with those of the calibration rows.

    Attributes
    ----------
    verdict : str
        One of "still fits", "scores have risen: ...", "scores have fallen: ..." and "too few rows to say".
    rows, calibration_rows : int
    superiority : float
        Probability that a new row scores above a calibration row, ties count half: 0.5 if nothing has changed.
    p_value : float
        Of the scores' difference, by the two-sided test of Mann and Whitney (1947). Exchangeable if the module learned
        nothing from the calibration rows, else nearly (`Calibration.reference`).
    flagged, expected : float
        Share of the new rows above the threshold, and the probability of that for a normal row: what was promised.
    flagged_p_value : float
        Probability of as many flagged rows or more if all are normal. Exact: the number is beta-binomial, since the
        threshold is itself drawn.
    columns : list of (name, share)
        If the scores have risen: the columns whose reasons did most, and their shares in the rise.
    """

    verdict: str
    rows: int
    calibration_rows: int
    superiority: float
    p_value: float
    flagged: float
    expected: float
    flagged_p_value: float
    columns: list[tuple[str | int, float]]


def compare(
    calibration: Calibration, scores: np.ndarray, names: list[str | int], before: np.ndarray, after: np.ndarray
) -> Drift:
    """Compare scores ``(n,)`` of new rows with those of the calibration rows.

    Parameters
    ----------
    names : d column names
    before, after : (d,)
        Mean explanation of normal and of new rows.
    """
    usual, n = calibration.scores, len(scores)
    reference = usual if calibration.reference is None else calibration.reference
    above = int((usual > calibration.threshold).sum())
    expected = (1 + above) / (1 + len(usual))
    flags = int((scores > calibration.threshold).sum())
    flagged_p_value = float(betabinom.sf(flags - 1, n, above + 1, len(usual) - above))
    found = mannwhitneyu(scores, reference, method="asymptotic")
    p_value = float(np.nan_to_num(found.pvalue, nan=1.0))  # all scores alike
    superiority = float(found.statistic) / (n * len(usual))
    columns: list[tuple[str | int, float]] = []
    differs = p_value < SIGNIFICANT
    if (differs and superiority > RISEN) or (flagged_p_value < SIGNIFICANT and flags > EXCESS * expected * n):
        verdict = ROSE
        rise = np.maximum(after - before, 0)
        largest = [j for j in np.argsort(-rise, kind="stable")[:COLUMNS] if rise[j] > 0]
        columns = [(names[j], float(rise[j] / rise.sum())) for j in largest]
    elif differs and superiority < FALLEN:
        verdict = FELL
    else:
        verdict = TOO_FEW if min(n, len(usual)) < FEWEST_ROWS else FITS
    share = flags / n
    return Drift(verdict, n, len(usual), superiority, p_value, share, expected, flagged_p_value, columns)
