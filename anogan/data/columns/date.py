"""Date columns: sine and cosine of the periods that vary, and on request the time itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import FormatError, InputError
from ...sources.text_dates import (
    ISO,
    ISO_ANY,
    NUMERIC_FORMATS,
    check_format,
    has_day,
    has_weekday,
    read_numbers,
    read_texts,
    write,
)
from ..scaling import NumericScaler
from ..state import State, StateReader
from .dtypes import DATE, NUMBER, OBJECT, TEXT, ZONE, dtype_of
from .number import SPREAD, encode_missing, encode_number, to_numbers
from .series import first_value, inferred_type, plain, type_changed

PARTS = ("day", "week", "year")
"""The periods whose phase is part of a code."""

DATE_OBJECTS = ("date", "datetime", "datetime64")
"""What pandas infers for object columns that hold dates."""

DAY = 86400.0
"""Seconds in a day."""

YEAR = 365.2425 * DAY
_COVERED = {"day": 0.95 * DAY, "week": 6 * DAY, "year": 354 * DAY}
"""Seconds from the first to the last date of training from which on a period counts as covered."""
_NANOSECOND_RANGE = (-9.2e9, 9.2e9)  # seconds around 1970 that 64 bits of nanoseconds hold: 1678 to 2261
_CALENDAR_RANGE = (-6.2e10, 2.5e11)  # years 6 to 9892


@dataclass
class DateColumn:
    """A date column: a circle per period that varies in training; with `trend` the scaled time too.

    Attributes
    ----------
    name : str or int
    dtype : str
        The name of the user's dtype.
    zone : str
        The name of the time zone; "" for dates without one.
    dates_only : bool
        Whether an object column holds dates without a time.
    parts : list of {"day", "week", "year"}
        The periods that vary and that training covers.
    time_of_day : float
        Seconds since midnight of restored dates where "day" is not among `parts`, in [0, 86400).
    missing : bool
        Whether the column may have missing values.
    channel : int
        The column's number in the `NumericScaler`; -1 without a trend.
    known : list of float
        Result of `spread_values`, in seconds.
    format : str
        How the dates are written as texts or numbers, see `anogan.sources.text_dates`; "" for dates by dtype.
    low, high : float
        The first and the last training date in seconds since 1970; `NO_RANGE` if there is none.
    midnights : float
        Share of dates at midnight to expect among others like those of training, in (0, 1]: (m + 1) / (n + 1) for
        m of n dates at midnight. 1 in older files, which do not say it.
    """

    name: str | int
    dtype: str
    zone: str
    dates_only: bool
    parts: list[str]
    time_of_day: float
    missing: bool
    channel: int = -1
    known: list[float] = field(default_factory=list)
    format: str = ""
    low: float = 0.0
    high: float = 0.0
    midnights: float = 1.0
    kind: str = "date"

    @property
    def trend(self) -> bool:
        """Whether the time itself is learned."""
        return self.channel >= 0

    @property
    def width(self) -> int:
        return self.trend + self.missing + 2 * len(self.parts)

    @property
    def spans(self) -> list[tuple[int, int]]:
        return []

    @property
    def arrow_type(self) -> str:
        if self.format:
            return "double" if self.format in NUMERIC_FORMATS or _is_number(self.dtype) else "string"
        return "timestamp[us, tz=UTC]" if self.zone else "timestamp[us]"

    def values(self, series: pd.Series) -> np.ndarray:
        """(n,) float64 seconds of wall-clock time since 1970, NaN = missing."""
        return to_seconds(series, self.zone, self.format)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        """Write the code of `series` into `out` (n, width); return which dates are unseen: (n,) bool."""
        return self._encode(self.values(series), out, scaler)

    def known_codes(self, scaler: NumericScaler) -> np.ndarray:
        """The code of each of the dates in `known`: (k, width)."""
        codes = np.zeros((len(self.known), self.width))
        self._encode(np.array(self.known), codes, scaler)
        return codes

    def _encode(self, seconds: np.ndarray, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        base = self.trend + self.missing
        if self.trend:
            unseen = encode_number(seconds, self.missing, self.channel, out[:, :base], scaler)
        else:
            unseen = encode_missing(seconds, self.missing, out[:, :base])
        for i, part in enumerate(self.parts):
            angle = 2 * np.pi * _phase(seconds, part)
            there = ~np.isnan(seconds)  # a missing date sits in the middle of the circle
            out[there, base + 2 * i] = np.sin(angle[there])
            out[there, base + 2 * i + 1] = np.cos(angle[there])
        return unseen

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> dates. Without a trend they are dates in the middle of training that have the same phases."""
        phases = {part: self._phase_in(code, i) for i, part in enumerate(self.parts)}
        clock = phases["day"] * DAY if "day" in phases else np.full(len(code), self.time_of_day)
        if self.trend:
            days = np.rint((scaler.inverse_column(self.channel, code[:, 0]) - clock) / DAY)
        else:
            days = np.full(len(code), np.floor((self.low + self.high) / 2 / DAY))
            if "year" in phases:
                days += np.rint((phases["year"] - _phase(days * DAY, "year")) * YEAR / DAY)
            if "week" in phases:
                days += (np.rint(phases["week"] * 7) - days + 3) % 7 - 3
        seconds = days * DAY + clock
        if self.missing:
            seconds[code[:, int(self.trend)] > 0.5] = np.nan
        return self.restore(seconds)

    def restore(self, seconds: np.ndarray) -> pd.Series:
        """(n,) as `values` returns them -> the column in the user's dtype."""
        low, high = _NANOSECOND_RANGE if "[ns" in self.dtype else _CALENDAR_RANGE
        micro = np.rint(np.clip(np.nan_to_num(seconds), low, high) * 1e6).astype(np.int64)
        return self._restored(pd.Series(micro.view("datetime64[us]")).mask(np.isnan(seconds)))

    def _phase_in(self, code: np.ndarray, number: int) -> np.ndarray:
        at = self.trend + self.missing + 2 * number
        phase: np.ndarray = (np.arctan2(code[:, at], code[:, at + 1]) / (2 * np.pi)) % 1.0
        return phase

    def _restored(self, dates: pd.Series) -> pd.Series:
        """datetime64 dates in the user's dtype."""
        if self.format:
            written = write(dates, self.format)
            if _is_number(self.dtype):
                dtype = dtype_of(self.dtype)
                numbers = pd.to_numeric(written).astype("float64")
                return (numbers.round() if types.is_integer_dtype(dtype) else numbers).astype(dtype)
            return written.astype(dtype_of(self.dtype))
        if self.zone:
            first = np.ones(len(dates), dtype=bool)  # of two equal wall-clock times the summer one
            dates = dates.dt.tz_localize(self.zone, ambiguous=first, nonexistent="shift_forward")
        if self.dtype == OBJECT:
            return (dates.dt.date if self.dates_only else dates).astype(object)
        return dates.astype(dtype_of(self.dtype))

    def to_state(self) -> State:
        """What `from_state` reads."""
        return vars(self).copy()

    @classmethod
    def from_state(cls, state: StateReader, channels: int) -> DateColumn:
        """The column of a state, whose scaler has so many `channels`."""
        older = not state.has("midnights")
        column = cls(
            name=state.label("name"),
            dtype=state.text("dtype", pattern=f"{DATE}|{OBJECT}|{TEXT}|{NUMBER}"),
            zone=state.text("zone", pattern=ZONE),
            dates_only=state.flag("dates_only"),
            parts=state.items("parts", len(PARTS)),
            time_of_day=state.number("time_of_day", 0.0, DAY),
            missing=state.flag("missing"),
            channel=state.integer("channel", -1, channels - 1),
            known=state.numbers("known", SPREAD),
            format=state.text("format", pattern=".{0,100}"),
            low=state.number("low"),
            high=state.number("high"),
            midnights=1.0 if older else state.number("midnights", 0.0, 1.0),
        )
        if older and column.format == ISO:
            column.format = ISO_ANY
        if column.parts != [part for part in PARTS if part in column.parts]:
            raise state.error("parts", column.parts, f"some of {', '.join(PARTS)}, in this order")
        if not column.width:
            raise FormatError(f"{state.path} has nothing that is learned.")
        try:
            if column.format:
                check_format(column.format)
            epoch = pd.Series(pd.to_datetime([0], utc=True))
            dates = epoch.dt.tz_convert(column.zone) if column.zone else epoch.dt.tz_localize(None)
            column._restored(dates.dt.tz_localize(None))
        except (TypeError, ValueError, KeyError) as error:
            raise state.error("dtype", f"{column.dtype} ({column.zone})", f"known to this pandas: {error}") from None
        return column


