"""Progressive growing (Karras 2018, arXiv:1710.10196): networks that start at the coarsest resolution.

A growing generator returns images of full size, enlarged from the resolution that it has reached, and a growing critic
averages its input down to its own resolution, so that losses need no change.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

Size = tuple[int, int]


def enlarge(x: Tensor, size: Size) -> Tensor:
    """``(B, C, h, w)`` -> ``(B, C, *size)``, bilinear."""
    return interpolate(x, size, mode="bilinear", align_corners=False)


def reduce(x: Tensor, size: Size) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, C, *size)``, means of the pixels that coincide."""
    if x.shape[-2:] == (2 * size[0], 2 * size[1]):
        return avg_pool2d(x, 2)  # the same in a fraction of the time
    return adaptive_avg_pool2d(x, size)


class Growing(nn.Module):
    """A network of several resolutions, of which only the coarser ones may be in use.

    Parameters
    ----------
    sizes : list of (height, width)
        Resolutions from the full one down.

    Attributes
    ----------
    sizes : list of (height, width)
        Resolutions from the coarsest one up, which is level 0.
    level : float
        The finest level in use; between two whole numbers the upper one is being faded in. A new network uses all.
    """

    def __init__(self, sizes: list[Size]) -> None:
        super().__init__()
        self.sizes = sizes[::-1]
        self.top = len(sizes) - 1
        self.level = float(self.top)

    def finest(self) -> tuple[int, float]:
        """Return the finest level in use, and its weight alpha in (0, 1]."""
        level = math.ceil(self.level)
        return level, 1 - (level - self.level)


class GrowingDown(Growing):
    """A growing network from an image to the activation of the coarsest level."""

    @abstractmethod
    def enter(self, level: int, x: Tensor) -> Tensor:
        """Map an image ``(B, C, *sizes[level])`` to the activation of its level."""

    @abstractmethod
    def halve(self, level: int, h: Tensor) -> Tensor:
        """Map the activation of a level to that of the next coarser one."""

    def coarsest(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the activation ``(B, c, h, w)`` of level 0."""
        finest, alpha = self.finest()
        for size in self.sizes[finest : self.top][::-1]:
            x = reduce(x, size)  # (B, C, *size); step by step, since odd sizes are not halved exactly
        if alpha < 1:
            coarser = reduce(x, self.sizes[finest - 1])
            x = torch.lerp(enlarge(coarser, self.sizes[finest]), x, alpha)  # detail fades in for real images, too
        h = self.enter(finest, x)
        for level in range(finest, 0, -1):
            h = self.halve(level, h)
            if alpha < 1 and level == finest:
                h = torch.lerp(self.enter(level - 1, coarser), h, alpha)
        return h


def level_at(share: float, top: int) -> float:
    """Return the level after ``share`` of the growth: each level is used alone for as long as the next one fades in."""
    if share >= 1:
        return float(top)
    completed, rest = divmod(share * top, 1)
    return completed + max(0.0, 2 * rest - 1)


def grow(network: nn.Module, share: float) -> None:
    """Set the level of all growing parts of a network for ``share`` in [0, 1] of the growth."""
    for part in network.modules():
        if isinstance(part, Growing):
            part.level = level_at(share, part.top)
