"""A fusion of classical detectors, weighted without labels: what a network has to beat."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from ..data.scaling import NumericScaler
from ..errors import InputError
from .metrics import auroc

Score = Callable[[np.ndarray], np.ndarray]  # rows (n, d) -> scores (n,), higher = more anomalous

MEANS = ("geometric", "harmonic")
LEAST_ROWS = 8
SWAPPED = 0.3  # share of the values that a probe takes from other rows
JITTER = 0.5  # in interquartile ranges


class Fusion:
    """Weighted mean of the p-values of nine classical detectors; the weights come from synthetic anomalies.

    The detectors are nearest neighbours (k = 1, 3, 5), nearest neighbours (k = 3) after scaling to normal scores and
    after whitening, LOF, Mahalanobis distance, PCA residual, and an isolation forest. A random part of the training
    rows is held out and turns every score into a conformal p-value. The weight of a detector is exp(sharpness * a),
    where a is the AUROC with which it separates the held-out rows from synthetic anomalies that are made of them:
    every column shuffled, a share of the values replaced by those of other rows, and noise.

    Parameters
    ----------
    mean : {"harmonic", "geometric"}
        Weighted mean of the p-values. The harmonic mean is dominated by the smallest ones.
    sharpness : float
        0 weights all detectors equally.
    held_out : float in (0, 1)
        Share of the training rows that is held out.
    random_state : int
    """

    def __init__(
        self, mean: str = "harmonic", sharpness: float = 20.0, held_out: float = 0.25, random_state: int = 0
    ) -> None:
        self.mean = mean
        self.sharpness = sharpness
        self.held_out = held_out
        self.random_state = random_state

    def get_params(self) -> dict[str, Any]:
        """Return the parameters, as scikit-learn's estimators do."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def fit(self, X: np.ndarray) -> Self:
        """Fit on standardised rows (n, d).

        Raises
        ------
        InputError
            If there are fewer than eight rows, or `mean` is none of the known ones.
        """
        if self.mean not in MEANS:
            raise InputError(f"The 'mean' parameter must be one of {', '.join(MEANS)}. Got {self.mean!r} instead.")
        if len(X) < LEAST_ROWS:
            raise InputError(f"{len(X)} rows are too few for a fusion; needed are at least {LEAST_ROWS}.")
        rng = np.random.default_rng(self.random_state)
        order = rng.permutation(len(X))
        count = min(max(round(self.held_out * len(X)), 2), len(X) - 6)
        held_out, train = X[order[:count]], X[order[count:]]
        self.detectors_ = detectors(train, self.random_state)
        normal = self._scores(held_out)
        self.calibration_ = np.sort(normal, axis=1)
        made = [self._scores(probe) for probe in probes(train, held_out, rng)]
        is_probe = np.repeat([False, True], count)
        self.probe_auroc_ = np.array(
            [
                np.mean([auroc(is_probe, np.concatenate([normal[i], scores[i]])) for scores in made])
                for i in range(len(normal))
            ]
        )
        weights = np.exp(self.sharpness * (self.probe_auroc_ - self.probe_auroc_.max()))
        self.weights_ = weights / weights.sum()
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Return minus the logarithm of the mean p-value of each row, float64 (n,)."""
        scores = self._scores(X)
        m = self.calibration_.shape[1]
        counts = [np.searchsorted(held, own, side="left") for held, own in zip(self.calibration_, scores, strict=True)]
        evidence = -np.log((1 + m - np.stack(counts)) / (1 + m))  # (detectors, n)
        if self.mean == "geometric":
            combined: np.ndarray = self.weights_ @ evidence
            return combined
        found: np.ndarray = logsumexp(evidence, axis=0, b=self.weights_[:, None])
        return found

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """Return the score of each detector: (n, d) -> (detectors, n)."""
        return np.stack([score(X) for score in self.detectors_.values()])


def detectors(train: np.ndarray, seed: int) -> dict[str, Score]:
    """Fit the nine detectors on standardised rows (n, d)."""
    scaler = NumericScaler("quantile").fit(train.T)
    covariance = LedoitWolf().fit(train)
    values, vectors = np.linalg.eigh(covariance.covariance_)
    whitening = vectors / np.sqrt(np.maximum(values, 1e-9 * max(values[-1], 1e-300)))
    pca = PCA(0.9, svd_solver="full").fit(train)
    lof = LocalOutlierFactor(min(20, len(train) - 1), novelty=True).fit(train)
    forest = IsolationForest(random_state=seed).fit(train)
    quantile = neighbour_distance(scaler.transform(train), 3)
    whitened = neighbour_distance(train @ whitening, 3)
    return {
        **{f"neighbours_{k}": neighbour_distance(train, k) for k in (1, 3, 5)},
        "neighbours_quantile": lambda X: quantile(scaler.transform(X)),
        "neighbours_whitened": lambda X: whitened(X @ whitening),
        "lof": lambda X: -lof.score_samples(X),
        "mahalanobis": covariance.mahalanobis,
        "pca_residual": lambda X: ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1),
        "isolation_forest": lambda X: -forest.score_samples(X),
    }


def neighbour_distance(train: np.ndarray, k: int) -> Score:
    """Return the distance to the k-th nearest of the training rows, as a function of rows."""
    search = NearestNeighbors(n_neighbors=min(k, len(train))).fit(train)

    def score(X: np.ndarray) -> np.ndarray:
        farthest: np.ndarray = search.kneighbors(X)[0][:, -1]
        return farthest

    return score


def probes(train: np.ndarray, held_out: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return three synthetic anomalies for each held-out row (m, d): shuffled, partly replaced, and with noise."""
    shape = held_out.shape
    columns = np.arange(shape[1])

    def drawn() -> np.ndarray:
        values: np.ndarray = train[rng.integers(len(train), size=shape), columns]
        return values

    upper, lower = np.quantile(train, [0.75, 0.25], axis=0)
    scale = np.where(upper > lower, upper - lower, train.std(axis=0))
    return [
        drawn(),
        np.where(rng.random(shape) < SWAPPED, drawn(), held_out),
        held_out + JITTER * scale * rng.normal(size=shape),
    ]
