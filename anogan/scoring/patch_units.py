"""Distances of patches in units that do not depend on what they are distances of."""

import torch
from torch import Tensor, nn

UNUSUAL = 0.99  # quantile of good pictures' patches
LEAST_UNIT = 0.05  # as a share of the median
MOST_DISTANCES = 2**20  # that quantiles are computed from


class PatchUnits(nn.Module):
    """Distances in units of how far the 0.99 quantile of good pictures' patches lies above their median.

    Their standard deviation would say less of the unusual ones, which a score is made of: the tails of distances
    differ.
    """

    unit: Tensor  # (1,)
    typical: Tensor  # (1,), the median in units

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(1))
        self.register_buffer("typical", torch.ones(1))

    def fit(self, distances: Tensor) -> None:
        """Learn from good pictures' distances of any shape."""
        step = -(-distances.numel() // MOST_DISTANCES)
        typical, unusual = distances.flatten()[::step].quantile(distances.new_tensor([0.5, UNUSUAL]))
        least = (LEAST_UNIT * typical).clamp_min(torch.finfo(distances.dtype).tiny)
        self.unit.copy_((unusual - typical).maximum(least))
        self.typical.copy_(typical / self.unit)

    def forward(self, distances: Tensor) -> Tensor:
        return distances / self.unit
