"""One table column of each kind: how it is read, coded as numbers, and restored."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api import types

from ..errors import InputError
from .scaling import NumericScaler

MAX_CATEGORIES = 1000
MAX_DISTINCT_SHARE = 0.5
FEW_CATEGORIES = 50

_DAY = 86400.0
_YEAR = 365.2425 * _DAY
_NANOSECOND_RANGE = (-9.2e9, 9.2e9)  # seconds around 1970 that 64 bits of nanoseconds hold: 1678 to 2261
_CALENDAR_RANGE = (-6.2e10, 2.5e11)  # years 6 to 9892
_NUMBER_OBJECTS = ("integer", "floating", "mixed-integer-float", "decimal")
_DATE_OBJECTS = ("date", "datetime", "datetime64")
Category = str | int | float | bool


@dataclass
class NumberColumn:
    """A numeric column: one scaled value, and a missing-indicator where fit saw missing values."""

    name: str | int
    dtype: str
    integer: bool
    missing: bool
    channel: int
    kind: str = "number"

    @property
    def width(self) -> int:
        return 1 + self.missing

    @property
    def spans(self) -> list[tuple[int, int]]:
        return []

    @property
    def arrow_type(self) -> str:
        return "double"

    def values(self, series: pd.Series) -> np.ndarray:
        """(n,) float64, NaN = missing; `InputError` for text, dates and infinities."""
        return _numbers(series)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> None:
        """Write the code of `series` into `out` (n, width)."""
        _encode_number(self.name, self.values(series), self.missing, self.channel, out, scaler)

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> the column in the user's unit and dtype."""
        x = scaler.inverse_column(self.channel, code[:, 0])
        if self.integer:
            x = np.rint(x)
        gone = code[:, 1] > 0.5 if self.missing else np.zeros(len(x), dtype=bool)
        if self.dtype == "object":
            values = _as_integer(x, np.dtype(np.int64)) if self.integer else x
            return pd.Series(values).astype(object).mask(gone, None)
        dtype = _dtype(self.dtype)
        numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
        if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "iu":
            exact = _as_integer(x, numpy_dtype)
            return pd.Series(exact).astype(dtype).mask(gone)
        with np.errstate(over="ignore"):
            return pd.Series(np.where(gone, np.nan, x)).astype(dtype)


@dataclass
class CategoryColumn:
    """A categorical, text or boolean column: a one-hot group; missing is a category if fit saw it."""

    name: str | int
    dtype: str
    categories: list[Category]
    missing: bool
    levels: list[Category] = field(default_factory=list)
    ordered: bool = False
    kind: str = "category"

    @property
    def width(self) -> int:
        return len(self.categories) + self.missing

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [(0, self.width)]

    @property
    def arrow_type(self) -> str:
        if self.kind == "boolean":
            return "bool"
        return "string" if _family_of(self.categories) in ("text", "none") else "double"

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> None:
        """Write the code of `series` into `out` (n, width), which is zero; unseen values stay all zero."""
        places = self.places(series)
        known = np.flatnonzero(places >= 0)
        out[known, places[known]] = 1.0

    def places(self, series: pd.Series) -> np.ndarray:
        """The place of each value in the one-hot group: (n,) int, -1 for unseen ones."""
        codes, values = _distinct(series)
        return self._slots(values)[codes]

    def decode(self, code: np.ndarray, scaler: NumericScaler | None) -> pd.Series:
        """(n, width) -> the most probable category of each row, in the user's dtype."""
        slot = code.argmax(axis=1)
        if self.dtype == "category":
            if not self.levels:
                return pd.Series(pd.Categorical([None] * len(code)))
            position = [self.levels.index(category) for category in self.categories] + [-1]
            codes = np.array(position)[slot]
            return pd.Series(pd.Categorical.from_codes(codes, categories=self.levels, ordered=self.ordered))
        values: list[Any] = [*self.categories, None] if self.missing else list(self.categories)
        return pd.Series(values, dtype=_dtype(self.dtype)).take(slot).reset_index(drop=True)

    def unseen(self, series: pd.Series) -> dict[Any, int]:
        """Values that fit never saw, with their counts; a missing value is reported as None."""
        codes, values = _distinct(series)
        strange = self._slots(values) < 0
        if not strange.any():
            return {}
        counts = np.bincount(codes, minlength=len(values))
        return {values[i]: int(counts[i]) for i in np.flatnonzero(strange) if counts[i]}

    def _slots(self, values: list[Any]) -> np.ndarray:
        """The place of each distinct value in the one-hot group, -1 where fit never saw it."""
        family = _family_of(self.categories)
        place: dict[Any, int] = {category: i for i, category in enumerate(self.categories)}
        if self.missing:
            place[None] = len(self.categories)
        for value in values:
            if value is None:
                continue
            if self.kind == "boolean":
                if value not in place:
                    raise _type_changed(self.name, "true/false values", value)
            elif family != "none" and _family(value) != family:
                raise _type_changed(self.name, "text" if family == "text" else f"{family} categories", value)
        return np.array([place.get(value, -1) for value in values], dtype=np.int64)


