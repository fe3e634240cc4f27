"""The interface of preprocessors: from the user's data to model space and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..errors import InputError
from ..sources.notes import Note
from .range_counter import Beyond, RangeCounter
from .spec import SampleSpec
from .state import State

if TYPE_CHECKING:  # pictures are scored without pandas
    import pandas as pd
    import torch

    from .account import Account
    from .columns import Column
    from .samples import Samples


class Preprocessor(ABC):
    """Brings one kind of data to bounded or standardised tensors and back."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def spec_(self) -> SampleSpec:
        """Shape, range and one-hot spans of a preprocessed sample."""

    columns_: list[Column]
    """The learned columns in their order; images have none."""
    names_: list[str | int]
    """The names of all columns of the training data in their order; images have none."""
    ignored_: Mapping[str | int, str] = MappingProxyType({})
    """The columns that are not learned, and why."""
    notes_: Sequence[Note] = ()
    """What the last fit saw in the data that the user should know."""

    @property
    def places_(self) -> list[slice]:
        """Where the code of each of `columns_` lies in a sample."""
        return []

    def account(self, X: Any) -> Account | None:
        """What each row of X holds: whether it can be scored, and which of its values are new; None for pictures.

        Raises
        ------
        InputError
            If X as a whole does not suit what was fitted, such as a table without one of the columns.
        """
        return None

    def known_codes(self) -> list[np.ndarray]:
        """The codes (k, width) of values of each of `columns_` that occurred in fit and can stand for an unseen one.

        Only tables have unseen values; see `Samples.unseen`.
        """
        return []

    @abstractmethod
    def fit(self, X: Any, *, rows: np.ndarray | None = None, sampled: int | None = None) -> Self:
        """Learn from X.

        Parameters
        ----------
        X : the user's data
        rows : (m,) int, optional
            The training rows. Scaling statistics come from these alone; what is *known* (columns, categories,
            which columns may have missing values) comes from all of X. By default all rows are training rows.
        sampled : int, optional
            The number of rows that are data, in their order. Those after them only show what else is known, and do
            not count where values are counted. By default all rows are data.
        """

    @abstractmethod
    def transform(self, X: Any, dtype: torch.dtype) -> Samples:
        """Check X against what was fitted and bring it to model space."""

    def graph_inputs(self, X: Any) -> dict[str, np.ndarray]:
        """Return the arrays that an exported graph takes, by name: "rows" or "pictures", and "condition" if needed.

        Raises
        ------
        InputError
            If X does not suit what was fitted.
        """
        raise NotImplementedError

    def graph_batches(self, X: Any, at_once: int) -> Iterator[dict[str, np.ndarray]]:
        """Iterate over what `graph_inputs` returns, for some pictures at once.

        All of X is checked before the first one, except what files hold, which is checked when they are read.
        """
        raise NotImplementedError

    @abstractmethod
    def inverse(self, x: np.ndarray) -> np.ndarray | pd.DataFrame:
        """(n, *shape) in model space -> the user's units, columns or pixels."""

    @abstractmethod
    def collapse(self, error: np.ndarray) -> np.ndarray | pd.DataFrame:
        """(n, *shape) non-negative error map -> one number per user column, or per pixel."""

    def check_depth(self, pixels: np.ndarray, name: str) -> None:  # noqa: B027, most kinds have none
        """Raise `InputError` if a picture's depth differs so that its values and those of training do not compare.

        The message begins with the picture's name. Only pictures have a depth.
        """

    @property
    def value_columns_(self) -> list[Column]:
        """The columns of `values`, which are `columns_` and the condition, if there is one."""
        return self.columns_

    def values(self, X: Any) -> np.ndarray:
        """Return one number for each row and learned column of a table or array: (n, D) float64, NaN = missing.

        Numbers are in the user's unit, dates in seconds since 1970, and categories are numbered.
        """
        raise NotImplementedError

    def restore(self, values: np.ndarray) -> Any:
        """(n, D) as `values` returns them -> the user's units and columns, exactly."""
        raise NotImplementedError

    def hidden_columns(self, X: Any, rows: np.ndarray) -> list[str | int]:
        """Return the number columns whose values in these rows of X nearly coincide after scaling, though they differ.

        See `NumericScaler.hides`. Pictures have no such columns.
        """
        return []

    def count_beyond(self, X: Any) -> dict[str | int, Beyond]:
        """Count what lies beyond the range of training: values of a table, by column, or pictures of a folder."""
        return {}

    def range_counter(self) -> RangeCounter:
        """Return a counter of what lies beyond the range of training."""
        return RangeCounter(self.count_beyond, self.range_notes)

    def range_notes(self, counts: Mapping[str | int, Beyond]) -> Sequence[Note]:
        """Return a note for each column with more values beyond the range than chance explains, or about pictures."""
        return []

    def column_types(self) -> dict[str | int, str]:
        """The pyarrow type, by name, in which each column of a file is to be read.

        One of "double", "bool", "string", "timestamp[us]" and "timestamp[us, tz=UTC]".

        Raises
        ------
        InputError
            If it was not fitted on a table.
        """
        raise InputError(
            "A file of a table suits only models that were fitted on a DataFrame or a TableFile; this one was fitted "
            "on an array or on pictures. Give it such data, or fit again."
        )

    def units(self) -> dict[str, str]:
        """The unit of each column of numbers, as far as it is known, "" where fit saw none; none for other data."""
        return {}

    @abstractmethod
    def to_state(self) -> State:
        """The fitted state; `choose.preprocessor_from_state` reads it by its "kind"."""

    def blur(self) -> None:  # noqa: B027, most kinds keep none
        """Forget single values of number columns that the state keeps beside their statistics. The default has none."""
