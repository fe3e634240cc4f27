"""The scores of rows some of which cannot be scored."""

from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..data.account import OK
from ..data.condition import Conditioned
from ..data.preprocessor import Preprocessor
from ..errors import InputError
from ..sources.frames import as_frame
from .calibration import Calibration

ON_GAP = ("score", "skip")


class FittedDetector(Protocol):
    """What `score_table` uses of a detector."""

    preprocessor_: Preprocessor
    calibration_: Calibration

    def anomaly_score(self, X: Any) -> np.ndarray: ...


def score_table(detector: FittedDetector, X: Any, on_gap: str) -> pd.DataFrame:
    """See `Detector.score_table`."""
    if on_gap not in ON_GAP:
        raise InputError(f"on_gap must be 'score' or 'skip', got {on_gap!r}.")
    X = as_frame(X)
    account = detector.preprocessor_.account(X)
    scores, status, unseen = np.full(len(X), np.nan), np.full(len(X), OK, dtype=object), np.full(len(X), None)
    if account is not None:
        account = account.without_gaps() if on_gap == "skip" else account
        status, unseen = account.status(), account.unseen_columns()
    usable = np.flatnonzero(status == OK)
    if len(usable):
        scores[usable] = detector.anomaly_score(X if len(usable) == len(X) else _rows(X, usable))
    calibration = detector.calibration_
    flags = pd.array(scores > calibration.threshold, dtype="boolean")
    flags[np.isnan(scores)] = pd.NA
    columns = {
        "score": scores,
        "p_value": calibration.p_value(scores),
        "flag": flags,
        "unseen": pd.array(unseen, dtype="str"),
        "status": pd.array(status, dtype="str"),
    }
    return pd.DataFrame(columns, index=X.index if isinstance(X, pd.DataFrame) else None)


def _rows(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, Conditioned):
        return Conditioned(_rows(X.X, rows), X.labels.iloc[rows])
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows]
