"""Mahalanobis distance of patches to a Gaussian of their place, insensitive to changes that good pictures may have."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from .feature_distance import LearnedBuffers
from .patch_memory import Grid

POOLED = 2  # places of a Gaussian along each axis, whose features are averaged
RIDGE = 0.01  # added to covariances of standardised features (PaDiM's epsilon)
LEAST_LEFT = 0.01  # of a direction's variance, without a picture that has nearly all of it
MOST_SHARE = 0.5  # of the Gaussians in a fused distance
EVERYWHERE = 0.1  # share of the changes at all places, beside those at the same place, in what does not count


class PlaceGaussian(LearnedBuffers):
    """Gaussians of 2x2 places each (PaDiM, Defard 2021, arXiv:2011.08785, with all features).

    A covariance also has that of the differences between good pictures and changed copies of them, so that such
    changes do not count: the within-class covariance of speaker recognition (Hatch 2006).

    A covariance of F features needs more than F pictures. So the share that these distances get beside others grows
    from zero with F / 2 pictures to a half with 3 F / 2.
    """

    learned: ClassVar = {"mean": ("pools", "F"), "whitening": ("pools", "F", "F"), "unit": (1,), "share": (1,)}
    mean: Tensor
    whitening: Tensor
    unit: Tensor  # mean distance of the patches of good pictures
    share: Tensor  # in [0, 0.5]

    def __init__(self) -> None:
        super().__init__()
        self._moments: tuple[int, Tensor, Tensor] | None = None  # pictures, mean, scatter; until `learn_more`
        self._changes: Tensor | None = None

    def fit(self, patches: Tensor, grid: Grid, originals: Tensor, copies: Tensor) -> None:
        """Learn from standardised patches ``(n, h * w, F)`` of n good pictures.

        ``copies (m, h * w, F)`` are the patches of changed copies of the ``originals (m, h * w, F)``.
        """
        pooled = pool(patches, grid)
        self._changes = torch.zeros_like(_scatter(pooled[:1]))
        if len(copies):
            here = _scatter(pool(copies - originals, grid)) / len(copies)
            self._changes = torch.lerp(here, here.mean(0, keepdim=True), EVERYWHERE)
        mean = pooled.mean(0)
        self._moments = len(pooled), mean, _scatter(pooled - mean)
        self._solve()
        self.unit = self._left_out(pooled).mean().reshape(1)
        enough = len(pooled) / pooled.shape[-1] - 0.5
        self.share = self.unit.new_full((1,), MOST_SHARE * min(max(enough, 0.0), 1.0))

    def learn_more(self, patches: Tensor, grid: Grid) -> None:
        """Learn from the patches ``(m, h * w, F)`` of further pictures too; see `fit`.

        More pictures give smaller distances of new ones. The unit follows, so that a threshold that these pictures set
        before still holds, and the share stays.
        """
        if self._moments is None:
            return
        pooled = pool(patches, grid)
        before = self._distances(pooled).mean()
        count, mean, scatter = self._moments
        total = count + len(pooled)
        more = pooled.mean(0)
        away = more - mean
        apart = away[:, :, None] * away[:, None, :] * (count * len(pooled) / total)
        self._moments = total, mean + away * (len(pooled) / total), scatter + _scatter(pooled - more) + apart
        self._solve()
        self.unit = self.unit * self._left_out(pooled).mean() / before
        self._moments = self._changes = None

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """Return distances in units of good pictures' mean one: ``(B, h * w, F)`` -> ``(B, h * w)``, >= 0."""
        distances = self._distances(pool(patches, grid)) / self.unit
        coarse = distances.unflatten(1, (-(-grid[0] // POOLED), -(-grid[1] // POOLED)))[:, None]
        if coarse.shape[-2:] == grid:
            return coarse.flatten(1)
        return interpolate(coarse, size=grid, mode="bilinear", align_corners=False).flatten(1)

    def _distances(self, pooled: Tensor) -> Tensor:
        white = (pooled - self.mean).transpose(0, 1) @ self.whitening  # (pools, B, F)
        return torch.linalg.vector_norm(white, dim=-1).mT

    def _left_out(self, pooled: Tensor) -> Tensor:
        """Return the distances that learned pictures would have if they had not been learned, in closed form."""
        assert self._moments is not None
        count, distances = self._moments[0], self._distances(pooled)
        if count < 3:
            return distances
        square = distances.square() / (count - 1)
        least = 1 - square * count / (count - 1)
        return count / (count - 1) * ((count - 2) * square / least.clamp_min(LEAST_LEFT)).sqrt()

    def _solve(self) -> None:
        assert self._moments is not None
        assert self._changes is not None
        count, self.mean, scatter = self._moments
        identity = torch.eye(scatter.shape[-1], device=scatter.device, dtype=scatter.dtype)
        covariance = scatter / max(count - 1, 1) + self._changes + RIDGE * identity
        factor = torch.linalg.cholesky(covariance.cpu())  # not implemented on every device
        inverse = torch.linalg.solve_triangular(factor, identity.cpu(), upper=False)
        self.whitening = inverse.mT.contiguous().to(scatter)


def pool(patches: Tensor, grid: Grid, side: int = POOLED) -> Tensor:
    """Average over ``side x side`` places, fewer at the border: ``(B, h * w, F)`` -> ``(B, pools, F)``."""
    maps = patches.mT.unflatten(2, grid)
    return avg_pool2d(maps, side, ceil_mode=True, count_include_pad=False).flatten(2).mT


def _scatter(rows: Tensor) -> Tensor:
    """``(n, pools, F)`` -> ``(pools, F, F)``."""
    rows = rows.transpose(0, 1)
    return rows.mT @ rows
