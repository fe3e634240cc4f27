"""Classical detectors on the same rows, at their usual settings, and the encoding that they see."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pyod.models.ecod import ECOD
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

import anogan

KNN_ROWS = 20_000


class Forest(IsolationForest):
    """scikit-learn's isolation forest."""

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        return -self.score_samples(X)


class Neighbours(NearestNeighbors):
    """Distance to the k-th nearest of at most `KNN_ROWS` random training rows, as PyOD's KNN."""

    def fit(self, X: np.ndarray, y: None = None) -> "Neighbours":
        kept = np.random.default_rng(0).permutation(len(X))[:KNN_ROWS]
        return super().fit(X[np.sort(kept)])

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        return self.kneighbors(X)[0][:, -1]


BASELINES: dict[str, Callable[[], Any]] = {
    "iforest": Forest,
    "knn": lambda: Neighbours(n_neighbors=5),
    "ecod": lambda: anogan.from_pyod(ECOD()),  # its scores also depend on the other test rows, by design
}


def build(name: str, params: dict[str, Any], seed: int) -> Any:
    """The unfitted detector or baseline: ``fit(X)``, then ``anomaly_score(X)``, higher = more anomalous."""
    if name not in BASELINES:
        return anogan.list_detectors()[name](**params, random_state=seed)
    baseline = BASELINES[name]()
    return baseline.set_params(random_state=seed) if hasattr(baseline, "random_state") else baseline


def settings(name: str, params: dict[str, Any], suite: str) -> dict[str, Any]:
    """Every parameter that shapes the scores, defaults included: equal for two equal measurements."""
    found = {k: v for k, v in build(name, params, 0).get_params().items() if k not in ("random_state", "device")}
    return found | ({"scaling": baseline_scaling(params, suite)} if name in BASELINES else {})


def baseline_scaling(params: dict[str, Any], suite: str) -> str:
    """Plain tables are standardised; mixed ones and pictures are encoded as the detectors do by default."""
    default = "standard" if suite == "tabular" else anogan.Detector.parameters()["scaling"].default
    return str(params.get("scaling", default))


def encoded(train: Any, test: Any, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows (n, d) as the detectors' networks see them, fitted on the training rows alone.

    The encoding is taken from a detector of token size, fitted so that no row is held out.
    """
    cls = anogan.GANomaly
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        token = cls(**cls.tiny | {"scaling": scaling, "contamination": 0.1, "patience": 0, "random_state": 0})
        preprocessor = token.fit(train).preprocessor_

    def encode(rows: Any) -> np.ndarray:
        samples = preprocessor.transform(rows, torch.float64)
        return samples.batch(np.arange(len(samples))).flatten(1).numpy()

    return encode(train), encode(test)
