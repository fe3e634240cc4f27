"""Heatmaps of pictures: drawn as overlays, and written to files beside the raw maps."""

import functools
import io
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import binary_erosion

from ..errors import InputError
from ..evaluation.metrics import resized_map
from ..sources.source import Chunk
from ..sources.threads import decoder_threads
from ..sources.writing import check_target, locked, written_whole
from .pictures import as_bytes, original

_QUANTILE = 0.999  # of the first pictures' pixels: the top of the colour scale
_HEADROOM = 8  # raw maps reach this many times the top of the colour scale before they saturate
_OPACITY = 0.7
_CONTOUR = (0.0, 1.0, 1.0)  # cyan, which inferno does not have
_CONTOUR_SHARE = 1 / 256  # of the shorter side: the contour's thickness


class MapWriter:
    """Writes ``NAME_overlay.png`` and the raw map per picture, both at the picture's own size.

    The first maps set one colour scale for the whole run, so that the colours of different pictures can be compared.
    Pictures are drawn in threads while the caller computes the next maps; use the writer as a context manager, which
    keeps other runs from writing to the folder, and whose end waits for the last files. Links inside the folder are not
    followed.

    Parameters
    ----------
    folder : str
    threshold : float or None
        The error above which a pixel is part of a defect; a contour is drawn around such pixels.
    raw_format : {"png", "npy"}
        ``NAME_map.png`` with 16 bits, or ``NAME_map.npy`` with the errors themselves in float32.

    Attributes
    ----------
    bottom, top : float or None
        The errors that get no colour and the last colour. A map of distances is zero nowhere, so the usual error of
        the first pictures gets no colour.
    """

    def __init__(self, folder: str, threshold: float | None, raw_format: str = "png") -> None:
        check_target(folder, folder=True)
        self.folder = Path(folder)
        self.threshold = threshold
        self.raw_format = raw_format
        self.bottom: float | None = None
        self.top: float | None = None
        self._taken: set[str] = set()
        self._pool = ThreadPoolExecutor(decoder_threads(), thread_name_prefix="anogan-draw")
        self._pending: list[Future[None]] = []
        self._lock = locked(folder, folder=True)

    def __enter__(self) -> Self:
        self._lock.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._lock.__exit__(None, None, None)

    def write(self, chunk: Chunk, maps: np.ndarray) -> None:
        """Write the maps (n, h, w) of a chunk's pictures, after those of the previous chunk are complete.

        Raises
        ------
        InputError, OSError
            A picture cannot be read or a file cannot be written, possibly one of the previous chunk.
        """
        self._finish()  # at most two chunks are held in memory
        if self.bottom is None or self.top is None:
            self.bottom, self.top = colour_scale(maps)
        names = [f"row_{row:06d}" for row in range(chunk.first, chunk.first + len(chunk))]
        if chunk.names is not None:
            names = [self._output_name(name) for name in chunk.names]
        scale = (self.bottom, self.top)
        self._pending = [
            self._pool.submit(self._write_one, name, chunk, row, maps[row], scale) for row, name in enumerate(names)
        ]

    def _finish(self) -> None:
        for future in self._pending:
            future.result()
        self._pending = []

    def _write_one(self, name: str, chunk: Chunk, row: int, values: np.ndarray, scale: tuple[float, float]) -> None:
        picture = original(chunk, row)
        at_size = resized_map(values, (picture.shape[1], picture.shape[2]))
        overlay = drawn(picture, at_size, scale, self.threshold)
        self._save(f"{name}_overlay.png", self._png(Image.fromarray(as_bytes(overlay))))
        self._save(f"{name}_map.{self.raw_format}", self._raw(at_size))

    def scale_note(self) -> str:
        """Return what the colours, the contour and the raw values mean."""
        bottom, top = self.bottom or 0.0, self.top or 0.0
        notes = [
            f"maps in {self.folder}: colours run from {bottom:.4g} to {top:.4g} for all pictures (median and 99.9th "
            "percentile of the first ones)"
        ]
        if self.threshold is not None:
            notes.append(f"contour at {self.threshold:.4g}, the threshold of pixels")
        if self.raw_format == "png":
            notes.append(f"raw 16-bit maps: 65535 = {top * _HEADROOM:.4g}")
        return "; ".join(notes)

    def _output_name(self, name: str) -> str:
        stem = Path(name).with_suffix("").as_posix()
        chosen = name if stem in self._taken else stem
        self._taken.add(chosen)
        return chosen

    def _raw(self, values: np.ndarray) -> bytes:
        if self.raw_format == "npy":
            buffer = io.BytesIO()
            np.save(buffer, values.astype(np.float32), allow_pickle=False)
            return buffer.getvalue()
        levels = np.clip(np.rint(values / ((self.top or 1.0) * _HEADROOM) * 65535), 0, 65535)
        return self._png(Image.fromarray(levels.astype(np.uint16)))

    def _png(self, picture: Image.Image) -> bytes:
        info = PngInfo()
        info.add_text("anogan colour bottom", repr(self.bottom))
        info.add_text("anogan colour top", repr(self.top))
        info.add_text("anogan error at 65535", repr((self.top or 0.0) * _HEADROOM))
        info.add_text("anogan threshold", repr(self.threshold))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", pnginfo=info, compress_level=1)  # noise hardly shrinks at any level
        return buffer.getvalue()

    def _save(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() != self.folder.resolve() / path.parent.relative_to(self.folder):
            raise InputError(
                f"{path.parent} leads out of {self.folder} by a link; remove the link, or name another folder."
            )
        with written_whole(os.fspath(path)) as file:
            file.write(data)


def colour_scale(maps: np.ndarray) -> tuple[float, float]:
    """Return the errors that get no colour and the last colour, from maps (n, h, w): median and 99.9th percentile."""
    return float(np.median(maps)), float(np.quantile(maps, _QUANTILE)) or 1.0


def drawn(picture: np.ndarray, values: np.ndarray, scale: tuple[float, float], threshold: float | None) -> np.ndarray:
    """Draw a map (H, W) over its picture (C, H, W), with a contour at the threshold: (H, W, 3), all in [0, 1]."""
    bottom, top = scale
    overlay = overlaid(picture, (values - bottom) / ((top - bottom) or 1.0))
    if threshold is not None:
        overlay[contour(values > threshold)] = _CONTOUR
    return overlay


def contour(region: np.ndarray) -> np.ndarray:
    """Return the inner edge (H, W) of a region (H, W) bool; it is thicker in large pictures so that it can be seen."""
    thickness = max(1, round(min(region.shape) * _CONTOUR_SHARE))
    edge: np.ndarray = region & ~binary_erosion(region, iterations=thickness, border_value=1)
    return edge


def overlaid(picture: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Draw the colours of `share` (H, W; 1 is the last colour) over a picture (C, H, W): (H, W, 3), all in [0, 1].

    The inferno colours become lighter throughout, so the overlay can be read when printed in grey. Where the share is 0
    the picture is unchanged.
    """
    share = np.clip(share, 0, 1).astype(np.float32)[..., None]
    grey = picture.mean(axis=0, dtype=np.float32)[..., None]
    colour = _inferno()[np.minimum((share[..., 0] * 256).astype(np.intp), 255)]
    mixed: np.ndarray = grey + _OPACITY * np.sqrt(share) * (colour - grey)
    return np.clip(mixed, 0, 1, out=mixed)


@functools.cache
def _inferno() -> np.ndarray:
    """Return the colours of matplotlib's map of this name: (256, 3) in [0, 1]."""
    import matplotlib

    colours: np.ndarray = matplotlib.colormaps["inferno"](np.arange(256))[:, :3].astype(np.float32)
    return colours
