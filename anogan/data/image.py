"""Pictures: arrays in memory and folders decoded on demand."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from PIL import Image, ImageOps

from ..errors import InputError
from .preprocessor import Preprocessor
from .samples import FolderSamples, Samples, TensorSamples, decoder_threads
from .scaling import tame, untame
from .spec import SampleSpec
from .state import State, StateReader

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

_HEADERS_SAMPLED = 100
_RANGE_SAMPLED = 2000
_GREY_TOLERANCE = 2  # of 255: how far lossy coding may push the channels of a grey picture apart
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_RANGES = {"uint8": 255.0, "uint16": 65535.0}
_FOLDER = "folder"
_SOURCES = rf"{_FOLDER}|bool|u?int(8|16|32|64)|float(16|32|64|128)|[<>][iuf](2|4|8)"
_LONGEST_SIDE = 2**20


class ImageFolder(Sequence[np.ndarray]):
    """Pictures on disk as a lazy sequence of float32 arrays (C, H, W) in [0, 1].

    PNG, JPEG, BMP, TIFF and WebP with 8 or 16 bits, grey, palette or colour. EXIF rotation is honoured.
    Transparency is composed over black. Every picture is resized to `size`: by area averaging where both
    sides shrink, by an antialiased bilinear filter otherwise. Of several pages or frames the first counts.
    Pillow reads 16-bit colour with 8 bits.

    Parameters
    ----------
    path_or_files : path or iterable of paths
        A folder, searched recursively for the extensions above and sorted by name (hidden files are left
        out); or the files themselves, in the order given.
    size : int or (height, width)
        What pictures are resized to; by default 64.

    Attributes
    ----------
    files : list of Path

    Raises
    ------
    InputError
        If the path does not exist or holds no pictures. While reading: if a file is no readable picture, or a
        coloured one among grey ones; the file is named.
    """

    def __init__(
        self,
        path_or_files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        size: int | tuple[int, int] = 64,
    ) -> None:
        if isinstance(path_or_files, (str, os.PathLike)):
            self.files = _find(Path(path_or_files))
        else:
            self.files = [Path(file) for file in path_or_files]
        height, width = (size, size) if isinstance(size, (int, np.integer)) else size
        if height < 1 or width < 1:
            raise InputError(f"The size of pictures must be at least 1 x 1, got {size!r}.")
        self.size = (int(height), int(width))
        self._channels: int | None = None

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFolder: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | ImageFolder:
        if isinstance(index, slice):
            return self._of(self.files[index])
        return _fraction(self.decode(index))

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} files, size={self.size})"

    @property
    def channels(self) -> int:
        """3 if any of up to 100 evenly spaced files is coloured by its header, else 1."""
        if self._channels is None:
            self._channels = self._channels_by_header()
        return self._channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every picture once read."""
        return (self.channels, *self.size)

    def decode(self, index: int) -> np.ndarray:
        """One picture (C, H, W): uint8, or float32 in [0, 1] where the file has 16 bits."""
        return _read(self.files[index], lambda picture: _decoded(picture, self.shape))

    def original_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the picture as it is looked at, after EXIF rotation."""
        return _read(self.files[index], _upright_size)

    def resized(self, shape: tuple[int, ...]) -> ImageFolder:
        """The same files read as (C, H, W)."""
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise InputError(
                f"Files hold pictures of 1 or 3 channels; the model needs samples of shape {tuple(shape)}."
            )
        folder = ImageFolder(self.files, size=(shape[1], shape[2]))
        folder._channels = int(shape[0])
        return folder

    def identity(self) -> str:
        """Names and sizes in bytes of the files."""
        return repr([(file.name, file.stat().st_size) for file in self.files])

    def readable(self) -> tuple[ImageFolder, dict[Path, str]]:
        """Decode every file: the folder of those that can be read, and why each other one cannot.

        Raises
        ------
        InputError
            If no file can be read.
        """
        reasons: dict[Path, str] = {}

        def attempt(index: int) -> str | None:
            try:
                self.decode(index)
            except InputError as error:
                return str(error)
            return None

        if self._channels is None:
            self._channels = self._channels_by_header()
        for index, reason in enumerate(_ahead(attempt, range(len(self)))):
            if reason is not None:
                reasons[self.files[index]] = reason
        if len(reasons) == len(self):
            raise InputError(f"None of {len(self)} files can be read. {next(iter(reasons.values()), '')}")
        return self._of([file for file in self.files if file not in reasons]), reasons

    def is_wide(self) -> bool:
        """Whether any of up to 100 evenly spaced files has more than 8 bits per channel."""
        return any(mode in _WIDE_MODES for mode in self._headers(lambda picture: picture.mode))

    def _of(self, files: list[Path]) -> ImageFolder:
        folder = ImageFolder(files, size=self.size)
        # A part of a coloured folder stays coloured, whatever the part's own headers say.
        folder._channels = self.channels if files else self._channels
        return folder

    def _channels_by_header(self) -> int:
        grey = list(self._headers(_is_grey_by_header))
        if not grey:
            self._check_first()
        return 1 if all(grey) else 3

    def _check_first(self) -> None:
        """Raise what is wrong with the first file."""
        if not self.files:
            raise InputError("There are no pictures: the list of files is empty.")
        _read(self.files[0], _is_grey_by_header)

    def _headers(self, look: Callable[[Image.Image], Any]) -> Iterator[Any]:
        """Evenly spaced files; unreadable ones are left to the decoder, which names them."""
        for index in _evenly(len(self), _HEADERS_SAMPLED):
            try:
                yield _read(self.files[index], look)
            except InputError:
                continue


class ImagePreprocessor(Preprocessor):
    """Brings pictures to [-1, 1].

    8-bit pictures are scaled from 0..255; others from the smallest and largest value of the training pictures
    (of up to 2000 evenly spaced ones in a folder), since cameras use a part of their 16 bits. Values beyond
    are not clipped.

    Attributes
    ----------
    shape_ : list of int
        (C, H, W).
    source_ : str
        The dtype of the array it was fitted on, or "folder".
    low_, high_ : float
        Values that become -1 and 1, as fractions of the full range of an integer type.
    """

    kind = "image"

    @property
    def spec_(self) -> SampleSpec:
        channels, height, width = self.shape_
        return SampleSpec((channels, height, width), bounded=True)

    def fit(self, X: Any, *, rows: np.ndarray | None = None) -> Self:
        """Learn shape and value range of pictures (n, C, H, W) or an ImageFolder."""
        self.low_, self.high_ = 0.0, 1.0
        if isinstance(X, ImageFolder):
            self.shape_ = list(X.shape)
            self.source_ = _FOLDER
            if X.is_wide():
                chosen = np.arange(len(X)) if rows is None else rows
                chosen = chosen[_evenly(len(chosen), _RANGE_SAMPLED)]
                extremes = list(_ahead(lambda i: _extremes(_fraction(X.decode(int(i)))), chosen))
                self.low_ = min(low for low, _ in extremes)
                self.high_ = max(high for _, high in extremes)
            return self
        X = _checked(X)
        self.shape_ = [int(side) for side in X.shape[1:]]
        self.source_ = str(X.dtype)
        if self.source_ != "uint8":
            training = X if rows is None else X[rows]
            full = _RANGES.get(self.source_, 1.0)
            self.low_, self.high_ = float(training.min()) / full, float(training.max()) / full
        return self

    def transform(self, X: Any, dtype: torch.dtype) -> Samples:
        """Pictures -> n samples (C, H, W); a folder's are resized to the model's shape and decoded on demand.

        Raises
        ------
        InputError
            If an array has another shape, or NaN or infinity; if a folder meets a model fitted on arrays of
            floats, whose unit files do not have.
        """
        shape = tuple(self.shape_)
        if isinstance(X, ImageFolder):
            if self.source_ not in (_FOLDER, *_RANGES):
                raise InputError(
                    f"The model was fitted on an array of {self.source_}; the value range of files in a "
                    "folder does not compare to it. Give it an array, or fit on an ImageFolder."
                )
            folder = X.resized(shape)
            return FolderSamples(
                folder.decode,
                lambda p: self._to_model(_fraction(p)),
                np.arange(len(folder)),
                shape,
                dtype,
                folder.identity,
            )
        X = _checked(X)
        if X.shape[1:] != shape:
            raise InputError(
                f"X has samples of shape {X.shape[1:]}; the model was fitted on samples of shape {shape} "
                "(C, H, W). Resize them, or fit again."
            )
        out = torch.empty(X.shape, dtype=dtype)
        # Arrays are in the unit of the fitted array; a folder's model takes any integer type by its range.
        full = _RANGES.get(str(X.dtype) if self.source_ == _FOLDER else self.source_, 1.0)
        for start in range(0, len(X), 256):  # a few pictures at a time: no float64 copy of everything
            part = X[start : start + 256].astype(np.float64) / full
            out[start : start + 256] = torch.from_numpy(self._to_model(part))
        return TensorSamples(out)

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """(n, C, H, W) in model space -> pixels in the fitted array's dtype and unit; [0, 1] for a folder."""
        fraction = (untame(np.asarray(x, dtype=np.float64)) + 1.0) / 2.0 * self._span() + self.low_
        if self.source_ == _FOLDER:
            return np.clip(fraction, 0.0, 1.0).astype(np.float32)
        dtype = np.dtype(self.source_)
        pixels = fraction * _RANGES.get(self.source_, 1.0)
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            return np.clip(np.rint(pixels), bounds.min, bounds.max).astype(dtype)
        return pixels > 0.5 if dtype.kind == "b" else pixels.astype(dtype)

    def collapse(self, error: np.ndarray) -> np.ndarray:
        """(n, C, H, W) -> the same: one value per pixel and channel."""
        return np.asarray(error, dtype=np.float64)

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return {
            "kind": self.kind,
            "shape": self.shape_,
            "source": self.source_,
            "low": self.low_,
            "high": self.high_,
        }

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """The fitted preprocessor of a state whose kind was read."""
        self = cls()
        self.shape_ = state.items("shape", 3)
        if [type(side) for side in self.shape_] != [int] * 3 or not all(
            1 <= side <= _LONGEST_SIDE for side in self.shape_
        ):
            raise state.error("shape", self.shape_, f"(C, H, W) with sides from 1 to {_LONGEST_SIDE}")
        self.source_ = state.text("source", pattern=_SOURCES)
        self.low_ = state.number("low")
        self.high_ = state.number("high", low=self.low_)
        return self

    def _span(self) -> float:
        return self.high_ - self.low_ or 1.0

    def _to_model(self, fraction: np.ndarray) -> np.ndarray:
        return tame((fraction - self.low_) / self._span() * 2.0 - 1.0)


