"""scikit-learn's own suite, and the places where its estimators are used."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import anogan

EXPECTED_FAILURES: dict[str, str] = {}
"""check -> reason, for all detectors. None so far."""

TINY = {
    "precision": "float64",  # the checks compare scores of subsets to 1e-7, which float32 cannot keep
    "device": "cpu",
    "n_members": 1,
    "target_fpr": 0.1,  # the checks want some of 300 normal rows flagged; a promise of 1 % may flag none
}
DETECTORS = [cls(**cls.tiny | TINY | {"steps": 1, "width": 4}) for cls in anogan.list_detectors().values()]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(DETECTORS, expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_check_estimator(estimator, check):
    check(estimator)


def test_a_pipeline_scores_as_its_steps_do(vector_case):
    double = FunctionTransformer(lambda x: 2 * x)
    pipeline = make_pipeline(double, vector_case.make())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        pipeline.fit(vector_case.X)
    alone = vector_case.fit(2 * vector_case.X)
    np.testing.assert_array_equal(pipeline.score_samples(vector_case.new), alone.score_samples(2 * vector_case.new))


def test_a_grid_search_runs(vector_case):
    def flagged(estimator, X, y=None):
        return float((estimator.predict(X) == 1).mean())

    search = GridSearchCV(vector_case.make(), {"batch_size": [8, 16]}, scoring=flagged, cv=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(vector_case.X)
    assert search.best_params_["batch_size"] in (8, 16)
