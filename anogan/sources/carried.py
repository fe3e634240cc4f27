"""Columns of a table that its chunks carry beside the data, for the output."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
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
        Column name -> type in which the file stores it, since a number that is learned as a float may be an integer,
        and a text that looks like a number may be a key; numbers and dates that a model learns are such also where
        the file stores text.
    names : sequence of str
        What they are called in the output. A level without a name is called as pandas calls it.
    """

    types: dict[str, pa.DataType] = field(default_factory=dict)
    names: Sequence[str] = ()

    @classmethod
    def of(
        cls, rows: TableRows, columns: Sequence[str], index: Sequence[str], values: Collection[str] = ()
    ) -> CarriedColumns:
        """Return some columns of a table.

        Parameters
        ----------
        rows : TableRows
        columns : sequence of str
        index : sequence of str
            All levels of the table's index.
        values : collection of str
            Columns whose texts are values, such as numbers that a model learns, unless one of them is not.
        """
        if not columns:
            return cls()  # for CSV files no names would mean all columns
        types = rows.form.stored_types(columns)
        types |= _value_types(rows, [name for name in columns if name in values])
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


def _value_types(rows: TableRows, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """Return types that hold the values of some columns, without those of which only text does."""
    if not columns:
        return {}
    try:
        return rows.types(columns)  # in one pass
    except InputError:
        parts = [_value_types(rows, [name]) for name in columns if len(columns) > 1]
        return {name: kind for part in parts for name, kind in part.items()}