@dataclass
class DateColumn:
    """A date column: the scaled time, a missing-indicator, a circle per period that varies in training."""

    name: str | int
    dtype: str
    zone: str
    dates_only: bool
    parts: list[str]
    time_of_day: float
    missing: bool
    channel: int
    kind: str = "date"

    @property
    def width(self) -> int:
        return 1 + self.missing + 2 * len(self.parts)

    @property
    def spans(self) -> list[tuple[int, int]]:
        return []

    @property
    def arrow_type(self) -> str:
        return "timestamp[us, tz=UTC]" if self.zone else "timestamp[us]"

    def values(self, series: pd.Series) -> np.ndarray:
        """(n,) float64 seconds of wall-clock time since 1970, NaN = missing."""
        return _seconds(series, self.zone)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> None:
        """Write the code of `series` into `out` (n, width)."""
        seconds = self.values(series)
        base = 1 + self.missing
        _encode_number(self.name, seconds, self.missing, self.channel, out[:, :base], scaler)
        for i, part in enumerate(self.parts):
            angle = 2 * np.pi * _phase(seconds, part)
            there = ~np.isnan(seconds)  # a missing date sits in the middle of the circle
            out[there, base + 2 * i] = np.sin(angle[there])
            out[there, base + 2 * i + 1] = np.cos(angle[there])

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> dates; the day comes from the trend, the time of day from its circle."""
        trend = scaler.inverse_column(self.channel, code[:, 0])
        clock = np.full(len(trend), self.time_of_day)
        if "day" in self.parts:
            at = 1 + self.missing + 2 * self.parts.index("day")
            clock = (np.arctan2(code[:, at], code[:, at + 1]) / (2 * np.pi)) % 1.0 * _DAY
        seconds = np.rint((trend - clock) / _DAY) * _DAY + clock
        low, high = _NANOSECOND_RANGE if "[ns" in self.dtype else _CALENDAR_RANGE
        micro = np.rint(np.clip(np.nan_to_num(seconds), low, high) * 1e6).astype(np.int64)
        gone = np.isnan(seconds)
        if self.missing:
            gone |= code[:, 1] > 0.5
        dates = pd.Series(micro.view("datetime64[us]")).mask(gone)
        if self.zone:
            first = np.ones(len(dates), dtype=bool)  # of two equal wall-clock times the summer one
            dates = dates.dt.tz_localize(self.zone, ambiguous=first, nonexistent="shift_forward")
        if self.dtype == "object":
            return (dates.dt.date if self.dates_only else dates).astype(object)
        return dates.astype(_dtype(self.dtype))


Column = NumberColumn | CategoryColumn | DateColumn


def learn_column(name: str | int, series: pd.Series, rows: np.ndarray | None) -> tuple[Column, np.ndarray | None]:
    """The column's kind and what is known of it, and its training values if it needs scaling.

    Raises
    ------
    InputError
        If the column's type cannot be used, or it has too many categories to be one.
    """
    kind = _kind(name, series)
    missing = bool(series.isna().any())
    dtype = str(series.dtype)
    if kind == "number":
        x = _numbers(series)
        whole = types.is_integer_dtype(series.dtype) or _inferred(series) == "integer"
        return NumberColumn(name, dtype, whole, missing, -1), x if rows is None else x[rows]
    if kind == "date":
        zone = _zone(series)
        seconds = _seconds(series, zone)
        training = seconds if rows is None else seconds[rows]
        parts = [part for part in ("day", "week", "year") if _varies(training, part)]
        there = training[~np.isnan(training)]
        clock = float(there[0] % _DAY) if len(there) else 0.0
        dates_only = _inferred(series) == "date"
        return DateColumn(name, dtype, zone, dates_only, parts, clock, missing, -1), training
    if kind == "boolean":
        return CategoryColumn(name, dtype, [False, True], missing, kind="boolean"), None
    codes, values = _distinct(series)
    present = np.bincount(codes, minlength=len(values)) > 0
    categories = [_plain(value) for value, used in zip(values, present, strict=True) if used and value is not None]
    check_cardinality(name, categories, len(series))
    levels: list[Category] = []
    ordered = False
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels, ordered = [_plain(v) for v in series.dtype.categories.tolist()], bool(series.dtype.ordered)
    categories.sort(key=lambda value: (str(type(value)), value))
    return CategoryColumn(name, dtype, categories, missing, levels, ordered), None


def _kind(name: str | int, series: pd.Series) -> str:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        families = {_family(value) for value in dtype.categories.tolist()}
        if len(families) > 1 or families - {"text", "number", "boolean"}:
            raise InputError(
                f"Column {name!r} has categories of type {', '.join(sorted(families))}; needed are all texts "
                f"or all numbers. Convert them, or drop the column: X.drop(columns={name!r})."
            )
        return "category"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(dtype) or _is_arrow_date(dtype):
        return "date"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    inferred = _inferred(series)
    if inferred in ("string", "empty"):
        return "category"
    if inferred == "boolean":
        return "boolean"
    if inferred in _NUMBER_OBJECTS:
        return "number"
    if inferred in _DATE_OBJECTS:
        return "date"
    if inferred.startswith("mixed"):
        found = sorted({type(value).__name__ for value in series.dropna().head(10_000)})
        raise InputError(
            f"Column {name!r} mixes types ({', '.join(found)}). Make them one type, for example "
            f"X[{name!r}] = X[{name!r}].astype(str)."
        )
    hint = f" Convert it: X[{name!r}].dt.total_seconds()." if "timedelta" in inferred else ""
    raise InputError(f"Column {name!r} is of type {dtype} ({inferred}), which is not supported.{hint} {_drop(name)}")


def check_cardinality(name: str | int, categories: list[Category], n: int) -> None:
    """Raise `InputError` if these are too many distinct values of `n` rows to be one-hot groups."""
    distinct = len(categories)
    if distinct > MAX_CATEGORIES or (distinct > FEW_CATEGORIES and distinct > MAX_DISTINCT_SHARE * n):
        sample = categories[0]
        raise InputError(
            f"Column {name!r} has {distinct} distinct values in {n} rows (such as {sample!r}); at most "
            f"{MAX_CATEGORIES} categories, and half as many as rows, can be learned. {_drop(name)} "
            "If it holds numbers or dates as text, convert it; if it has rare categories, group them."
        )


def _drop(name: str | int) -> str:
    return f"Drop the column: X.drop(columns={name!r})."


def _encode_number(
    name: str | int, x: np.ndarray, missing: bool, channel: int, out: np.ndarray, scaler: NumericScaler
) -> None:
    gone = np.isnan(x)
    count = int(gone.sum())
    if count and not missing:
        raise InputError(
            f"Column {name!r} has {count} missing (NaN) value(s), but had none when the model was fitted. "
            "Fill them, leave those rows out, or fit on data with missing values in this column."
        )
    z = scaler.column(channel, x)
    if count:
        z[gone] = scaler.fill_[channel]
    out[:, 0] = z
    if missing:
        out[:, 1] = gone


def _type_changed(name: Any, expected: str, sample: Any) -> InputError:
    return InputError(
        f"Column {name!r} changed type: the model was fitted on {expected}, but X has {sample!r} "
        f"({type(sample).__name__}). Convert the column, or fit again."
    )


def _sample(series: pd.Series) -> Any:
    return _plain(series.dropna().iloc[0])


def _inferred(series: pd.Series) -> str:
    """What an object column holds, by pandas' own reckoning."""
    return str(types.infer_dtype(series, skipna=True))


