"""Which Gaussians lie around each place, so that what is a little out of its place is compared with the right one."""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .patch_memory import Grid

STEPS = 0, 1, -1  # places to the Gaussians that a patch is compared with, along each axis
AREA = 5  # places along each axis that are out of place together: 80 pixels of 384 at stride 8


class Nearby(NamedTuple):
    """The Gaussians of each place and around it, at k offsets of which the first is none.

    Those beyond the border are replaced by those at the border.

    Attributes
    ----------
    grid : (h, w)
        Of the Gaussians.
    seen : (h * w, k) int64 tensor
        The places that the Gaussian of each place sees.
    row : (h * w, k) int64 tensor
        The row of these ``h * w * k`` pairs in which each of its Gaussians sees a place.
    """

    grid: Grid
    seen: Tensor
    row: Tensor

    @classmethod
    def of(cls, grid: Grid, device: torch.device) -> Self:
        """Return those of a grid (h, w)."""
        sides = torch.tensor(grid)
        first, last = torch.zeros_like(sides), sides - 1
        steps = [STEPS if side > 1 else STEPS[:1] for side in grid]
        offsets = torch.tensor([(a, b) for a in steps[0] for b in steps[1]])  # (k, 2)
        numbers = torch.arange(grid[0] * grid[1])
        places = torch.stack([numbers // grid[1], numbers % grid[1]], dim=1)[:, None]  # (h * w, 1, 2)
        seen, gaussians = ((places + sign * offsets).clamp(first, last) for sign in (1, -1))
        kinds = [len(each) for each in steps]
        offset = (places - gaussians) % torch.tensor(kinds)  # counted in the order of `STEPS`
        row = _number(gaussians, grid[1]) * len(offsets) + _number(offset, kinds[1])
        return cls(grid, _number(seen, grid[1]).to(device), row.to(device))

    def closest(self, distances: Tensor) -> Tensor:
        """Return which Gaussian each place is compared with: ``(h * w, k, B)`` -> int64 ``(h * w, 1, B)``.

        It is at the offset with the least mean distance in the area around the place. An offset of each place alone
        would bring small defects nearer to some Gaussian.
        """
        maps = distances.permute(2, 1, 0).unflatten(2, self.grid)  # (B, k, h, w)
        means = avg_pool2d(maps, AREA, stride=1, padding=AREA // 2, count_include_pad=False)
        return means.argmin(1).flatten(1).mT[:, None]


def _number(places: Tensor, width: int) -> Tensor:
    return places[..., 0] * width + places[..., 1]
