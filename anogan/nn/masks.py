"""Complementary masks: in each set every value of a sample is erased exactly once.

Units are counted on the CPU, so that masks have their shape on the meta device too.
"""

import torch
from torch import Tensor

from ..seeding import randperm


def complementary_masks(units: Tensor, parts: int) -> Tensor:
    """Draw a set of masks that each erase about equally many units, and together every unit once.

    Parameters
    ----------
    units : (*shape) int64
        Unit of each value, numbered from 0 without a gap; a unit is erased as a whole.
    parts : int
        Number of masks in the set; if there are fewer units, one for each unit.

    Returns
    -------
    (parts, *shape) bool tensor
        True where a mask erases.
    """
    count = int(units.max()) + 1
    parts = min(parts, count)
    part = (randperm(count) % parts)[units]  # (*shape)
    return torch.stack([part == i for i in range(parts)])


def square_units(height: int, width: int, side: int) -> Tensor:
    """Number the squares of a grid over an image; those at the right and lower edge may be cut: ``(H, W)``."""
    rows, columns = (torch.arange(n, device="cpu") // side for n in (height, width))
    return rows[:, None] * (int(columns[-1]) + 1) + columns


def span_units(dim: int, spans: tuple[tuple[int, int], ...]) -> Tensor:
    """Number the columns of a vector, where a one-hot span counts as one: ``(d,)``."""
    is_first = torch.ones(dim, dtype=torch.int64, device="cpu")
    for start, stop in spans:
        is_first[start + 1 : stop] = 0
    return is_first.cumsum(0) - 1
