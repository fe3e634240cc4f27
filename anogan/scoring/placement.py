"""Shift of a picture by which its patches are explained best at their places, for parts that lie at any angle."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from .feature_distance import LearnedBuffers
from .patch_memory import Grid
from .place_gaussian import pool

LEAST_VARIANCE = 0.05  # added to the variances of standardised features
SIDE = 24  # pools along the shorter side of a grid, at least, if it has so many places
FARTHEST = 1 / 6  # shift that is searched, as a share of a side
BETTER = 0.9  # greatest error after a shift, as a share of that without


class Placement(LearnedBuffers):
    """Finds by how much a picture is shifted from the good ones in the features of a network.

    The error of a shift is the mean squared distance, in standard deviations, of the shifted patches to the means of
    their places. A picture counts as shifted if the best shift lowers the error by 10 %, and by more than that of any
    good picture. The mean of parts at any angle is a blurred disc, whose position is found as well as that of an edge.
    """

    learned: ClassVar = {"mean": ("pools", "F"), "precision": ("pools", "F"), "usual": (1,)}
    mean: Tensor
    precision: Tensor
    usual: Tensor  # least share of a good picture's error that its best shift leaves

    @property
    def is_fitted(self) -> bool:
        """Whether pictures may be moved at all."""
        return bool(self.mean.numel())

    def fit(self, patches: Tensor, grid: Grid) -> None:
        """Learn from standardised patches ``(n, h * w, F)`` of good pictures."""
        pooled = self._pool(patches, grid)
        self.mean = pooled.mean(0)
        self.precision = 1 / (pooled.var(0, correction=0) + LEAST_VARIANCE)
        _, left = self._best(pooled, grid)
        self.usual = left.amin().clamp(max=BETTER).reshape(1)

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """Return how far ``(B, h * w, F)`` lie below and right of good ones, as shares of the sides: ``(B, 2)``."""
        found, left = self._best(self._pool(patches, grid), grid)
        return found * (left < self.usual)[:, None]

    def _pool(self, patches: Tensor, grid: Grid) -> Tensor:
        return pool(patches, grid, _pool_side(grid))

    def _best(self, pooled: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return the best shifts ``(B, 2)``, and the shares of the errors that they leave ``(B,)``."""
        sides = [-(-side // _pool_side(grid)) for side in grid]
        reach = [int(FARTHEST * side) for side in sides]
        if min(reach) < 1:
            return pooled.new_zeros(pooled.shape[0], 2), pooled.new_ones(pooled.shape[0])
        errors = self._errors(pooled, sides, reach)
        best = errors.flatten(1).argmin(1)
        rows, columns = best // errors.shape[2], best % errors.shape[2]
        beside = errors.gather(2, columns[:, None, None].expand(-1, errors.shape[1], 1))[..., 0]
        along = errors.gather(1, rows[:, None, None].expand(-1, 1, errors.shape[2]))[:, 0]
        along_rows = _vertex(beside, rows) - reach[0]
        along_columns = _vertex(along, columns) - reach[1]
        found = torch.stack([along_rows / sides[0], along_columns / sides[1]], dim=1)
        return found, errors.flatten(1).amin(1) / errors[:, reach[0], reach[1]]

    def _errors(self, pooled: Tensor, sides: list[int], reach: list[int]) -> Tensor:
        """Return the errors of all shifts: ``(B, pools, F)`` -> ``(B, 2 * reach + 1, 2 * reach + 1)``."""
        maps = torch.cat([pooled.square(), pooled], dim=2).mT.unflatten(2, sides)
        kernel = torch.cat([self.precision, -2 * self.mean * self.precision], dim=1).mT.unflatten(1, sides)
        constant = (self.mean.square() * self.precision).sum(1).view(1, 1, *sides)
        ones = torch.ones_like(constant)
        moved, bounds = (pad(x, (reach[1], reach[1], reach[0], reach[0])) for x in (maps, ones))
        totals = (conv2d(moved, kernel[None]) + conv2d(bounds, constant))[:, 0]
        searched = [torch.arange(-far, far + 1, device=pooled.device) for far in reach]
        overlap = [side - each.abs() for side, each in zip(sides, searched, strict=True)]
        return totals / (overlap[0][:, None] * overlap[1])


def _pool_side(grid: Grid) -> int:
    """Return how many places along each axis are averaged, which bounds the cost of a search."""
    return max(min(grid) // SIDE, 1)


def _vertex(errors: Tensor, best: Tensor) -> Tensor:
    """Return the least point of the parabola through the least of errors ``(B, s)`` and its neighbours: ``(B,)``."""
    before, here, after = (
        errors.gather(1, (best + step).clamp(0, errors.shape[1] - 1)[:, None])[:, 0] for step in (-1, 0, 1)
    )
    bend = before - 2 * here + after
    inside = (best > 0) & (best < errors.shape[1] - 1) & (bend > 0)
    return best + torch.where(inside, (before - after) / (2 * bend.clamp_min(1e-12)), 0.0).clamp(-0.5, 0.5)
