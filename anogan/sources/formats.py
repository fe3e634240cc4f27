"""The base class of the formats that `TableFile` reads."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pyarrow as pa

from ..errors import InputError
from .compression import COMPRESSED_SUFFIXES
from .dialect import CSVDialect
from .notes import Note
from .source import import_formats
from .text_numbers import NumberFormat

UNREADABLE = "\0unreadable "
"""Begins the name of a column that holds the texts of those cells of a column that are not of its type."""

_KIND_WORDS = {
    "double": "numbers",
    "int64": "numbers",
    "date32": "dates",
    "bool": "true or false",
    "timestamp": "dates",
    "string": "UTF-8 text",
}


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
    in_place : bool
        Whether a remote table is read where it is, rather than from a copy.
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
    units : dict of str to str
        The units of columns of numbers, such as "$", and "" for none, as far as `types` has seen texts of them.
    needed_units : dict of str to str
        The units that numbers written as text are to have, "" for none or any currency; those in other units are
        unreadable.
    dialect : CSVDialect or None
        What was said of a CSV file; None if the format has no dialect.
    decimals : dict of str to str
        The decimal signs of columns whose numbers are written as text, as far as `types` has seen them.
    """

    suffixes: ClassVar[tuple[str, ...]]
    folders: ClassVar[bool] = False
    in_place: ClassVar[bool] = False
    compressed: ClassVar[bool] = False
    stores_types: ClassVar[bool] = False
    names: list[str]
    index: Sequence[str] = ()
    notes: Sequence[Note] = ()
    decimals: Mapping[str, str] = MappingProxyType({})
    units: Mapping[str, str] = MappingProxyType({})
    needed_units: Mapping[str, str] = MappingProxyType({})
    dialect: CSVDialect | None = None
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

    def in_units(self, units: Mapping[str, str]) -> TableFormat:
        """Return the table with these `needed_units`."""
        other = copy.copy(self)
        other.needed_units = units
        return other

    def in_needed_units(self, formats: Mapping[str, NumberFormat]) -> dict[str, NumberFormat]:
        """Return formats of numbers with the units that are needed; where none is, numbers may have a currency."""
        return {name: replace(form, unit=self._unit(name, form.unit)) for name, form in formats.items()}

    def skipping(self, rows: int) -> tuple[TableFormat, int]:
        """Return the table without leading rows, and how many these are: at most `rows`, none if all must be read."""
        del rows
        return self, 0

    @abstractmethod
    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return a type for each of some columns that holds all its values; those in `text` become strings."""

    def _unit(self, name: str, seen: str) -> str:
        needed = self.needed_units.get(name, seen)
        return needed if needed or seen == "%" else seen

    def stored_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types in which some columns are stored, so that a copy has the same values; text stays text."""
        return self.types(columns, ())

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
        return next((cls for cls in TableFormat.known if cls.folders and files_in(path, cls.suffixes)), None)
    name = path.name.lower()
    bare = next((name.removesuffix(end) for end in COMPRESSED_SUFFIXES if name.endswith(end)), name)
    return next(
        (c for c in TableFormat.known if name.endswith(c.suffixes) or (c.compressed and bare.endswith(c.suffixes))),
        None,
    )


def reads_in_place(path: Path) -> bool:
    """Return whether there is a table at a remote path that need not be copied."""
    form = format_of(path)
    return form is not None and form.in_place


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of some kinds in a folder, and in its subfolders with names such as ``year=2024``, in order."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("_", ".")):
            continue
        if path.is_dir() and "=" in path.name:
            found += files_in(path, suffixes)
        elif path.name.lower().endswith(suffixes):
            found.append(path)
    return found


def kind_words(kind: pa.DataType) -> str:
    """Return the name of a type in messages."""
    return _KIND_WORDS.get(str(kind).split("[")[0], str(kind))


def cast_columns(table: pa.Table, types: Mapping[str, pa.DataType], strict: Collection[str], path: Path) -> pa.Table:
    """Return the columns of `types` in these types, without dictionaries.

    Raises
    ------
    InputError
        If a column in `strict` is of another kind of type, such as text instead of numbers.
    """
    columns = {}
    for name, kind in types.items():
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in strict and not _compatible(column.type, kind):
            raise InputError(f"{path}: column '{name}' should hold {kind_words(kind)}, but holds {column.type}.")
        columns[name] = column.cast(kind, safe=False)
    return pa.table(columns)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the values' types instead of dictionaries, and text for times of day, as in CSV files."""
    plain = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    return pa.schema([f.with_type(pa.string()) if pa.types.is_time(f.type) else f for f in plain])


def _compatible(found: pa.DataType, needed: pa.DataType) -> bool:
    """Return whether a column of one type can stand for another without turning text into numbers or back."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_floating(needed):
        return pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_decimal(found)
    if pa.types.is_timestamp(needed):
        return pa.types.is_date(found) or (pa.types.is_timestamp(found) and (found.tz is None) == (needed.tz is None))
    if pa.types.is_boolean(needed):
        return bool(pa.types.is_boolean(found))
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_time)
    return any(is_kind(found) for is_kind in texts)
