"""scikit-learn's checks of arrays, and those that need no preprocessor; preprocessors check tables and pictures."""

import re
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..data.condition import Conditioned
from ..errors import InputError
from ..sources.frames import as_frame, is_folder
from ..sources.table import TableFile


class Features(NamedTuple):
    """The columns that a fit was given.

    Attributes
    ----------
    number : int or None
        None for pictures.
    names : array of object or None
        None for data without column names.
    """

    number: int | None = None
    names: np.ndarray | None = None


def check_training_input(X: Any, caller: str) -> tuple[Any, Features]:
    """Check X of a fit by the detector class called ``caller``; return it as needed, and its columns.

    Raises
    ------
    InputError
        X cannot be used.
    """
    if isinstance(X, Conditioned):
        rest, features = check_training_input(X.X, caller)
        return Conditioned(rest, X.labels), features
    X = as_frame(X)
    if _has_own_checks(X):
        names = np.asarray(X.columns, dtype=object) if hasattr(X, "iloc") else None
        return X, Features(None if names is None else len(names), names)
    X, checked = _validated(X, caller, {}, reset=True)
    return X, Features(checked["n_features_in_"], checked.get("feature_names_in_"))


def check_input(X: Any, caller: str, features: Features) -> Any:
    """Check X, which should have the columns that the detector class called ``caller`` was fitted with.

    Raises
    ------
    InputError
        X cannot be used.
    """
    if isinstance(X, Conditioned):
        return Conditioned(check_input(X.X, caller, features), X.labels)
    X = as_frame(X)
    if _has_own_checks(X):
        return X
    fitted = {"n_features_in_": features.number, "feature_names_in_": features.names}
    X, _ = _validated(X, caller, {k: v for k, v in fitted.items() if v is not None}, reset=False)
    return X


def _has_own_checks(X: Any) -> bool:
    """Return whether a preprocessor checks X: a table, pictures, or a folder of pictures."""
    if isinstance(X, TableFile):
        raise InputError("This method needs rows in memory; a TableFile suits fit, scoring, recalibrate and drift.")
    if np.ma.is_masked(X):
        raise InputError(
            "X is a masked array, whose masked values would be read as data; fill them, or use a DataFrame."
        )
    is_table = hasattr(X, "iloc")
    if is_table and X.ndim != 2:
        raise InputError("X is a Series; a table is needed: X.to_frame().")
    return is_table or is_folder(X) or getattr(X, "ndim", 2) >= 3


def _validated(X: Any, caller: str, fitted: dict[str, Any], *, reset: bool) -> tuple[np.ndarray, dict[str, Any]]:
    """Run scikit-learn's checks on an estimator that is a detector in name only, since a fit must not change it."""
    estimator = type(caller, (BaseEstimator,), {})()
    vars(estimator).update(fitted)
    try:
        X = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
    except TypeError as error:
        if reset:
            raise  # as scikit-learn's checks of estimators expect
        raise InputError(f"X has values that are no numbers ({error}); give it as a DataFrame.") from None
    except ValueError as error:
        words = re.sub(r":\narray=.*\]\.\n", ". ", str(error), flags=re.DOTALL)  # a whole array
        raise InputError(re.sub(r"(Complex data not supported)\n.*", r"\1.", words, flags=re.DOTALL)) from None
    return X, vars(estimator)
