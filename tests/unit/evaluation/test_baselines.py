"""Every baseline ranks an obvious outlier first; anything with an import path joins in."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from anogan import InputError
from anogan.evaluation import baselines, metrics, protocol
from anogan.evaluation.baselines import BASELINES, QUADRATIC_ROWS, build, settings, training_rows

FAST = [name for name, entry in BASELINES.items() if entry.kind == "classical"]
PATHS = [
    "sklearn.svm.OneClassSVM",
    "sklearn.neighbors.LocalOutlierFactor",
    "sklearn.covariance.EllipticEnvelope",
    "sklearn.mixture.GaussianMixture",
    "pyod.models.cof.COF",
    "anogan.GANomaly",
]


def auroc(name: str, params: dict[str, object]) -> float:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(200, 3))
    test = np.concatenate([rng.normal(size=(50, 3)), 6 + rng.normal(size=(10, 3))])
    outcome = protocol.run(build(name, params, n_features=3, seed=0), train, test, 0)
    return metrics.auroc(np.arange(60) >= 50, outcome.scores)


@pytest.mark.parametrize("name", [*FAST, *PATHS])
def test_obvious_outliers_rank_high(name: str) -> None:
    assert auroc(name, {"steps": 100} if name.startswith("anogan.") else {}) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in BASELINES.items() if entry.kind != "classical"])
def test_the_slow_ones_run(name: str) -> None:
    found = auroc(name, {})
    assert 0 <= found <= 1
    assert found > 0.9 or BASELINES[name].kind == "pyod-gan"  # of which we promise nothing


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "There is no detector 'nobody'"),
        ("nobody.here.Detector", "No module named 'nobody'"),
        ("math.pi", "has no class 'pi'"),
        ("..X", "cannot be imported"),
        ("sklearn.svm.Nothing", "has no class 'Nothing'"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        baselines.baseline(name)


def test_what_scores_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="has none of"):
        build("sklearn.cluster.DBSCAN", {}, n_features=2, seed=0)


def test_settings_hold_defaults_and_changes() -> None:
    assert settings("knn", {}) != settings("knn", {"n_neighbors": 1})
    assert settings("knn", {}) == settings("knn", {"n_neighbors": 5})
    assert settings("sklearn.ensemble.IsolationForest", {})["n_estimators"] == IsolationForest().n_estimators


def test_only_quadratic_baselines_leave_rows_out() -> None:
    n = QUADRATIC_ROWS + 5
    assert len(training_rows("iforest", n)) == len(training_rows("ganomaly", n)) == n
    kept = training_rows("knn", n)
    assert len(np.unique(kept)) == len(kept) == QUADRATIC_ROWS
    assert np.array_equal(kept, np.sort(kept))
