"""Comparison of synthetic rows with real ones, whatever made them."""

import warnings
from typing import Any

import numpy as np
import torch

from ..data.choose import preprocessor_for
from ..engine.row_fidelity import Rows, compare
from ..errors import ColumnWarning
from ..sources.frames import as_frame


def compare_rows(real: Any, synthetic: Any, training: Any) -> dict[str, Any]:
    """Compare synthetic rows with real ones.

    Parameters
    ----------
    real : DataFrame or array (n, d)
        Rows that the generator was not trained on.
    synthetic : DataFrame or array (m, d)
        As many rows, or more.
    training : DataFrame or array (r, d)
        Rows that the generator was trained on.

    Returns
    -------
    dict
        ``column_distance``, ``correlation_error``, ``real_vs_synthetic``, ``false_alarms_of_synthetic`` and
        ``nearest_ratio``, see `Detector.diagnosis_`, and ``columns``: the distance of each column.

    Raises
    ------
    InputError
        The rows have other columns, or columns of other types, than the training rows.
    """
    training = as_frame(training)
    preprocessor = preprocessor_for(training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)  # the fit of the generator has said this
        preprocessor.fit(training)

    def rows(X: Any) -> Rows:
        codes = preprocessor.transform(X, torch.float64)
        return Rows(preprocessor.values(X), codes.batch(np.arange(len(codes))).numpy())

    columns = preprocessor.value_columns_
    measures, distances = compare(
        rows(as_frame(real)),
        rows(as_frame(synthetic)),
        rows(training).codes,
        np.array([column.kind in ("category", "boolean") for column in columns]),
        [str(column.name) for column in columns],
    )
    return {**measures, "columns": distances}
