"""How far a row lies from the normal rows in the space that the features of all members span together."""

import torch
from torch import Tensor

from .feature_distance import LearnedBuffers, nearest_distances, side_by_side
from .principal import principal_components

FEW_ROWS = 500
NEIGHBOURS = (1, 2, 4)
NEIGHBOURS_OF_FEW = (4, 8, 16)  # among few rows the nearest one is near by luck
SOFTENING = 0.01  # of the typical distance; tables hold equal rows, whose distance is zero
RESERVE = 0.99  # share of the other rows
CLUSTER = 20  # the outlier_iqr notices anomalies that lie together, up to one in so many rows
FEWEST_ROWS_TO_FENCE = 20


class NearestNeighbourScorer(LearnedBuffers):
    """Geometric mean of the distances to the nearest normal rows, in one embedding for all ensemble members.

    The features of the k members are put side by side and projected onto their leading principal components, so that
    one search serves the whole ensemble. A distance's logarithm is, up to a constant and the dimension, minus the
    log density that nearest neighbours estimate (Loftsgaarden & Quesenberry 1965); the geometric mean averages
    these, where an arithmetic mean would listen to the largest distance alone.

    Parameters
    ----------
    size : int
        Most rows that are remembered: the first ones, so they should come in random order.
    dimensions : int
        Of the embedding.
    outlier_iqr : float or None
        A few anomalies among the training rows would call their like normal. So rows that lie far from the bulk vouch
        for others with reserve only: those whose log distance to the (m / 20)-th of m rows is more than this many
        interquartile ranges above the upper quartile (Tukey 1977) count as never nearer than `RESERVE` of the other
        rows score. What lies near them thus scores like the most unusual normal rows, but below what nothing
        supports. None trusts every row alike.
    """

    learned = ("centre", "directions", "bank", "least", "neighbours", "softening", "limit", "reserve")
    centre: Tensor  # (1, K * F)
    directions: Tensor  # (K * F, q)
    bank: Tensor  # (m, q)
    least: Tensor  # (m,), the distance at which each row of the bank counts at least
    neighbours: Tensor  # int64, which nearest rows count, such as 1, 2, 4
    softening: Tensor  # of the same length, added to their distances
    limit: Tensor  # (1,), the greatest log distance within the outlier_iqr
    reserve: Tensor  # (1,), `least` of the rows beyond it

    def __init__(self, size: int, dimensions: int, outlier_iqr: float | None) -> None:
        super().__init__()
        self.size = size
        self.dimensions = dimensions
        self.outlier_iqr = outlier_iqr

    def fit(self, features: Tensor) -> None:
        """Learn embedding and bank from normal rows' features ``(K, n, F)``."""
        self.centre, self.directions = principal_components(side_by_side(features), self.dimensions)
        self.bank = rows = self.embed(features[:, : self.size])
        others = max(len(rows) - 1, 1)
        wanted = NEIGHBOURS if len(rows) > FEW_ROWS else NEIGHBOURS_OF_FEW
        self.neighbours = torch.tensor(wanted, device=rows.device).clamp(max=others)
        self.least, self.limit, self.reserve = (
            rows.new_zeros(len(rows)),
            rows.new_full((1,), torch.inf),
            rows.new_zeros(1),
        )
        # Every row of the bank is its own nearest, hence one more.
        ranks = self.neighbours.clamp(max=len(rows) - 1)
        nearest = nearest_distances(rows, rows, int(ranks[-1]) + 1)[:, ranks]
        spread = rows.square().sum(-1).mean().sqrt()
        # Without the last two terms, equal rows would have the logarithm of zero.
        self.softening = SOFTENING * nearest.median(0).values + 1e-6 * spread + torch.finfo(rows.dtype).tiny
        if self.outlier_iqr is None or len(rows) < FEWEST_ROWS_TO_FENCE:
            return
        remoteness = self._remoteness(rows)
        apart = remoteness[remoteness > -torch.inf]  # of many equal rows the others' spread cannot be told
        if len(apart):
            lower, upper = apart.quantile(0.25), apart.quantile(0.75)
            self.limit = (upper + self.outlier_iqr * (upper - lower)).reshape(1)
            inside = remoteness <= self.limit
            self.reserve = self._mean(nearest[inside]).quantile(RESERVE).reshape(1)
            self.least = torch.where(inside, 0.0, self.reserve)

    def extend(self, features: Tensor) -> None:
        """Remember more normal rows ``(K, n, F)``, as far as there is room. No row's score rises by that."""
        rows = self.embed(features)[: max(self.size - len(self.bank), 0)]
        least = torch.where(self._remoteness(rows) <= self.limit, 0.0, self.reserve)
        self.bank, self.least = torch.cat([self.bank, rows]), torch.cat([self.least, least])

    def embed(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(B, q)``."""
        return (side_by_side(features) - self.centre) @ self.directions

    def forward(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(1, B)``, > 0: one judgement of all members.

        A row does not vouch for itself: a nearest one that is no farther than the softening is passed over.
        """
        most = min(int(self.neighbours[-1]) + 1, len(self.bank))
        nearest = nearest_distances(self.embed(features), self.bank, most, self.least)
        itself = (nearest[:, :1] <= self.softening[0]).long()
        return self._mean(nearest.gather(1, (self.neighbours - 1 + itself).clamp(max=most - 1))).unsqueeze(0)

    def _mean(self, nearest: Tensor) -> Tensor:
        """Geometric mean: ``(B, number of neighbours)`` -> ``(B,)``."""
        return (nearest + self.softening).log().mean(-1).exp()

    def _remoteness(self, rows: Tensor) -> Tensor:
        """Log distance to the (m / `CLUSTER`)-th nearest row of the bank, at least the 5th: ``(B, q)`` -> ``(B,)``.

        One more is counted for the row itself, which a row that comes later finds a little too far.
        """
        neighbours = min(max(len(self.bank) // CLUSTER, 5) + 1, len(self.bank))
        return nearest_distances(rows, self.bank, neighbours)[:, -1].log()
