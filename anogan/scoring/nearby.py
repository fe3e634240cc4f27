"""Which Gaussians lie around each place, so that what is a little out of its place is compared with the right one."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from .patch_memory import Grid

APART = 1  # places between the Gaussians that a patch is compared with: 16 pixels of 384 at stride 8


class Nearby(NamedTuple):
    """The places around each of ``pools``, at k offsets, of which the first is none.

    Attributes
    ----------
    seen : (pools, k) int64 tensor
        The places that the Gaussian of each place sees.
    row : (pools, k) int64 tensor
        The row of ``(pools * k)`` such pairs in which each place is seen.
    missing : (pools, k) bool tensor
        Where that pair does not exist, since the Gaussian would lie beyond the border.
    """

    seen: Tensor
    row: Tensor
    missing: Tensor

    @classmethod
    def of(cls, grid: Grid, device: torch.device) -> Self:
        """Return those of a grid of Gaussians (h, w)."""
        steps = [[0, *((-APART, APART) if side > APART else ())] for side in grid]
        offsets = torch.tensor([(a, b) for a in steps[0] for b in steps[1]])  # (k, 2)
        sides = torch.tensor(grid)
        numbers = torch.arange(grid[0] * grid[1])
        places = torch.stack([numbers // grid[1], numbers % grid[1]], dim=1)[:, None]  # (pools, 1, 2)
        each = []
        for found in (places + offsets, places - offsets):
            inside = found.clamp(torch.zeros(2, dtype=torch.int64), sides - 1)
            each.append((inside[..., 0] * grid[1] + inside[..., 1], (inside != found).any(-1)))
        (seen, _), (gaussian, missing) = each
        row = gaussian * len(offsets) + torch.arange(len(offsets))
        return cls(seen.to(device), row.to(device), missing.to(device))
