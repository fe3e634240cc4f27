"""Tables with numeric, boolean, categorical and date columns and missing values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from ..errors import FormatError, InputError
from ..sources.column_roles import roles_of
from ..sources.notes import ColumnNote
from .account import Account, account_of_table
from .columns import CategoryColumn, Column, NumberColumn, column_from_state, learn_column
from .columns.number import SPREAD
from .columns.ranges import count_beyond, range_notes, rounded_outwards
from .columns.series import check_whole_characters
from .columns.totals import total_rows
from .preprocessor import Preprocessor
from .range_counter import Beyond
from .scaling import NumericScaler
from .spec import SampleSpec
from .state import State, StateReader

if TYPE_CHECKING:
    import torch

    from .samples import TensorSamples

_NAMES_LISTED = 5


class TablePreprocessor(Preprocessor):
    """Encodes a DataFrame as vectors, column by column.

    Numbers are scaled; missing ones are imputed with the training median and marked by an indicator if values
    were missing in that column in fit. Categories, texts and booleans become one-hot groups (0/1). Dates
    become sine and cosine of the time of day, the weekday and the season, where these vary in training and
    training covers them; the time itself is learned only in the role "trend". Identifiers, texts that differ in
    most rows and dates without such a period are not learned unless they have a role.

    Parameters
    ----------
    scaling : {"standard", "quantile", "asinh", "soft"}
        See `anogan.data.scaling.NumericScaler`.
    columns : dict or None
        Column name -> role: "number", "category", "date", "date:FORMAT", "trend", "id" or "drop".

    Attributes
    ----------
    names_ : list of str or int
        All columns of the training table in their order.
    columns_ : list of NumberColumn, CategoryColumn or DateColumn
        The columns that are learned, in the table's order.
    ignored_ : dict of str or int to str
        The columns that are not learned, and why.
    rows_ : int
        Number of training rows, from which the ranges of columns come.
    notes_ : list of ColumnNote
        What the last fit saw in the columns; a model file does not keep them.
    starts_ : list of int
        Where each column's code starts; one more entry is the end of the last.
    """

    kind = "table"

    def __init__(self, scaling: str = "standard", columns: Mapping[Any, str] | None = None) -> None:
        self.scaling = scaling
        self.columns = columns

    @property
    def spec_(self) -> SampleSpec:
        spans = [
            (start + a, start + b)
            for column, start in zip(self.columns_, self.starts_, strict=False)
            for a, b in column.spans
        ]
        return SampleSpec((self.starts_[-1],), spans=tuple(spans), columns=tuple(pairwise(self.starts_)))

    @property
    def places_(self) -> list[slice]:
        """See `Preprocessor.places_`."""
        return [slice(start, stop) for start, stop in zip(self.starts_, self.starts_[1:], strict=False)]

    def fit(self, X: pd.DataFrame, *, rows: np.ndarray | None = None, sampled: int | None = None) -> Self:
        """Learn the columns of X, and the scaling statistics from the training rows alone."""
        self.names_ = _column_names(X)
        _check_not_empty(X)
        self.rows_ = len(X) if sampled is None else sampled
        roles = roles_of(self.columns, self.names_)
        self.columns_: list[Column] = []
        self.ignored_: dict[str | int, str] = {}
        self.notes_: list[ColumnNote] = []
        numeric: list[np.ndarray] = []
        for position, name in enumerate(self.names_):
            learned = learn_column(name, X.iloc[:, position], rows, role=roles.get(name), sampled=sampled)
            self.notes_ += learned.notes
            column = learned.column
            if column is None:
                self.ignored_[name] = learned.why
                continue
            if learned.training is not None and not isinstance(column, CategoryColumn):
                column.channel = len(numeric)
                numeric.append(learned.training)
            self.columns_.append(column)
        self.notes_ += total_rows(X[: self.rows_])
        if not self.columns_:
            found = "; ".join(f"{name!r} {why}" for name, why in list(self.ignored_.items())[:_NAMES_LISTED])
            raise InputError(f"No column is left to learn: {found}. Give one a role, such as 'number' or 'category'.")
        self.scaler_ = NumericScaler(self.scaling).fit(numeric)
        self._set_starts()
        return self

    def transform(self, X: pd.DataFrame, dtype: torch.dtype) -> TensorSamples:
        """DataFrame of n rows -> n samples (d,).

        Raises
        ------
        InputError
            If columns are missing, extra, in another order or of another type, or hold infinities.
        """
        import torch  # imported here, since exported models are scored without it

        from .samples import TensorSamples

        X = self.checked(X)
        out = torch.zeros((len(X), self.starts_[-1]), dtype=dtype)
        view, unseen = out.numpy(), np.zeros((len(X), len(self.columns_)), dtype=bool)
        for position, column in enumerate(self.columns_):
            code = view[:, self.starts_[position] : self.starts_[position + 1]]
            unseen[:, position] = column.encode(X.iloc[:, position], code, self.scaler_)
        return TensorSamples(out, unseen)

    def hidden_columns(self, X: pd.DataFrame, rows: np.ndarray) -> list[str | int]:
        """See `Preprocessor.hidden_columns`."""
        numbers = [column for column in self.columns_ if isinstance(column, NumberColumn)]
        X = X.iloc[rows]
        return [c.name for c in numbers if self.scaler_.hides(c.channel, c.values(X[c.name]))]

    def values(self, X: pd.DataFrame) -> np.ndarray:
        """See `Preprocessor.values`."""
        X = self.checked(X)
        return np.column_stack([column.values(X.iloc[:, j]) for j, column in enumerate(self.columns_)])

    def restore(self, values: np.ndarray) -> pd.DataFrame:
        """See `Preprocessor.restore`."""
        return self._frame([column.restore(values[:, j]) for j, column in enumerate(self.columns_)])

    def graph_inputs(self, X: Any) -> dict[str, np.ndarray]:
        """See `Preprocessor.graph_inputs`: numbers and seconds since 1970, and places of categories."""
        X = self.checked(X)
        rows = np.empty((len(X), len(self.columns_)))
        for number, column in enumerate(self.columns_):
            series = X.iloc[:, number]
            rows[:, number] = column.places(series) if isinstance(column, CategoryColumn) else column.values(series)
        return {"rows": rows}

    def inverse(self, x: np.ndarray) -> pd.DataFrame:
        """(n, d) in model space -> DataFrame with the user's columns, order and dtypes."""
        x = np.asarray(x, dtype=np.float64)
        codes = zip(self.columns_, self._codes(x), strict=True)
        return self._frame([column.decode(code, self.scaler_) for column, code in codes])

    def _frame(self, series: list[pd.Series]) -> pd.DataFrame:
        frame = pd.concat(series, axis=1)
        frame.columns = pd.Index([column.name for column in self.columns_])
        return frame

    def collapse(self, error: np.ndarray) -> pd.DataFrame:
        """(n, d) error map -> DataFrame with one summed error per user column."""
        error = np.asarray(error, dtype=np.float64)
        sums = {column.name: code.sum(axis=1) for column, code in zip(self.columns_, self._codes(error), strict=True)}
        return pd.DataFrame(sums)

    def account(self, X: pd.DataFrame) -> Account:
        """See `Preprocessor.account`."""
        return account_of_table(self.columns_, self.checked(X))

    def count_beyond(self, X: pd.DataFrame) -> dict[str | int, Beyond]:
        """See `Preprocessor.count_beyond`."""
        return count_beyond(self.columns_, self.checked(X))

    def range_notes(self, counts: Mapping[str | int, Beyond]) -> list[ColumnNote]:
        """See `Preprocessor.range_notes`."""
        return range_notes(self.columns_, counts, self.rows_)

    def known_codes(self) -> list[np.ndarray]:
        """See `Preprocessor.known_codes`."""
        return [column.known_codes(self.scaler_) for column in self.columns_]

    def column_types(self) -> dict[str | int, str]:
        """See `Preprocessor.column_types`."""
        return {column.name: column.arrow_type for column in self.columns_}

    def units(self) -> dict[str, str]:
        """See `Preprocessor.units`."""
        numbers = (column for column in self.columns_ if isinstance(column, NumberColumn))
        return {str(column.name): column.unit for column in numbers if column.unit is not None}

    def blur(self) -> None:
        """See `Preprocessor.blur`: the middle of two known values stands for both, and ranges are rounded outwards."""
        for column in self.columns_:
            if isinstance(column, CategoryColumn):
                continue
            if len(column.known) == SPREAD:
                column.known = [(low + high) / 2 for low, high in pairwise(column.known)]
            column.low, column.high = rounded_outwards(column.low, column.high)

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return {
            "kind": self.kind,
            "names": list(self.names_),
            "ignored": list(self.ignored_.values()),
            "rows": self.rows_,
            "columns": [column.to_state() for column in self.columns_],
            "scaler": self.scaler_.to_state(),
        }

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """The fitted preprocessor of a state whose kind was read."""
        scaler = NumericScaler.from_state(state.child("scaler"))
        self = cls(scaler.scaling)
        self.scaler_ = scaler
        channels = len(scaler.center_)
        self.columns_ = [column_from_state(column, channels) for column in state.children("columns")]
        if not self.columns_:
            raise FormatError(f"{state.path} has no columns.")
        if len({column.name for column in self.columns_}) < len(self.columns_):
            raise FormatError(f"{state.path}.columns has two columns of the same name.")
        channels_used = (column.channel for column in self.columns_ if not isinstance(column, CategoryColumn))
        used = [channel for channel in channels_used if channel >= 0]
        if used != list(range(channels)):
            raise FormatError(f"{state.path}.columns uses the channels {used} of a scaler with {channels}.")
        self._restore_names(state)
        self.rows_ = state.integer("rows", 1, 2**62)
        self._set_starts()
        return self

    def _restore_names(self, state: StateReader) -> None:
        self.names_ = state.items("names")
        if any(type(name) not in (str, int) for name in self.names_) or len(set(self.names_)) < len(self.names_):
            raise state.error("names", self.names_, "distinct texts or integers")
        learned = {column.name for column in self.columns_}
        if [name for name in self.names_ if name in learned] != [column.name for column in self.columns_]:
            raise state.error("names", self.names_, "all names of the columns in their order")
        ignored = [name for name in self.names_ if name not in learned]
        reasons = state.items("ignored", len(ignored))
        if len(reasons) != len(ignored) or not all(isinstance(why, str) for why in reasons):
            raise state.error("ignored", reasons, "a text for each column that is not learned")
        self.ignored_ = dict(zip(ignored, reasons, strict=True))
        self.notes_ = []

    def _set_starts(self) -> None:
        self.starts_: list[int] = [0, *np.cumsum([column.width for column in self.columns_]).tolist()]

    def _codes(self, x: np.ndarray) -> list[np.ndarray]:
        return [x[:, start:stop] for start, stop in zip(self.starts_, self.starts_[1:], strict=False)]

    def checked(self, X: Any) -> pd.DataFrame:
        """The learned columns of X, which may have those that fit ignored too."""
        names = [column.name for column in self.columns_]
        if not isinstance(X, pd.DataFrame):
            X = self._named(X)
        got = _column_names(X)
        kept = [name for name in got if name not in self.ignored_]
        if kept != names:
            raise InputError(_names_message(kept, names))
        _check_not_empty(X)
        return X if kept == got else X[kept]

    def _named(self, X: Any) -> pd.DataFrame:
        """An array as a table with all columns of the fit, as scikit-learn allows; the learned ones must be numbers."""
        names = self.names_
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != len(names):
            got = f"{X.shape[1]} features" if X.ndim == 2 else f"shape {X.shape}"
            raise InputError(f"X has {got}, but the model is expecting {len(names)} features as input.")
        if any(column.kind != "number" for column in self.columns_):
            raise InputError("The model was fitted on a DataFrame with columns of several types; give it a DataFrame.")
        return pd.DataFrame(X, columns=pd.Index(names))


