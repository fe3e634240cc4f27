"""Rows of a table file that a fit leaves out, so that it can be evaluated with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .periods import moments


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
    """

    share: float
    rows: int
    seed: int | None = None
    by: str | None = None
    first: int | float | str | None = None

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
        if by is None:
            rows = file.total or len(file.column(file.names[0]))
            first = None if seed is not None else round(rows * (1 - share))
        else:
            values = _ordered(file, by)
            rows = len(values)
            least = np.sort(values)[min(round(rows * (1 - share)), rows - 1)]
            first = str(least) if values.dtype.kind == "M" else float(least)
        holdout = cls(share, rows, seed, by, first)
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
            values = _ordered(file, self.by)
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


def _ordered(file: Columns, name: str) -> np.ndarray:
    """Return a column's numbers (n,) float64 or dates (n,) datetime64."""
    file.check_column(name)
    column = file.column(name)
    if column.null_count:
        raise InputError(
            f"{file.name}: column '{name}' has {column.null_count:,} missing values, so its rows have no order."
        )
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy())
    values = moments(column, f"{file.name}: column '{name}'")
    if np.isnat(values).any():
        raise InputError(f"{file.name}: column '{name}' has gaps, so its rows have no order.")
    return values