def is_arrow_date(dtype: Any) -> bool:
    """Whether this is Arrow's type of a date or a time stamp."""
    return isinstance(dtype, pd.ArrowDtype) and (dtype.kind == "M" or str(dtype).startswith("date32"))


def zone_name(series: pd.Series) -> str:
    """The name of the dates' time zone, "" if they have none."""
    zone = _to_dates(series).dt.tz
    return "" if zone is None else str(zone)


def to_seconds(series: pd.Series, zone: str, form: str = "") -> np.ndarray:
    """(n,) float64 seconds of wall-clock time in `zone` since 1970, NaN = missing.

    Raises
    ------
    InputError
        If the column does not hold dates, or not in the format `form`, or only one of column and `zone` has a time
        zone.
    """
    dates = _read(series, form) if form else _to_dates(series)
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


def midnight_share(seconds: np.ndarray) -> float:
    """The share of times at midnight to expect among others like these, see `DateColumn.midnights`."""
    there = seconds[~np.isnan(seconds)]
    return float((np.count_nonzero(there % DAY == 0) + 1) / (len(there) + 1))


def learned_parts(seconds: np.ndarray, form: str = "") -> list[str]:
    """The periods in which the times differ and of which they cover about one whole period.

    A column of two weeks cannot say what is usual in other seasons.
    """
    seconds = seconds[~np.isnan(seconds)]
    if not len(seconds):
        return []
    span = np.ptp(seconds)
    parts: tuple[str, ...] = PARTS
    if form and not has_day(form):
        span, parts = np.inf, ("day",)
    elif form and not has_weekday(form):
        span, parts = span + 30 * DAY, ("year",)  # the last month counts as a whole
    return [part for part in parts if span >= _COVERED[part] and np.ptp(_phase(seconds, part)) > 0]