def _numbers(series: pd.Series) -> np.ndarray:
    name, dtype = series.name, series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        series = series.astype(dtype.categories.dtype)
        dtype = series.dtype
    plain = types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)
    if not plain:
        if series.isna().all():
            return np.full(len(series), np.nan)
        if not types.is_object_dtype(dtype) or _inferred(series) not in (*_NUMBER_OBJECTS, "boolean"):
            text = next((v for v in series.dropna().head(100_000) if not isinstance(v, (int, float))), None)
            raise _type_changed(name, "numbers", _sample(series) if text is None else _plain(text))
        series = pd.to_numeric(series)
    x = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    infinite = int(np.isinf(x).sum())
    if infinite:
        raise InputError(f"Column {name!r} contains infinity in {infinite} row(s). Replace or remove those values.")
    return x


def _is_arrow_date(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and (dtype.kind == "M" or str(dtype).startswith("date32"))


def _dates(series: pd.Series) -> pd.Series:
    """The column as datetime64, aware or naive."""
    name = series.name
    if series.isna().all() and not types.is_datetime64_any_dtype(series.dtype):
        return pd.Series(np.full(len(series), np.datetime64("NaT"), dtype="datetime64[us]"))
    if types.is_datetime64_any_dtype(series.dtype) and not isinstance(series.dtype, pd.ArrowDtype):
        return series
    if _is_arrow_date(series.dtype) or (types.is_object_dtype(series.dtype) and _inferred(series) in _DATE_OBJECTS):
        try:
            return pd.to_datetime(pd.Series(series.to_numpy(dtype=object, na_value=None)))
        except (TypeError, ValueError) as error:
            raise InputError(f"Column {name!r} holds dates that cannot be put on one time line: {error}") from error
    raise _type_changed(name, "dates", _sample(series))


def _zone(series: pd.Series) -> str:
    zone = _dates(series).dt.tz
    return "" if zone is None else str(zone)


def _seconds(series: pd.Series, zone: str) -> np.ndarray:
    dates = _dates(series)
    aware = dates.dt.tz is not None
    if aware != bool(zone) and not dates.isna().all():
        got, needed = ("with a time zone", "without") if aware else ("without a time zone", "with one")
        raise InputError(
            f"Column {series.name!r} has dates {got}; the model was fitted on dates {needed}. Use .dt.tz_localize."
        )
    if aware:
        dates = (dates.dt.tz_convert(zone) if zone else dates).dt.tz_localize(None)
    stamps = dates.to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.view(np.int64) / 1e6)


