"""Whether new rows are unlike training as a whole: beyond its range, or dates without a time of day."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...sources.notes import ColumnNote
from ...sources.text_dates import has_day
from ..range_counter import Beyond
from ..scaling import ROUNDED_CONSTANT
from .column import Column
from .date import DAY, DateColumn
from .number import NO_RANGE, NumberColumn

LEAST_SHARE = 0.1
"""Share of the rows beyond the range from which on it is said."""
ROUNDING = 2.0**-20  # relative to the range's greater end
ROUNDING_IN_RANGE = 1e-3  # of the range's width, at most
_CLOCK = "\0clock "
"""Begins the name under which the dates of a column are counted that are at midnight."""
_NO_CLOCK_CHANCE = 0.01  # of a false note about dates without a time of day
_CHANCE = 1e-6  # of a false note about rows of the same distribution as training
_EXACT_ROWS = 1000  # up to which the distribution of the number of rows is computed exactly


def count_beyond(columns: Iterable[Column], X: Any) -> dict[str | int, Beyond]:
    """Count the values of a DataFrame beyond the range of training, for columns of numbers and dates.

    The dates at midnight are counted too, where the time of day is learned. Equal dates count once, because many rows
    of the same hour are no more surprising at midnight than one.
    """
    found = {}
    for column in columns:
        if isinstance(column, NumberColumn | DateColumn):
            values = column.values(X[column.name])
            found[column.name] = count_beyond_in(column, values)
            if _has_clock(column):
                times = pd.unique(values[~np.isnan(values)])
                found[f"{_CLOCK}{column.name}"] = Beyond(len(times), int(np.count_nonzero(times % DAY == 0)))
    return found


def count_beyond_in(column: NumberColumn | DateColumn, values: np.ndarray) -> Beyond:
    """Count the values ``(n,)`` of a column beyond its range of training, NaN = missing.

    Numbers that are beyond it by rounding, to single precision or to few decimals, do not count.
    """
    rounding = _rounding(column.low, column.high) if isinstance(column, NumberColumn) else 0.0
    beyond = int(np.count_nonzero((values < column.low - rounding) | (values > column.high + rounding)))
    return Beyond(len(values) - int(np.isnan(values).sum()), beyond)


def rounded_outwards(low: float, high: float) -> tuple[float, float]:
    """Return a range with ends of about two digits that contains this one; an empty or infinite one stays as it is."""
    width = high - low
    if not 0 < width < math.inf:
        return low, high
    step = 10.0 ** (math.floor(math.log10(width)) - 1)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def range_notes(columns: Iterable[Column], counts: Mapping[str | int, Beyond], rows: int) -> list[ColumnNote]:
    """Return a note for each column with more values beyond the range than rows of the same distribution have.

    Columns of dates in which no row has a time of day, unlike in training, have a note too: such dates are read as
    midnight.

    Parameters
    ----------
    columns : Column
        The fitted columns.
    counts : dict
        Column name -> its values in the new rows.
    rows : int
        Number of training rows.
    """
    notes = []
    for column in columns:
        clock = counts.get(f"{_CLOCK}{column.name}", Beyond(0, 0))
        if isinstance(column, DateColumn) and clock.values and _lacks_clock(column, clock):
            there = counts[column.name].values
            which = "in its only row" if there == 1 else f"in all {there:,} rows"
            seen = (
                f"is at midnight {which}, as dates without a time of day are read, but the model learned times of day"
            )
            advice = "If the times are missing, add them: the scores are those of rows at midnight."
            notes.append(ColumnNote(column.name, seen, advice, advice))
        found = counts.get(column.name)
        if found is None or not _too_many(found, rows):
            continue
        which = f"all {found.values:,}" if found.beyond == found.values else f"{found.beyond:,} of {found.values:,}"
        trained = _shown(column)
        advice = "The model knows nothing about such rows: fit again with some of them if they are normal."
        seen = f"lies beyond the range of training ({trained}) in {which} rows"
        notes.append(ColumnNote(column.name, seen, advice, advice))
    return notes


def _rounding(low: float, high: float) -> float:
    """Return by how much numbers of a range may lie beyond it by rounding."""
    if low == high:
        return 0.0 if low.is_integer() else ROUNDED_CONSTANT * abs(low)
    return max(min(ROUNDING * max(abs(low), abs(high)), ROUNDING_IN_RANGE * (high - low)), 0.0)  # also of `NO_RANGE`


def _has_clock(column: NumberColumn | DateColumn) -> bool:
    """Whether these are dates, and their time of day is learned."""
    return (
        isinstance(column, DateColumn)
        and "day" in column.parts
        and (not column.format or has_day(column.format))  # the others are times of day alone
    )


def _lacks_clock(column: DateColumn, found: Beyond) -> bool:
    """Whether all dates are at midnight, and hardly by chance."""
    return found.beyond == found.values and column.midnights**found.values < _NO_CLOCK_CHANCE


def _too_many(found: Beyond, rows: int) -> bool:
    """Whether so many values beyond the range of `rows` exchangeable others are no chance.

    Of `m` new values, the number beyond the least and the greatest of `n` others is beta-binomial (m, 2, n - 1).
    """
    if rows < 2 or found.beyond < LEAST_SHARE * max(found.values, 1):
        return False
    from scipy import stats  # slow to load

    if found.values <= _EXACT_ROWS:
        chance = stats.betabinom(found.values, 2, rows - 1).sf(found.beyond - 1)
    else:
        chance = stats.beta(2, rows - 1).sf(found.beyond / found.values)
    return bool(chance < _CHANCE)


def _shown(column: Any) -> str:
    """Return the range of training as text."""
    if (column.low, column.high) == NO_RANGE:
        return "no value"
    if isinstance(column, DateColumn):
        low, high = (str(np.datetime64(round(seconds), "s")).replace("T", " ") for seconds in (column.low, column.high))
        if low.endswith("00:00:00") and high.endswith("00:00:00"):
            return f"{low[:10]} to {high[:10]}"
        return f"{low[:16]} to {high[:16]}"
    low, high = (f"{value:,.10g}" for value in (column.low, column.high))
    if low == high and column.low != column.high:
        low, high = repr(column.low), repr(column.high)
    return f"{low} to {high}"
