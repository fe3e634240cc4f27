"""Date columns: a scaled time, and sine and cosine of the periods that vary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import InputError
from ..scaling import NumericScaler
from ..state import State, StateReader
from .dtypes import DATE, OBJECT, ZONE, dtype_of
from .number import SPREAD, encode_number
from .series import first_value, inferred_type, type_changed

PARTS = ("day", "week", "year")
"""The periods whose phase is part of a code."""

DATE_OBJECTS = ("date", "datetime", "datetime64")
"""What pandas infers for object columns that hold dates."""

DAY = 86400.0
"""Seconds in a day."""

_YEAR = 365.2425 * DAY
_NANOSECOND_RANGE = (-9.2e9, 9.2e9)  # seconds around 1970 that 64 bits of nanoseconds hold: 1678 to 2261
_CALENDAR_RANGE = (-6.2e10, 2.5e11)  # years 6 to 9892


@dataclass
class DateColumn:
    """A date column: the scaled time, a missing-value indicator, a circle per period that varies in training.

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
        The periods that vary.
    time_of_day : float
        Seconds since midnight of restored dates where "day" is not among `parts`, in [0, 86400).
    missing : bool
        Whether the column may have missing values.
    channel : int
        The column's number in the `NumericScaler`.
    known : list of float
        Result of `spread_values`, in seconds.
    """

    name: str | int
    dtype: str
    zone: str
    dates_only: bool
    parts: list[str]
    time_of_day: float
    missing: bool
    channel: int
    known: list[float] = field(default_factory=list)
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
        return to_seconds(series, self.zone)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        """Write the code of `series` into `out` (n, width); return which dates are unseen: (n,) bool."""
        return self._encode(self.values(series), out, scaler)

    def known_codes(self, scaler: NumericScaler) -> np.ndarray:
        """The code of each of the dates in `known`: (k, width)."""
        codes = np.zeros((len(self.known), self.width))
        self._encode(np.array(self.known), codes, scaler)
        return codes

    def _encode(self, seconds: np.ndarray, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        base = 1 + self.missing
        unseen = encode_number(seconds, self.missing, self.channel, out[:, :base], scaler)
        for i, part in enumerate(self.parts):
            angle = 2 * np.pi * _phase(seconds, part)
            there = ~np.isnan(seconds)  # a missing date sits in the middle of the circle
            out[there, base + 2 * i] = np.sin(angle[there])
            out[there, base + 2 * i + 1] = np.cos(angle[there])
        return unseen

    def unseen(self, series: pd.Series) -> dict[Any, int]:
        """The number of missing values, under None, if there were none in fit."""
        count = 0 if self.missing else int(series.isna().sum())
        return {None: count} if count else {}

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> dates; the day comes from the trend, the time of day from its circle."""
        trend = scaler.inverse_column(self.channel, code[:, 0])
        clock = np.full(len(trend), self.time_of_day)
        if "day" in self.parts:
            at = 1 + self.missing + 2 * self.parts.index("day")
            clock = (np.arctan2(code[:, at], code[:, at + 1]) / (2 * np.pi)) % 1.0 * DAY
        seconds = np.rint((trend - clock) / DAY) * DAY + clock
        low, high = _NANOSECOND_RANGE if "[ns" in self.dtype else _CALENDAR_RANGE
        micro = np.rint(np.clip(np.nan_to_num(seconds), low, high) * 1e6).astype(np.int64)
        gone = np.isnan(seconds)
        if self.missing:
            gone |= code[:, 1] > 0.5
        dates = pd.Series(micro.view("datetime64[us]")).mask(gone)
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
        column = cls(
            name=state.label("name"),
            dtype=state.text("dtype", pattern=f"{DATE}|{OBJECT}"),
            zone=state.text("zone", pattern=ZONE),
            dates_only=state.flag("dates_only"),
            parts=state.items("parts", len(PARTS)),
            time_of_day=state.number("time_of_day", 0.0, DAY),
            missing=state.flag("missing"),
            channel=state.integer("channel", 0, channels - 1),
            known=state.numbers("known", SPREAD),
        )
        if column.parts != [part for part in PARTS if part in column.parts]:
            raise state.error("parts", column.parts, f"some of {', '.join(PARTS)}, in this order")
        try:
            epoch = pd.Series(pd.to_datetime([0], utc=True))
            dates = epoch.dt.tz_convert(column.zone) if column.zone else epoch.dt.tz_localize(None)
            dates.astype(dtype_of(column.dtype))
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


def to_seconds(series: pd.Series, zone: str) -> np.ndarray:
    """(n,) float64 seconds of wall-clock time in `zone` since 1970, NaN = missing.

    Raises
    ------
    InputError
        If the column does not hold dates, or only one of column and `zone` has a time zone.
    """
    dates = _to_dates(series)
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


def varies(seconds: np.ndarray, part: str) -> bool:
    """Whether the times have different phases in this period that the trend does not express already."""
    seconds = seconds[~np.isnan(seconds)]
    if not len(seconds):
        return False
    if part == "year":  # within one year the phase says what the trend says already
        return bool(np.ptp(seconds) >= _YEAR)
    return bool(np.ptp(_phase(seconds, part)) > 0)


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
    return (seconds % _YEAR) / _YEAR
