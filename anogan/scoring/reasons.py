"""Reasons in the user's own columns and units: what the value was, and what it is in similar normal rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns import CategoryColumn, Column, DateColumn

LOW, HIGH = 0.05, 0.95  # quantiles between which most values lie
LISTED = 3  # categories
LEAST_SHARE = 0.05  # of the similar rows, for a category to be listed
LEAST_SIZE = 1e-6  # of a column's spread; what is smaller is zero, but for the rounding of the kept rows
_DAY = 86400


@dataclass(frozen=True)
class Reason:
    """One column that made a row's score; the fields of `Detector.reasons`.

    Attributes
    ----------
    row : int
        Counted from 0.
    rank : int
        1 for the column that matters most.
    column : str or int
    share : float
        Of what all columns add to the score, in (0, 1].
    value
        As in the user's table; None if missing.
    low, high : float, datetime64 or None
        Of numbers and dates: the 5 % and 95 % quantiles in similar normal rows; None if all miss it.
    frequent : list of (value, share)
        Of the similar normal rows, most frequent first: categories, and None where the value is missing.
    text : str
        All of it in words.
    """

    row: int
    rank: int
    column: str | int
    share: float
    value: Any
    low: Any
    high: Any
    frequent: list[tuple[Any, float]]
    text: str


def leading(error: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` columns with the largest error in each row.

    Parameters
    ----------
    error : DataFrame or (n, d) array
        Non-negative.
    count : int

    Returns
    -------
    columns : (n, min(count, d)) int
        Positions, largest error first.
    shares : (n, min(count, d)) float
        Of the row's whole error, in [0, 1].
    """
    values = np.asarray(error, dtype=np.float64)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    total = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return order, np.take_along_axis(shares, order, axis=1)


def describe(
    columns: Sequence[Column],
    X: pd.DataFrame,
    normal: pd.DataFrame,
    order: np.ndarray,
    shares: np.ndarray,
    nearest: np.ndarray,
) -> pd.DataFrame:
    """A line for each reason, ordered by row and rank; columns without a share are no reason.

    Parameters
    ----------
    columns : of both tables
    X : n rows
    normal : normal rows to compare with
    order, shares : (n, count)
        See `leading`.
    nearest : (n, count, R) int
        For each of these columns the positions of the similar normal rows.
    """
    found: list[Reason] = []
    for number in np.unique(order):
        rows, ranks = np.nonzero((order == number) & (shares > 0))
        if len(rows):
            column = columns[number]
            told = _of_column(column, X.iloc[rows, number], normal.iloc[:, number], nearest[rows, ranks])
            for row, rank, share, rest in zip(rows, ranks, shares[rows, ranks], told, strict=True):
                found.append(Reason(int(row), int(rank) + 1, column.name, float(share), *rest))
    found.sort(key=lambda reason: (reason.row, reason.rank))
    names = [field.name for field in fields(Reason)]
    return pd.DataFrame({name: pd.Series([getattr(r, name) for r in found], dtype=_TYPES.get(name)) for name in names})


_TYPES: dict[str, Any] = {"row": np.int64, "rank": np.int64, "share": np.float64} | dict.fromkeys(
    ("column", "value", "low", "high", "frequent", "text"), object
)
_Frequent = list[tuple[Any, float]]
_Description = tuple[Any, Any, Any, _Frequent, str]  # from `Reason.value` on
_Usual = tuple[Any, Any, _Frequent, str, str]  # low, high, frequent, the value in words, the usual ones in words


def _of_column(column: Column, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Description]:
    name = f"column {column.name}" if isinstance(column.name, int) else column.name
    tell_values = _categories if isinstance(column, CategoryColumn) else _numbers
    plain = [None if gone else value for value, gone in zip(values.tolist(), values.isna(), strict=True)]
    for value, (low, high, frequent, shown, usual) in zip(
        plain, tell_values(column, values, normal, nearest), strict=True
    ):
        yield value, low, high, frequent, f"{name} {shown}; similar normal rows: {usual}"


def _numbers(column: Any, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Usual]:
    own, seen = column.values(values), _without_rounding(column.values(normal))[nearest]  # (n,), (n, R)
    missing = np.isnan(seen).mean(1)
    there = missing < 1
    bounds = np.full((2, len(seen)), np.nan)
    bounds[:, there] = np.nanquantile(seen[there], (LOW, HIGH), axis=1, method="nearest")
    in_words = _date if isinstance(column, DateColumn) else number_text
    as_value = _moment if isinstance(column, DateColumn) else float
    for value, low, high, gone in zip(own, *bounds, missing, strict=True):
        frequent = [(None, float(gone))] if gone >= LEAST_SHARE else []
        parts = []
        if not np.isnan(low):
            ends = in_words(low), in_words(high)
            parts = [ends[0] if ends[0] == ends[1] else " to ".join(ends)]
        parts += [f"missing ({gone:.0%})"] * bool(frequent)
        limits = (None, None) if np.isnan(low) else (as_value(low), as_value(high))
        yield *limits, frequent, "missing" if np.isnan(value) else in_words(value), ", ".join(parts)


def _without_rounding(values: np.ndarray) -> np.ndarray:
    present = values[~np.isnan(values)]
    if not len(present):
        return values
    spread = np.subtract(*np.quantile(present, (0.75, 0.25))) or present.std()
    return np.where(np.abs(values) < LEAST_SIZE * spread, 0.0, values)


def _categories(column: Any, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Usual]:
    known = [*column.categories, None]
    seen = column.places(normal)[nearest]  # (n, R)
    counts = (seen[:, :, None] == np.arange(len(known))).mean(1)  # (n, categories)
    order = np.argsort(-counts, axis=1, kind="stable")[:, :LISTED]
    shares = np.take_along_axis(counts, order, axis=1)
    for value, places, parts in zip(values.where(values.notna(), None), order, shares, strict=True):
        frequent = [(known[p], float(s)) for p, s in zip(places, parts, strict=True) if s >= LEAST_SHARE]
        usual = ", ".join(f"{_category(category)} ({share:.0%})" for category, share in frequent)
        yield None, None, frequent, _category(None if pd.isna(value) else value), usual or "many different ones"


def _category(value: Any) -> str:
    return "missing" if value is None else str(value)


def number_text(value: float) -> str:
    """A number for people: whole ones and those from 1000 up with thousands apart, others to four digits."""
    size = abs(value)
    if 1000 <= size < 1e15 or (size < 1000 and value == round(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _moment(seconds: float) -> np.datetime64:
    return np.datetime64(round(seconds), "s")


def _date(seconds: float) -> str:
    moment = _moment(seconds)
    return str(moment.astype("datetime64[D]")) if round(seconds) % _DAY == 0 else str(moment).replace("T", " ")[:16]
