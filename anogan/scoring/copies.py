"""How strongly, and in which direction, copies of pictures are changed."""

import torch
from torch import Tensor

RATIOS = 0.7548776662466927, 0.5698402909980532  # 1 / p and 1 / p², with the plastic number p: p³ = p + 1
GOLDEN_ANGLE = 2.4  # radians; its multiples are evenly spread directions


def spread_evenly(count: int, first: int, like: Tensor, axis: int = 0) -> Tensor:
    """Return numbers in [0, 1), from the ``first`` one on, of a sequence that spreads evenly: ``(count,)``.

    Few copies show all strengths in this way, and the same ones in every precision. A second number of each copy has
    ``axis`` 1: pairs spread evenly too (Roberts 2018, the R2 sequence).
    """
    numbers = torch.arange(first + 1, first + count + 1, dtype=torch.float64)
    return (numbers * RATIOS[axis] % 1).to(like)


def directions(count: int, like: Tensor, first: int = 0) -> Tensor:
    """Return unit vectors ``(count, 2)``, from the ``first`` one on, of a sequence that spreads evenly."""
    angles = torch.arange(first, first + count, device=like.device) * GOLDEN_ANGLE
    return torch.stack([angles.sin(), angles.cos()], dim=1).to(like)
