"""What undoing a shift changes in the patches of a picture, so that it does not count."""

from typing import ClassVar

import torch
from torch import Tensor

from .feature_distance import LearnedBuffers
from .patch_memory import Grid

POOLED = 2  # places of a Gaussian along each axis, whose features are averaged
DEPTHS = 5  # distances from the border of what a moved picture shows, in Gaussians, up to what features reach
FEWEST = 8  # copies that are moved back, at least


class MovedTolerance(LearnedBuffers):
    """Discounts the differences between good pictures and shifted copies of them that were moved back.

    A network's features near the border of what a moved picture shows depend on what the rest was filled with. The
    covariance E of these differences is learned for each distance from the border, in the whitened space of the
    Gaussians, where that of good pictures is the identity. With both, the distance of w is ``|(I + E)^(-1/2) w|``.
    """

    learned: ClassVar = {"discount": (DEPTHS, "F", "F")}
    discount: Tensor  # empty if pictures are not moved

    def fit(self, differences: Tensor, depths: Tensor) -> None:
        """Learn from whitened differences ``(m, pools, F)`` at their `moved_depths`."""
        self.discount = differences.new_zeros(0)
        if int((depths > 0).any(1).sum()) < FEWEST:
            return
        identity = torch.eye(differences.shape[-1], dtype=torch.float64)
        discounts = []
        for depth in range(1, DEPTHS + 1):
            rows = differences[depths == depth].double().cpu()
            factor = torch.linalg.cholesky(identity + rows.mT @ rows / max(len(rows), 1))
            discounts.append(torch.linalg.solve_triangular(factor, identity, upper=False).mT)
        self.discount = torch.stack(discounts).to(differences)

    def forward(self, white: Tensor, depths: Tensor) -> Tensor:
        """Discount ``(B, pools, F)`` according to the depths; what is at depth zero stays."""
        if not self.discount.numel():
            return white
        discounted = white
        for depth, discount in enumerate(self.discount, 1):
            discounted = torch.where((depths == depth)[..., None], white @ discount, discounted)
        return discounted

    def near_border(self, shares: Tensor, grid: Grid) -> Tensor:
        """Return which patches are discounted: bool ``(B, h * w)``; see `moved_depths`."""
        depths = moved_depths(shares, grid, pooled=1)
        return (depths > 0) & (depths <= len(self.discount))


def moved_depths(shares: Tensor, grid: Grid, pooled: int = POOLED) -> Tensor:
    """Return how far Gaussians lie from the border of what moved pictures show: int64 ``(B, pools)``.

    ``shares (B, 2)`` are the shifts as shares of the sides. Depths are zero for pictures that were not moved, otherwise
    from 1 at the border, and beyond it, to `DEPTHS` + 1. With ``pooled`` = 1 they are those of the patches.
    """
    each = []
    for axis, side in enumerate(grid):
        by = shares[:, axis, None] * side
        place = (torch.arange(-(-side // pooled), device=by.device) + 0.5) * pooled
        patches = torch.where(by > 0, side - by - place, torch.where(by < 0, place + by, side * POOLED))
        each.append((patches / POOLED).floor().clamp(0, DEPTHS).long() + 1)
    return torch.minimum(each[0][:, :, None], each[1][:, None]).flatten(1) * (shares != 0).any(1, keepdim=True)
