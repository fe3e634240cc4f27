"""What kind a table's column is: `infer_kind` decides, `learn_column` learns the column of that kind."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import InputError
from .category import Category, CategoryColumn, check_cardinality, distinct_values, value_family
from .column import Column
from .date import DATE_OBJECTS, DAY, PARTS, DateColumn, is_arrow_date, to_seconds, varies, zone_name
from .dtypes import BOOLEAN, CATEGORY, DATE, NUMBER, OBJECT, dtype_name
from .number import NUMBER_OBJECTS, NumberColumn, spread_values, to_numbers
from .series import drop_advice, inferred_type, plain

Kind = Literal["number", "boolean", "category", "date"]


def infer_kind(name: str | int, series: pd.Series) -> Kind:
    """The kind of a column, by its dtype; for object columns by what pandas infers from the values.

    Raises
    ------
    InputError
        If the column's type cannot be used.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        families = {value_family(value) for value in dtype.categories.tolist()}
        if len(families) > 1 or families - {"text", "number", "boolean"}:
            raise InputError(
                f"Column {name!r} has categories of type {', '.join(sorted(families))}; needed are all texts "
                f"or all numbers. Convert them, or drop the column: X.drop(columns={name!r})."
            )
        return "category"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(dtype) or is_arrow_date(dtype):
        return "date"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    inferred = inferred_type(series)
    if inferred in ("string", "empty"):
        return "category"
    if inferred == "boolean":
        return "boolean"
    if inferred in NUMBER_OBJECTS:
        return "number"
    if inferred in DATE_OBJECTS:
        return "date"
    if inferred.startswith("mixed"):
        found = sorted({type(value).__name__ for value in series.dropna().head(10_000)})
        raise InputError(
            f"Column {name!r} mixes types ({', '.join(found)}). Make them one type, for example "
            f"X[{name!r}] = X[{name!r}].astype(str)."
        )
    hint = f" Convert it: X[{name!r}].dt.total_seconds()." if "timedelta" in inferred else ""
    raise InputError(
        f"Column {name!r} is of type {dtype} ({inferred}), which is not supported.{hint} {drop_advice(name)}"
    )


def learn_column(name: str | int, series: pd.Series, rows: np.ndarray | None) -> tuple[Column, np.ndarray | None]:
    """The column with what is known of it, and its training values if it needs scaling.

    Parameters
    ----------
    name : str or int
    series : (n,) Series
        All values: categories and missing values are known from all of them.
    rows : (m,) int or None
        The training rows; by default all.

    Raises
    ------
    InputError
        If the column's type cannot be used, or it has too many categories.
    """
    kind = infer_kind(name, series)
    missing = bool(series.isna().any())
    if kind == "number":
        x = to_numbers(series)
        whole = types.is_integer_dtype(series.dtype) or inferred_type(series) == "integer"
        dtype = dtype_name(series.dtype, NUMBER, otherwise="float64")
        training = x if rows is None else x[rows]
        return NumberColumn(name, dtype, whole, missing, -1, spread_values(training)), training
    if kind == "date":
        zone = zone_name(series)
        seconds = to_seconds(series, zone)
        training = seconds if rows is None else seconds[rows]
        parts = [part for part in PARTS if varies(training, part)]
        there = training[~np.isnan(training)]
        clock = float(there[0] % DAY) if len(there) else 0.0
        dates_only = inferred_type(series) == "date"
        dtype = dtype_name(series.dtype, DATE, otherwise=OBJECT)
        return DateColumn(name, dtype, zone, dates_only, parts, clock, missing, -1, spread_values(training)), training
    if kind == "boolean":
        dtype = dtype_name(series.dtype, BOOLEAN, otherwise=OBJECT)
        return CategoryColumn(name, dtype, [False, True], missing, kind="boolean"), None
    codes, values = distinct_values(series)
    present = np.bincount(codes, minlength=len(values)) > 0
    categories = [plain(value) for value, used in zip(values, present, strict=True) if used and value is not None]
    check_cardinality(name, categories, len(series))
    levels: list[Category] = []
    ordered = False
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels, ordered = [plain(v) for v in series.dtype.categories.tolist()], bool(series.dtype.ordered)
    categories.sort(key=lambda value: (str(type(value)), value))
    dtype = dtype_name(series.dtype, CATEGORY, otherwise=OBJECT)
    return CategoryColumn(name, dtype, categories, missing, levels, ordered), None
