"""Copies of pictures whose fine detail was changed by compression or by a lens that is out of focus."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, pad

from .copies import spread_evenly

QUALITIES = (25, 90)  # of compressed copies, as JPEG counts it
BLUR = (0.3, 1.6)  # standard deviations of the blur of a copy, in pixels of 384
BLUR_SIDE = 384
REACH = 3  # standard deviations that a blur reaches


def compressed(x: Tensor, first: int) -> Tensor:
    """Return pictures ``(B, C, H, W)`` in [-1, 1] as they are after being saved as JPEG files; NaN stays.

    Pictures have one channel or three. The number of the ``first`` one, among all that are copied, says where the
    sequence of qualities, which spreads evenly, goes on.
    """
    least, greatest = QUALITIES
    qualities = least + (greatest - least) * spread_evenly(len(x), first, x.new_empty(0))
    pixels = ((x.nan_to_num(0.0) + 1) * 127.5).round().clamp(0, 255).byte().movedim(1, -1).cpu().numpy()
    saved = np.stack([_saved(each, round(quality)) for each, quality in zip(pixels, qualities.tolist(), strict=True)])
    found = torch.from_numpy(saved).to(x.device).movedim(-1, 1).to(x.dtype) / 127.5 - 1
    return torch.where(x.isnan(), x, found)


def blurred(x: Tensor, first: int) -> Tensor:
    """Return pictures ``(B, C, H, W)`` with a Gaussian blur; NaN stays, and nothing of it is mixed in.

    For ``first`` see `compressed`: it says how wide the blurs are.
    """
    least, greatest = (sigma * min(x.shape[-2:]) / BLUR_SIDE for sigma in BLUR)
    sigmas = least + (greatest - least) * spread_evenly(len(x), first, x)
    reach = min(max(round(REACH * greatest), 1), min(x.shape[-2:]) - 1)
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernels = (-0.5 * (offsets / sigmas[:, None]).square()).exp()
    return torch.stack([_blurred(picture, kernel) for picture, kernel in zip(x, kernels, strict=True)])


def _blurred(picture: Tensor, kernel: Tensor) -> Tensor:
    """Blur one picture ``(C, H, W)`` along both axes by a symmetric kernel of any sum."""
    shown = ~picture.isnan()
    found, reach = torch.cat([picture.nan_to_num(0.0), shown.to(picture)])[:, None], len(kernel) // 2
    for each, border in ((kernel[None], (reach, reach, 0, 0)), (kernel[:, None], (0, 0, reach, reach))):
        found = conv2d(pad(found, border, mode="reflect"), each[None, None])
    sums, weights = found[:, 0].chunk(2)
    return torch.where(shown, sums / weights, picture)


def _saved(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Save uint8 ``(H, W, C)`` and read it again."""
    buffer = BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.asarray(picture).reshape(pixels.shape)
