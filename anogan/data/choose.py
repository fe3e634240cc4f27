"""The preprocessor that suits the user's data, and the one that a model file holds.

What one kind of data needs is imported for it alone: exported models score pictures without pandas, and tables without
Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..sources.frames import is_folder
from .preprocessor import Preprocessor
from .state import StateReader

_INNER_KINDS = ("vector", "table", "image")


def preprocessor_for(
    X: Any,
    *,
    scaling: str = "standard",
    condition: str | None = None,
    columns: Mapping[Any, str] | None = None,
) -> Preprocessor:
    """The unfitted preprocessor that suits X.

    Parameters
    ----------
    X : DataFrame, (n, d) array, (n, C, H, W) array, ImageFolder, or Conditioned
    scaling : {"standard", "quantile", "asinh", "soft"}
        How numeric columns are scaled; images are always scaled by their value range.
    condition : str or None
        The condition, which is given and not scored: a column of a table, or "folder" for images.
    columns : dict or None
        Roles of columns of a table by their names, see `TablePreprocessor`.

    Raises
    ------
    InputError
        If X has a number of dimensions that no model takes, or `columns` are given and X is no table.
    """
    import pandas as pd

    from .condition import Conditioned, ConditionPreprocessor, split_condition

    if condition is not None or isinstance(X, Conditioned):
        rest, _ = split_condition(X, condition)
        return ConditionPreprocessor(preprocessor_for(rest, scaling=scaling, columns=columns), condition)
    if isinstance(X, pd.DataFrame):
        from .tabular import TablePreprocessor

        return TablePreprocessor(scaling=scaling, columns=columns)
    if columns:
        raise InputError("columns= gives roles to the columns of a table, and X has no column names. Give a DataFrame.")
    shape = np.shape(X)
    if is_folder(X) or len(shape) == 4:
        from .image import ImagePreprocessor

        return ImagePreprocessor()
    if len(shape) == 2:
        from .vector import VectorPreprocessor

        return VectorPreprocessor(scaling=scaling)
    if len(shape) == 3:
        raise InputError(
            f"X has samples of shape {shape[1:]}; pictures need (C, H, W) and vectors (d,). "
            "For grey pictures add a channel axis: X[:, None]. For vectors flatten: X.reshape(len(X), -1)."
        )
    raise InputError(
        f"X has shape {shape}; needed are (n, d) vectors, (n, C, H, W) pictures, a DataFrame or an "
        "ImageFolder. Reshape your data either using X.reshape(-1, 1) if it has a single feature or "
        "X.reshape(1, -1) if it contains a single sample."
    )


def preprocessor_from_state(state: StateReader) -> Preprocessor:
    """The fitted preprocessor of a state.

    Raises
    ------
    FormatError
        If the state is not one that `Preprocessor.to_state` writes.
    """
    kind = state.text("kind", choices=(*_INNER_KINDS, "condition"))
    preprocessor: Preprocessor
    if kind == "condition":
        from .condition import ConditionPreprocessor

        inner_state = state.child("inner")
        inner = _inner_from_state(inner_state, inner_state.text("kind", choices=_INNER_KINDS))
        preprocessor = ConditionPreprocessor.from_state(state, inner)
        state.end()
    else:
        preprocessor = _inner_from_state(state, kind)
    return preprocessor


def _inner_from_state(state: StateReader, kind: str) -> Preprocessor:
    preprocessor: Preprocessor
    if kind == "image":
        from .image import ImagePreprocessor

        preprocessor = ImagePreprocessor.from_state(state)
    elif kind == "table":
        from .tabular import TablePreprocessor

        preprocessor = TablePreprocessor.from_state(state)
    else:
        from .vector import VectorPreprocessor

        preprocessor = VectorPreprocessor.from_state(state)
    state.end()
    return preprocessor
