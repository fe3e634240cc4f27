"""Views: scores of a table's rows by classical detectors that measure different things."""

from collections.abc import Callable

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from anogan import protocol

Scores = dict[str, np.ndarray]  # name of the view -> (n,), higher = more anomalous

SCALINGS = ("standard", "soft", "asinh", "quantile")
FEW_VALUES = 20  # columns with at most so many values are also compared as categories
LOF_NEIGHBOURS = 20
COMPONENTS = 16
ROWS_PER_COMPONENT = 30
MOST_COLUMNS = 20  # for full covariances
PREDICTED_COLUMNS = 12
TREES = 10
LEAST_ERROR = 1e-3


def views(train: np.ndarray, rows: np.ndarray, seed: int) -> Scores:
    """Return the scores of rows (n, d) by each view of the training rows (m, d)."""
    scaled = {name: protocol.encoded(train, rows, name) for name in SCALINGS}
    whitened = {name: _whitened(*scaled[name]) for name in ("standard", "quantile")}
    standard, quantile = scaled["standard"], scaled["quantile"]
    found = {
        **{
            f"{name} k={k}": scores
            for name in ("standard", "soft")
            for k, scores in _nearest(*scaled[name], (1, 3, 5)).items()
        },
        **{f"asinh k={k}": scores for k, scores in _nearest(*scaled["asinh"], (1,)).items()},
        **{f"quantile k={k}": scores for k, scores in _nearest(*quantile, (3,)).items()},
        **{f"whitened {name} k=3": _nearest(*rows_of, (3,))[3] for name, rows_of in whitened.items()},
        "categories k=1": _nearest(*_categories(train, rows, *scaled["soft"]), (1,))[1],
        **{f"lof {name}": _lof(*scaled[name]) for name in ("standard", "soft")},
        "mahalanobis": np.linalg.norm(whitened["standard"][1], axis=1),
        "pca residual": _pca_residual(*standard),
        "forest": _forest(*standard, seed),
        **_tails(train, rows),
        **{f"mixture {name}": _mixture(*scaled[name], seed) for name in ("standard", "quantile")},
        "dependency": _dependency(*quantile, seed),
    }
    largest = np.finfo(np.float64).max
    return {name: np.nan_to_num(scores, posinf=largest) for name, scores in found.items()}


def _nearest(train: np.ndarray, rows: np.ndarray, ranks: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Return the distance to the k-th nearest training row, for each k."""
    most = min(max(ranks), len(train))
    distances = NearestNeighbors(n_neighbors=most).fit(train).kneighbors(rows)[0]
    return {k: distances[:, min(k, most) - 1] for k in ranks}


def _lof(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the local outlier factor (Breunig 2000)."""
    search = NearestNeighbors(n_neighbors=min(LOF_NEIGHBOURS, len(train) - 1)).fit(train)
    distances, neighbours = search.kneighbors()
    reach = distances[:, -1]

    def density(distances: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        found: np.ndarray = 1 / (np.maximum(distances, reach[neighbours]).mean(axis=1) + 1e-10)
        return found

    own = density(distances, neighbours)
    distances, neighbours = search.kneighbors(rows)
    factor: np.ndarray = own[neighbours].mean(axis=1) / density(distances, neighbours)
    return factor


def _whitened(train: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide by the root of the Ledoit-Wolf covariance."""
    fitted = LedoitWolf().fit(train)
    values, vectors = np.linalg.eigh(fitted.precision_)
    directions = vectors * np.sqrt(np.maximum(values, 0))
    return (train - fitted.location_) @ directions, (rows - fitted.location_) @ directions


def _categories(
    train: np.ndarray, rows: np.ndarray, scaled_train: np.ndarray, scaled_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Replace each column of few values by one column for each value."""
    few = [(column, np.unique(column)) for column in train.T]

    def encode(X: np.ndarray, scaled: np.ndarray) -> np.ndarray:
        parts = [
            X[:, [j]] == values if len(values) <= FEW_VALUES else scaled[:, [j]] for j, (_, values) in enumerate(few)
        ]
        return np.concatenate(parts, axis=1).astype(np.float64)

    return encode(train, scaled_train), encode(rows, scaled_rows)


def _pca_residual(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    pca = PCA(0.9, svd_solver="full").fit(train)
    residual: np.ndarray = ((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(axis=1)
    return residual


def _forest(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(train).score_samples(rows)


def _tails(train: np.ndarray, rows: np.ndarray) -> Scores:
    """Return the sums over columns of -log of a value's tail probability: two-sided, and each side alone."""
    n, ordered = len(train), np.sort(train, axis=0)

    def share(count: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        counts = np.stack([count(own, column) for own, column in zip(ordered.T, rows.T, strict=True)], axis=1)
        return (counts + 0.5) / (n + 1)

    left = share(lambda own, column: np.searchsorted(own, column, side="right"))
    right = share(lambda own, column: n - np.searchsorted(own, column, side="left"))
    both = np.minimum(1, 2 * np.minimum(left, right))
    return {
        name: -np.log(tail).sum(axis=1)
        for name, tail in (("tails", both), ("left tails", left), ("right tails", right))
    }


def _mixture(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the negative log likelihood under a Gaussian mixture."""
    components = int(np.clip(len(train) // ROWS_PER_COMPONENT, 1, COMPONENTS))
    covariance = "full" if train.shape[1] <= MOST_COLUMNS else "diag"
    mixture = GaussianMixture(components, covariance_type=covariance, reg_covar=1e-2, max_iter=30, random_state=seed)
    return -mixture.fit(train).score_samples(rows)


def _dependency(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the sum of squared errors with which trees predict each column from the others.

    Errors are in units of the column's root mean square out-of-bag error.
    """
    n, d = train.shape
    total = np.zeros(len(rows))
    if d == 1:
        return total
    for j in np.sort(np.random.default_rng(seed).permutation(d)[:PREDICTED_COLUMNS]):
        forest = ExtraTreesRegressor(
            TREES, min_samples_leaf=max(3, n // 200), bootstrap=True, oob_score=True, random_state=seed
        ).fit(np.delete(train, j, axis=1), train[:, j])
        error = np.sqrt(np.mean((train[:, j] - forest.oob_prediction_) ** 2))
        predicted = forest.predict(np.delete(rows, j, axis=1))
        total += ((rows[:, j] - predicted) / max(error, LEAST_ERROR)) ** 2
    return total
