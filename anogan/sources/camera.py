"""Single pictures as a camera's program holds them."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from .images import ImageFolder, fitted, turned_upright

_DEPTHS = {"uint8": None, "uint16": 65535.0}  # dtype -> full range of values that are read as fractions


def frame_pixels(picture: Any, shape: tuple[int, int, int], *, bgr: bool) -> np.ndarray:
    """Return a picture's pixels (C, H, W) as `ImageFolder.decode` reads those of a file.

    Parameters
    ----------
    picture : path, PIL image, or array (H, W) or (H, W, C)
        C is 1, 3 or 4 (with transparency). The array has dtype uint8 or uint16, or floats from 0 to 1.
    shape : (C, H, W)
        What the model needs.
    bgr : bool
        Whether the channels of an array are blue, green, red, as OpenCV's are.

    Raises
    ------
    InputError
        If it is no such picture.
    """
    if isinstance(picture, str | os.PathLike):
        _no_order(bgr)
        return ImageFolder([Path(picture)]).resized(shape).decode(0)
    if isinstance(picture, Image.Image):
        _no_order(bgr)
        return _fitted(_upright(picture), shape)
    return _of_array(np.asarray(picture), shape, bgr=bgr)


class Frame(ImageFolder):
    """One picture in memory as a folder of one picture, for models that score tiles.

    Parameters
    ----------
    picture : path, PIL image, or array (H, W) or (H, W, C)
        See `frame_pixels`; an array of several channels has dtype uint8.
    shape : (C, H, W)
    tile : int
        See `ImageFolder`.
    bgr : bool
    """

    def __init__(self, picture: Any, shape: tuple[int, int, int], tile: int, *, bgr: bool) -> None:
        is_file = isinstance(picture, str | os.PathLike)
        super().__init__([Path(picture) if is_file else Path("The picture")], size=shape[1:], tile=tile)
        self._channels = shape[0]
        if is_file or isinstance(picture, Image.Image):
            _no_order(bgr)
            self._picture = super().upright(0) if is_file else _upright(picture)
            return
        pixels = _checked_array(np.asarray(picture), bgr=bgr)
        if pixels.dtype != np.uint8:
            pixels = _fractions(pixels)
            if pixels.ndim == 3:
                raise InputError("A model that scores tiles takes arrays of several channels as uint8.")
        self._picture = Image.fromarray(np.ascontiguousarray(pixels))

    def decode(self, index: int) -> np.ndarray:
        return self._whole

    @cached_property
    def _whole(self) -> np.ndarray:
        """The pixels (C, H, W) of the whole picture, which is large."""
        return _fitted(self._picture, self.shape)

    def cut(self, index: int, upright: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
        return _fitted(upright.crop(box), self.shape)

    def upright(self, index: int) -> Image.Image:
        return self._picture

    def original_size(self, index: int) -> tuple[int, int]:
        return self._picture.height, self._picture.width


def _no_order(bgr: bool) -> None:
    if bgr:
        raise InputError("bgr=True is for arrays; a file or a PIL image says itself what its channels are.")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return turned_upright(picture)
    except InputError as error:
        raise InputError(f"The picture {error}") from None


def _fitted(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        return fitted(picture, shape)
    except InputError as error:
        raise InputError(f"The picture {error}") from None


def _checked_array(pixels: np.ndarray, *, bgr: bool) -> np.ndarray:
    """Return an array (H, W) or (H, W, C), red first."""
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise InputError(
            f"One picture is an array (H, W) or (H, W, C); this one has shape {pixels.shape}. For many pictures use "
            "anomaly_score."
        )
    if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3, 4):
        channels_first = " Its channels come first: move them last with picture.transpose(1, 2, 0)."
        raise InputError(
            f"One picture is an array (H, W) or (H, W, C) with 1, 3 or 4 channels; this one has shape {pixels.shape}."
            + channels_first * (pixels.shape[0] in (1, 3, 4))
        )
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if bgr:
        if pixels.ndim == 2:
            raise InputError("bgr=True is for pictures of 3 or 4 channels; this one is grey.")
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[-1])]]
    return pixels * np.uint8(255) if pixels.dtype == bool else pixels


def _of_array(pixels: np.ndarray, shape: tuple[int, int, int], *, bgr: bool) -> np.ndarray:
    pixels = _checked_array(pixels, bgr=bgr)
    if pixels.dtype == np.uint8:
        return _fitted(Image.fromarray(np.ascontiguousarray(pixels)), shape)
    return _of_fractions(_fractions(pixels), shape)


def _fractions(pixels: np.ndarray) -> np.ndarray:
    """Return the values as float32 in [0, 1]."""
    if pixels.dtype == np.uint16:
        return pixels.astype(np.float32) / 65535.0
    if pixels.dtype.kind != "f":
        raise InputError(f"A picture has dtype uint8 or uint16, or floats from 0 to 1; this one has {pixels.dtype}.")
    low, high = float(pixels.min()), float(pixels.max())
    if np.isnan(low):
        raise InputError("A picture of floats has values from 0 to 1; this one has NaN.")
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"A picture of floats has values from 0 to 1; this one has {low:.4g} to {high:.4g}. Divide it by 255, or "
            "give it as uint8."
        )
    return pixels.astype(np.float32)


def _of_fractions(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Resize each channel by itself, since Pillow has no colour of more than 8 bits."""
    if values.ndim == 2:
        return _fitted(Image.fromarray(values), shape)
    if values.shape[-1] == 4:  # transparency over black, as in files
        values = values[..., :3] * values[..., 3:]
    one = (1, *shape[1:])
    channels = [_fitted(Image.fromarray(np.ascontiguousarray(values[..., c])), one)[0] for c in range(3)]
    if shape[0] == 3:
        return np.stack(channels)
    if (values.max(-1) - values.min(-1)).max() > 0.01:
        raise InputError("The picture is coloured, but the model takes grey ones. Convert it first.")
    return np.stack(channels).mean(0, keepdims=True, dtype=np.float32)
