"""Heatmaps of pictures: drawn as overlays, and written to files beside the raw maps."""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import binary_erosion

from ..errors import InputError
from ..evaluation.metrics import resized_map
from ..files.threads import decoder_threads
from ..files.writing import check_target, locked, written_whole
from ..scoring.calibration import Calibration
from ..sources.picture_files import MAP_KEYWORD, is_map
from ..sources.pictures import PictureSource
from ..sources.source import Chunk, Source
from .pictures import as_bytes, original

_FULL_COLOUR = 2.0  # times the threshold of pixels: the error of the last colour
_RAW_RANGE = 16.0  # times the threshold of pixels: where raw maps of 16 bits saturate
_OPACITY = 0.75
_FIRST, _LAST = np.array([1.0, 0.85, 0.1], np.float32), np.array([0.85, 0.0, 0.1], np.float32)  # yellow to red
_CONTOUR = (0.0, 1.0, 1.0)  # cyan
_CONTOUR_SHARE = 1 / 256  # of the shorter side: the contour's thickness


class MapWriter:
    """Writes ``NAME_overlay.png`` and the raw map per picture, both at the picture's own size.

    Colours begin at an error that nine of ten normal pictures reach nowhere, and end at twice the threshold of
    pixels. Both are the model's, so a picture looks the same in every run, and a normal one keeps its own colours.
    A contour is drawn around pixels above the threshold, which are part of a defect. Pictures are drawn in
    threads while the caller computes the next maps; use the writer as a context manager, which keeps other runs from
    writing to the folder, and whose end waits for the last files. Links inside the folder are not followed. Maps of
    an earlier run are replaced; any other file is not.

    Parameters
    ----------
    folder : str
    calibration : Calibration
        That of a detector that was fitted on pictures.
    raw_format : {"png", "npy"}
        ``NAME_map.png`` with 16 bits, or ``NAME_map.npy`` with the errors themselves in float32.
    """

    def __init__(self, folder: str, calibration: Calibration, raw_format: str = "png") -> None:
        if calibration.map_threshold is None or calibration.map_start is None:
            raise InputError("Maps need a model of pictures, whose calibration has a threshold of pixels.")
        check_target(folder, folder=True)
        self.folder = Path(folder)
        self.start, self.threshold = calibration.map_start, calibration.map_threshold
        self.raw_format = raw_format
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

    def check(self, source: Source) -> None:
        """Raise before anything is scored if the map of a picture of the source would replace a file that is no map.

        Raises
        ------
        InputError
            The message names the file.
        """
        taken: set[str] = set()
        for name in source.names if isinstance(source, PictureSource) else ():
            self._check_free(_output_name(name, taken))

    def write(self, chunk: Chunk, maps: np.ndarray) -> None:
        """Write the maps (n, h, w) of a chunk's pictures, after those of the previous chunk are complete.

        Raises
        ------
        InputError, OSError
            A picture cannot be read, or a file cannot be written or is there and is no map, possibly in the previous
            chunk.
        """
        self._finish()  # at most two chunks are held in memory
        names = [f"row_{row:06d}" for row in range(chunk.first, chunk.first + len(chunk))]
        if chunk.names is not None:
            names = [_output_name(name, self._taken) for name in chunk.names]
        self._pending = [
            self._pool.submit(self._write_one, name, chunk, row, maps[row]) for row, name in enumerate(names)
        ]

    def _finish(self) -> None:
        for future in self._pending:
            future.result()
        self._pending = []

    def _write_one(self, name: str, chunk: Chunk, row: int, values: np.ndarray) -> None:
        self._check_free(name)
        picture = original(chunk, row)
        at_size = resized_map(values, (picture.shape[1], picture.shape[2]))
        overlay = drawn(picture, at_size, self.start, self.threshold)
        drawing, raw = self._files(name)
        self._save(drawing, self._png(Image.fromarray(as_bytes(overlay))))
        self._save(raw, self._raw(at_size))

    def _files(self, name: str) -> tuple[Path, Path]:
        """Return the files of a picture's overlay and raw map."""
        return self.folder / f"{name}_overlay.png", self.folder / f"{name}_map.{self.raw_format}"

    def _check_free(self, name: str) -> None:
        """Raise `InputError` if a file of a picture's maps is there and is not that of an earlier run."""
        overlay, raw = self._files(name)
        for path in (overlay, raw):
            if path.suffix == ".png" and path.exists() and not is_map(path):
                raise InputError(
                    f"{path} is there and is no map that anogan wrote, and the map of a picture would replace it. "
                    "Name another folder for the maps."
                )
        if raw.suffix == ".npy" and raw.exists() and not overlay.exists():
            raise InputError(
                f"{raw} is there without {overlay.name}, which would show that anogan wrote it. Delete this array if "
                "it is an old map, or name another folder for the maps."
            )

    def scale_note(self) -> str:
        """Return what the colours, the contour and the raw values mean."""
        note = (
            f"maps in {self.folder}: colours from {self.start:.4g}, which nine of ten normal pictures reach nowhere, "
            f"to {_FULL_COLOUR * self.threshold:.4g}; contour at {self.threshold:.4g}, the threshold of pixels"
        )
        if self.raw_format == "png":
            note += f"; raw 16-bit maps: 65535 = {_RAW_RANGE * self.threshold:.4g}"
        return note

    def _raw(self, values: np.ndarray) -> bytes:
        if self.raw_format == "npy":
            buffer = io.BytesIO()
            np.save(buffer, values.astype(np.float32), allow_pickle=False)
            return buffer.getvalue()
        levels = np.clip(np.rint(values / (self.threshold * _RAW_RANGE or 1.0) * 65535), 0, 65535)
        return self._png(Image.fromarray(levels.astype(np.uint16)))

    def _png(self, picture: Image.Image) -> bytes:
        info = PngInfo()
        info.add_text("anogan error at 65535", repr(self.threshold * _RAW_RANGE))
        info.add_text(MAP_KEYWORD, repr(self.threshold))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", pnginfo=info, compress_level=1)  # noise hardly shrinks at any level
        return buffer.getvalue()

    def _save(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() != self.folder.resolve() / path.parent.relative_to(self.folder):
            raise InputError(
                f"{path.parent} leads out of {self.folder} by a link; remove the link, or name another folder."
            )
        if path.is_symlink():
            path.unlink()  # the name comes from a picture, so that a link here may lead anywhere
        with written_whole(path) as file:
            file.write(data)


def _output_name(name: str, taken: set[str]) -> str:
    """Return what a picture's files are called, without their endings, and add it to the names that are taken."""
    stem = Path(name).with_suffix("").as_posix()
    chosen = name if stem in taken else stem
    taken.add(chosen)
    return chosen


def drawn(picture: np.ndarray, values: np.ndarray, start: float, threshold: float) -> np.ndarray:
    """Draw a map (H, W) over its picture (C, H, W): (H, W, 3), all in [0, 1].

    Colours begin at the error `start`; a contour is drawn at the threshold.
    """
    overlay = overlaid(picture, (values - start) / (_FULL_COLOUR * threshold - start or 1.0))
    overlay[contour(values > threshold)] = _CONTOUR
    return overlay


def contour(region: np.ndarray) -> np.ndarray:
    """Return the inner edge (H, W) of a region (H, W) bool; it is thicker in large pictures so that it can be seen."""
    thickness = max(1, round(min(region.shape) * _CONTOUR_SHARE))
    edge: np.ndarray = region & ~binary_erosion(region, iterations=thickness, border_value=1)
    return edge


def overlaid(picture: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Draw the colours of `share` (H, W; 1 is the last colour) over a picture (C, H, W): (H, W, 3), all in [0, 1].

    Where the share is 0 or less the picture is unchanged.
    """
    own = picture.transpose(1, 2, 0) if len(picture) == 3 else picture.mean(axis=0)[..., None]
    share = np.clip(share, 0, 1).astype(np.float32)[..., None]
    opacity = _OPACITY * np.sqrt(share)
    mixed: np.ndarray = (1 - opacity) * own.astype(np.float32) + opacity * (_FIRST + share * (_LAST - _FIRST))
    return np.clip(mixed, 0, 1, out=mixed)