def _read(series: pd.Series, form: str) -> pd.Series:
    """Texts or numbers in a format as datetime64; a column of dates is accepted too."""
    if types.is_datetime64_any_dtype(series.dtype) or is_arrow_date(series.dtype):
        dates = _to_dates(series)
        return dates if dates.dt.tz is None else dates.dt.tz_convert("UTC").dt.tz_localize(None)
    is_number = types.is_numeric_dtype(series.dtype)
    texts = pd.Series(dtype="str") if is_number else series.astype("str").where(series.notna(), None)
    codes, distinct = (None, None) if is_number else pd.factorize(texts)
    try:
        if is_number or form in NUMERIC_FORMATS:
            return read_numbers(to_numbers(series), form)
        dates = read_texts(pd.Series(distinct, dtype="str"), form)
        return pd.Series(np.append(dates.to_numpy(), np.datetime64("NaT"))[codes])
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        bad = next((value for value in series.dropna().unique()[:100_000] if not _is_date(value, form)), None)
        raise InputError(
            f"Column {series.name!r} should hold dates in the format {form!r}, but has {plain(bad)!r}."
        ) from None


def _is_date(value: Any, form: str) -> bool:
    try:
        if isinstance(value, str):
            read_texts(pd.Series([value], dtype="str"), form)
        else:
            read_numbers(np.array([float(value)]), form)
    except (ValueError, OverflowError):
        return False
    return True


def _is_number(dtype: str) -> bool:
    return re.fullmatch(NUMBER, dtype) is not None


def _to_dates(series: pd.Series) -> pd.Series:
    """The column as datetime64, with or without a time zone."""
    name = series.name
    if series.isna().all() and not types.is_datetime64_any_dtype(series.dtype):
        return pd.Series(np.full(len(series), np.datetime64("NaT"), dtype="datetime64[us]"))
    if types.is_datetime64_any_dtype(series.dtype) and not isinstance(series.dtype, pd.ArrowDtype):
        return series
    if is_arrow_date(series.dtype) or (types.is_object_dtype(series.dtype) and inferred_type(series) in DATE_OBJECTS):
        try:
            return pd.to_datetime(pd.Series(series.to_numpy(dtype=object, na_value=None)))
        except (TypeError, ValueError) as error:
            raise InputError(f"Column {name!r} holds dates that cannot be put on one time line: {error}") from error
    raise type_changed(name, "dates", first_value(series))


def _phase(seconds: np.ndarray, part: str) -> np.ndarray:
    """The phase of each time in its period, in [0, 1)."""
    if part == "day":
        return (seconds % DAY) / DAY
    if part == "week":
        return (np.floor(seconds / DAY) % 7) / 7
    return (seconds % YEAR) / YEAR
