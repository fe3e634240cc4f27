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
    sigmas = least + (greatest - least) * spread_evenly(len(x), first, x)[:, None]
    reach = max(round(REACH * greatest), 1)
    reach = min(reach, min(x.shape[-2:]) - 1)
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernels = (-0.5 * (offsets / sigmas).square()).exp()
    kernels /= kernels.sum(1, keepdim=True)
    channels = x.shape[1]
    shown = ~x.isnan()
    found = torch.cat([x.nan_to_num(0.0), shown.to(x)], dim=1).flatten(0, 1)[None]  # a picture has a kernel of its own
    each = kernels.repeat_interleave(2 * channels, 0)[:, None]
    for kernel, border in ((each[:, :, None], (reach, reach, 0, 0)), (each[..., None], (0, 0, reach, reach))):
        found = conv2d(pad(found, border, mode="reflect"), kernel, groups=len(kernel))
    sums, weights = found.view(len(x), 2 * channels, *x.shape[2:]).split(channels, 1)
    return torch.where(shown, sums / weights, x)


def _saved(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Save uint8 ``(H, W, C)`` and read it again."""
    buffer = BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.asarray(picture).reshape(pixels.shape)
