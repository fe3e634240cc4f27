"""Both directions of the bridge to PyOD, whose method names mean the opposite of scikit-learn's."""

from typing import Any, Protocol, Self

import numpy as np
from pyod.models.base import BaseDetector
from sklearn.base import BaseEstimator, OutlierMixin, clone

from .errors import InputError
from .scoring.calibration import Calibration


class FittableDetector(Protocol):
    """What `AsPyOD` asks of a detector; every `anogan.Detector` has it."""

    contamination: Any
    target_fpr: float
    calibration_: Calibration

    def fit(self, X: Any) -> Self: ...

    def anomaly_score(self, X: Any) -> np.ndarray: ...

    def __sklearn_is_fitted__(self) -> bool: ...


class AsPyOD(BaseDetector):
    """A `Detector` as PyOD sees it: ``decision_function`` higher = more anomalous, ``predict`` in {0, 1}.

    The threshold is the detector's own, so a thresholder of PyOD cannot take the place of ``contamination``.

    Parameters
    ----------
    detector : Detector
        If it is fitted, this is fitted too: ``decision_scores_`` and ``labels_`` are then those of its
        calibration rows, ascending, since no detector keeps its training rows. ``fit`` trains a copy.
    """

    def __init__(self, detector: FittableDetector) -> None:
        auto = detector.contamination == "auto"
        share = detector.target_fpr if auto else detector.contamination
        super().__init__(contamination=min(float(share), 0.5))  # the most that PyOD allows
        self.detector = detector
        if detector.__sklearn_is_fitted__():
            self._take(detector, detector.calibration_.scores)

    @property
    def contamination(self) -> float:
        """Share of rows that the detector's threshold flags, at most 0.5."""
        return self._contamination

    @contamination.setter
    def contamination(self, value: float) -> None:
        if hasattr(self, "_contamination"):
            raise InputError(
                f"contamination cannot be set to {value!r} here: the threshold is that of the detector. Set its "
                "contamination (a number or 'auto') or target_fpr, and call as_pyod() again. A thresholder can be "
                "fitted on decision_scores_ by itself."
            )
        self._contamination = value

    def fit(self, X: Any, y: None = None) -> Self:
        """Train a copy of the detector; ``decision_scores_`` are the scores of X."""
        detector = clone(self.detector).fit(X)
        self._set_n_classes(y)
        self._take(detector, detector.anomaly_score(X))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The anomaly score: float64 ``(n,)``, higher = more anomalous."""
        return self.fitted_.anomaly_score(X)

    def _take(self, detector: FittableDetector, scores: np.ndarray) -> None:
        self._set_n_classes(None)
        self.fitted_ = detector
        self.decision_scores_ = scores
        self.threshold_ = detector.calibration_.threshold
        self.labels_ = (scores > self.threshold_).astype(int)
        self._mu, self._sigma = float(np.mean(scores)), float(np.std(scores))


class FromPyOD(OutlierMixin, BaseEstimator):
    """A PyOD detector behind this package's methods; see `from_pyod`."""

    def __init__(self, model: BaseDetector) -> None:
        self.model = model

    def fit(self, X: Any, y: None = None) -> Self:
        """Fit a copy of the PyOD model."""
        self.model_ = clone(self.model).fit(X)
        self.offset_ = -float(self.model_.threshold_)
        return self

    def fit_predict(self, X: Any, y: None = None) -> np.ndarray:
        """The PyOD model's own labels of its training rows, in which no row is its own neighbour."""
        return np.where(self.fit(X).model_.labels_ == 1, -1, 1)

    def anomaly_score(self, X: Any) -> np.ndarray:
        """float64 ``(n,)``, higher = more anomalous."""
        return np.asarray(self.model_.decision_function(X), dtype=np.float64)

    def score_samples(self, X: Any) -> np.ndarray:
        """``-anomaly_score(X)``."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Negative for samples beyond the PyOD model's own threshold."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for flagged samples, +1 for others."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def from_pyod(model: BaseDetector) -> FromPyOD:
    """Wrap any PyOD detector so that it can be compared: ``fit``, ``anomaly_score``, ``predict``, ...

    Parameters
    ----------
    model : pyod.models.base.BaseDetector
        Unfitted; a copy is fitted.
    """
    return FromPyOD(model)
