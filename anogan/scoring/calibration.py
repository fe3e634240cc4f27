"""Calibrated scores of an ensemble, split-conformal p-values, thresholds."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .tail import FittedTail

TAILS = ("empirical", "fitted")
"""How p-values of scores above most calibration scores are computed: by counting, or by a `FittedTail`."""

ROUNDING_STEPS = 64  # in units of the number format's precision


@dataclass(frozen=True)
class Calibration:
    """The distribution of the scores of normal rows.

    Attributes
    ----------
    location, scale : (K,) float64
        Each member's score is calibrated to ``(score - location) / scale``. A single member keeps its own units.
    scores : (m,) float64, ascending
        Combined scores of the calibration rows.
    threshold : float
        A row is flagged if its combined score is greater.
    map_threshold : float or None
        A pixel of a picture is part of a defect if its error, summed over channels, is greater.
    map_start : float or None
        Error from which maps have colours, at most `map_threshold`: nine of ten normal pictures reach it nowhere.
    reference : (m,) float64 or None
        Scores of the calibration rows by a module that has learned from them since (`GANModule.after_calibration`).
        They are distributed like those of fresh rows, since no row counts as its own neighbour; drift compares new
        scores with them. None stands for `scores`.
    held_out : bool
        Whether training has seen none of these rows. Otherwise p-values and threshold are too optimistic for new rows.
    """

    location: np.ndarray
    scale: np.ndarray
    scores: np.ndarray
    threshold: float
    map_threshold: float | None = None
    map_start: float | None = None
    reference: np.ndarray | None = None
    held_out: bool = True

    def combine(self, member_scores: np.ndarray) -> np.ndarray:
        """Return the mean over members of their calibrated scores: ``(K, n)`` -> ``(n,)``."""
        return ((member_scores - self.location[:, None]) / self.scale[:, None]).mean(0)

    @cached_property
    def tail(self) -> FittedTail:
        """A model of the highest calibration scores; `InputError` if there are too few."""
        return FittedTail.of(self.scores)

    def p_value(self, scores: np.ndarray, tail: str = "empirical") -> np.ndarray:
        """Return the probability that a normal row scores at least this, in (0, 1]: ``(n,)`` -> ``(n,)``.

        Split-conformal (Vovk 2005; Bates 2023, arXiv:2104.08279, eq. 2): for a fresh normal row,
        P(p <= t) <= t holds exactly, whatever the detector, as long as it has one member; the scales of several
        members come from the same rows, which makes it approximate. None is below 1 / (m + 1). With a fitted tail the
        highest scores have the modelled ones where these are smaller, which hold as far as the model does. That of
        NaN is NaN.
        """
        p = (1 + self._at_least(scores)) / (1 + len(self.scores))
        if tail == "fitted":
            above = scores > self.tail.start
            p[above] = np.minimum(p[above], self.tail.p_value(scores[above]))
        return np.where(np.isnan(scores), np.nan, p)

    def flag(self, scores: np.ndarray, fdr: float, tail: str = "empirical") -> np.ndarray:
        """Return whether each row passes Benjamini-Hochberg (1995) at this false discovery rate: bool ``(n,)``."""
        p = self.p_value(scores, tail)
        return p <= fdr_level(p, len(p), fdr)

    def fdr_needs(self, rows: int, fdr: float) -> int:
        """Return how many of so many rows must score above all calibration rows before `flag` can flag any."""
        return max(int(np.ceil(rows / (fdr * (len(self.scores) + 1)) - 1e-9)), 1)

    def fdr_note(self, p_values: np.ndarray, rows: int, fdr: float) -> str | None:
        """Return why no row is flagged at this false discovery rate, if few calibration rows are a reason.

        Parameters
        ----------
        p_values : (k,)
            Empirical ones, of all rows, or of those alone that are at most ``fdr`` or the smallest possible.
        rows, fdr
            See `fdr_level`.
        """
        beyond = int((p_values <= 1 / (1 + len(self.scores))).sum())
        needed = self.fdr_needs(rows, fdr)
        if needed <= max(beyond, 1) or fdr_level(p_values, rows, fdr):
            return None
        note = (
            f"no row is flagged: with {len(self.scores):,} calibration rows no p-value is below "
            f"{1 / (len(self.scores) + 1):.2g}, so at an FDR of {fdr:g} {needed:,} of {rows:,} rows must score above "
            f"all calibration rows before any is flagged, and {beyond:,} "
        )
        if not beyond:
            return note + "do."
        enough = int(np.ceil(rows / (fdr * beyond)))
        return note + f"{'does' if beyond == 1 else 'do'}. About {enough:,} calibration rows would be enough."

    def false_alarms(self, thresholds: np.ndarray) -> np.ndarray:
        """Return the probability that a fresh normal row scores above each threshold: ``(k,)`` -> ``(k,)``."""
        above = len(self.scores) - np.searchsorted(self.scores, thresholds, side="right")
        rate: np.ndarray = (1 + above) / (1 + len(self.scores))
        return rate

    def _at_least(self, scores: np.ndarray) -> np.ndarray:
        """Count the calibration scores that are at least as large: ``(n,)`` int."""
        return len(self.scores) - np.searchsorted(self.scores, scores, side="left")


def fdr_level(p_values: np.ndarray, rows: int, fdr: float) -> float:
    """Return the largest p-value that Benjamini-Hochberg (1995) passes at this false discovery rate; 0 if none.

    Parameters
    ----------
    p_values : (k,)
        Of all rows, or of those alone that are at most ``fdr``: no other one passes.
    rows : int
        Number of all rows.
    fdr : float
    """
    p = np.sort(p_values)
    passed = np.flatnonzero(p <= fdr * np.arange(1, len(p) + 1) / max(rows, 1))
    return float(p[passed[-1]]) if len(passed) else 0.0


def member_scales(member_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each member's normal scores ``(K, m)``, and its distance to the 95th percentile.

    A single member is not scaled, so that its score is that of its paper.
    """
    members = len(member_scores)
    if members == 1:
        return np.zeros(1), np.ones(1)
    location = np.median(member_scores, axis=1)
    scale = np.quantile(member_scores, 0.95, axis=1) - location
    # A member whose scores of normal rows are nearly all equal has no spread to be scaled by.
    scale = np.where(scale > 1e-12 * (1 + np.abs(location)), scale, 1.0)
    return location, scale


def conformal_threshold(scores: np.ndarray, target_fpr: float) -> float:
    """Return the smallest calibration score that a fresh normal row exceeds with probability at most ``target_fpr``.

    Fewer than ``1 / target_fpr - 1`` calibration scores ``(m,)`` cannot keep this rate; the largest score is returned.
    """
    m = len(scores)
    rank = int(np.ceil((1 - target_fpr) * (m + 1) - 1e-9))  # the product may be rounded up
    return float(np.sort(scores)[min(rank, m) - 1])


def rounding(values: Any, scores: np.ndarray, eps: float) -> Any:
    """Return how far a score like each of `values` may differ between batches, whose results are rounded differently.

    Parameters
    ----------
    values : float or array
    scores : (m,)
        Scores of calibration rows, ascending.
    eps : float
        Precision of the number format that the scores were computed in.
    """
    return ROUNDING_STEPS * eps * (np.abs(values) + float(np.ptp(scores)))
