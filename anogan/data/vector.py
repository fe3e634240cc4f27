"""Numeric arrays (n, d)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import FormatError, InputError
from ..sources.notes import ColumnNote
from .account import Account, account_of_array
from .columns import Column, NumberColumn
from .columns.ranges import count_beyond_in, range_notes, rounded_outwards
from .preprocessor import Preprocessor
from .range_counter import Beyond
from .scaling import NumericScaler
from .spec import SampleSpec
from .state import State, StateReader

if TYPE_CHECKING:
    import torch

    from .samples import TensorSamples


class VectorPreprocessor(Preprocessor):
    """Scales each column of a numeric array.

    Parameters
    ----------
    scaling : {"standard", "quantile", "asinh", "soft"}
        See `anogan.data.scaling.NumericScaler`.
    """

    kind = "vector"

    def __init__(self, scaling: str = "standard") -> None:
        self.scaling = scaling

    @property
    def spec_(self) -> SampleSpec:
        return SampleSpec((self.n_features_in_,))

    @property
    def names_(self) -> list[str | int]:  # type: ignore[override]
        """The numbers of the columns."""
        return list(range(self.n_features_in_))

    @property
    def columns_(self) -> list[Column]:  # type: ignore[override]
        """A number column for each column of the array, named by its index."""
        return [*self._numbers()]

    def _numbers(self) -> list[NumberColumn]:
        low, high = self.low_.tolist(), self.high_.tolist()
        return [
            NumberColumn(j, "float64", False, False, j, low=low[j], high=high[j]) for j in range(self.n_features_in_)
        ]

    @property
    def places_(self) -> list[slice]:
        """See `Preprocessor.places_`."""
        return [slice(j, j + 1) for j in range(self.n_features_in_)]

    def fit(self, X: Any, *, rows: np.ndarray | None = None, sampled: int | None = None) -> Self:
        """Learn each column's scale from the training rows of X (n, d)."""
        X = _checked(X)
        self.n_features_in_ = int(X.shape[1])
        training = X if rows is None else X[rows]
        self.scaler_ = NumericScaler(self.scaling).fit(training.T)
        self.low_, self.high_, self.rows_ = training.min(0), training.max(0), len(training)
        return self

    def transform(self, X: Any, dtype: torch.dtype) -> TensorSamples:
        """(n, d) array -> n samples (d,); `InputError` for NaN, infinity or another number of columns."""
        import torch  # imported here, since exported models are scored without it

        from .samples import TensorSamples

        X = _checked(X)
        if X.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {X.shape[1]} features, but the model is expecting {self.n_features_in_} features as input."
            )
        out = torch.empty(X.shape, dtype=dtype)
        for j in range(X.shape[1]):
            out[:, j] = torch.from_numpy(self.scaler_.column(j, X[:, j]))
        return TensorSamples(out)

    def values(self, X: Any) -> np.ndarray:
        """See `Preprocessor.values`."""
        return _checked(X)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """See `Preprocessor.restore`."""
        return values

    def hidden_columns(self, X: Any, rows: np.ndarray) -> list[str | int]:
        """See `Preprocessor.hidden_columns`."""
        return [j for j in range(self.n_features_in_) if self.scaler_.hides(j, X[rows, j])]

    def account(self, X: Any) -> Account:
        """See `Preprocessor.account`; an array has no missing values, so NaN is refused like infinity."""
        return account_of_array(_numeric(X))

    def count_beyond(self, X: Any) -> dict[str | int, Beyond]:
        """See `Preprocessor.count_beyond`."""
        columns = zip(self._numbers(), _checked(X).T, strict=True)
        return {column.name: count_beyond_in(column, values) for column, values in columns}

    def range_notes(self, counts: Mapping[str | int, Beyond]) -> list[ColumnNote]:
        """See `Preprocessor.range_notes`."""
        return range_notes(self.columns_, counts, self.rows_)

    def blur(self) -> None:
        """See `Preprocessor.blur`: ranges are rounded outwards."""
        for j, ends in enumerate(zip(self.low_.tolist(), self.high_.tolist(), strict=True)):
            self.low_[j], self.high_[j] = rounded_outwards(*ends)

    def graph_inputs(self, X: Any) -> dict[str, np.ndarray]:
        """See `Preprocessor.graph_inputs`."""
        return {"rows": np.asarray(X, dtype=np.float64)}

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """(n, d) in model space -> (n, d) float64 in the user's units."""
        return self.scaler_.inverse(np.asarray(x, dtype=np.float64))

    def collapse(self, error: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, d): each value of a sample is one column."""
        return np.asarray(error, dtype=np.float64)

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        ranges = {"low": self.low_, "high": self.high_, "rows": self.rows_}
        return {"kind": self.kind, "scaler": self.scaler_.to_state()} | ranges

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """The fitted preprocessor of a state whose kind was read."""
        scaler = NumericScaler.from_state(state.child("scaler"))
        self = cls(scaler.scaling)
        self.scaler_ = scaler
        self.n_features_in_ = len(scaler.center_)
        if not self.n_features_in_:
            raise FormatError(f"{state.path} has no columns.")
        if state.has("rows"):
            self.low_, self.high_ = (state.array(name, np.float64, self.n_features_in_) for name in ("low", "high"))
            self.rows_ = state.integer("rows", 1, 2**62)
        else:  # of an older version, which kept no ranges
            self.low_, self.high_, self.rows_ = np.zeros(self.n_features_in_), np.zeros(self.n_features_in_), 0
        return self


def _numeric(X: Any) -> np.ndarray:
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":  # NumPy would leave out the imaginary part
        raise InputError("Complex data not supported.")
    try:
        X = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"X must be numeric: {error}. Pass text columns in a DataFrame.") from error
    if X.ndim != 2:
        raise InputError(f"Expected 2D array, got {X.ndim}D array of shape {X.shape} instead.")
    if 0 in X.shape:
        what = f"{X.shape[0]} sample(s)" if X.shape[0] == 0 else "0 feature(s)"
        raise InputError(f"Found array with {what} (shape={X.shape}) while a minimum of 1 is required.")
    return X


def _checked(X: Any) -> np.ndarray:
    X = _numeric(X)
    if not np.isfinite(X).all():
        kind = "NaN" if np.isnan(X).any() else "infinity"
        row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        advice = " Pass data with missing values in a DataFrame." if kind == "NaN" else ""
        raise InputError(f"Input X contains {kind} (first at row {row}, column {column}).{advice}")
    return X
