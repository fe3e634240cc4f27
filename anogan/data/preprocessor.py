"""The owner of units: from the user's data to model space and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator

from ..errors import InputError
from .columns import Column
from .samples import Samples
from .spec import SampleSpec

TRUSTED_TYPES: list[str] = [
    "anogan.data.columns.CategoryColumn",
    "anogan.data.columns.DateColumn",
    "anogan.data.columns.NumberColumn",
    "anogan.data.condition.ConditionPreprocessor",
    "anogan.data.image.ImagePreprocessor",
    "anogan.data.scaling.NumericScaler",
    "anogan.data.tabular.TablePreprocessor",
    "anogan.data.vector.VectorPreprocessor",
]
"""What `skops.io.loads` must be told to trust to read a preprocessor; all of it is ours."""


class Preprocessor(BaseEstimator, ABC):
    """Brings one kind of data to bounded or standardised tensors and back.

    State lives in attributes that skops stores without trusting foreign types.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def spec_(self) -> SampleSpec:
        """Shape, range and one-hot spans of a preprocessed sample."""

    columns_: list[Column]
    """The user's columns in their order; a picture has none."""

    @property
    def places_(self) -> list[slice]:
        """Where the code of each of `columns_` lies in a sample."""
        return []

    @abstractmethod
    def fit(self, X: Any, *, rows: np.ndarray | None = None) -> Self:
        """Learn from X.

        Parameters
        ----------
        X : the user's data
        rows : (m,) int, optional
            The training rows. Scaling statistics come from these alone; what is *known* (columns, categories,
            which columns may miss values) comes from all of X. By default all rows are training rows.
        """

    @abstractmethod
    def transform(self, X: Any, dtype: torch.dtype) -> Samples:
        """Check X against what was fitted and bring it to model space."""

    @abstractmethod
    def inverse(self, x: np.ndarray) -> np.ndarray | pd.DataFrame:
        """(n, *shape) in model space -> the user's units, columns or pixels."""

    @abstractmethod
    def collapse(self, error: np.ndarray) -> np.ndarray | pd.DataFrame:
        """(n, *shape) non-negative error map -> one number per user column, or per pixel."""


def preprocessor_for(X: Any, *, scaling: str = "standard", condition: str | None = None) -> Preprocessor:
    """The unfitted preprocessor that suits X.

    Parameters
    ----------
    X : DataFrame, (n, d) array, (n, C, H, W) array, ImageFolder, or Conditioned
    scaling : {"standard", "quantile", "asinh", "soft"}
        How numeric columns are scaled; pictures are always scaled by their value range.
    condition : str or None
        What is given rather than judged: a column of a table, or "folder" for pictures.

    Raises
    ------
    InputError
        If X has a number of dimensions that none of our models takes.
    """
    # Each kind imports this module for the base class; a table user need not load Pillow.
    from .condition import Conditioned, ConditionPreprocessor, split_condition

    if condition is not None or isinstance(X, Conditioned):
        rest, _ = split_condition(X, condition)
        return ConditionPreprocessor(preprocessor_for(rest, scaling=scaling), condition)
    if isinstance(X, pd.DataFrame):
        from .tabular import TablePreprocessor

        return TablePreprocessor(scaling=scaling)
    from .image import ImageFolder, ImagePreprocessor

    if isinstance(X, ImageFolder):
        return ImagePreprocessor()
    shape = np.shape(X)
    if len(shape) == 4:
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
