"""The places where scikit-learn's estimators are used; its own checks are part of `anogan.testing`."""

import warnings

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import anogan


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
