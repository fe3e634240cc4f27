"""Progressive growing (Karras 2018, arXiv:1710.10196): networks that begin at the coarsest resolution of a picture.

A growing generator still gives pictures of full size, enlarged from the resolution that it has reached, and a growing
critic averages all that it is shown down to its own: whoever plays the game need not know.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

Size = tuple[int, int]


def enlarge(x: Tensor, size: Size) -> Tensor:
    """``(B, C, h, w)`` -> ``(B, C, *size)``, bilinear."""
    return interpolate(x, size, mode="bilinear", align_corners=False)


class Growing(nn.Module):
    """A network of several resolutions, not all of which need be in use.

    Parameters
    ----------
    sizes : list of (height, width)
        From the full resolution down.

    Attributes
    ----------
    sizes : list of (height, width)
        From the coarsest resolution, which is level 0, up.
    level : float
        The finest level in use; between two whole numbers the upper one is being faded in. A new network has them all.
    """

    def __init__(self, sizes: list[Size]) -> None:
        super().__init__()
        self.sizes = sizes[::-1]
        self.top = len(sizes) - 1
        self.level = float(self.top)

    def finest(self) -> tuple[int, float]:
        """The finest level that takes part, and alpha in (0, 1]: how much of it counts."""
        level = math.ceil(self.level)
        return level, 1 - (level - self.level)


class GrowingDown(Growing):
    """From a picture to the activation of the coarsest level."""

    @abstractmethod
    def enter(self, level: int, x: Tensor) -> Tensor:
        """A picture ``(B, C, *sizes[level])`` -> the activation of its level."""

    @abstractmethod
    def halve(self, level: int, h: Tensor) -> Tensor:
        """The activation of a level -> that of the next coarser one."""

    def coarsest(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the activation ``(B, c, h, w)`` of level 0."""
        finest, alpha = self.finest()
        for size in self.sizes[finest : self.top][::-1]:
            x = adaptive_avg_pool2d(x, size)  # (B, C, *size); step by step, since odd sizes are not halved exactly
        if alpha < 1:
            coarser = adaptive_avg_pool2d(x, self.sizes[finest - 1])
            x = torch.lerp(enlarge(coarser, self.sizes[finest]), x, alpha)  # of real pictures, too, detail fades in
        h = self.enter(finest, x)
        for level in range(finest, 0, -1):
            h = self.halve(level, h)
            if alpha < 1 and level == finest:
                h = torch.lerp(self.enter(level - 1, coarser), h, alpha)
        return h


def level_at(share: float, top: int) -> float:
    """The level when ``share`` of the growth is done: each one is used alone for as long as the next one fades in."""
    if share >= 1:
        return float(top)
    completed, rest = divmod(share * top, 1)
    return completed + max(0.0, 2 * rest - 1)


def grow(network: nn.Module, share: float) -> None:
    """Bring the growing parts of a network to where they are when ``share`` in [0, 1] of the growth is done."""
    for part in network.modules():
        if isinstance(part, Growing):
            part.level = level_at(share, part.top)
