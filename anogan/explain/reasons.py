"""Reasons for a score in the user's columns and units: a row's value and the values of similar normal rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns import CategoryColumn, Column, DateColumn

LOW, HIGH = 0.05, 0.95  # quantiles between which most values lie
LISTED = 3  # categories
LEAST_SHARE = 0.05  # share of the similar rows from which a category is listed
UNSEEN_GAP = "missing, which did not occur in training"
LEAST_SIZE = 1e-6  # relative to a column's spread; smaller values are rounding errors of a stored zero
_DAY = 86400
_WEEKDAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # from the first of 1970
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """One column that contributed to a row's score. The fields are the columns of `Detector.reasons`' table.

    Attributes
    ----------
    row : int
        Position of the row, counted from 0.
    rank : int
        1 for the column that contributes most.
    column : str or int
        Name of the column.
    share : float
        Share in the contributions of all columns, in (0, 1].
    value
        The row's value as in the user's table; None if missing.
    low, high : float, datetime64 or None
        The 5 % and 95 % quantiles in similar normal rows, for numbers and for dates whose trend is learned; None if all
        values are missing.
    frequent : list of (value, share)
        The most frequent categories in similar normal rows, in descending order; None stands for a missing value.
    text : str
        The reason in words.
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
    """Return the `count` columns with the largest error in each row.

    Parameters
    ----------
    error : DataFrame or (n, d) array
        Non-negative errors.
    count : int

    Returns
    -------
    columns : (n, min(count, d)) int
        Positions of the columns, in descending order of their errors.
    shares : (n, min(count, d)) float
        Shares in the row's total error, in [0, 1].
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
    whose: str = "similar normal rows",
) -> pd.DataFrame:
    """Return a table of `Reason`, ordered by row and rank. Columns whose share is zero are left out.

    Parameters
    ----------
    columns : sequence of Column
        Columns of both tables.
    X : DataFrame of n rows
    normal : DataFrame
        Normal rows that X is compared with.
    order, shares : (n, count)
        Result of `leading`.
    nearest : (n, count, R) int
        Positions of the similar normal rows for each of these columns.
    whose : str
        What the texts call these rows.
    """
    found: list[Reason] = []
    for number in np.unique(order):
        rows, ranks = np.nonzero((order == number) & (shares > 0))
        if len(rows):
            column = columns[number]
            usual = normal.iloc[:, number]
            described = _describe_column(column, X.iloc[rows, number], usual, nearest[rows, ranks], whose)
            for row, rank, share, rest in zip(rows, ranks, shares[rows, ranks], described, strict=True):
                found.append(Reason(int(row), int(rank) + 1, column.name, float(share), *rest))
    found.sort(key=lambda reason: (reason.row, reason.rank))
    names = [field.name for field in fields(Reason)]
    return pd.DataFrame({name: pd.Series([getattr(r, name) for r in found], dtype=_TYPES.get(name)) for name in names})


_TYPES: dict[str, Any] = {"row": np.int64, "rank": np.int64, "share": np.float64} | dict.fromkeys(
    ("column", "value", "low", "high", "frequent", "text"), object
)
_Frequent = list[tuple[Any, float]]
_Description = tuple[Any, Any, Any, _Frequent, str]  # the fields of `Reason` from `value` on
_Usual = tuple[Any, Any, _Frequent, str, str]  # low, high, frequent, the value as text, the usual values as text


def _describe_column(
    column: Column, values: pd.Series, normal: pd.Series, nearest: np.ndarray, whose: str
) -> Iterator[_Description]:
    name = f"column {column.name}" if isinstance(column.name, int) else column.name
    describe_values = _categories if isinstance(column, CategoryColumn) else _numbers
    if isinstance(column, DateColumn) and not column.trend:
        describe_values = _periods
    plain = [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]
    for value, (low, high, frequent, shown, usual) in zip(
        plain, describe_values(column, values, normal, nearest), strict=True
    ):
        yield value, low, high, frequent, f"{name} {shown}; {whose}: {usual}"


def _numbers(column: Any, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Usual]:
    own, usual = column.values(values), _without_rounding(column.values(normal))[nearest]  # (n,), (n, R)
    missing = np.isnan(usual).mean(1)
    present = missing < 1
    bounds = np.full((2, len(usual)), np.nan)
    bounds[:, present] = np.nanquantile(usual[present], (LOW, HIGH), axis=1, method="nearest")
    in_words = _date if isinstance(column, DateColumn) else number_text
    as_value = _moment if isinstance(column, DateColumn) else float
    for value, low, high, absent in zip(own, *bounds, missing, strict=True):
        frequent = [(None, float(absent))] if absent >= LEAST_SHARE else []
        parts = []
        if not np.isnan(low):
            ends = in_words(low), in_words(high)
            parts = [ends[0] if ends[0] == ends[1] else " to ".join(ends)]
        parts += [f"missing ({absent:.0%})"] * bool(frequent)
        limits = (None, None) if np.isnan(low) else (as_value(low), as_value(high))
        shown = in_words(value) if not np.isnan(value) else "missing" if column.missing else UNSEEN_GAP
        yield *limits, frequent, shown, ", ".join(parts)


def _periods(column: Any, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Usual]:
    """Describe dates of which only the time of day, the weekday and the season are learned."""
    own, usual = column.values(values), column.values(normal)[nearest]  # (n,), (n, R)
    for seconds, others in zip(own, usual, strict=True):
        there = others[~np.isnan(others)]
        parts = []
        if "day" in column.parts and len(there):
            low, high = np.quantile(there % _DAY, (LOW, HIGH), method="nearest")
            parts.append(f"{_clock(low)} to {_clock(high)}")
        if "week" in column.parts and len(there):
            parts.append(_frequent_names(_WEEKDAYS, np.floor(there / _DAY).astype(np.int64) % 7))
        if "year" in column.parts and len(there):
            months = there.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
            parts.append(_frequent_names(_MONTHS, months))
        absent = float(np.isnan(others).mean())
        frequent = [(None, absent)] if absent >= LEAST_SHARE else []
        parts += [f"missing ({absent:.0%})"] * bool(frequent)
        shown = "missing"
        if not np.isnan(seconds):
            weekday = _WEEKDAYS[int(seconds // _DAY) % 7] if "week" in column.parts else ""
            shown = f"{weekday} {_date(seconds)}".lstrip()
        yield None, None, frequent, shown, ", ".join(parts)


def _frequent_names(names: Sequence[str], numbers: np.ndarray) -> str:
    shares = np.bincount(numbers, minlength=len(names)) / len(numbers)
    order = np.argsort(-shares, kind="stable")[:LISTED]
    return ", ".join(f"{names[i]} ({shares[i]:.0%})" for i in order if shares[i] >= LEAST_SHARE)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _without_rounding(values: np.ndarray) -> np.ndarray:
    present = values[~np.isnan(values)]
    if not len(present):
        return values
    spread = np.subtract(*np.quantile(present, (0.75, 0.25))) or present.std()
    return np.where(np.abs(values) < LEAST_SIZE * spread, 0.0, values)


def _categories(column: Any, values: pd.Series, normal: pd.Series, nearest: np.ndarray) -> Iterator[_Usual]:
    known = [*column.categories, None]
    usual_places = column.places(normal)[nearest]  # (n, R)
    counts = (usual_places[:, :, None] == np.arange(len(known))).mean(1)  # (n, categories)
    order = np.argsort(-counts, axis=1, kind="stable")[:, :LISTED]
    shares = np.take_along_axis(counts, order, axis=1)
    unseen = column.places(values) < 0
    for value, new, places, parts in zip(values.where(values.notna(), None), unseen, order, shares, strict=True):
        frequent = [(known[p], float(s)) for p, s in zip(places, parts, strict=True) if s >= LEAST_SHARE]
        usual = ", ".join(f"{_category(category)} ({share:.0%})" for category, share in frequent)
        shown = _category(None if pd.isna(value) else value)
        if new:
            shown = UNSEEN_GAP if pd.isna(value) else f"'{value}' did not occur in training"
        yield None, None, frequent, shown, usual or "many different ones"


def _category(value: Any) -> str:
    return "missing" if value is None else str(value)


def number_text(value: float) -> str:
    """Format a number: whole numbers and those from 1000 with thousands separators, others to four digits."""
    size = abs(value)
    if 1000 <= size < 1e15 or (size < 1000 and value == round(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _moment(seconds: float) -> np.datetime64:
    return np.datetime64(round(seconds), "s")


def _date(seconds: float) -> str:
    moment = _moment(seconds)
    return str(moment.astype("datetime64[D]")) if round(seconds) % _DAY == 0 else str(moment).replace("T", " ")[:16]
