"""Arrays in .npy and .npz files, read in chunks."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar, NamedTuple

import numpy as np

from ..errors import InputError
from ..schema import quoted
from .damage import check_memory, explained
from .labels import check_any_normal, equals
from .source import Chunk, Source

_LARGEST_RATIO = 1100  # deflate cannot shrink more than 1032 times
_MOST_AXES = 4  # of pictures; NumPy itself can hold 64
_KINDS = {
    "O": "Python objects", "V": "records", "U": "texts", "S": "bytes", "c": "complex numbers", "M": "dates",
    "m": "durations",
}  # fmt: skip


class _Header(NamedTuple):
    """What the beginning of a .npy file says; `start` is where the data begins."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    start: int

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])

    @property
    def data_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)


class ArrayFile(Source):
    """An array in a .npy file, or under the key ``X`` of a .npz file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    shape : tuple of int
    labels : (n,) array of str or None
        The array under the key ``y`` of a .npz file.

    Raises
    ------
    InputError
        If the file is not such an array, is shorter or longer than its header says, or holds anything but numbers.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")
    kind = "array"

    def __init__(self, path: Path) -> None:
        self.path, self.name = Path(path), str(path)
        self.labels: np.ndarray | None = None
        self._zipped = self.path.suffix.lower() == ".npz"
        kind = "a NumPy archive (.npz)" if self._zipped else "a NumPy array (.npy)"
        with explained(self.path, f"{kind} of numbers", header=True):
            self._header = self._read_header("X")
        self.shape = self._header.shape
        dtype = self._header.dtype
        if dtype.kind not in "biuf":
            raise InputError(
                f"{path} holds {_KINDS.get(dtype.kind, 'values')} (type {dtype}); an array of numbers is needed."
            )
        if not 2 <= len(self.shape) <= _MOST_AXES or 0 in self.shape:
            what = "is empty" if 0 in self.shape else "is not a table of rows"
            raise InputError(f"{path} {what}: its array has shape {quoted(self.shape)}; (rows, columns) is needed.")
        if self._zipped:
            with explained(self.path, f"{kind} of numbers", header=True):
                self._read_labels()

    @property
    def total(self) -> int:
        """Number of rows."""
        return int(self.shape[0])

    def read(self, normal: str | None = None) -> np.ndarray:
        """Return the whole array, or the rows whose label means `normal`.

        Raises
        ------
        InputError
            If a value is NaN or infinite (names its row), there are no labels, none of them means `normal`, or the
            array is larger than the memory.
        """
        check_memory(self.path, self._header.data_bytes)
        array: np.ndarray = next(self.chunks(self.total)).X
        self._check_finite(array, 0)
        if normal is None:
            return array
        if self.labels is None:
            raise InputError(f"{self.path} has no labels 'y'; a .npz holds them under the key y.")
        check_any_normal(Counter(self.labels), normal, f"y of {self.path}")
        chosen: np.ndarray = array[equals(self.labels, normal)]
        return chosen

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` rows at a time; neither a .npy nor a compressed .npz file is loaded as a whole.

        Raises
        ------
        InputError
            If the file ends early, or a value of a picture is NaN or infinite (names the picture). Rows with such
            values are left to `Stream`.
        """
        first = 0
        for array in self._arrays(rows):
            if array.ndim > 2:
                self._check_finite(array, first)
            end = first + len(array)
            if end > start:
                skipped = max(start - first, 0)
                labels = None if self.labels is None else self.labels[first + skipped : end]
                yield Chunk(first + skipped, array[skipped:], labels=labels, end=end)
            first = end

    def description(self) -> str:
        return f"an array of shape {self.shape}"

    def _check_finite(self, array: np.ndarray, first: int) -> None:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = np.argwhere(~np.isfinite(array))[0]
            word = "NaN" if np.isnan(array[tuple(at)]) else "infinity"
            raise InputError(
                f"{self.path} contains {word}, first in row {first + at[0]} at position {tuple(at[1:].tolist())}. "
                "Fill or leave out such rows; missing values are allowed in tables only."
            )

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[IO[bytes], int]]:
        """Open the .npy file, or the member of the .npz file, and say how many bytes it has."""
        if not self._zipped:
            with open(self.path, "rb") as file:
                yield file, self.path.stat().st_size
            return
        with zipfile.ZipFile(self.path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            if keys.count(key) > 1:
                raise InputError(f"{self.path} has {keys.count(key)} arrays '{key}'; one is needed.")
            if f"{key}.npy" not in archive.namelist():
                raise InputError(f"{self.path} has no array '{key}'; it has {', '.join(keys[:20]) or 'nothing'}.")
            info = archive.getinfo(f"{key}.npy")
            if info.file_size > _LARGEST_RATIO * info.compress_size + _LARGEST_RATIO:
                raise InputError(
                    f"{self.path} is damaged: array '{key}' is said to have {info.file_size:,} bytes, but "
                    f"{info.compress_size:,} bytes cannot hold them."
                )
            with archive.open(info) as member:
                yield member, info.file_size

    def _read_header(self, key: str) -> _Header:
        with self._opened(key) as (file, size):
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0), (3, 0)):
                raise InputError(f"{self.path} has version {version} of the .npy format, which is not known.")
            one, two = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
            read = one if version == (1, 0) else two
            header = _Header(*read(file), file.tell())
        if any(length < 0 for length in header.shape):
            raise InputError(f"{self.path} is damaged: its array has shape {header.shape}.")
        if not header.dtype.hasobject and header.data_bytes != size - header.start:
            raise InputError(
                f"{self.path} was cut short or is damaged: an array of shape {header.shape} and type {header.dtype} "
                f"has {header.data_bytes:,} bytes, but the file holds {size - header.start:,}."
            )
        return header

    def _read_labels(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            if "y.npy" not in archive.namelist():
                return
        header = self._read_header("y")
        labels = math.prod(header.shape)
        if labels != self.shape[0]:
            raise InputError(f"{self.path}: y has {labels:,} labels, X has {self.shape[0]:,} rows.")
        if header.dtype.kind not in "biufUS":
            raise InputError(
                f"{self.path}: y holds {_KINDS.get(header.dtype.kind, 'values')}; texts or numbers are needed."
            )
        check_memory(self.path, header.data_bytes)
        with np.load(self.path, allow_pickle=False) as arrays:
            self.labels = arrays["y"].ravel().astype(str)
        if (self.labels == "nan").any():
            row = int(np.argmax(self.labels == "nan"))
            raise InputError(f"{self.path}: y has missing labels (first at row {row}).")

    def _arrays(self, rows: int) -> Iterator[np.ndarray]:
        """Yield the rows in this machine's byte order."""
        shape, fortran, dtype, start = self._header
        native = dtype.newbyteorder("=")
        if fortran:  # the file stores column after column: no row is complete before the last byte
            if self._zipped:
                check_memory(self.path, self._header.data_bytes)
                with explained(self.path, header=True), np.load(self.path, allow_pickle=False) as arrays:
                    whole = arrays["X"]
            else:
                with explained(self.path, header=True):
                    whole = np.memmap(self.path, dtype, "r", start, shape, "F")
            for first in range(0, len(whole), rows):
                yield np.array(whole[first : first + rows], dtype=native, order="C")
            return
        with self._opened("X") as (file, _):
            with explained(self.path, header=True):
                file.read(start)
            for first in range(0, shape[0], rows):
                count = min(rows, shape[0] - first)
                with explained(self.path, where=lambda: f" (after row {first})", header=True):  # noqa: B023
                    data = file.read(count * self._header.row_bytes)
                if len(data) != count * self._header.row_bytes:
                    raise InputError(f"{self.path} was cut short: it ends before row {first + count}.")
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:]).astype(native)
