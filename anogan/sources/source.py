"""The base class of all sources of data, and the chunks that they yield."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa


class RowAccount(Protocol):
    """Which rows of a chunk can be scored, and which of their values are new; see `anogan.data.account.Account`."""

    @property
    def refused(self) -> dict[int, str]:
        """The rows that cannot be scored, and why."""

    def status(self) -> np.ndarray: ...

    def unseen_columns(self) -> np.ndarray: ...


@dataclass
class Chunk:
    """Consecutive rows or pictures of a source.

    Attributes
    ----------
    first : int
        Number of the first row, counted from 0.
    X : DataFrame, array or ImageFolder
        The data in the form that a detector accepts.
    names : list of str or None
        File names of pictures.
    labels : (n,) array of str or None
    end : int
        Number of the first row after this chunk. It can exceed ``first + n`` because skipped pictures are counted.
    unreadable : dict of str to dict of int to str
        Cells that are not of their column's type, which are missing in X: column -> row in X -> the cell's text.
    carried : pyarrow.Table or None
        Further columns of the n rows, in types that hold all their values; the detector does not see them.
    account : RowAccount or None
        Which of the rows can be scored, and which of their values are new; None for pictures and before `Stream` has
        examined them.
    rows : (n,) int or None
        Numbers of the rows where they are not consecutive.
    """

    first: int
    X: Any
    names: list[str] | None = None
    labels: np.ndarray | None = None
    end: int = 0
    unreadable: dict[str, dict[int, str]] = field(default_factory=dict)
    carried: pa.Table | None = None
    account: RowAccount | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.X)

    def ids(self) -> pa.Array:
        """Return the file names, or the row numbers of data without file names."""
        if self.names is not None:
            return pa.array(self.names)
        return pa.array(np.arange(self.first, self.first + len(self)) if self.rows is None else self.rows)

    def usable(self) -> Chunk:
        """Return the rows that can be scored."""
        if self.account is None or not self.account.refused:
            return self
        kept = np.setdiff1d(np.arange(len(self)), list(self.account.refused))
        return replace(
            self,
            X=self.X.iloc[kept] if hasattr(self.X, "iloc") else self.X[kept],
            labels=None if self.labels is None else self.labels[kept],
            unreadable={},
            carried=None if self.carried is None else self.carried.take(pa.array(kept)),
            account=None,
            rows=self.first + kept,
        )

    def one(self, row: int) -> Chunk:
        """Return one of the rows as a chunk that does not keep the others in memory."""
        part = self.X.iloc[row : row + 1] if hasattr(self.X, "iloc") else self.X[row : row + 1]
        names = None if self.names is None else self.names[row : row + 1]
        labels = None if self.labels is None else self.labels[row : row + 1].copy()
        unreadable = {column: {0: cells[row]} for column, cells in self.unreadable.items() if row in cells}
        part = part.copy() if hasattr(part, "copy") else part
        carried = None if self.carried is None else self.carried.take([row])
        first = self.first + row if self.rows is None else int(self.rows[row])
        return Chunk(first, part, names, labels, unreadable=unreadable, carried=carried)


class Source(ABC):
    """Data that can be read in chunks. `open_source` finds a subclass by its suffixes.

    Modules in this folder are imported automatically; a module elsewhere must be imported before.

    Attributes
    ----------
    suffixes : tuple of str
        Suffixes of file names in lower case, such as ``".npy"``.
    kind : {"table", "array", "pictures"}
        Kind of X in its chunks: a DataFrame, an array, or an ImageFolder.
    name : str
        Name of the data in messages, such as its path.
    path : Path
        Where the data is; data in memory have no path.
    folder : TemporaryDirectory, optional
        Holds copies of standard input or of remote files as long as the source is used.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]
    name: str
    path: Path
    folder: TemporaryDirectory[str] | None = None
    known: ClassVar[list[type[Source]]] = []
    """Every subclass, the latest first."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Source.known.insert(0, cls)

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Return whether this class reads what is at a path: by default a file with one of the suffixes."""
        return not path.is_dir() and path.name.lower().endswith(cls.suffixes)

    @classmethod
    def open(cls, path: Path, *, part: str, size: int | tuple[int, int] | None) -> Self:
        """Open the source at a path; see `open_source` for the arguments."""
        del part, size
        return cls(path)  # type: ignore[call-arg]

    @property
    def paths(self) -> list[Path]:
        """The files or folders that are read."""
        return [self.path]

    @property
    @abstractmethod
    def total(self) -> int | None:
        """Number of rows or pictures, None if it is known only after reading."""

    @abstractmethod
    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` rows or pictures at a time, from number `start` on."""

    def description(self) -> str:
        """Return what kind of data this is, with an article, for messages."""
        return {"table": "a table", "array": "an array", "pictures": "a folder of pictures"}[self.kind]


def import_formats() -> None:
    """Import every module of this folder, so that all sources and table formats are known."""
    package = importlib.import_module(__package__)
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{info.name}")
