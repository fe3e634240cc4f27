"""Data that is in memory, or an ImageFolder, as a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..wording import counted
from .frames import as_frame
from .images import ImageFolder
from .source import Chunk, Source


class MemorySource(Source):
    """A DataFrame or another table in memory, an array or an ImageFolder.

    Parameters
    ----------
    X : DataFrame, (n, d) array, (n, C, H, W) array or ImageFolder
    labels : (n,) array-like, optional
        Label of each row or picture, such as 0 and 1.

    Raises
    ------
    InputError
        If there are more or fewer labels than rows, or some are missing.
    """

    def __init__(self, X: Any, labels: Any = None) -> None:
        X = as_frame(X)
        self.X = X if hasattr(X, "iloc") or isinstance(X, ImageFolder) else np.asarray(X)
        self.name = f"this {type(self.X).__name__ if not isinstance(self.X, np.ndarray) else 'array'}"
        self._labels = None if labels is None else self._as_texts(labels)

    def _as_texts(self, labels: Any) -> np.ndarray:
        import pandas as pd

        values = np.asarray(labels, dtype=object).ravel()
        if len(values) != len(self.X):
            raise InputError(f"y has {len(values)} labels, X has {len(self.X)} rows.")
        if (gaps := pd.isna(values)).any():
            raise InputError(f"y has {counted(int(gaps.sum()), 'missing value')} (first at row {int(gaps.argmax())}).")
        return np.asarray(labels).ravel().astype(str)

    @property
    def kind(self) -> str:  # type: ignore[override]
        """Kind of data."""
        if hasattr(self.X, "iloc"):
            return "table"
        return "pictures" if isinstance(self.X, ImageFolder) else "array"

    @property
    def total(self) -> int:
        """Number of rows or pictures."""
        return len(self.X)

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` rows or pictures at a time."""
        for first in range(start, len(self.X), rows):
            part = self.X.iloc[first : first + rows] if hasattr(self.X, "iloc") else self.X[first : first + rows]
            names = [file.name for file in part.files] if isinstance(part, ImageFolder) else None
            labels = None if self._labels is None else self._labels[first : first + rows]
            yield Chunk(first, part, names, labels, first + len(part))
