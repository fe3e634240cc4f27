"""Dates of rows, and the periods in which they lie."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..errors import ColumnWarning, InputError

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
    dates = moments(column, name, date_format(column, name))
    if period == "week":
        days = dates.astype("datetime64[D]")
        starts = days - (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    else:
        starts = dates.astype(f"datetime64[{PERIODS[period]}]")
    return np.where(np.isnat(dates), MISSING, starts.astype(str))


def date_format(
    column: pa.ChunkedArray,
    name: str,
    python: str = "If they are FORMAT, write them as 2024-01-31.",
    shell: str = "If they are FORMAT, write them as 2024-01-31.",
) -> str:
    """Return the format in which a column holds dates as texts or numbers, as detectors recognise it; "" if none.

    Parameters
    ----------
    column : (n,) ChunkedArray
    name : str
        What messages call the column.
    python, shell : str
        What to do if nothing decides between two formats, which is said in a `ColumnWarning`; the other one takes the
        place of ``FORMAT``.
    """
    from .text_dates import formats_of, numeric_formats_of  # loads pandas

    values = column.unique().drop_null()
    if _is_text(column.type):
        found = formats_of(values.to_pylist())
    elif is_number(column.type):
        found = numeric_formats_of(values.cast(pa.float64()).to_numpy(), dated=True)
    else:
        return ""
    if len(found) > 1:
        first, other = found[:2]
        seen = f"{name} holds dates such as {values[0].as_py()!r}; they are read as {first}, but may be {other} too. "
        python, shell = (seen + advice.replace("FORMAT", other) for advice in (python, shell))
        warnings.warn(ColumnWarning(python, shell), stacklevel=2)
    return found[0] if found else ""


def moments(column: pa.ChunkedArray, name: str, form: str) -> np.ndarray:
    """Return a column of dates as datetime64[us] (n,); gaps are NaT.

    Parameters
    ----------
    column : (n,) ChunkedArray
    name : str
        What messages call the column.
    form : str
        The format of dates as texts or numbers; "" for dates by type.

    Raises
    ------
    InputError
        They are not dates, or not in the format.
    """
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]"))
    if not form:
        raise InputError(f"{name} holds no dates, but values such as '{column[0].as_py()}'.")
    from .text_dates import read_numbers, read_texts  # loads pandas

    try:
        if _is_text(column.type):
            dates = read_texts(column.to_pandas(), form)
        else:
            dates = read_numbers(column.cast(pa.float64()).to_numpy(), form)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name} holds values that are no dates in the format {form!r}: {error}") from None
    return np.asarray(dates).astype("datetime64[us]")


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
