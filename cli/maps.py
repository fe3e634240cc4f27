"""Heatmaps as files: an overlay to look at and the raw map to measure in."""

import io
import os
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import anogan

from .io import check_target, written_whole

_QUANTILE = 0.999  # of the first pictures' pixels: the top of the colour scale
_HEADROOM = 8  # raw maps reach this many times the top of the colour scale before they saturate
_OPACITY = 0.7


def pixel_maps(explanation: Any) -> np.ndarray:
    """Errors (n, C, H, W) -> one map per picture (n, H, W), summed over channels."""
    return np.asarray(explanation, dtype=np.float64).sum(axis=1)


class MapWriter:
    """Writes ``NAME_overlay.png`` and ``NAME_map.png`` (16 bit) per picture, both at the picture's own size.

    One scale holds for the whole run: it is set by the first maps that come, so that colours of different
    pictures compare.

    Parameters
    ----------
    folder : str

    Attributes
    ----------
    top : float or None
        The error that gets the last colour.
    """

    def __init__(self, folder: str) -> None:
        check_target(folder, folder=True)
        self.folder = Path(folder)
        self.top: float | None = None
        self._taken: set[str] = set()

    def write(self, chunk: Any, maps: np.ndarray) -> None:
        """Write the maps (n, h, w) of a chunk's pictures."""
        if self.top is None:
            self.top = float(np.quantile(maps, _QUANTILE)) or 1.0
        for index, values in enumerate(maps):
            if chunk.names is None:
                name, picture = (
                    f"row_{chunk.first + index:06d}",
                    _unit_range(np.asarray(chunk.X[index], np.float64)),
                )
            else:
                name = self._output_name(chunk.names[index])
                height, width = chunk.X.original_size(index)
                one = chunk.X[index : index + 1]
                picture = one.resized((one.channels, height, width))[0]
            at_size = anogan.metrics.resized_map(values, (picture.shape[1], picture.shape[2]))
            overlay = overlaid(picture, at_size / self.top)
            self._save(f"{name}_overlay.png", Image.fromarray(np.rint(255 * overlay).astype(np.uint8)))
            raw = np.clip(np.rint(at_size / (self.top * _HEADROOM) * 65535), 0, 65535)
            self._save(f"{name}_map.png", Image.fromarray(raw.astype(np.uint16)))

    def scale_note(self) -> str:
        """What the colours and the raw values mean."""
        top = 0.0 if self.top is None else self.top
        return (
            f"maps in {self.folder}: colours run from 0 to {top:.4g} for all pictures (99.9th percentile of "
            f"the first ones); raw 16-bit maps: 65535 = {top * _HEADROOM:.4g}"
        )

    def _output_name(self, name: str) -> str:
        stem = Path(name).with_suffix("").as_posix()
        chosen = name if stem in self._taken else stem
        self._taken.add(chosen)
        return chosen

    def _save(self, name: str, picture: Image.Image) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        info = PngInfo()
        info.add_text("anogan colour top", repr(self.top))
        info.add_text("anogan error at 65535", repr((self.top or 0.0) * _HEADROOM))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", pnginfo=info, compress_level=1)  # noise hardly shrinks at any level
        with written_whole(os.fspath(path)) as file:
            file.write(buffer.getvalue())


def overlaid(picture: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A picture (C, H, W) under colours of `share` (H, W), 1 = the last colour: (H, W, 3), all in [0, 1].

    Inferno grows lighter all along, so the overlay still reads when printed in grey; where nothing is unusual
    the picture shows through unchanged.
    """
    share = np.clip(share, 0, 1)[..., None]
    grey = np.broadcast_to(picture.mean(axis=0)[..., None], (*picture.shape[1:], 3))
    colour = matplotlib.colormaps["inferno"](share[..., 0])[..., :3]
    opacity = _OPACITY * np.sqrt(share)
    mixed: np.ndarray = np.clip(grey * (1 - opacity) + colour * opacity, 0, 1)
    return mixed


def _unit_range(picture: np.ndarray) -> np.ndarray:
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low or 1.0)