def _phase(seconds: np.ndarray, part: str) -> np.ndarray:
    """Where in its period each time is, in [0, 1)."""
    if part == "day":
        return (seconds % _DAY) / _DAY
    if part == "week":
        return (np.floor(seconds / _DAY) % 7) / 7
    return (seconds % _YEAR) / _YEAR


def _varies(seconds: np.ndarray, part: str) -> bool:
    seconds = seconds[~np.isnan(seconds)]
    if not len(seconds):
        return False
    if part == "year":  # within one year its phase says what the trend says already
        return bool(np.ptp(seconds) >= _YEAR)
    return bool(np.ptp(_phase(seconds, part)) > 0)


def _distinct(series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Code of each row and the distinct values as plain Python objects, None for missing."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        values = [_plain(value) for value in series.cat.categories.tolist()]
    else:
        codes, uniques = pd.factorize(series, use_na_sentinel=True)
        values = [_plain(value) for value in uniques.tolist()]
    gone = codes < 0
    if gone.any():
        codes = np.where(gone, len(values), codes)
        values.append(None)
    return codes, values


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "date" if isinstance(value, datetime.date) else type(value).__name__


def _family_of(categories: list[Category]) -> str:
    return _family(categories[0]) if categories else "none"


def _dtype(name: str) -> Any:
    """The pandas dtype of this name; pandas itself takes arrow's text for its own."""
    if name in ("string[pyarrow]", "large_string[pyarrow]"):
        return pd.ArrowDtype(pa.type_for_alias(name.removesuffix("[pyarrow]")))
    return types.pandas_dtype(name)


def _as_integer(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round-tripped through float64, so the largest integers are approached from inside."""
    bounds = np.iinfo(dtype)
    high = np.nextafter(float(bounds.max), 0.0) if bounds.bits == 64 else float(bounds.max)
    return np.clip(np.nan_to_num(x), float(bounds.min), high).astype(dtype)
