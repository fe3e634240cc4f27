"""What undoing a shift or overexposure changes in the patches of a picture, so that it does not count."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from .feature_distance import LearnedBuffers
from .patch_memory import Grid
from .patch_units import UNUSUAL

POOLED = 2  # places of a Gaussian along each axis, whose features are averaged
FEWEST = 8  # copies that show a level, at least
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
    directions in which the change does nothing count as before. Without a scale s is one. With it, since differences
    are not distributed as a Gaussian, the scale of the level brings the longest distances of good copies, of which one
    half is discounted by what the other one shows, back to those of good pictures.

    Parameters
    ----------
    scaled : bool
        Right where a level says how strong the change is, as for shifts. Where copies of one level differ in it, such
        as in overexposure, the strongest of them would take the weight of defects in all.
    """

    learned: ClassVar = {"discount": ("levels", "F", "F"), "scale": ("levels + 2",), "applied": ("levels + 2",)}
    discount: Tensor  # empty if nothing is discounted
    scale: Tensor  # from level zero to one beyond the greatest, at least one
    applied: Tensor  # one for the levels that are discounted, otherwise zero

    def __init__(self, *, scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled

    def fit(self, differences: Tensor, originals: Tensor, copies: Tensor, levels: Tensor, greatest: int) -> None:
        """Learn from changed copies of m good pictures at their levels, int64 ``(m, pools)``, up to ``greatest``.

        ``differences (m, pools, F)`` are whitened by the Gaussians of their places; ``originals`` and ``copies`` as
        they are scored. A level that fewer than `FEWEST` copies show discounts nothing.
        """
        self.discount = self.scale = self.applied = differences.new_zeros(0)
        applied = [int((levels == level).any(1).sum()) >= FEWEST for level in range(1, greatest + 1)]
        if not any(applied):
            return
        discounts = torch.eye(differences.shape[-1], dtype=differences.dtype).repeat(greatest, 1, 1)
        scale = torch.ones(greatest + 2, dtype=differences.dtype)
        for level in (number for number, seen in enumerate(applied, 1) if seen):
            here = levels == level
            discounts[level - 1] = _discount(differences[here])
            if not self.scaled:
                continue
            counted = copies[here]
            half = (torch.cumsum(here.any(1), 0) % 2 == 0)[:, None].expand_as(here)[here]  # of the copies that show it
            for new in (half, ~half):
                counted[new] = counted[new] @ _discount(differences[here][~new]).to(counted)
            far, usual = (
                torch.linalg.vector_norm(each, dim=-1).quantile(UNUSUAL) for each in (counted, originals[here])
            )
            scale[level] = float(far / usual.clamp_min(torch.finfo(usual.dtype).tiny))
        self.discount = discounts.to(differences)
        self.scale = scale.clamp_min(1).to(differences)
        self.applied = differences.new_tensor([0.0, *map(float, applied), 0.0])

    def forward(self, white: Tensor, levels: Tensor) -> Tensor:
        """Discount ``(B, pools, F)`` according to the levels; what is at level zero stays."""
        if not self.discount.numel():
            return white
        discounted = white / self.scale[levels][..., None]
        for level, discount in enumerate(self.discount, 1):
            here = levels == level
            if torch.compiler.is_exporting() or here.any():
                discounted = torch.where(here[..., None], discounted @ discount, discounted)
        return discounted

    def applies(self, levels: Tensor) -> Tensor:
        """Return what is discounted: int64 ``(B, ...)`` -> bool, same shape."""
        if not self.discount.numel():
            return torch.zeros_like(levels, dtype=torch.bool)
        return self.applied[levels] > 0


def _discount(differences: Tensor) -> Tensor:
    """Return the root of the precision of whitened vectors that differ by differences ``(k, F)``: ``(F, F)``."""
    rows = differences.cpu().double()  # not every device has double precision
    identity = torch.eye(rows.shape[-1], dtype=rows.dtype)
    factor = torch.linalg.cholesky(identity + rows.mT @ rows / len(rows))
    return torch.linalg.solve_triangular(factor, identity, upper=False).mT


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
