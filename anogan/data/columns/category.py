"""Category columns: a one-hot group for text, categories and booleans."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FormatError, InputError
from ...sources.sampling import MAX_CATEGORIES
from ..scaling import NumericScaler
from ..state import State, StateReader
from .dtypes import BOOLEAN, CATEGORY, OBJECT, dtype_of
from .series import column_error, plain, type_changed

MAX_DISTINCT_SHARE = 0.5
FEW_CATEGORIES = 50

Category = str | int | float | bool


@dataclass
class CategoryColumn:
    """A categorical, text or boolean column: a one-hot group; missing is a category if it occurred in fit.

    Attributes
    ----------
    name : str or int
    dtype : str
        The name of the user's dtype.
    categories : list of str, int, float or bool
        In the order of the one-hot group.
    missing : bool
        Whether one more entry, the last, stands for a missing value.
    levels : list of str, int, float or bool
        All categories of a pandas categorical in its own order, including those that do not occur.
    ordered : bool
        Whether that categorical is ordered.
    kind : {"category", "boolean"}
    """

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
        return "string" if family_of(self.categories) in ("text", "none") else "double"

    def encode(self, series: pd.Series, out: np.ndarray, scaler: NumericScaler) -> np.ndarray:
        """Write the code of `series` into `out` (n, width), which is zero; return which values are unseen: (n,) bool.

        The code of an unseen value is all zero.
        """
        places = self.places(series)
        known = np.flatnonzero(places >= 0)
        out[known, places[known]] = 1.0
        return places < 0

    def known_codes(self, scaler: NumericScaler) -> np.ndarray:
        """The code of each value that occurred in fit: (k, width)."""
        return np.eye(self.width)

    def places(self, series: pd.Series) -> np.ndarray:
        """The place of each value in the one-hot group: (n,) int, -1 for unseen ones."""
        codes, values = distinct_values(series)
        return self._slots(values)[codes]

    def values(self, series: pd.Series) -> np.ndarray:
        """(n,) float64: the place of each value in the one-hot group, -1 for unseen ones."""
        return self.places(series).astype(np.float64)

    def restore(self, values: np.ndarray) -> pd.Series:
        """(n,) as `values` returns them, none of them unseen -> the column in the user's dtype."""
        return self._restored(values.astype(np.int64))

    def decode(self, code: np.ndarray, scaler: NumericScaler | None) -> pd.Series:
        """(n, width) -> the most probable category of each row, in the user's dtype."""
        return self._restored(code.argmax(axis=1))

    def _restored(self, slot: np.ndarray) -> pd.Series:
        if self.dtype == "category":
            if not self.levels:
                return pd.Series(pd.Categorical([None] * len(slot)))
            position = [self.levels.index(category) for category in self.categories] + [-1]
            codes = np.array(position)[slot]
            return pd.Series(pd.Categorical.from_codes(codes, categories=self.levels, ordered=self.ordered))
        values: list[Any] = [*self.categories, None] if self.missing else list(self.categories)
        return pd.Series(values, dtype=dtype_of(self.dtype)).take(slot).reset_index(drop=True)

    def unseen(self, series: pd.Series) -> dict[Any, int]:
        """Values that did not occur in fit, with their counts; a missing value is reported as None."""
        codes, values = distinct_values(series)
        unknown = self._slots(values) < 0
        if not unknown.any():
            return {}
        counts = np.bincount(codes, minlength=len(values))
        return {values[i]: int(counts[i]) for i in np.flatnonzero(unknown) if counts[i]}

    def to_state(self) -> State:
        """What `from_state` reads."""
        return vars(self) | {
            "categories": [_to_json(value) for value in self.categories],
            "levels": [_to_json(value) for value in self.levels],
        }

    @classmethod
    def from_state(cls, state: StateReader, kind: str) -> CategoryColumn:
        """The column of a state; `kind` is "category" or "boolean"."""
        column = cls(
            name=state.label("name"),
            dtype=state.text("dtype", pattern=f"{BOOLEAN}|{OBJECT}" if kind == "boolean" else CATEGORY),
            categories=_categories(state, "categories", MAX_CATEGORIES),
            missing=state.flag("missing"),
            levels=_categories(state, "levels", None),
            ordered=state.flag("ordered"),
            kind=kind,
        )
        if not column.width:
            raise FormatError(f"{state.path} has no categories.")
        if kind == "boolean" and (column.categories != [False, True] or column.levels):
            raise state.error("categories", column.categories, "[False, True]")
        known = {(type(level), level) for level in column.levels}
        if column.levels or column.dtype == "category":
            for category in column.categories:
                if (type(category), category) not in known:
                    raise state.error("categories", category, "one of the levels")
        try:
            column._restored(np.arange(column.width))
        except (TypeError, ValueError) as error:
            raise state.error("categories", column.categories, f"values of dtype {column.dtype}: {error}") from None
        return column

    def _slots(self, values: list[Any]) -> np.ndarray:
        """The place of each distinct value in the one-hot group, -1 for values that did not occur in fit."""
        family = family_of(self.categories)
        place: dict[Any, int] = {category: i for i, category in enumerate(self.categories)}
        if self.missing:
            place[None] = len(self.categories)
        for value in values:
            if value is None:
                continue
            if self.kind == "boolean":
                if value not in place:
                    raise type_changed(self.name, "true/false values", value)
            elif family != "none" and value_family(value) != family:
                raise type_changed(self.name, "text" if family == "text" else f"{family} categories", value)
        return np.array([place.get(value, -1) for value in values], dtype=np.int64)


