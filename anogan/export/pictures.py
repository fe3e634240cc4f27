"""Pictures of any size as a graph that resizes and scales them like their preprocessor."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..data.image import FOLDER, FULL_RANGE, ImagePreprocessor
from ..data.scaling import LINEAR_LIMIT
from ..scoring.branches import either
from .scaling import symlog

WEIGHT_STEPS = 2.0**22  # of Pillow's filters of 8-bit pictures


class PicturesGraph(nn.Module):
    """Encodes pictures like `ImagePreprocessor.transform`.

    A model of a folder takes decoded pictures ``(n, h, w, C)`` of any size, uint8, or uint16 if it was fitted on files
    of 16 bits. A model of an array takes pictures ``(n, C, H, W)`` of that array's type and size.

    Parameters
    ----------
    preprocessor : ImagePreprocessor
        Fitted.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, preprocessor: ImagePreprocessor) -> None:
        super().__init__()
        self.channels, self.height, self.width = preprocessor.shape_
        self.of_folder = preprocessor.source_ == FOLDER
        self.source = preprocessor.graph_type
        low, high = preprocessor.low_, preprocessor.high_
        span = high - low or 1.0
        # A graph rounds numbers in the code to float32. Together they take one pass over the pixels instead of three.
        scale = 2.0 / (span * FULL_RANGE.get(self.source, 1.0))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        self.register_buffer("offset", torch.tensor(-2.0 * low / span - 1.0, dtype=torch.float64))
        # Integers are bounded, and `symlog` changes only what lies far away.
        farthest = max(abs((end - low) / span * 2.0 - 1.0) for end in (0.0, 1.0))
        self.may_lie_far = self.source not in FULL_RANGE or farthest > LINEAR_LIMIT

    @property
    def example(self) -> Tensor:
        """Two pictures of zeros."""
        shape = (2, self.channels, self.height, self.width)
        if self.of_folder:
            shape = (2, self.height + 1, self.width + 1, self.channels)
        return torch.from_numpy(np.zeros(shape, dtype=np.dtype(self.source)))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures ``(n, C, H, W)`` in model space, float64."""
        x = self._of_folder(pictures) if self.of_folder else pictures.double()
        x = x * self.scale + self.offset
        return symlog(x) if self.may_lie_far else x

    def _of_folder(self, pictures: Tensor) -> Tensor:
        """Return decoded pictures ``(n, h, w, C)`` at the model's size: float64 ``(n, C, H, W)``."""
        sides = torch.stack([torch.full((), side) for side in pictures.shape[1:3]])
        differs = (sides != torch.tensor([self.height, self.width])).any()
        return either(differs, self._resized, self._as_they_are, pictures.permute(0, 3, 1, 2))

    def _as_they_are(self, x: Tensor) -> Tensor:
        # A graph does not know that the size is this one already. ONNX Runtime pads no uint16.
        x = x if self.source == "uint8" else x.int()
        return pad(x, (0, self.width, 0, self.height))[:, :, : self.height, : self.width].double()

    def _resized(self, x: Tensor) -> Tensor:
        """Resize like Pillow: area averages where both sides shrink, else an antialiased bilinear filter.

        Pillow filters along one side after the other, and rounds 8-bit pictures after each. Here the rows are always
        first; where Pillow begins with the columns, some pixels differ by one of 255 levels.
        """
        x = x.double()
        height, width = (torch.full((), side, dtype=torch.float64) for side in x.shape[2:])
        shrinks = (height >= self.height) & (width >= self.width)
        of_integers = self.source == "uint8"
        rows = _weights(x.shape[2], height, self.height, shrinks, of_integers=of_integers)
        columns = _weights(x.shape[3], width, self.width, shrinks, of_integers=of_integers)
        return self._rounded(rows @ self._rounded(x @ columns.mT))

    def _rounded(self, x: Tensor) -> Tensor:
        return (x + 0.5).floor() if self.source == "uint8" else x


def _weights(size: int, length: Tensor, wanted: int, shrinks: Tensor, *, of_integers: bool) -> Tensor:
    """Return the weight of each of `size` pixels along a side for each of the `wanted` ones: ``(wanted, size)``.

    ``length ()`` is `size` as a tensor, and ``shrinks ()`` tells which of Pillow's filters is taken, whose
    weights for integers are rounded.
    """
    scale = length / wanted
    spread = scale.clamp(min=1.0)
    centre = ((torch.arange(wanted, dtype=torch.float64) + 0.5) * scale)[:, None]
    place = torch.arange(size, dtype=torch.float64)
    distance = (place + 0.5 - centre) * (1 / spread)  # not a quotient, since edges are compared exactly
    box = ((distance > -0.5) & (distance <= 0.5)).double()
    weights = torch.where(shrinks, box, (1 - distance.abs()).clamp(min=0))
    reach = torch.where(shrinks, 0.5, 1.0) * spread
    near = (place >= (centre - reach + 0.5).floor()) & (place < (centre + reach + 0.5).floor())
    weights = weights * near
    weights = weights / weights.sum(1, keepdim=True)
    return (weights * WEIGHT_STEPS + 0.5).floor() / WEIGHT_STEPS if of_integers else weights
