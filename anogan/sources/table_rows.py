"""The rows of an opened table, read in batches of which only the kept rows are handed over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .damage import explained
from .formats import UNREADABLE, TableFormat, kind_words

ROWS_AT_ONCE = 32768


@dataclass(frozen=True)
class TableRows:
    """The rows of a table that are kept.

    Attributes
    ----------
    path : Path
        The file that messages name.
    form : TableFormat
        The opened table.
    text : sequence of str
        Columns that are read as text.
    keep : function of pyarrow.Table -> (n,) bool array, or None
        Selects rows; see `TableFile`.
    """

    path: Path
    form: TableFormat
    text: Sequence[str]
    keep: Callable[[pa.Table], Any] | None

    def types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return types that hold all values of the columns; those of `text` become strings."""
        return self.form.types(columns, self.text)

    def readable(
        self, types: dict[str, pa.DataType], rows: int | None = None, *, strict: bool = False
    ) -> Iterator[pa.Table]:
        """Yield the rows like `tables`, without the columns of unreadable cells.

        Raises
        ------
        InputError
            A cell is not of its column's type; the message names the first one.
        """
        first = 0
        for table in self.tables(types, rows, strict=strict):
            for name, cells in unreadable_cells(table).items():
                row = min(cells)
                where = f" (row {first + row})" if self.keep is None else ""
                raise InputError(
                    f"{self.path}: column '{name}' should hold {kind_words(types[name])}, but has an invalid value "
                    f"'{cells[row]}'{where}."
                )
            yield table.select(list(types))
            first += table.num_rows

    def tables(
        self, types: dict[str, pa.DataType], rows: int | None = None, start: int = 0, *, strict: bool = False
    ) -> Iterator[pa.Table]:
        """Yield the kept rows from number `start` on.

        Parameters
        ----------
        types : dict
            Column name -> type that it is read in.
        rows : int, optional
            Rows of each table but the last, which may be shorter; by default `ROWS_AT_ONCE`.
        start : int
        strict : bool
            Whether columns that are not in `text` must hold values of their types, of which the others are unreadable.

        Raises
        ------
        InputError
            There are no rows.
        """
        rows = ROWS_AT_ONCE if rows is None else rows
        done = skipped = start if self.keep is None else 0  # rows that `keep` leaves out are not counted
        with explained(self.path, where=lambda: f" (after row {done})" if done else ""):
            for table in _regrouped(self.batches(types, rows, strict=strict, start=skipped), rows):
                if done + table.num_rows > start:
                    yield table.slice(max(start - done, 0))
                done += table.num_rows
        self.check_any(done)

    def batches(
        self,
        types: dict[str, pa.DataType],
        rows: int | None = None,
        *,
        strict: bool = False,
        start: int = 0,
        stop: int = sys.maxsize,
    ) -> Iterator[pa.Table]:
        """Yield those rows of the file from `start` to before `stop` that are kept, about `rows` at a time."""
        read = {**types, **dict.fromkeys(self.text, pa.string())}
        never_text = set(types) - set(self.text) if strict else set()
        form, done = self.form.skipping(start)
        for batch in form.batches(read, ROWS_AT_ONCE if rows is None else rows, strict=never_text):
            first, done = done, done + batch.num_rows
            batch = batch.slice(max(start - first, 0), max(stop - max(start, first), 0))
            if self.keep is not None:
                batch = batch.filter(pa.array(np.asarray(self.keep(batch), dtype=bool)))
            yield batch.select([*types, *(name for name in batch.column_names if name.startswith(UNREADABLE))])
            if done >= stop:
                return

    def check_any(self, rows: int) -> None:
        """Raise `InputError` if no rows were kept."""
        if not rows:
            what = "has no rows" if self.keep is None else "has no row that is to be kept"
            raise InputError(f"{self.path} {what}.")


def unreadable_cells(table: pa.Table) -> dict[str, dict[int, str]]:
    """Return the texts of cells that are not of their column's type, by column and row."""
    found: dict[str, dict[int, str]] = {}
    for name in table.column_names:
        if name.startswith(UNREADABLE):
            cells = table.column(name)
            rows = np.flatnonzero(cells.is_valid().to_numpy())
            if len(rows):
                found[name.removeprefix(UNREADABLE)] = {int(row): cells[int(row)].as_py() for row in rows}
    return found


def _regrouped(batches: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield tables of `rows` rows each (the last may be shorter) from tables of any length."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting, promote_options="default")
            yield whole.slice(0, rows)
            count -= rows
            waiting = [whole.slice(rows)]
    if count:
        yield pa.concat_tables(waiting, promote_options="default")
