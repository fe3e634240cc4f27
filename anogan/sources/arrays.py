"""Arrays in .npy and .npz files, read in chunks."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from ..errors import InputError
from .labels import check_any_normal, equals
from .source import Chunk, Source


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
        If the file is not such an array, or holds anything but numbers.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")
    kind = "array"

    def __init__(self, path: Path) -> None:
        self.path, self.name = Path(path), str(path)
        self.labels: np.ndarray | None = None
        self._zipped = self.path.suffix.lower() == ".npz"
        try:
            if self._zipped:
                self._read_archive_header()
            else:
                array = np.load(self.path, mmap_mode="r", allow_pickle=False)
                self.shape, self._dtype = array.shape, array.dtype
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            kind = "NumPy archive (.npz)" if self._zipped else "NumPy array (.npy)"
            raise InputError(f"{path} is not a {kind} of numbers, or was cut short ({error}).") from None
        if self._dtype.kind not in "biuf":
            raise InputError(f"{path} holds values of type {self._dtype}; numbers are needed.")
        if not self.shape or not self.shape[0]:
            raise InputError(f"{path} is empty: its array has shape {self.shape}.")
        if self.labels is not None and (self.labels == "nan").any():
            raise InputError(f"{path}: y has missing labels (first at row {int(np.argmax(self.labels == 'nan'))}).")
        if self.labels is not None and len(self.labels) != self.shape[0]:
            raise InputError(f"{path}: y has {len(self.labels)} labels, X has {self.shape[0]} rows.")

    @property
    def total(self) -> int:
        """Number of rows."""
        return int(self.shape[0])

    def read(self, normal: str | None = None) -> np.ndarray:
        """Return the whole array, or the rows whose label means `normal`.

        Raises
        ------
        InputError
            If there are no labels, or none of them means `normal`.
        """
        array: np.ndarray = next(self.chunks(self.total)).X
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
            If a value is NaN or infinite (names its row), or the file ends early.
        """
        first = 0
        for array in self._arrays(rows):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                at = np.argwhere(~np.isfinite(array))[0]
                word = "NaN" if np.isnan(array[tuple(at)]) else "infinity"
                raise InputError(
                    f"{self.path} contains {word}, first in row {first + at[0]} at position {tuple(at[1:].tolist())}. "
                    "Fill or leave out such rows; missing values are allowed in tables only."
                )
            end = first + len(array)
            if end > start:
                skipped = max(start - first, 0)
                labels = None if self.labels is None else self.labels[first + skipped : end]
                yield Chunk(first + skipped, array[skipped:], labels=labels, end=end)
            first = end

    def description(self) -> str:
        return f"an array of shape {self.shape}"

    def _read_archive_header(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            keys = [n.removesuffix(".npy") for n in archive.namelist()]
            if "X" not in keys:
                raise InputError(f"{self.path} has no array 'X'; it has {', '.join(keys) or 'nothing'}.")
            with archive.open("X.npy") as member:
                self.shape, self._fortran, self._dtype = _array_header(member)
            if "y" in keys:
                with np.load(self.path, allow_pickle=False) as arrays:
                    self.labels = arrays["y"].ravel().astype(str)

    def _arrays(self, rows: int) -> Iterator[np.ndarray]:
        if not self._zipped:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
            for start in range(0, len(array), rows):
                yield np.array(array[start : start + rows])
            return
        if self._fortran:  # the file stores column after column: no row is complete before the last byte
            with np.load(self.path, allow_pickle=False) as arrays:
                whole = arrays["X"]
            for start in range(0, len(whole), rows):
                yield whole[start : start + rows]
            return
        row_bytes = self._dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        with zipfile.ZipFile(self.path) as archive, archive.open("X.npy") as member:
            _array_header(member)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                try:
                    data = member.read(count * row_bytes)
                except (zipfile.BadZipFile, EOFError) as error:
                    raise InputError(f"{self.path} is damaged ({error}).") from None
                if len(data) != count * row_bytes:
                    raise InputError(f"{self.path} was cut short: it ends before row {start + count}.")
                yield np.frombuffer(data, self._dtype).reshape(count, *self.shape[1:]).copy()


def _array_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(member)
    return header
