"""The user's data as the inputs of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.columns import CategoryColumn
from ..data.condition import ConditionPreprocessor, split_condition
from ..data.preprocessor import Preprocessor


def to_inputs(preprocessor: Preprocessor, X: Any) -> dict[str, np.ndarray]:
    """Return the arrays that an exported graph takes, by name: "rows" or "pictures", and "condition" if there is one.

    Parameters
    ----------
    preprocessor : Preprocessor
        Fitted.
    X : like that of `Detector.anomaly_score`, without a `TableFile`

    Raises
    ------
    InputError
        If X does not suit what was fitted.
    """
    if isinstance(preprocessor, ConditionPreprocessor):
        rest, labels = split_condition(X, preprocessor.column)
        inputs, places = to_inputs(preprocessor.inner, rest), preprocessor.condition_.places(labels)
        if preprocessor.kind == "table":
            return {"rows": np.insert(inputs["rows"], preprocessor.place_, places, axis=1)}
        return inputs | {"condition": places.astype(np.int64)}
    if preprocessor.kind == "image":
        return {"pictures": preprocessor.decoded(X)}
    if preprocessor.kind == "vector":
        return {"rows": np.asarray(X, dtype=np.float64)}
    X = preprocessor.checked(X)
    rows = np.empty((len(X), len(preprocessor.columns_)))
    for number, column in enumerate(preprocessor.columns_):
        series = X.iloc[:, number]
        rows[:, number] = column.places(series) if isinstance(column, CategoryColumn) else column.values(series)
    return {"rows": rows}
