"""Columns of a table that its chunks carry beside the data, for the output."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ..errors import InputError
from .table_rows import TableRows

_UNNAMED_LEVEL = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class CarriedColumns:
    """Columns or levels of the index that are carried; by default none.

    Attributes
    ----------
    types : dict
        Column name -> type of the file, since a number that is learned as a float may be an integer.
    names : sequence of str
        What they are called in the output. A level without a name is called as pandas calls it.
    """

    types: dict[str, pa.DataType] = field(default_factory=dict)
    names: Sequence[str] = ()

    @classmethod
    def of(cls, rows: TableRows, columns: Sequence[str], index: Sequence[str]) -> CarriedColumns:
        """Return some columns of a table, of whose index all levels are given."""
        if not columns:
            return cls()  # for CSV files no names would mean all columns
        types = _types(rows, columns)
        unnamed = [name for name in types if _UNNAMED_LEVEL.fullmatch(name)]
        names = {name: name[len("__index_") : -len("__")] for name in unnamed} if len(index) > 1 else {}
        names = names or dict.fromkeys(unnamed, "index")
        return cls({name: types[name] for name in columns}, [names.get(name, name) for name in columns])

    @property
    def schema(self) -> pa.Schema:
        """Names and types in the output."""
        return pa.schema(list(zip(self.names, self.types.values(), strict=True)))

    def tables(self, rows: TableRows, size: int, start: int) -> Iterator[pa.Table | None]:
        """Yield the columns, `size` rows at a time, in a pass of their own: a column may also be learned."""
        if not self.types:
            yield from itertools.repeat(None)
        for table in rows.tables(self.types, size, start):
            yield table.select(list(self.types)).rename_columns(list(self.names))


def _types(rows: TableRows, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """Return types that hold the columns, of which what is no number in a column of numbers is copied too."""
    try:
        return rows.types(columns)
    except InputError:
        clear = [name for name in columns if _is_clear(rows, name)]
        types = rows.types(clear) if clear else {}
        return {name: types.get(name, pa.string()) for name in columns}


def _is_clear(rows: TableRows, column: str) -> bool:
    try:
        rows.types([column])
    except InputError:
        return False
    return True