def check_cardinality(name: str | int, categories: list[Category], n: int) -> None:
    """Raise `InputError` if these are too many distinct values of `n` rows to be one-hot groups."""
    distinct = len(categories)
    if distinct > MAX_CATEGORIES or (distinct > FEW_CATEGORIES and distinct > MAX_DISTINCT_SHARE * n):
        sample = categories[0]
        seen = f"has {distinct} distinct values in {n} rows (such as {sample!r})"
        limit = f"at most {MAX_CATEGORIES} categories, and half as many as rows, can be learned"
        advice = "If it holds numbers or dates as text, convert it; if it has rare categories, group them."
        raise column_error(name, f"{seen}; {limit}", advice, advice, drop=True)


def distinct_values(series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Code of each row and the distinct values as plain Python objects, None for missing."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        values = [plain(value) for value in series.cat.categories.tolist()]
    else:
        try:
            codes, uniques = pd.factorize(series, use_na_sentinel=True)
        except TypeError as error:  # a list, for example
            raise InputError(f"Column {series.name!r} has values that cannot be categories: {error}.") from None
        values = [plain(value) for value in uniques.tolist()]
    gone = codes < 0
    if gone.any():
        codes = np.where(gone, len(values), codes)
        values.append(None)
    return codes, values


def value_family(value: Any) -> str:
    """ "boolean", "number", "text" or "date"; for other values the name of their type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "date" if isinstance(value, datetime.date) else type(value).__name__


def family_of(categories: list[Category]) -> str:
    """The family of all categories, which is that of the first; "none" if there are none."""
    return value_family(categories[0]) if categories else "none"


def _to_json(value: Category) -> Any:
    """JSON has no infinity."""
    return {"float": repr(value)} if isinstance(value, float) and math.isinf(value) else value


def _categories(state: StateReader, name: str, longest: int | None) -> list[Category]:
    """Distinct categories of one family."""
    infinities = {"inf": math.inf, "-inf": -math.inf}
    categories: list[Category] = []
    for value in state.items(name, longest):
        if isinstance(value, dict) and value.keys() == {"float"} and value["float"] in ("inf", "-inf"):
            value = infinities[value["float"]]
        if not isinstance(value, (str, int, float)):
            raise state.error(name, value, "a text, number or boolean in each place")
        categories.append(value)
    if len({value_family(value) for value in categories}) > 1 or len(set(categories)) < len(categories):
        raise state.error(name, categories, "distinct values of one type")
    return categories
