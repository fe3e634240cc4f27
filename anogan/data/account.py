"""An account of each row of a table or an array: whether it can be scored, and which of its values are new."""

from __future__ import annotations

import datetime
import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .columns import CategoryColumn, Column, DateColumn, NumberColumn
from .columns.category import family_of

OK = "ok"
_BISECTED = 1000  # cells that are named one by one; a column with more of them is refused as a whole
_QUOTED = 40
_WORDS = {"number": "a number", "boolean": "true or false", "text": "text", "none": "a single value"}
_EXCHANGED = str.maketrans("dm", "md")  # the format of a date with day and month in the other order


@dataclass(frozen=True)
class Account:
    """What n rows hold.

    Attributes
    ----------
    columns : sequence of d str or int
        Their names.
    unseen : (n, d) bool
        Values that did not occur in fit, missing ones included.
    gaps : (n, d) bool
        Those of them that are missing.
    refused : dict of int to str
        The rows that cannot be scored, and why.
    """

    columns: Sequence[str | int]
    unseen: np.ndarray
    gaps: np.ndarray
    refused: dict[int, str]

    def without_gaps(self) -> Account:
        """Refuse rows with a missing value in a column that had none in fit."""
        rows, numbers = np.nonzero(self.gaps)
        refused = dict(self.refused)
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            refused.setdefault(row, missing_value(self.columns[number]))
        return Account(self.columns, self.unseen & ~self.gaps, np.zeros_like(self.gaps), refused)

    def without_cells(self, unreadable: dict[str, dict[int, str]], columns: Sequence[Column]) -> Account:
        """Refuse rows with cells that could not be read, which look like missing values.

        Parameters
        ----------
        unreadable : dict of str to dict of int to str
            See `Chunk.unreadable`.
        columns : sequence of Column
            The fitted ones.
        """
        if not unreadable:
            return self
        names, by_name = [str(name) for name in self.columns], {str(column.name): column for column in columns}
        unseen, gaps, refused = self.unseen.copy(), self.gaps.copy(), dict(self.refused)
        for name, cells in unreadable.items():
            number, rows = names.index(name), list(cells)
            unseen[rows, number] = gaps[rows, number] = False
            for row, text in cells.items():
                refused.setdefault(row, wrong_value(text, by_name[name]))
        return Account(self.columns, unseen, gaps, refused)

    def with_column(self, position: int, name: str) -> Account:
        """Add a column without unseen values."""
        columns = list(self.columns)
        columns.insert(position, name)
        unseen, gaps = (np.insert(cells, position, False, axis=1) for cells in (self.unseen, self.gaps))
        return Account(columns, unseen, gaps, self.refused)

    def status(self) -> np.ndarray:
        """Return "ok" for rows that can be scored and why others cannot: (n,) object."""
        status = np.full(len(self.unseen), OK, dtype=object)
        for row, why in self.refused.items():
            status[row] = why
        return status

    def unseen_columns(self) -> np.ndarray:
        """Return the names of each row's columns with unseen values, separated by commas: (n,) object.

        None stands for a row without such values.
        """
        names = np.full(len(self.unseen), None, dtype=object)
        for row in np.flatnonzero(self.unseen.any(1)):
            names[row] = ", ".join(str(self.columns[number]) for number in np.flatnonzero(self.unseen[row]).tolist())
        return names


def account_of_table(columns: Sequence[Column], X: pd.DataFrame) -> Account:
    """Return the account of a table with these fitted columns.

    Raises
    ------
    InputError
        More than `_BISECTED` cells of a column are of another type: the column is another one than in fit.
    """
    unseen = np.zeros((len(X), len(columns)), dtype=bool)
    gaps = np.zeros_like(unseen)
    refused: dict[int, str] = {}
    for number, column in enumerate(columns):
        cells, unseen[:, number], gaps[:, number] = _cells(column, X.iloc[:, number])
        for row, why in cells.items():
            refused.setdefault(row, why)
    return Account([column.name for column in columns], unseen, gaps, refused)


def account_of_array(X: np.ndarray) -> Account:
    """Return the account of an array (n, d), which has no missing values: NaN and infinity are refused."""
    refused: dict[int, str] = {}
    for row, column in np.argwhere(~np.isfinite(X)).tolist():
        refused.setdefault(row, missing_value(column) if math.isnan(X[row, column]) else infinite_value(column))
    none = np.zeros(X.shape, dtype=bool)
    return Account(range(X.shape[1]), none, none, refused)


