"""Number columns: one scaled value, and an indicator of missing ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import InputError
from ..scaling import NumericScaler
from ..state import State, StateReader
from .dtypes import NUMBER, OBJECT, dtype_of
from .series import first_value, inferred_type, plain, type_changed

NUMBER_OBJECTS = ("integer", "floating", "mixed-integer-float", "decimal")
"""What pandas infers for object columns that hold numbers."""


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
    """

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
        return to_numbers(series)

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> None:
        """Write the code of `series` into `out` (n, width)."""
        encode_number(self.name, self.values(series), self.missing, self.channel, out, scaler)

    def decode(self, code: np.ndarray, scaler: NumericScaler) -> pd.Series:
        """(n, width) -> the column in the user's unit and dtype."""
        x = scaler.inverse_column(self.channel, code[:, 0])
        if self.integer:
            x = np.rint(x)
        gone = code[:, 1] > 0.5 if self.missing else np.zeros(len(x), dtype=bool)
        if self.dtype == OBJECT:
            values = _to_integers(x, np.dtype(np.int64)) if self.integer else x
            return pd.Series(values).astype(object).mask(gone, None)
        dtype = dtype_of(self.dtype)
        numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
        if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "iu":
            exact = _to_integers(x, numpy_dtype)
            return pd.Series(exact).astype(dtype).mask(gone)
        with np.errstate(over="ignore"):
            return pd.Series(np.where(gone, np.nan, x)).astype(dtype)

    def to_state(self) -> State:
        """What `from_state` reads."""
        return vars(self).copy()

    @classmethod
    def from_state(cls, state: StateReader, channels: int) -> NumberColumn:
        """The column of a state, whose scaler has so many `channels`."""
        return cls(
            name=state.label("name"),
            dtype=state.text("dtype", pattern=f"{NUMBER}|{OBJECT}"),
            integer=state.flag("integer"),
            missing=state.flag("missing"),
            channel=state.integer("channel", 0, channels - 1),
        )


def encode_number(
    name: str | int, x: np.ndarray, missing: bool, channel: int, out: np.ndarray, scaler: NumericScaler
) -> None:
    """Write scaled values, and which ones are missing, into `out` (n, 1 or 2)."""
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


def to_numbers(series: pd.Series) -> np.ndarray:
    """(n,) float64, NaN = missing.

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
    if not numeric:
        if series.isna().all():
            return np.full(len(series), np.nan)
        if not types.is_object_dtype(dtype) or inferred_type(series) not in (*NUMBER_OBJECTS, "boolean"):
            text = next((v for v in series.dropna().head(100_000) if not isinstance(v, (int, float))), None)
            raise type_changed(name, "numbers", first_value(series) if text is None else plain(text))
        series = pd.to_numeric(series)
    x = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    infinite = int(np.isinf(x).sum())
    if infinite:
        raise InputError(f"Column {name!r} contains infinity in {infinite} row(s). Replace or remove those values.")
    return x


def _to_integers(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip to the dtype's range; a 64-bit maximum is not a float64, so the largest float64 below it is used."""
    bounds = np.iinfo(dtype)
    high = np.nextafter(float(bounds.max), 0.0) if bounds.bits == 64 else float(bounds.max)
    return np.clip(np.nan_to_num(x), float(bounds.min), high).astype(dtype)