def _find(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"There is no folder {str(path)!r}.")
    if path.is_file():
        return [path]
    files = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS
    ]
    if not files:
        kinds = ", ".join(sorted(extension[1:] for extension in EXTENSIONS))
        raise InputError(f"The folder {str(path)!r} holds no pictures ({kinds}).")
    # Sorted as text: comparing Path objects would make each of them remember its parts twice.
    return [Path(file) for file in sorted(files, key=lambda file: file.split(os.sep))]


def _read(file: Path, look: Callable[[Image.Image], Any]) -> Any:
    """Open one file and look at it; whatever goes wrong is an `InputError` that names the file."""
    try:
        with Image.open(file) as picture:
            return look(picture)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except MemoryError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{file}: there is no such file.") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{file}: not a picture, or of an unknown format.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{file}: too many pixels to decode safely ({error}).") from error
    except Exception as error:  # Pillow's decoders raise nearly every type there is on damaged files
        reason = str(error) or type(error).__name__
        raise InputError(f"{file}: cannot be read, {reason}.") from error


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    sideways = picture.format != "TIFF" and picture.getexif().get(_ORIENTATION) in _SIDEWAYS
    return (width, height) if sideways else (height, width)


def _is_grey_by_header(picture: Image.Image) -> bool:
    if picture.mode == "P":
        palette = picture.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return picture.mode in _GREY_MODES