def missing_value(column: str | int) -> str:
    """Return why a row with a missing value is not scored."""
    return f"missing value in {_quoted(column)}"


def infinite_value(column: str | int) -> str:
    """Return why a row with an infinite value is not scored."""
    return f"infinite value in {_quoted(column)}"


def unknown_class(value: Any, column: str, known: Sequence[Any]) -> str:
    """Return why a row whose condition is unknown is not scored."""
    close = difflib.get_close_matches(str(value), [str(other) for other in known], n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"'{_shortened(value)}' in '{column}' is not a known condition{hint}"


def wrong_value(value: Any, column: Column) -> str:
    """Return why a row whose value is not of its column's kind is not scored."""
    wrong = f"'{_shortened(value)}' in {_quoted(column.name)} is not"
    if not isinstance(column, DateColumn):
        kind = family_of(column.categories) if isinstance(column, CategoryColumn) else column.kind
        unit = column.unit if isinstance(column, NumberColumn) else ""
        return f"{wrong} {_WORDS[kind]}{f' in {unit}, as in training' if unit else ''}"
    form = column.format or f"ISO 8601 with{'' if column.zone else 'out'} a time zone"
    exchanged = form.translate(_EXCHANGED)
    hint = ""
    if exchanged != form and _is_written(value, exchanged):
        hint = f"; if the column is written as {exchanged}, other rows are read with day and month exchanged"
    return f"{wrong} a date as in training ({form}){hint}"


def _is_written(value: Any, form: str) -> bool:
    try:
        datetime.datetime.strptime(str(value).strip(), form)
    except ValueError:
        return False
    return True


def _shortened(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _quoted(column: str | int) -> str:
    return f"column {column}" if isinstance(column, int) else f"'{column}'"


def _cells(column: Column, series: pd.Series) -> tuple[dict[int, str], np.ndarray, np.ndarray]:
    """Return the cells that cannot be encoded and why, and which of the others are unseen, and which of those gaps."""
    is_category = isinstance(column, CategoryColumn)
    read: Callable[[pd.Series], np.ndarray] = column.places if isinstance(column, CategoryColumn) else column.values
    cells: dict[int, str] = {}
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "f" and not is_category:
        infinite = np.isinf(series.to_numpy())
        if infinite.any():  # in any number
            cells = dict.fromkeys(np.flatnonzero(infinite).tolist(), infinite_value(column.name))
            series = series.mask(infinite)
    try:
        found = read(series)
    except InputError:
        bad = _failing(read, series, 0) or [row for row, value in enumerate(series) if isinstance(value, bool)]
        cells |= {row: _why(series.iloc[row], column) for row in bad}
        good = np.setdiff1d(np.arange(len(series)), bad)
        found = np.zeros(len(series))
        found[good] = read(series.iloc[good])
    if is_category:
        unseen = found < 0
        gaps = unseen & series.isna().to_numpy(dtype=bool)
    else:
        unseen = np.isnan(found) & (not column.missing)
        gaps = unseen.copy()
    for mask in (unseen, gaps):
        mask[list(cells)] = False
    return cells, unseen, gaps


def _failing(read: Callable[[pd.Series], Any], series: pd.Series, first: int) -> list[int]:
    """Return the rows that cannot be read, found by halving the parts that cannot."""
    try:
        read(series)
        return []
    except InputError:
        if len(series) == 1:
            return [first]
        half = len(series) // 2
        found = _failing(read, series.iloc[:half], first)
        found += _failing(read, series.iloc[half:], first + half)
        if len(found) > _BISECTED:
            raise
        return found


def _why(value: Any, column: Column) -> str:
    if isinstance(value, float) and math.isinf(value):
        return infinite_value(column.name)
    if isinstance(value, int) and not isinstance(value, bool) and column.kind == "number":
        return f"a value in {_quoted(column.name)} is out of range"
    if isinstance(value, datetime.datetime) and column.kind == "date":
        return f"the date in {_quoted(column.name)} has {'a' if value.tzinfo else 'no'} time zone, unlike in training"
    return wrong_value(value, column)
