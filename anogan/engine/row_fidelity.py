"""How synthetic rows compare with real ones that no training has seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import ks_2samp, rankdata

DUMMIES = 10  # most frequent categories of a column that have correlations, at most
NEIGHBOURS = 5
TARGET_FPR = 0.01
FOLDS = 2


class Rows(NamedTuple):
    """Rows of a table in two forms.

    Attributes
    ----------
    values : (n, D) float64
        As `Preprocessor.values` returns them.
    codes : (n, d) float64
        In model space, where distances are computed.
    """

    values: np.ndarray
    codes: np.ndarray


def compare(
    real: Rows, fake: Rows, training: np.ndarray, categorical: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the measures of synthetic rows that `Diagnosis` describes, and the distance of each column.

    Parameters
    ----------
    real, fake : Rows
        ``real`` are rows that the generator has not seen.
    training : (r, d) float64
        Codes of rows that it has seen.
    categorical : (D,) bool
    names : sequence of D str
    """
    distances = column_distances(real.values, fake.values, categorical)
    measures = {
        "column_distance": float(distances.mean()),
        "correlation_error": correlation_error(real.values, fake.values, categorical),
        "real_vs_synthetic": real_vs_synthetic(real.values, fake.values),
        "false_alarms_of_synthetic": false_alarms(real.codes, fake.codes),
        "nearest_ratio": nearest_ratio(training, real.codes, fake.codes),
    }
    return measures, dict(zip(names, distances.tolist(), strict=True))


def column_distances(real: np.ndarray, fake: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return how far the distribution of each column is from the real one: ``(D,)`` in [0, 1].

    It is the total variation distance for categories, and for numbers the Kolmogorov-Smirnov distance or, if it is
    larger, the difference between the shares of missing values.

    Parameters
    ----------
    real, fake : (n, D) and (m, D) float64
        NaN = missing.
    categorical : (D,) bool
    """
    distances = np.empty(len(categorical))
    for j, is_category in enumerate(categorical):
        a, b = real[:, j], fake[:, j]
        if is_category:
            places = np.union1d(a, b)
            shares = [np.array([(x == place).mean() for place in places]) for x in (a, b)]
            distances[j] = np.abs(shares[0] - shares[1]).sum() / 2
            continue
        gone_a, gone_b = np.isnan(a), np.isnan(b)
        distances[j] = abs(gone_a.mean() - gone_b.mean())
        if not gone_a.all() and not gone_b.all():
            distances[j] = max(distances[j], ks_2samp(a[~gone_a], b[~gone_b], method="asymp").statistic)
    return distances


def correlation_error(real: np.ndarray, fake: np.ndarray, categorical: np.ndarray) -> float:
    """Return the mean absolute difference between the rank correlations of pairs of columns, in [0, 2].

    Each of the most frequent categories counts as a column of its own.
    """
    owners: list[int] = []
    columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for j, is_category in enumerate(categorical):
        places: list[float | None] = [None]
        if is_category:
            values, counts = np.unique(real[:, j], return_counts=True)
            places = values[np.argsort(-counts, kind="stable")[:DUMMIES]].tolist()
        for place in places:
            owners.append(j)
            for kept, rows in zip(columns, (real, fake), strict=True):
                kept.append(_ranks(rows[:, j]) if place is None else (rows[:, j] == place).astype(np.float64))
    a, b = (_correlations(np.column_stack(kept)) for kept in columns)
    pairs = np.not_equal.outer(owners, owners)
    return float(np.abs(a - b)[pairs].mean()) if pairs.any() else 0.0


def real_vs_synthetic(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the AUROC with which gradient boosting tells unseen synthetic from unseen real rows; 0.5 at best.

    The rows are split in `FOLDS` parts, and each part is ranked by a classifier that learned from the others (Lopez-Paz
    & Oquab 2017, arXiv:1610.06545). More rows make a better classifier, so only values of equally many rows compare.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # imported here, since it takes a second
    from sklearn.metrics import roc_auc_score

    rows = min(len(real), len(fake))
    X, y = np.concatenate([real[:rows], fake[:rows]]), np.repeat([0, 1], rows)
    fold = np.random.default_rng(0).permutation(2 * rows) % FOLDS
    areas = []
    for number in range(FOLDS):
        kept, left = fold != number, fold == number
        if len(set(y[kept].tolist())) == len(set(y[left].tolist())) == 2:
            there = ~np.isnan(X[kept]).all(0)  # the classifier refuses columns without any value
            if not there.any():
                continue
            model = HistGradientBoostingClassifier(random_state=0).fit(X[kept][:, there], y[kept])
            areas.append(roc_auc_score(y[left], model.predict_proba(X[left][:, there])[:, 1]))
    return float(np.mean(areas)) if areas else 0.5


def false_alarms(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the share of real rows that a detector trained on synthetic rows flags at a rate of `TARGET_FPR`.

    It is a nearest-neighbour detector of codes ``(n, d)``: one half of the synthetic rows trains it, and the other sets
    its threshold.
    """
    half = len(fake) // 2
    from sklearn.neighbors import NearestNeighbors  # imported here, since it loads a large part of scikit-learn

    index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, half)).fit(fake[:half])
    threshold = np.quantile(index.kneighbors(fake[half:])[0].mean(1), 1 - TARGET_FPR)
    return float((index.kneighbors(real)[0].mean(1) > threshold).mean())


def nearest_ratio(training: np.ndarray, real: np.ndarray, fake: np.ndarray) -> float:
    """Return the median distance of synthetic rows to the nearest training row, relative to that of unseen real rows.

    Below 1, synthetic rows are closer to training rows than new real rows are: the generator repeats what it has seen.
    If half of the real rows are equal to training rows, it is the ratio of the mean distances.
    """
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1).fit(training)
    near = [index.kneighbors(rows)[0][:, 0] for rows in (real, fake)]
    of_real, of_fake = (float(np.median(d)) for d in near)
    if not of_real:
        of_real, of_fake = (float(d.mean()) for d in near)
    return of_fake / of_real if of_real else 1.0


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks of numbers; a missing one gets the mean rank."""
    ranks = np.full(len(x), np.nan)
    there = ~np.isnan(x)
    ranks[there] = rankdata(x[there])
    return np.where(there, ranks, ranks[there].mean() if there.any() else 0.0)


def _correlations(X: np.ndarray) -> np.ndarray:
    """Correlations of columns ``(n, c)``; 0 with a constant one."""
    X = X - X.mean(0)
    norm = np.sqrt((X**2).sum(0))
    X = X / np.where(norm > 0, norm, 1.0)
    return np.asarray(X.T @ X)
