"""Distance of a row to the nearest normal rows, in the concatenated features of all ensemble members."""

from typing import ClassVar

import torch
from torch import Tensor

from ..nn.layers import product
from .feature_distance import LearnedBuffers, nearest_distances, side_by_side
from .principal import principal_components
from .search import NearestInParts

FEW_ROWS = 500
SCALES = (1, 2, 4)  # numbers of parts of the memory bank
SCALES_OF_FEW = (4, 8, 16)  # among few rows the nearest one is close by chance
SOFTENING = 0.01  # of the typical distance; tables contain equal rows, whose distance is zero
OUTLIER_QUANTILE = 0.99  # of the inliers' scores
CLUSTER = 20  # clustered anomalies are treated as outliers up to a share of one in so many rows
FEWEST_ROWS_FOR_OUTLIERS = 20
MOST_REMOTENESS = 4096  # rows by which outliers are found


class NearestNeighbourScorer(LearnedBuffers):
    """Geometric mean of the distances to the nearest rows of parts of a memory bank, in one embedding for all members.

    The features of the k members are concatenated and projected onto their leading principal components, so that one
    search serves the whole ensemble. The memory bank as a whole, its halves and its quarters have equal shares in the
    mean; the nearest row of a quarter is about as far as the fourth nearest of all, but faster to find. The logarithm
    of a distance is, up to a constant and the dimension, minus the nearest-neighbour estimate of the log density
    (Loftsgaarden & Quesenberry 1965). The geometric mean averages these estimates, whereas the largest distance would
    dominate an arithmetic mean.

    Parameters
    ----------
    size : int
        Largest number of rows in the memory bank. The first rows are kept, so they should come in random order.
    dimensions : int
        Dimensions of the embedding.
    outlier_iqr : float or None
        IQR multiple beyond which training rows are treated as outliers. A few anomalies among the training rows would
        make similar anomalies appear normal. Outliers are rows whose log distance to the (m / 20)-th of m rows exceeds
        the upper quartile by more than this many interquartile ranges (Tukey 1977). They never count as nearer than
        the 99 % quantile of the scores of the other rows, so that rows near them score like the most unusual normal
        rows, but below rows with no neighbours at all. None treats all rows equally.
    """

    learned: ClassVar = {
        "centre": (1, "K * F"),
        "directions": ("K * F", "q"),
        "memory_bank": ("m", "q"),
        "least": ("m",),
        "scales": ("scales",),
        "softening": (1,),
        "limit": (1,),
        "outlier_least": (1,),
    }
    centre: Tensor
    directions: Tensor
    memory_bank: Tensor
    least: Tensor  # the smallest distance at which each row of the memory bank counts
    scales: Tensor  # int64, ascending numbers of parts, each a multiple of the one before
    softening: Tensor  # added to distances
    limit: Tensor  # the greatest log distance of an inlier
    outlier_least: Tensor  # `least` of the outliers

    def __init__(self, size: int, dimensions: int, outlier_iqr: float | None) -> None:
        super().__init__()
        self.scales = torch.zeros(0, dtype=torch.int64)
        self.size = size
        self.dimensions = dimensions
        self.outlier_iqr = outlier_iqr
        self._search: NearestInParts | None = None

    def fit(self, features: Tensor) -> None:
        """Learn embedding and memory bank from normal rows' features ``(K, n, F)``."""
        self.centre, self.directions = principal_components(side_by_side(features), self.dimensions)
        self.memory_bank = rows = self.embed(features[:, : self.size])
        wanted = SCALES if len(rows) > FEW_ROWS else SCALES_OF_FEW
        possible = [parts for parts in wanted if 2 * parts <= len(rows)] or [1]
        self.scales = torch.tensor(possible, device=rows.device)
        self.least, self.limit, self.outlier_least = (
            rows.new_zeros(len(rows)),
            rows.new_full((1,), torch.finfo(rows.dtype).max),
            rows.new_zeros(1),
        )
        # The last two terms avoid the logarithm of zero for equal rows.
        least = 1e-6 * rows.square().sum(-1).mean().sqrt() + torch.finfo(rows.dtype).tiny
        self.softening = least.reshape(1)
        nearest = self._nearest(rows)
        self.softening = SOFTENING * nearest.median() + least.reshape(1)
        if self.outlier_iqr is None or len(rows) < FEWEST_ROWS_FOR_OUTLIERS:
            return
        remoteness = self._remoteness(rows)
        apart = remoteness[
            remoteness > -torch.inf
        ]  # rows with many equal ones say nothing about the spread of the others
        if len(apart):
            lower, upper = apart.quantile(0.25), apart.quantile(0.75)
            self.limit = (upper + self.outlier_iqr * (upper - lower)).reshape(1)
            inside = remoteness <= self.limit
            self.outlier_least = self._mean(nearest[:, inside]).quantile(OUTLIER_QUANTILE).reshape(1)
            self.least = torch.where(inside, 0.0, self.outlier_least)

    @property
    def room(self) -> int:
        """How many rows the memory bank can still take."""
        return max(self.size - len(self.memory_bank), 0)

    def extend(self, features: Tensor) -> None:
        """Add normal rows ``(K, n, F)`` to the memory bank, up to its size. No row's score rises through it."""
        rows = self.embed(features)[: self.room]
        least = torch.where(self._remoteness(rows) <= self.limit, 0.0, self.outlier_least)
        self.memory_bank, self.least = torch.cat([self.memory_bank, rows]), torch.cat([self.least, least])

    def embed(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(B, q)``."""
        each = self.directions.unflatten(0, (features.shape[0], -1))  # (K, F, q)
        return product(features, each).sum(0) - self.centre @ self.directions

    def forward(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(1, B)``, > 0: one score of all members.

        A row does not count as its own neighbour: a nearest row that is no farther than the softening is skipped.
        """
        return self._mean(self._nearest(self.embed(features))).unsqueeze(0)

    def _nearest(self, rows: Tensor) -> Tensor:
        """Return the distances to the nearest rows of the smallest parts: ``(B, q)`` -> ``(parts, B)``."""
        search = self._search
        if not torch.compiler.is_exporting() and (
            search is None or search.rows is not self.memory_bank or search.least is not self.least
        ):  # a graph keeps the search of the last call, and its scales
            self._scales = self.scales.tolist()
            self._search = NearestInParts(self.memory_bank, self._scales[-1], self.least)
        assert self._search is not None
        return self._search(rows, self.softening)

    def _mean(self, nearest: Tensor) -> Tensor:
        """Return the geometric mean over scales and their parts: ``(parts, B)`` -> ``(B,)``."""
        logs = (nearest + self.softening).log()
        # Part p of the smallest ones belongs to part p % k of k larger ones.
        return torch.stack([logs.unflatten(0, (-1, parts)).amin(0).mean(0) for parts in self._scales]).mean(0).exp()

    def _remoteness(self, rows: Tensor) -> Tensor:
        """Return the log distance to the (m / `CLUSTER`)-th nearest of m rows, at least the 5th: ``(B, q)``.

        The rank is one higher because of the row itself; for rows that are added later it is slightly too high. The
        first `MOST_REMOTENESS` rows represent a larger memory bank.
        """
        some = self.memory_bank[:MOST_REMOTENESS]
        neighbours = min(max(len(some) // CLUSTER, 5) + 1, len(some))
        return nearest_distances(rows, some, neighbours)[:, -1].log()
