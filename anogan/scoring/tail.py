"""A model of the highest calibration scores, which gives p-values that no calibration row has."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..errors import InputError

TAIL_SHARE = 0.2  # of the calibration scores, which the model is fitted to
FEWEST_IN_TAIL = 20  # of them


@dataclass(frozen=True)
class FittedTail:
    """A generalised Pareto distribution of the distances of scores above a high one (Pickands 1975).

    The shape is the maximum-likelihood one, at least 0, so that no score is impossible, plus one standard error,
    ``(1 + shape) / sqrt(k)`` for k scores, because an underestimated shape makes the smallest p-values far too small.

    Attributes
    ----------
    start : float
        The score above which the model holds.
    share : float
        Probability of a higher score, in (0, 1).
    shape, scale : float
        Of the distribution.
    """

    start: float
    share: float
    shape: float
    scale: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Self:
        """Fit to the highest of ascending calibration scores ``(m,)``.

        Raises
        ------
        InputError
            There are too few different high scores.
        """
        from scipy.stats import genpareto  # imported here, since scipy.stats takes long to load

        start = scores[-int(TAIL_SHARE * len(scores)) - 1]
        above = scores[scores > start] - start
        if len(np.unique(above)) < FEWEST_IN_TAIL:
            raise InputError(
                f"A tail cannot be fitted to {len(scores):,} calibration scores: the highest {TAIL_SHARE:.0%} have "
                f"{len(np.unique(above))} different values, and {FEWEST_IN_TAIL} are needed. Calibrate with more rows."
            )
        shape, _, scale = genpareto.fit(above / above.mean(), floc=0)
        if shape < 0:
            shape, scale = 0.0, 1.0
        shape += (1 + shape) / len(above) ** 0.5
        return cls(float(start), (1 + len(above)) / (1 + len(scores)), float(shape), float(scale * above.mean()))

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Return the modelled probability of at least this score, for scores ``(n,)`` above `start`."""
        p: np.ndarray = self.share * (1 + self.shape * (scores - self.start) / self.scale) ** (-1 / self.shape)
        return p
