"""The base class of the formats that `TableFile` reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from ..errors import InputError
from .compression import COMPRESSED_SUFFIXES
from .dialect import CSVDialect
from .notes import Note
from .source import import_formats

UNREADABLE = "\0unreadable "
"""Begins the name of a column that holds the texts of those cells of a column that are not of its type."""

_KIND_WORDS = {"double": "numbers", "bool": "true or false", "timestamp": "dates", "string": "UTF-8 text"}


class TableFormat(ABC):
    """A table at a path. `TableFile` finds a subclass by its suffixes.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    suffixes : tuple of str
        Suffixes of file names in lower case.
    folders : bool
        Whether a folder of such files is one table.
    compressed : bool
        Whether the name of a file may go on with ``.gz``, ``.bz2``, ``.xz``, ``.zst`` or ``.zip``.
    stores_types : bool
        Whether each column has a type in the file, rather than only texts.
    names : list of str
        All columns in the file's order.
    index : list of str
        Columns that are not data but the index of the DataFrame that was written.
    notes : sequence of Note
        What was seen in the file; `types` adds notes about its columns.
    """

    suffixes: ClassVar[tuple[str, ...]]
    folders: ClassVar[bool] = False
    compressed: ClassVar[bool] = False
    stores_types: ClassVar[bool] = False
    names: list[str]
    index: Sequence[str] = ()
    notes: Sequence[Note] = ()
    known: ClassVar[list[type[TableFormat]]] = []
    """Every subclass, the latest first."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        TableFormat.known.insert(0, cls)

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @classmethod
    def open(cls, path: Path, dialect: CSVDialect | None = None) -> TableFormat:
        """Open a table.

        Raises
        ------
        InputError
            If a dialect is given, but the format has none.
        """
        if dialect is not None:
            raise InputError(
                f"{path} is not a CSV file, so it has no separator, decimal sign, encoding or header to name."
            )
        return cls(path)

    @property
    def total(self) -> int | None:
        """Number of rows, None if it is known only after reading."""
        return None

    @abstractmethod
    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return a type for each of some columns that holds all its values; those in `text` become strings."""

    @abstractmethod
    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types` in these types, about `rows` rows at a time.

        Where a cell is not of its column's type, the cell is null, and a further column named ``UNREADABLE + name``
        holds its text.

        Raises
        ------
        InputError
            If a value cannot be read in the type of its column, or a column in `strict` is stored in another kind of
            type, such as text instead of numbers.
        """


def format_of(path: Path) -> type[TableFormat] | None:
    """Return the format of a file by its name, or of a folder by the files in it; None if it is not a table."""
    import_formats()
    if path.is_dir():
        suffixes = {cls: cls.suffixes for cls in TableFormat.known if cls.folders}
        names = [file.name.lower() for file in path.iterdir()]
        return next((cls for cls, ends in suffixes.items() if any(name.endswith(ends) for name in names)), None)
    name = path.name.lower()
    bare = next((name.removesuffix(end) for end in COMPRESSED_SUFFIXES if name.endswith(end)), name)
    return next(
        (c for c in TableFormat.known if name.endswith(c.suffixes) or (c.compressed and bare.endswith(c.suffixes))),
        None,
    )


def kind_words(kind: pa.DataType) -> str:
    """Return the name of a type in messages."""
    return _KIND_WORDS.get(str(kind).split("[")[0], str(kind))
