"""Detectors against each other over data sets: ranks, wins and losses, and which differences are more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata

TIE = 0.001  # AUROC; a difference below a tenth of a point is no win
REFERENCE = "knn"
ALPHA = 0.05
DRAWN = 15  # largest number of detectors in a readable diagram of critical differences


@dataclass(frozen=True)
class Ranking:
    """Values (data sets, detectors), higher is better, of the detectors that have a value on every data set."""

    values: pd.DataFrame

    @classmethod
    def of(cls, means: dict[str, dict[str, float]]) -> "Ranking":
        """Create a ranking from detector -> data set -> mean over seeds, without incomplete detectors.

        Complete is who has every data set that half of the detectors have.
        """
        table = pd.DataFrame(means)
        return cls(table[table.notna().mean(axis="columns") >= 0.5].dropna(axis="columns"))

    @cached_property
    def mean_ranks(self) -> pd.Series:
        """1 is best; tied detectors share the mean of their ranks. Ascending."""
        ranks = rankdata(-self.values.to_numpy(), axis=1)
        return pd.Series(ranks.mean(axis=0), index=self.values.columns).sort_values()

    def against(self, name: str, reference: str = REFERENCE) -> tuple[int, int, int]:
        """Return the numbers of data sets (won, tied, lost) against another detector."""
        gain = (self.values[name] - self.values[reference]).to_numpy()
        return int((gain >= TIE).sum()), int((np.abs(gain) < TIE).sum()), int((gain <= -TIE).sum())

    def friedman_p(self) -> float:
        """Return the p-value of Friedman's test of the hypothesis that all detectors are equal."""
        return float(friedmanchisquare(*self.values.to_numpy().T).pvalue)

    def pairwise_p(self, names: list[str]) -> pd.DataFrame:
        """Wilcoxon's signed-rank test of each pair of `names` over the data sets, adjusted by Holm; square."""
        import scikit_posthocs

        return scikit_posthocs.posthoc_wilcoxon(
            self.values[names].melt(), val_col="value", group_col="variable", p_adjust="holm", zero_method="zsplit"
        )

    @property
    def testable(self) -> bool:
        """Whether the data sets suffice for a significant difference between two of three or more detectors."""
        sets, detectors = len(self.values), min(self.values.shape[1], DRAWN)
        least = 2 * 0.5**sets  # P of a detector that wins on every data set
        return detectors >= 3 and least * (detectors * (detectors - 1) / 2) < ALPHA


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points (cost, value) that no other point dominates, cheapest first."""
    front: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front