def _column_names(X: pd.DataFrame) -> list[str | int]:
    names = X.columns.tolist()
    invalid = [name for name in names if not isinstance(name, (str, int)) or isinstance(name, bool)]
    if invalid:
        raise InputError(f"Column names must be text, got {invalid[0]!r}. Rename: X.columns = X.columns.map(str).")
    check_whole_characters("A column name", names)
    repeated = X.columns[X.columns.duplicated()]
    if len(repeated):
        raise InputError(f"Column {repeated[0]!r} occurs more than once. Rename or drop one of them.")
    return names


def _check_not_empty(X: pd.DataFrame) -> None:
    if 0 in X.shape:
        what = "0 feature(s)" if X.shape[1] == 0 else "0 sample(s)"
        raise InputError(f"Found a table with {what} (shape={X.shape}) while a minimum of 1 is required.")


def _names_message(got: list[str | int], fitted: list[str | int]) -> str:
    """scikit-learn's message, then the names that were probably meant."""
    extra = sorted(set(got) - set(fitted), key=str)
    missing = sorted(set(fitted) - set(got), key=str)
    message = "The feature names should match those that were passed during fit.\n"
    if extra:
        message += "Feature names unseen at fit time:\n" + _listed(extra)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
    if not extra and not missing:
        return message + "Feature names must be in the same order as they were in fit.\n"
    for name in extra[:_NAMES_LISTED]:
        close = difflib.get_close_matches(str(name), [str(other) for other in missing], n=1)
        if close:
            message += f"Did you mean {close[0]!r} by {str(name)!r}?\n"
    return message


def _listed(names: list[str | int]) -> str:
    lines = "".join(f"- {name}\n" for name in names[:_NAMES_LISTED])
    return lines + ("- ...\n" if len(names) > _NAMES_LISTED else "")