def _decoded(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """(C, H, W): uint8, or float32 in [0, 1] for 16-bit files."""
    channels, height, width = shape
    # A JPEG decoder can skip to a half, quarter, ... of the size for free; area averaging does the rest.
    picture.draft(None, (2 * max(height, width), 2 * max(height, width)))
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "F":
        raise InputError("floating-point pictures have no known range. Read them yourself and pass an array.")
    if upright.mode in _WIDE_MODES:
        upright = _from_wide(upright)
    else:
        upright = _over_black(upright)
        if channels == 1 and upright.mode != "L":
            upright = _grey(upright)
    shrinks = upright.width >= width and upright.height >= height
    smaller = upright.resize((width, height), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    pixels = np.asarray(smaller)
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels, axis=0)  # grey in a coloured folder
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _from_wide(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 65535:
        raise InputError("holds values beyond 16 bits. Read it yourself and pass an array.")
    return Image.fromarray(values.astype(np.float32) / 65535.0)


def _over_black(picture: Image.Image) -> Image.Image:
    """L or RGB; what is transparent becomes black, instead of the arbitrary colour stored beneath it."""
    grey = _is_grey_by_header(picture)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    return picture.getchannel(0) if grey else picture


def _grey(picture: Image.Image) -> Image.Image:
    pixels = np.asarray(picture)
    first = pixels[..., 0].astype(np.int16)
    apart = max(int(np.abs(first - pixels[..., channel]).max()) for channel in (1, 2))
    if apart > _GREY_TOLERANCE:
        raise InputError("is coloured, but the model takes grey pictures. Convert it, or fit on coloured pictures.")
    return picture.convert("L")


def _fraction(pixels: np.ndarray) -> np.ndarray:
    """uint8 or float32 -> float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255.0) if pixels.dtype == np.uint8 else pixels


def _extremes(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _evenly(n: int, at_most: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(np.int64)) if n else np.empty(0, np.int64)


def _ahead(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """`map` in threads, in order, with a bounded number of calls under way."""
    threads = decoder_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="anogan-decode")
    pending: deque[Future[Any]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _checked(X: Any) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim != 4:
        raise InputError(f"Pictures must be an array (n, C, H, W), got shape {X.shape}.")
    if 0 in X.shape:
        raise InputError(f"Found array with 0 sample(s) or pixels (shape={X.shape}) while a minimum of 1 is required.")
    if X.dtype.kind not in "buif":
        raise InputError(f"Pictures must be numeric, got dtype {X.dtype}.")
    if X.shape[-1] in (1, 3, 4) and X.shape[1] > 4:
        raise InputError(
            f"X has samples of shape {X.shape[1:]}, which looks like (H, W, C); needed is (C, H, W). "
            "Move the channels first: X.transpose(0, 3, 1, 2)."
        )
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        kind = "NaN" if np.isnan(X).any() else "infinity"
        first = int(np.flatnonzero(~np.isfinite(X).all(axis=(1, 2, 3)))[0])
        raise InputError(f"Input X contains {kind} (first in sample {first}).")
    return X
