"""Tests of whether new data still score like the normal rows that set the threshold."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import betabinom, mannwhitneyu

from .calibration import Calibration

FEWEST_ROWS = 30
SIGNIFICANT = 0.005  # p-value of each of two tests
RISEN, FALLEN = 0.55, 0.45  # probabilities of superiority from which a significant difference matters
EXCESS = 1.5  # multiple of the expected share of flagged rows from which a significant excess matters
COLUMNS = 3  # columns that are named, at most

FITS = "still fits"
ROSE = "scores have risen: inspect the rows, or recalibrate with rows known to be normal"
MORE_FLAGGED = "more rows are flagged than expected: inspect them; recalibrate only with rows known to be normal"
FELL = "scores have fallen: fewer false alarms than expected, and possibly other data; inspect the rows, or recalibrate"
TOO_FEW = "too few rows to say"
NOT_HELD_OUT = "cannot be said: the threshold comes from training rows, which score lower than new ones"


@dataclass(frozen=True)
class Drift:
    """A comparison of the scores of new data with those of the calibration rows.

    Attributes
    ----------
    verdict : str
        "still fits", "scores have risen: ...", "more rows are flagged than expected: ...", "scores have fallen: ...",
        "too few rows to say" or "cannot be said: ...".
    rows, calibration_rows : int
    superiority : float
        Probability that a new row scores above a calibration row, with ties counted half; 0.5 without drift.
    p_value : float
        p-value of the difference in scores by the two-sided test of Mann and Whitney (1947). Old and new scores are
        exchangeable if the module has learned nothing from the calibration rows, otherwise nearly
        (`Calibration.reference`).
    flagged, expected : float
        Share of the new rows above the threshold, and the probability that a normal row lies above it.
    flagged_p_value : float
        Probability of at least as many flagged rows if all are normal. It is exact: the number is beta-binomial, since
        the threshold is random.
    columns : list of (name, share)
        If scores have risen or more rows are flagged: the columns whose contributions rose most, and their shares.
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

    @property
    def more_flagged(self) -> bool:
        """Whether more rows lie above the threshold than can be if all are normal."""
        return self.flagged_p_value < SIGNIFICANT and self.flagged > EXCESS * self.expected


def compare(
    calibration: Calibration, scores: np.ndarray, names: list[str | int], before: np.ndarray, after: np.ndarray
) -> Drift:
    """Compare scores ``(n,)`` of new rows with those of the calibration rows.

    Parameters
    ----------
    calibration : Calibration
    scores : (n,)
    names : d column names
    before, after : (d,)
        Mean contribution of each column to the scores of normal and of new rows.
    """
    usual, n = calibration.scores, len(scores)
    reference = usual if calibration.reference is None else calibration.reference
    above = int((usual > calibration.threshold).sum())
    expected = float(calibration.false_alarms(np.array([calibration.threshold]))[0])
    flags = int((scores > calibration.threshold).sum())
    flagged_p_value = float(betabinom.sf(flags - 1, n, above + 1, len(usual) - above))
    found = mannwhitneyu(scores, reference, method="asymptotic")
    p_value = float(np.nan_to_num(found.pvalue, nan=1.0))  # NaN if all scores are equal
    superiority = float(found.statistic) / (n * len(usual))
    drift = Drift("", n, len(usual), superiority, p_value, flags / n, expected, flagged_p_value, [])
    differs = p_value < SIGNIFICANT
    rose = differs and superiority > RISEN
    if not calibration.held_out:
        return replace(drift, verdict=NOT_HELD_OUT)
    if rose or drift.more_flagged:
        rise = np.maximum(after - before, 0)
        largest = [j for j in np.argsort(-rise, kind="stable")[:COLUMNS] if rise[j] > 0]
        columns = [(names[j], float(rise[j] / rise.sum())) for j in largest]
        return replace(drift, verdict=ROSE if rose else MORE_FLAGGED, columns=columns)
    if differs and superiority < FALLEN:
        return replace(drift, verdict=FELL)
    return replace(drift, verdict=TOO_FEW if min(n, len(usual)) < FEWEST_ROWS else FITS)
