"""Calibrated scores of an ensemble, split-conformal p-values, thresholds."""

from dataclasses import dataclass

import numpy as np


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
    reference: np.ndarray | None = None
    held_out: bool = True

    def combine(self, member_scores: np.ndarray) -> np.ndarray:
        """Return the mean over members of their calibrated scores: ``(K, n)`` -> ``(n,)``."""
        return ((member_scores - self.location[:, None]) / self.scale[:, None]).mean(0)

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability that a normal row scores at least this, in [1 / (m + 1), 1]: ``(n,)`` -> ``(n,)``.

        Split-conformal (Vovk 2005; Bates 2023, arXiv:2104.08279, eq. 2): for a fresh normal row,
        P(p <= t) <= t holds exactly, whatever the detector, as long as it has one member; the scales of several
        members come from the same rows, which makes it approximate.
        """
        return (1 + self._at_least(scores)) / (1 + len(self.scores))

    def flag(self, scores: np.ndarray, fdr: float) -> np.ndarray:
        """Return whether each row passes Benjamini-Hochberg (1995) at this false discovery rate: bool ``(n,)``."""
        return self.p_value(scores) <= self.fdr_level(self.counts(scores), fdr)

    def counts(self, scores: np.ndarray) -> np.ndarray:
        """Count the rows with each of the m + 1 p-values, ascending: ``(n,)`` -> ``(m + 1,)``. Counts add up."""
        return np.bincount(self._at_least(scores), minlength=len(self.scores) + 1)

    def fdr_level(self, counts: np.ndarray, fdr: float) -> float:
        """Return the largest p-value that Benjamini-Hochberg (1995) passes, from `counts` of all rows; 0 if none."""
        p = np.arange(1, len(counts) + 1) / len(counts)
        so_far = np.cumsum(counts)
        passed = np.flatnonzero((counts > 0) & (p <= fdr * so_far / max(so_far[-1], 1)))
        return float(p[passed[-1]]) if len(passed) else 0.0

    def fdr_needs(self, rows: int, fdr: float) -> int:
        """Return how many of so many rows must score above all calibration rows before `flag` can flag any."""
        return max(int(np.ceil(rows / (fdr * (len(self.scores) + 1)) - 1e-9)), 1)

    def fdr_note(self, counts: np.ndarray, fdr: float) -> str | None:
        """Return why no row is flagged at this false discovery rate, if few calibration rows are a reason.

        Parameters
        ----------
        counts : (m + 1,) int
            See `counts`.
        fdr : float
        """
        rows, beyond = int(counts.sum()), int(counts[0])
        needed = self.fdr_needs(rows, fdr)
        if needed <= max(beyond, 1) or self.fdr_level(counts, fdr):
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
    rank = int(np.ceil((1 - target_fpr) * (m + 1)))
    return float(np.sort(scores)[min(rank, m) - 1])
