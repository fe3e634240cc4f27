"""Conditions: the class of each sample, which is given and not scored, such as a product variant or a camera."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import tee
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from ..errors import FormatError, InputError
from ..sources.frames import is_folder
from ..sources.notes import Note
from ..wording import counted
from .account import Account, missing_value, unknown_class
from .columns import CategoryColumn, Column, column_from_state, learn_category
from .columns.dtypes import CATEGORY, OBJECT, dtype_name
from .preprocessor import Preprocessor
from .range_counter import Beyond
from .spec import SampleSpec
from .state import State, StateReader

if TYPE_CHECKING:
    import torch

    from .samples import Samples

FOLDER = "folder"
"""The condition of pictures whose class is the name of the folder that they lie in."""
LABELS = "condition"  # the name of the labels of a `Conditioned`
_LISTED = 20


class Conditioned:
    """Samples that are no table, with the class of each one.

    Parameters
    ----------
    X : array (n, d), images (n, C, H, W), or ImageFolder
    labels : sequence of n texts, numbers or booleans

    Raises
    ------
    InputError
        If there is not one label for each sample, or X is a table.
    """

    def __init__(self, X: Any, labels: Any) -> None:
        if hasattr(X, "iloc"):
            raise InputError("X is a table; name its column instead: ConditionalGAN(condition=...).fit(X).")
        self.X = X
        self.labels = pd.Series(list(labels), name=LABELS)
        if len(self.labels) != len(X):
            raise InputError(
                f"X has {len(X)} samples, but there are {len(self.labels)} labels; needed is one for each."
            )

    def __len__(self) -> int:
        return len(self.X)


class ConditionedSamples:
    """Samples with the number of their class as one more entry along axis 0 (a constant channel).

    Parameters
    ----------
    samples : n Samples (C, ...)
    classes : (n,) int
    unseen : (n, d) bool or None
        See `Samples`; the condition, which is one of the columns, is never unseen.
    """

    def __init__(self, samples: Samples, classes: np.ndarray, unseen: np.ndarray | None = None) -> None:
        self._samples = samples
        self._classes = classes
        self.unseen = unseen

    def __len__(self) -> int:
        return len(self._samples)

    def subset(self, indices: np.ndarray) -> ConditionedSamples:
        """Only the samples at `indices`, in that order."""
        unseen = None if self.unseen is None else self.unseen[indices]
        return ConditionedSamples(self._samples.subset(indices), self._classes[indices], unseen)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """The samples at `indices`: (B, C + 1, ...)."""
        return next(self.batches([indices]))

    def batches(self, index_batches: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """One (B, C + 1, ...) tensor for each array of indices, in order."""
        import torch  # imported here, since exported models are scored without it

        for_classes, for_samples = tee(index_batches)
        for indices, x in zip(for_classes, self._samples.batches(for_samples), strict=True):
            number = torch.as_tensor(self._classes[indices]).to(x).reshape(-1, *[1] * (x.dim() - 1))
            yield torch.cat([x, number.expand(-1, 1, *x.shape[2:])], dim=1)

    def fingerprint(self) -> str:
        """A digest of the samples and their classes."""
        return f"{self._samples.fingerprint()} {self._classes.tolist()}"


class ConditionPreprocessor(Preprocessor):
    """Takes the condition out of the user's data and puts it back; another preprocessor handles the rest.

    Parameters
    ----------
    inner : Preprocessor
        For samples without their condition.
    column : str or None
        The column of a table; "folder" for pictures in folders; None for a `Conditioned`.

    Attributes
    ----------
    condition_ : CategoryColumn
        The classes.
    position_ : int
        Where the condition stands among the table's columns.
    """

    def __init__(self, inner: Preprocessor, column: str | None) -> None:
        self.inner = inner
        self.column = column

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.inner.kind

    @property
    def spec_(self) -> SampleSpec:
        return replace(self.inner.spec_, classes=len(self.condition_.categories))

    @property
    def names_(self) -> list[str | int]:  # type: ignore[override]
        """All columns of a table with the condition among them."""
        names = list(self.inner.names_)
        if self.kind == "table" and self.column is not None:
            names.insert(self.position_, self.column)
        return names

    @property
    def ignored_(self) -> dict[str | int, str]:  # type: ignore[override]
        """As the inner preprocessor."""
        return dict(self.inner.ignored_)

    @property
    def notes_(self) -> list[Note]:  # type: ignore[override]
        """As the inner preprocessor."""
        return list(self.inner.notes_)

    @property
    def place_(self) -> int:
        """Where the condition stands among the learned columns."""
        return sum(name not in self.inner.ignored_ for name in self.inner.names_[: self.position_])

    @property
    def columns_(self) -> list[Column]:  # type: ignore[override]
        """The learned columns of a table with the condition among them; other data has no column for the condition."""
        columns: list[Column] = list(self.inner.columns_)
        if self.kind == "table":
            columns.insert(self.place_, self.condition_)
        return columns

    @property
    def places_(self) -> list[slice]:
        """See `Preprocessor.places_`; the number of the class follows the inner sample."""
        places: list[slice] = list(self.inner.places_)
        if self.kind == "table":
            places.insert(self.place_, slice(self.spec_.shape[0], self.spec_.shape[0] + 1))
        return places

    def fit(self, X: Any, *, rows: np.ndarray | None = None, sampled: int | None = None) -> Self:
        """Learn the classes from all of X; a missing class is an `InputError`."""
        rest, labels = split_condition(X, self.column)
        self.condition_ = _learn_classes(labels)
        self.position_ = X.columns.get_loc(self.column) if isinstance(X, pd.DataFrame) else 0
        self.inner.fit(rest, rows=rows, sampled=sampled)
        return self

    def transform(self, X: Any, dtype: torch.dtype) -> ConditionedSamples:
        """Check X and bring it to model space.

        Raises
        ------
        InputError
            If the condition is missing or a class is unknown (the message names the closest ones), or if the inner
            preprocessor refuses X.
        """
        rest, labels = split_condition(X, self.column)
        self._check_known(labels)
        samples = self.inner.transform(rest, dtype)
        unseen = samples.unseen if samples.unseen is None else np.insert(samples.unseen, self.place_, False, axis=1)
        return ConditionedSamples(samples, self.condition_.places(labels), unseen)

    def graph_inputs(self, X: Any) -> dict[str, np.ndarray]:
        """See `Preprocessor.graph_inputs`; the class is a number, in a column of a table or an input of its own."""
        rest, labels = split_condition(X, self.column)
        inputs, places = self.inner.graph_inputs(rest), self.condition_.places(labels)
        if self.kind == "table":
            return {"rows": np.insert(inputs["rows"], self.place_, places, axis=1)}
        return inputs | {"condition": places.astype(np.int64)}

    def graph_batches(self, X: Any, at_once: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Preprocessor.graph_batches`."""
        rest, labels = split_condition(X, self.column)
        self._check_known(labels)
        places = self.condition_.places(labels).astype(np.int64)
        for number, inputs in enumerate(self.inner.graph_batches(rest, at_once)):
            yield inputs | {"condition": places[number * at_once : (number + 1) * at_once]}

    @property
    def value_columns_(self) -> list[Column]:
        """See `Preprocessor.value_columns_`."""
        return self.columns_ if self.kind == "table" else [*self.inner.columns_, self.condition_]

    def values(self, X: Any) -> np.ndarray:
        """See `Preprocessor.values`; the condition of other data than tables is the last column."""
        rest, labels = split_condition(X, self.column)
        self._check_known(labels)
        return np.insert(self.inner.values(rest), self._value_place, self.condition_.values(labels), axis=1)

    def restore(self, values: np.ndarray) -> Any:
        """See `Preprocessor.restore`."""
        labels = self.condition_.restore(values[:, self._value_place])
        return self._with_labels(self.inner.restore(np.delete(values, self._value_place, axis=1)), labels)

    @property
    def _value_place(self) -> int:
        return self.place_ if self.kind == "table" else len(self.inner.columns_)

    def inverse(self, x: np.ndarray) -> Any:
        """(n, C + 1, ...) in model space -> a table with its condition, or a `Conditioned`."""
        rest = self.inner.inverse(x[:, :-1])
        places = np.rint(x[:, -1].reshape(len(x), -1)[:, 0]).astype(np.int64)
        return self._with_labels(rest, self.condition_.restore(places))

    def _with_labels(self, rest: Any, labels: pd.Series) -> Any:
        if not isinstance(rest, pd.DataFrame):
            return Conditioned(rest, labels)
        rest.insert(self.place_, self.column, labels)
        return rest

    def check_depth(self, pixels: np.ndarray, name: str) -> None:
        """As the inner preprocessor."""
        self.inner.check_depth(pixels, name)

    def hidden_columns(self, X: Any, rows: np.ndarray) -> list[str | int]:
        """As the inner preprocessor."""
        rest, _ = split_condition(X, self.column)
        return self.inner.hidden_columns(rest, rows)

    def collapse(self, error: np.ndarray) -> np.ndarray | pd.DataFrame:
        """As the inner preprocessor; the error of the condition is 0, since it is given."""
        rest = self.inner.collapse(error[:, :-1])
        if isinstance(rest, pd.DataFrame):
            rest.insert(self.place_, self.column, 0.0)
        return rest

    def account(self, X: Any) -> Account | None:
        """As the inner preprocessor; rows whose class is missing or unknown are refused."""
        rest, labels = split_condition(X, self.column)
        account: Account | None = self.inner.account(rest)
        if account is None:
            return None
        if self.kind == "table":
            account = account.with_column(self.place_, str(labels.name))
        refused = dict(account.refused)
        name, whys = str(labels.name), {None: missing_value(str(labels.name))}
        for value in self.condition_.unseen(labels):
            if value is not None:
                whys[value] = unknown_class(value, name, self.condition_.categories)
        for row in np.flatnonzero(self.condition_.places(labels) < 0).tolist():
            value = labels.iloc[row]
            refused[row] = whys[None if pd.isna(value) else value]
        return replace(account, refused=refused)

    def known_codes(self) -> list[np.ndarray]:
        """See `Preprocessor.known_codes`; there are none of the condition, which is never unseen."""
        codes: list[np.ndarray] = list(self.inner.known_codes())
        if self.kind == "table":
            codes.insert(self.place_, np.empty((0, 1)))
        return codes

    def count_beyond(self, X: Any) -> dict[str | int, Beyond]:
        """As the inner preprocessor."""
        return self.inner.count_beyond(split_condition(X, self.column)[0])

    def range_notes(self, counts: Mapping[str | int, Beyond]) -> Sequence[Note]:
        """As the inner preprocessor."""
        return self.inner.range_notes(counts)

    def column_types(self) -> dict[str | int, str]:
        """See `Preprocessor.column_types`."""
        if self.kind != "table":
            return super().column_types()
        return {column.name: column.arrow_type for column in self.columns_}

    def units(self) -> dict[str, str]:
        """See `Preprocessor.units`."""
        return self.inner.units()

    def blur(self) -> None:
        """See `Preprocessor.blur`."""
        self.inner.blur()

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return {
            "kind": "condition",
            "column": self.column,
            "position": self.position_,
            "condition": self.condition_.to_state(),
            "inner": self.inner.to_state(),
        }

    @classmethod
    def from_state(cls, state: StateReader, inner: Preprocessor) -> Self:
        """The fitted preprocessor of a state whose kind and inner preprocessor were read."""
        self = cls(inner, state.optional_text("column"))
        if inner.kind == "table" and self.column is None:
            raise state.error("column", None, "the name of a table's column")
        if inner.kind != "table" and self.column not in (None, FOLDER):
            raise state.error("column", self.column, f"None or {FOLDER!r}, since the samples are not a table")
        self.position_ = state.integer("position", 0, len(inner.names_) if inner.kind == "table" else 0)
        condition = column_from_state(state.child("condition"), channels=0)
        if not isinstance(condition, CategoryColumn) or condition.missing:
            raise FormatError(f"{state.path}.condition is not a category column without missing values.")
        self.condition_ = condition
        return self

    def _check_known(self, labels: pd.Series) -> None:
        unknown = self.condition_.unseen(labels)
        if not unknown:
            return
        known = [str(category) for category in self.condition_.categories]
        value = next(iter(unknown))
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        if value is None:
            raise InputError(
                f"The condition '{labels.name}' is missing in {counted(unknown[None], 'row')}. Fill or drop them."
            )
        close = difflib.get_close_matches(str(value), known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        if not close and len(known) <= _LISTED:
            hint = f" It knows {', '.join(known)}."
        raise InputError(
            f"The model does not know {value!r}{more} as a value of the condition '{labels.name}' "
            f"({counted(unknown[value], 'row')}), so it does not know what is normal there.{hint}"
        )


def split_condition(X: Any, column: str | None) -> tuple[Any, pd.Series]:
    """The samples without their condition, and the condition of each.

    Raises
    ------
    InputError
        If X has no such condition.
    """
    if isinstance(X, Conditioned):
        if column not in (None, FOLDER):
            raise InputError(f"condition={column!r} names a column of a table, but X has labels of its own.")
        return X.X, X.labels
    if isinstance(X, pd.DataFrame) and column is not None:
        names = [str(name) for name in X.columns]
        if column not in X.columns:
            close = difflib.get_close_matches(column, names, n=3) or names[:_LISTED]
            raise InputError(
                f"X has no column '{column}', which is the condition. Closest: {', '.join(map(repr, close))}."
            )
        return X.drop(columns=column), X[column]
    if is_folder(X) and column == FOLDER:
        return X, pd.Series([file.parent.name for file in X.files], name=FOLDER)
    if column is None:
        raise InputError("The model was fitted with a condition, and X has none: give Conditioned(X, labels).")
    needed = "a folder of pictures" if column == FOLDER else "a DataFrame with this column"
    raise InputError(f"condition={column!r} needs {needed}. For other data give Conditioned(X, labels).")


def _learn_classes(labels: pd.Series) -> CategoryColumn:
    if labels.isna().any():
        raise InputError(
            f"The condition '{labels.name}' is missing in {counted(int(labels.isna().sum()), 'row')}. "
            "Fill or drop them."
        )
    categorical = labels if isinstance(labels.dtype, pd.CategoricalDtype) else labels.astype("category")
    column = learn_category(labels.name, categorical)
    column.dtype = dtype_name(labels.dtype, CATEGORY, otherwise=OBJECT)
    return column
