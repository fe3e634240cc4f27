"""What undoing a shift or overexposure changes in the patches of a picture, so that it does not count."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from .branches import changed_if
from .feature_distance import LearnedBuffers
from .patch_memory import Grid
from .patch_units import UNUSUAL

POOLED = 2  # places of a Gaussian along each axis, whose features are averaged
FEWEST = 8  # copies that show a level, at least
MOST_SCALE = 3.0  # where good pictures' distances are nearly zero, a greater one would hide all defects
DEPTHS = 5  # distances from the border of what a moved picture shows, in Gaussians, up to what features reach


class Levels(NamedTuple):
    """How strongly each Gaussian of a picture is affected by a change; zero: not at all.

    Attributes
    ----------
    moved : (B, pools) int64 tensor
        See `moved_depths`.
    overexposed : (B, pools) int64 tensor
        See `Framed.overexposure`.
    """

    moved: Tensor
    overexposed: Tensor

    @classmethod
    def of(cls, parts: list["Levels"]) -> "Levels":
        """Concatenate the levels of several batches."""
        return cls(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def rows(self, chosen: Tensor | slice) -> "Levels":
        """Return the levels of some pictures."""
        return Levels(self.moved[chosen], self.overexposed[chosen])


class Tolerance(LearnedBuffers):
    """Discounts the differences between good pictures and changed copies of them, where a change is seen.

    The covariance E of these differences is learned for each level of the change, in the whitened space of the
    Gaussians, where that of good pictures is the identity. With both, the distance of w is ``|(I + E)^(-1/2) w| / s``:
    directions in which the change does nothing count as before. The scale s of the level is one, or brings the longest
    distances of good copies back to those of good pictures.
    """

    learned: ClassVar = {"discount": ("levels", "F", "F"), "scale": ("levels + 2",), "applied": ("levels + 2",)}
    discount: Tensor  # empty if nothing is discounted
    scale: Tensor  # from level zero to one beyond the greatest, at least one
    applied: Tensor  # one for the levels that are discounted, otherwise zero

    def fit(self, differences: Tensor, levels: Tensor, greatest: int, fewest: int = FEWEST) -> None:
        """Learn from whitened differences ``(m, pools, F)`` at their levels, int64 ``(m, pools)``, up to ``greatest``.

        A level that fewer copies show than ``fewest`` discounts nothing.
        """
        self.discount = self.scale = self.applied = differences.new_zeros(0)
        applied = [int((levels == level).any(1).sum()) >= fewest for level in range(1, greatest + 1)]
        if not any(applied):
            return
        identity = torch.eye(differences.shape[-1], dtype=torch.float64)
        discounts = [identity] * greatest
        for number in (n for n, seen in enumerate(applied) if seen):
            rows = differences[levels == number + 1].cpu().double()  # not every device has double precision
            factor = torch.linalg.cholesky(identity + rows.mT @ rows / len(rows))
            discounts[number] = torch.linalg.solve_triangular(factor, identity, upper=False).mT
        self.discount = torch.stack(discounts).to(differences)
        self.scale = differences.new_ones(greatest + 2)
        self.applied = differences.new_tensor([0.0, *map(float, applied), 0.0])

    def fit_scale(self, counted: Tensor, usual: Tensor, levels: Tensor) -> None:
        """Learn from distances ``(m, pools)`` of good copies, after the discount, and of the pictures before a change.

        The discount is to be one that these copies were not learned for. A level that no copy shows is not scaled.
        """
        for level in range(1, len(self.discount) + 1):
            here = levels == level
            if here.any():
                long, of_good = (each[here].quantile(UNUSUAL) for each in (counted, usual))
                self.scale[level] = (long / of_good.clamp_min(torch.finfo(long.dtype).tiny)).clamp(1, MOST_SCALE)

    def forward(self, white: Tensor, levels: Tensor) -> Tensor:
        """Discount ``(B, pools, F)`` according to the levels; what is at level zero stays."""
        if not self.discount.numel():
            return white
        return changed_if(levels.any(), lambda x: self._discounted(x, levels), white)

    def _discounted(self, white: Tensor, levels: Tensor) -> Tensor:
        white = white / self.scale[levels][..., None]
        for number in range(len(self.discount)):
            here = levels == number + 1
            if torch.compiler.is_exporting() or here.any():
                white = torch.where(here[..., None], white @ self.discount[number], white)
        return white

    def applies(self, levels: Tensor) -> Tensor:
        """Return what is discounted: int64 ``(B, ...)`` -> bool, same shape."""
        if not self.discount.numel():
            return torch.zeros_like(levels, dtype=torch.bool)
        return self.applied[levels] > 0


def moved_depths(shares: Tensor, grid: Grid) -> Tensor:
    """Return how far Gaussians lie from the border of what moved pictures show: int64 ``(B, pools)``.

    ``shares (B, 2)`` are the shifts as shares of the sides. Depths are zero for pictures that were not moved, otherwise
    from 1 at the border, and beyond it, to `DEPTHS` + 1.
    """
    each = []
    for axis, side in enumerate(grid):
        by = shares[:, axis, None] * side
        place = (torch.arange(-(-side // POOLED), device=by.device) + 0.5) * POOLED
        patches = torch.where(by > 0, side - by - place, torch.where(by < 0, place + by, side * POOLED))
        each.append((patches / POOLED).floor().clamp(0, DEPTHS).long() + 1)
    return torch.minimum(each[0][:, :, None], each[1][:, None]).flatten(1) * (shares != 0).any(1, keepdim=True)


def pooled_grid(grid: Grid) -> Grid:
    """Return the height and width of the grid of Gaussians."""
    return -(-grid[0] // POOLED), -(-grid[1] // POOLED)


def at_patches(values: Tensor, grid: Grid) -> Tensor:
    """Give each patch the value of its Gaussian: ``(B, pools)`` -> ``(B, h * w)``."""
    height, width = grid
    each = values.unflatten(1, pooled_grid(grid)).repeat_interleave(POOLED, 1).repeat_interleave(POOLED, 2)
    return each[:, :height, :width].flatten(1)
