"""What follows from the layout of a sample without any trained network: masks, neighbourhoods, synthetic anomalies."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..data.spec import SampleSpec
from ..seeding import rand, randn
from .augment import OPERATIONS, Operation
from .frozen import pretrained
from .masks import complementary_masks, span_units, square_units
from .patches import PatchFeatures, WholeVector

ERASED_SHARES = (2, 4, 8)  # of vectors: a half, a quarter and an eighth of the columns are erased at a time
ERASED_PARTS = 3  # of images: masks in a complementary set, as in RIAD
ERASED_SCALES = 3  # of images: sides of the erased squares, each half of the previous one
BRIGHTNESS_STD = 0.5  # standard deviation of the brightness change of a pasted rectangle, in [-1, 1]


class Geometry(ABC):
    """The layout of samples of one spec.

    Parameters
    ----------
    spec : SampleSpec
    """

    has_patches: ClassVar[bool]
    """Whether a sample consists of many patches, whose features a pretrained network can extract."""
    has_columns: ClassVar[bool]
    """Whether each value of a sample has a meaning of its own."""
    augmentations: ClassVar[tuple[Operation, ...]]
    """Differentiable augmentations of such samples; empty if none are known."""

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    @abstractmethod
    def masks(self) -> Tensor:
        """Draw sets of complementary masks at several scales: bool ``(M, *shape)``, True where a mask erases.

        Every value is erased by exactly one mask of each set.
        """

    @abstractmethod
    def mask_channel(self, mask: Tensor) -> Tensor:
        """Return masks ``(K, B, *shape)`` as one extra channel, to be concatenated to samples along axis 2."""

    @abstractmethod
    def local_mean(self, error: Tensor) -> Tensor:
        """Return the mean of an error map around each place: ``(K, B, *shape)`` -> ``(K, B, places)``."""

    @abstractmethod
    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """Turn a batch of normal samples into synthetic anomalies: ``(K, B, *shape)`` -> same."""

    @abstractmethod
    def patches(self, name: str) -> PatchFeatures:
        """Return the frozen extractor of patch features with this name; a vector is its own only patch."""


class VectorGeometry(Geometry):
    """Vectors: columns have no neighbours, and a one-hot group is one unit."""

    has_patches = False
    has_columns = True
    augmentations = ()

    def masks(self) -> Tensor:
        units = span_units(self.spec.shape[0], self.spec.spans)
        most = int(units.max()) + 1
        return torch.cat([complementary_masks(units, parts) for parts in sorted({min(p, most) for p in ERASED_SHARES})])

    def mask_channel(self, mask: Tensor) -> Tensor:
        return mask

    def local_mean(self, error: Tensor) -> Tensor:
        """The only place is the row."""
        return error.mean(-1, keepdim=True)

    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """Replace up to half of the columns, one-hot groups as a whole, by the values of another row."""
        donors = x.gather(1, random_rows(x).unsqueeze(-1).expand_as(x))
        column = torch.arange(x.shape[-1], device=x.device)
        for start, stop in self.spec.spans:
            column[start:stop] = start
        chances = rand(x.shape, dtype=x.dtype, device=x.device)[..., column]
        share = rand(*x.shape[:2], 1, dtype=x.dtype, device=x.device) / 2
        return torch.where(chances < share, donors, x)

    def patches(self, name: str) -> PatchFeatures:
        return WholeVector(self.spec.shape[0])


class ImageGeometry(Geometry):
    """Images: neighbouring pixels belong together."""

    has_patches = True
    has_columns = False
    augmentations = OPERATIONS

    def masks(self) -> Tensor:
        """Draw grids of squares (Zavrtanik 2021, section 3.1)."""
        channels, height, width = self.spec.shape
        grids = [complementary_masks(square_units(height, width, side), ERASED_PARTS) for side in self._erased_sides()]
        return torch.cat(grids)[:, None].repeat(1, channels, 1, 1)  # (M, C, H, W)

    def mask_channel(self, mask: Tensor) -> Tensor:
        return mask[:, :, :1]

    def local_mean(self, error: Tensor) -> Tensor:
        """The mean is over all channels and a window as large as the middle one of the erased squares."""
        sides = self._erased_sides()
        means = avg_pool2d(error.mean(2), sides[len(sides) // 2], stride=1)  # (K, B, H', W')
        return means.flatten(2)

    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """Replace a rectangle by a piece of another image, from any place and of another brightness (CutPaste).

        Each side is 1/16 to 1/2 of the image's, uniform in its logarithm, so that some rectangles are long and thin.
        """
        _, _, _, height, width = x.shape
        inside_y, from_y = _pieces(x, height)  # (K, B, H)
        inside_x, from_x = _pieces(x, width)  # (K, B, W)
        pixel = from_y.unsqueeze(-1) * width + from_x.unsqueeze(-2)  # (K, B, H, W)
        donors = x.gather(1, random_rows(x)[..., None, None, None].expand_as(x)).flatten(3)
        pasted = donors.gather(3, pixel.flatten(2).unsqueeze(2).expand_as(donors)).view_as(x)
        light = randn(*x.shape[:2], 1, 1, 1, dtype=x.dtype, device=x.device) * BRIGHTNESS_STD
        inside = (inside_y.unsqueeze(-1) & inside_x.unsqueeze(-2)).unsqueeze(2)  # (K, B, 1, H, W)
        return torch.where(inside, (pasted + light).clamp(-1, 1), x)

    def patches(self, name: str) -> PatchFeatures:
        return pretrained(name)

    def _erased_sides(self) -> list[int]:
        """Powers of two from a third of the shorter side down, smallest first; at least 2 pixels."""
        largest = int(math.log2(min(self.spec.shape[1:]) / 3))
        return [2**i for i in range(max(largest - ERASED_SCALES + 1, 1), largest + 1)]


def geometry_for(spec: SampleSpec) -> Geometry:
    """Return the geometry of samples of this spec."""
    return ImageGeometry(spec) if spec.is_image else VectorGeometry(spec)


def random_rows(x: Tensor) -> Tensor:
    """Draw a row number for each row of a batch ``(K, B, ...)``: int64 ``(K, B)``."""
    return (rand(x.shape[:2], dtype=x.dtype, device=x.device) * x.shape[1]).long()


def _pieces(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Draw, along one side of each image ``(K, B, ...)``, which pixels are replaced and by which ones.

    bool and int64 ``(K, B, side)``; the source is shifted at random, and wraps around at the edge.
    """
    length, place, shift = rand(*x.shape[:2], 3, 1, dtype=x.dtype, device=x.device).unbind(2)  # (K, B, 1)
    length = (side * 2 ** (-1 - 3 * length)).ceil()
    start = (place * (side - length + 1)).floor()
    at = torch.arange(side, device=x.device)
    return (at >= start) & (at < start + length), (at + (shift * side).long()) % side
