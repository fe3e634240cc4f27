"""Dates of rows, and the periods in which they lie."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..errors import InputError

PERIODS = {"year": "Y", "month": "M", "week": "W", "day": "D", "hour": "h"}
"""Name of a period -> NumPy's unit. Weeks are named by their Monday."""
MISSING = "(missing)"


def split_period(by: str, names: Sequence[str]) -> tuple[str, str | None]:
    """Return the column and the period of a text such as ``"day:month"``; a column may have a colon in its name."""
    name, colon, period = by.rpartition(":")
    if by in names or not colon:
        return by, None
    if period not in PERIODS:
        close = difflib.get_close_matches(period, PERIODS, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise InputError(f"'{by}': a period is one of {', '.join(PERIODS)}; got '{period}'.{hint}")
    return name, period


def group_names(column: pa.ChunkedArray, period: str | None, name: str) -> np.ndarray:
    """Return the group of each row as text (n,): its value, or the period of its date.

    Raises
    ------
    InputError
        If there is a period and the values are not dates; `name` is what the message calls the column.
    """
    if period is None:
        return column.cast(pa.string()).fill_null(MISSING).to_numpy(zero_copy_only=False).astype(str)
    dates = moments(column, name)
    if period == "week":
        days = dates.astype("datetime64[D]")
        starts = days - (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    else:
        starts = dates.astype(f"datetime64[{PERIODS[period]}]")
    return np.where(np.isnat(dates), MISSING, starts.astype(str))


def moments(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return a column of dates, also as text in any format that detectors read, as datetime64[us] (n,); gaps are NaT.

    Raises
    ------
    InputError
        If they are not dates; `name` is what the message calls them.
    """
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]"))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        from .text_dates import formats_of, read_texts  # loads pandas

        forms = formats_of(column.unique().drop_null().to_pylist())
        if forms:
            return np.asarray(read_texts(column.to_pandas(), forms[0])).astype("datetime64[us]")
    raise InputError(f"{name} holds no dates, but values such as '{column[0].as_py()}'.")
