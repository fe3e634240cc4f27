"""Several scores of a row as one: the weighted harmonic mean of their p-values."""

from typing import ClassVar

import torch
from torch import Tensor

from .counting import count_in_rows
from .feature_distance import LearnedBuffers

SHARPNESS = 10.0  # of the weights
LEAST_WEIGHT = 0.01  # views below it are not computed
TIE = 1e-5  # scores that differ by less, relative to their size, are equal but for rounding
TAIL = 0.1  # share of the normal rows whose scores give the unit of the distance beyond them all


class ViewFusion(LearnedBuffers):
    """Weighted harmonic mean p of the p-values of several views; the score is -log p.

    A p-value is the share of normal rows that score at least as high, interpolated between their scores, so that
    rounding decides nothing. Different views are thereby on one scale, whatever their units are. The harmonic mean is
    dominated by the smallest p-values: one view for which a row is clearly unusual is enough (Wilson 2019), while a
    mean of their logarithms needs most views to agree. Beyond the highest normal score p falls on, with the inverse of
    the distance, so that far rows have different scores.

    The weight of a view is proportional to its prior weight times exp(10 a), where a is the mean AUROC with which it
    separates normal rows from synthetic anomalies. Views that would get less than 1 % get nothing, so that they need
    not be computed.

    References
    ----------
    Wilson: The harmonic mean p-value for combining dependent tests. PNAS 116 (2019).
    """

    learned: ClassVar = {
        "normal": ("views", "n"),
        "p_values": ("views", "n"),
        "excess": ("views", 1),
        "probe_auroc": ("views",),
        "weights": ("views",),
    }
    normal: Tensor  # scores of normal rows, ascending
    p_values: Tensor  # theirs
    excess: Tensor  # the unit of the distance beyond them
    probe_auroc: Tensor
    weights: Tensor

    def fit(self, normal: Tensor, probe_auroc: Tensor, prior: Tensor) -> None:
        """Learn p-values and weights.

        Parameters
        ----------
        normal : (views, n)
            Scores of normal rows.
        probe_auroc : (views,)
            How well each view separates normal rows from synthetic anomalies, in [0, 1].
        prior : (views,)
            Weights of views that separate them equally well, >= 0; a view with 0 gets none.
        """
        n = normal.shape[1]
        self.normal = normal.sort(dim=1).values
        self.p_values = (1 + n - self._less(self.normal).to(normal)) / (1 + n)
        knee, top = self.normal[:, int((1 - TAIL) * (n - 1))][:, None], self.normal[:, -1:]
        over = (self.normal - knee).clamp_min(0)
        mean = over.sum(1, keepdim=True) / (over > 0).sum(1, keepdim=True).clamp_min(1)
        self.excess = torch.where(mean > 0, mean, top.abs().clamp_min(1.0))
        self.probe_auroc = probe_auroc
        weights = (SHARPNESS * self.probe_auroc + prior.log()).softmax(0)
        self.weights = weights.masked_fill(weights < LEAST_WEIGHT, 0.0)
        self.weights /= self.weights.sum()

    def forward(self, scores: Tensor) -> Tensor:
        """``(views, B)`` -> ``(B,)``, higher = more anomalous. Scores of views without weight are ignored."""
        return (self.evidence(scores) + self.weights.log()[:, None]).logsumexp(0)

    def evidence(self, scores: Tensor) -> Tensor:
        """Return -log of each view's p-value: ``(views, B)`` -> same, >= 0."""
        above = self._less(scores)
        below = (above - 1).clamp_min(0)
        above = above.clamp_max(self.normal.shape[1] - 1)
        low, high = self.normal.gather(1, below), self.normal.gather(1, above)
        share = ((scores - low) / (high - low)).nan_to_num(0.0).clamp(0, 1)
        p = torch.lerp(self.p_values.gather(1, below), self.p_values.gather(1, above), share)
        beyond = (scores - self.normal[:, -1:]).clamp_min(0) / self.excess
        return beyond.log1p() - p.log()

    def _less(self, scores: Tensor) -> Tensor:
        """Count the normal rows that score less: ``(views, B)`` -> int64, same."""
        return count_in_rows(self.normal, scores, strictly=True)


def separation(normal: Tensor, anomalous: Tensor) -> Tensor:
    """Return the AUROC of each view's scores of anomalies ``(views, m)`` against normal rows ``(views, n)``."""
    ordered = normal.sort(dim=1).values
    tie = TIE * (anomalous.abs() + normal.std(1, correction=0, keepdim=True))
    less = [torch.searchsorted(ordered, (anomalous + shift).contiguous()) for shift in (-tie, tie)]
    return (less[0] + less[1]).to(normal).mean(1) / (2 * normal.shape[1])
