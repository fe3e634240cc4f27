"""Pictures as bytes, side by side, as PNG files, and as data URIs of a page."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..files.writing import written_whole
from ..sources.source import Chunk

_PAGE_BYTES = 2_700_000  # of all pictures on a page together; base64 adds a third


def original(chunk: Chunk, index: int, longest: int | None = None) -> np.ndarray:
    """Return a picture (C, H, W) of a chunk in [0, 1] at its own size, or with `longest` as its longer side if less."""
    if chunk.names is None:
        return _unit_range(np.asarray(chunk.X[index], np.float64))
    sides = np.array(chunk.X.original_size(index))
    if longest is not None and sides.max() > longest:
        sides = np.maximum(np.rint(sides * longest / sides.max()), 1).astype(int)
    one = chunk.X[index : index + 1]
    picture: np.ndarray = one.resized((one.channels, int(sides[0]), int(sides[1])))[0]
    return picture


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Convert numbers in [0, 1] to uint8."""
    return np.rint(255 * pixels).astype(np.uint8)


def samples_as_bytes(samples: np.ndarray) -> np.ndarray:
    """Convert pictures ``(n, C, H, W)`` to uint8, from [0, 1] or else from the range that they share."""
    if samples.dtype == np.uint8:
        return samples
    low, high = float(samples.min()), float(samples.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((samples.astype(np.float64) - low) / (high - low or 1.0) * 255).astype(np.uint8)


def side_by_side(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Arrange pictures ``(n, C, H, W)`` in one ``(C, rows * H, columns * W)``, by default about as high as wide."""
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.zeros((rows * columns, *pictures.shape[1:]), dtype=np.uint8)
    sheet[: len(pictures)] = pictures
    grid = sheet.reshape(rows, columns, *pictures.shape[1:]).transpose(2, 0, 3, 1, 4)
    return grid.reshape(pictures.shape[1], rows * pictures.shape[2], columns * pictures.shape[3])


def save_picture(pixels: np.ndarray, path: str | Path) -> None:
    """Write pixels (C, H, W) uint8 as a PNG; whole or not at all."""
    picture: Any = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    with written_whole(path) as file:
        picture.save(file, "PNG")


def as_data_uri(pixels: np.ndarray, count: int) -> str:
    """Return a picture (C, H, W) uint8 as a data URI, small enough that `count` such pictures fit on a page."""
    grey_or_colour = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.mean(0).astype(np.uint8)
    picture = Image.fromarray(grey_or_colour)
    while True:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=80)
        if buffer.tell() <= _PAGE_BYTES / count or min(picture.size) <= 16:
            return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        picture = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5), Image.Resampling.LANCZOS)


def _unit_range(picture: np.ndarray) -> np.ndarray:
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low or 1.0)
