"""An example of what a model scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .columns import CategoryColumn
from .preprocessor import Preprocessor


def example_row(preprocessor: Preprocessor) -> pd.DataFrame | np.ndarray:
    """Return a row that a fitted model of a table or an array can score: middle values, the first of each category.

    A number that may be missing is missing, since no middle value of its column is kept.

    Returns
    -------
    DataFrame with one row, or array (1, d)
    """
    if preprocessor.kind == "vector":
        return np.zeros((1, len(preprocessor.columns_)))
    values = [
        0.0 if isinstance(column, CategoryColumn) else column.known[len(column.known) // 2] if column.known else np.nan
        for column in preprocessor.value_columns_
    ]
    row: pd.DataFrame = preprocessor.restore(np.array([values]))
    return row
