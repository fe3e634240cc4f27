"""Rows of a table file that a fit leaves out, so that it can be evaluated with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .periods import date_format, is_number, moments


class Columns(Protocol):
    """What a rule asks of a table file; see `TableFile`."""

    name: str
    names: list[str]

    @property
    def total(self) -> int | None: ...

    def column(self, name: str) -> pa.ChunkedArray: ...

    def check_column(self, name: str) -> None: ...


@dataclass(frozen=True)
class Holdout:
    """Which rows of a table file are held out. A model keeps this, so that `evaluate` finds the same rows.

    Attributes
    ----------
    share : float
        Share of the rows, in (0, 1).
    rows : int
        Rows of the file.
    seed : int or None
        Seed of a random choice; None if the last rows are held out.
    by : str or None
        Column by whose values, numbers or dates, rows are last; None for the order in the file.
    first : int, float, str or None
        Number of the first row that is held out, or the least value of `by` (a date as ISO text); None for random rows.
    format : str
        How `by` holds dates as texts or numbers; "" for dates by type, for numbers, and in older files.
    """

    share: float
    rows: int
    seed: int | None = None
    by: str | None = None
    first: int | float | str | None = None
    format: str = ""

    @classmethod
    def of(cls, file: Columns, share: float, *, seed: int | None, by: str | None) -> Holdout:
        """Return the random rows of a file that a seed gives, or without one its last rows.

        Raises
        ------
        InputError
            The share is not between 0 and 1 or leaves nothing, or `by` has values that cannot be ordered.
        """
        if not 0 < share < 1:
            raise InputError(f"The share of rows that are held out must be between 0 and 1; got {share:g}.")
        first: int | float | str | None = None
        form = ""
        if by is None:
            rows = file.total or len(file.column(file.names[0]))
            first = None if seed is not None else round(rows * (1 - share))
        else:
            by, form = _name_and_format(by, file.names)
            column = _column(file, by)
            python, shell = (
                f"If they are FORMAT, give {given}." for given in (f"by='{by}:FORMAT'", f"--holdout-by '{by}:FORMAT'")
            )
            form = form or date_format(column, _name(file, by), python, shell)
            values = _ordered(column, _name(file, by), form)
            rows = len(values)
            least = np.sort(values)[min(round(rows * (1 - share)), rows - 1)]
            first = str(least) if values.dtype.kind == "M" else float(least)
        holdout = cls(share, rows, seed, by, first, form)
        mask = holdout.mask(file, rows)
        if mask.all() or not mask.any():
            rest = "none" if mask.all() else "all"
            raise InputError(
                f"With a share of {share:g} {rest} of the {rows:,} rows of {file.name} are left to learn from."
            )
        return holdout

    def mask(self, file: Columns, rows: int) -> np.ndarray:
        """Return which of the rows of a file are held out: bool (rows,)."""
        if self.by is not None:
            column, name = _column(file, self.by), _name(file, self.by)
            form = self.format
            if not form and isinstance(self.first, str):  # older files do not say it
                form = date_format(column, name)
            values = _ordered(column, name, form)
            return np.asarray(values >= np.array(self.first).astype(values.dtype))
        if self.seed is not None:
            return np.random.default_rng(self.seed).random(rows) < self.share
        return np.asarray(np.arange(rows) >= int(self.first or 0))


class KeptRows:
    """Selects the rows that are not held out, of those that `keep` selects; for ``TableFile(keep=...)``.

    Parameters
    ----------
    held_out : (n,) bool
    keep : function of pyarrow.Table -> (n,) bool array, or None
    """

    def __init__(self, held_out: np.ndarray, keep: Any) -> None:
        self.held_out, self.keep, self._done = held_out, keep, 0

    def __call__(self, rows: pa.Table) -> np.ndarray:
        part = self.held_out[self._done : self._done + rows.num_rows]
        self._done = (self._done + rows.num_rows) % len(self.held_out)  # the next pass begins with the first row
        return ~part if self.keep is None else ~part & np.asarray(self.keep(rows), dtype=bool)


def _name_and_format(by: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the column and the format of a text such as ``"day:%d%m%Y"``; a column may have a colon in its name."""
    name, colon, form = by.partition(":")
    if by in names or not colon:
        return by, ""
    from .text_dates import check_format  # loads pandas

    check_format(form)
    return name, form


def _name(file: Columns, by: str) -> str:
    """Return what messages call a column."""
    return f"{file.name}: column '{by}'"


def _column(file: Columns, name: str) -> pa.ChunkedArray:
    """Return a column without missing values."""
    file.check_column(name)
    column = file.column(name)
    if column.null_count:
        raise InputError(
            f"{file.name}: column '{name}' has {column.null_count:,} missing values, so its rows have no order."
        )
    return column


def _ordered(column: pa.ChunkedArray, name: str, form: str) -> np.ndarray:
    """Return a column's numbers (n,) float64 or, in a format or by type, its dates (n,) datetime64."""
    if is_number(column.type) and not form:
        values = np.asarray(column.cast(pa.float64()).to_numpy())
    else:
        values = moments(column, name, form)
    if np.isnan(values).any():
        raise InputError(f"{name} has gaps, so its rows have no order.")
    return values
