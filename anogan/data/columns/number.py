"""Number columns: one scaled value, and an indicator of missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import InputError
from ...sources.text_numbers import NumberFormat
from ...wording import counted
from ..scaling import NumericScaler
from ..state import State, StateReader
from .dtypes import NUMBER, OBJECT, dtype_of
from .series import first_value, inferred_type, plain, type_changed
from .texts import read_numbers

NUMBER_OBJECTS = ("integer", "floating", "mixed-integer-float", "decimal")
"""What pandas infers for object columns that hold numbers."""

SPREAD = 17
"""Training values that stand for a missing value in a column that had none in fit, at most."""

NO_RANGE = (1.0, -1.0)
"""The least and the greatest of no values: every value lies beyond."""


@dataclass
class NumberColumn:
    """A numeric column: one scaled value, and a missing-value indicator if values were missing in fit.

    Attributes
    ----------
    name : str or int
    dtype : str
        The name of the user's dtype.
    integer : bool
        Whether values are restored as whole numbers.
    missing : bool
        Whether the column may have missing values.
    channel : int
        The column's number in the `NumericScaler`.
    known : list of float
        Result of `spread_values`.
    low, high : float
        The least and the greatest training value; `NO_RANGE` if there is none.
    written : list of str
        Decimal sign, sign between thousands and unit of numbers that are written as text; empty for numbers.
    unit : str or None
        The unit, such as "$", of numbers that were written as text, also where a file's reader made numbers of them;
        None if it is unknown, as in older files.
    """

    name: str | int
    dtype: str
    integer: bool
    missing: bool
    channel: int
    known: list[float] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0
    written: list[str] = field(default_factory=list)
    unit: str | None = ""
    kind: str = "number"

    @property
    def width(self) -> int:
        return 1 + self.missing

    @property
    def spans(self) -> list[tuple[int, int]]:
        return []

    @property
    def arrow_type(self) -> str:
        return "string" if self.written else "double"

    def values(self, series: pd.Series) -> np.ndarray:
        """(n,) float64, NaN = missing; `InputError` for other text, dates and infinities."""
        return to_numbers(series, written=self.written)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        """Write the code of `series` into `out` (n, width); return which values are unseen: (n,) bool."""
        return encode_number(self.values(series), self.missing, self.channel, out, scaler)

    def known_codes(self, scaler: NumericScaler) -> np.ndarray:
        """The code of each of the values in `known`: (k, width)."""
        codes = np.zeros((len(self.known), self.width))
        encode_number(np.array(self.known), self.missing, self.channel, codes, scaler)
        return codes

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> the column in the user's unit and dtype."""
        x = scaler.inverse_column(self.channel, code[:, 0])
        gone = code[:, 1] > 0.5 if self.missing else np.zeros(len(x), dtype=bool)
        return self.restore(np.where(gone, np.nan, x))

    def restore(self, x: np.ndarray) -> pd.Series:
        """(n,) as `values` returns them -> the column in the user's dtype."""
        gone = np.isnan(x)
        if self.integer:
            x = np.rint(x)
        if self.dtype == OBJECT:
            values = _to_integers(x, np.dtype(np.int64)) if self.integer else x
            return pd.Series(values).astype(object).mask(gone, None)
        dtype = dtype_of(self.dtype)
        numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
        if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "iu":
            exact = _to_integers(x, numpy_dtype)
            return pd.Series(exact).astype(dtype).mask(gone)
        with np.errstate(over="ignore"):
            return pd.Series(x).astype(dtype)

    def to_state(self) -> State:
        """What `from_state` reads."""
        return vars(self).copy()

    @classmethod
    def from_state(cls, state: StateReader, channels: int) -> NumberColumn:
        """The column of a state, whose scaler has so many `channels`."""
        column = cls(
            name=state.label("name"),
            dtype=state.text("dtype", pattern=f"{NUMBER}|{OBJECT}"),
            integer=state.flag("integer"),
            missing=state.flag("missing"),
            channel=state.integer("channel", 0, channels - 1),
            known=state.numbers("known", SPREAD),
            low=state.number("low"),
            high=state.number("high"),
            written=state.items("written", 3),
            unit=state.optional_text("unit") if state.has("unit") else None,
        )
        if column.written and (len(column.written) != 3 or not all(isinstance(sign, str) for sign in column.written)):
            raise state.error("written", column.written, "three texts, or nothing")
        return column


def encode_number(x: np.ndarray, missing: bool, channel: int, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
    """Write scaled values, and which ones are missing, into `out` (n, 1 or 2).

    Returns
    -------
    (n,) bool
        The missing values, unless values were missing in fit. Their code is that of the training median.
    """
    gone = np.isnan(x)
    z = scaler.column(channel, x)
    if gone.any():
        z[gone] = scaler.fill_[channel]
    out[:, 0] = z
    return encode_missing(x, missing, out[:, 1:])


def encode_missing(x: np.ndarray, missing: bool, out: np.ndarray) -> np.ndarray:
    """Write which values are missing into `out` (n, 1); without missing values in fit, return them: (n,) bool."""
    gone = np.isnan(x)
    if missing:
        out[:, 0] = gone
        return np.zeros(len(x), dtype=bool)
    return gone


def spread_values(training: np.ndarray) -> list[float]:
    """Up to `SPREAD` distinct values of a column, evenly spaced in their order, the smallest and the largest included.

    They stand for a missing value in a column that had none in fit; a column with missing values gives none.
    """
    if np.isnan(training).any():
        return []
    values = np.unique(training)
    places = np.unique(np.linspace(0, len(values) - 1, min(SPREAD, len(values))).round().astype(np.int64))
    return [float(value) for value in values[places]]


def to_numbers(series: pd.Series, rows: int | None = None, written: Sequence[str] = ()) -> np.ndarray:
    """(n,) float64, NaN = missing.

    Parameters
    ----------
    series : (n,) Series
    rows : int, optional
        The first rows, in which infinities are counted for the message.
    written : sequence of str
        Decimal sign, sign between thousands and unit of numbers as text, which are read then.

    Raises
    ------
    InputError
        If the column holds text, dates or infinities.
    """
    name, dtype = series.name, series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        series = series.astype(dtype.categories.dtype)
        dtype = series.dtype
    numeric = types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)
    if not numeric and written and inferred_type(series) == "string":
        series, numeric = pd.Series(read_numbers(series, NumberFormat(*written)), name=name), True
    if not numeric:
        if series.isna().all():
            return np.full(len(series), np.nan)
        if not types.is_object_dtype(dtype) or inferred_type(series) not in (*NUMBER_OBJECTS, "boolean"):
            text = next((v for v in series.dropna().head(100_000) if not isinstance(v, (int, float))), None)
            raise type_changed(name, "numbers", first_value(series) if text is None else plain(text))
        try:
            series = pd.to_numeric(series)
        except OverflowError:
            raise InputError(f"Column {name!r} has a whole number beyond the range of floats. Remove it.") from None
    x = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if np.isinf(x).any():
        infinite = max(int(np.isinf(x[:rows]).sum()), 1)
        raise InputError(
            f"Column {name!r} contains infinity in {counted(infinite, 'row')}. Replace or remove those values."
        )
    return x


def _to_integers(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip to the dtype's range; a 64-bit maximum is not a float64, so the largest float64 below it is used."""
    bounds = np.iinfo(dtype)
    high = np.nextafter(float(bounds.max), 0.0) if bounds.bits == 64 else float(bounds.max)
    return np.clip(np.nan_to_num(x), float(bounds.min), high).astype(dtype)
