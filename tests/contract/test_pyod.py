"""PyOD's face of a detector, and PyOD's detectors behind ours."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyod.models.base import BaseDetector
from pyod.models.knn import KNN
from sklearn.base import clone

import anogan


def assert_is_a_pyod_detector(model, X, rows):
    """All that PyOD's base class promises of a fitted detector."""
    assert isinstance(model, BaseDetector)
    scores = model.decision_function(X)
    assert scores.shape == (rows,)
    assert_array_equal(model.predict(X), (scores > model.threshold_).astype(int))
    for method in ("linear", "unify"):
        proba = model.predict_proba(X, method=method)
        assert proba.shape == (rows, 2)
        np.testing.assert_allclose(proba.sum(1), 1)
    confidence = model.predict_confidence(X)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert_array_equal(model.labels_, (model.decision_scores_ > model.threshold_).astype(int))


def test_a_fitted_detector_wears_pyod_s_face(vector_case):
    detector = vector_case.fitted
    model = detector.as_pyod()
    assert_is_a_pyod_detector(model, vector_case.new, len(vector_case.new))
    assert_array_equal(model.decision_function(vector_case.new), detector.anomaly_score(vector_case.new))
    assert_array_equal(model.predict(vector_case.new) == 1, detector.predict(vector_case.new) == -1)


def test_pyod_s_fit_trains_a_copy(vector_case):
    detector = vector_case.make(contamination=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        model = detector.as_pyod().fit(vector_case.X)
    assert not detector.__sklearn_is_fitted__()
    assert model.contamination == 0.25
    assert model.decision_scores_.shape == (len(vector_case.X),)
    assert model.labels_.sum() == 0.25 * len(vector_case.X)
    assert_is_a_pyod_detector(model, vector_case.new, len(vector_case.new))
    expected = vector_case.fit(contamination=0.25).anomaly_score(vector_case.new)
    assert_array_equal(model.decision_function(vector_case.new), expected)


def test_pyod_s_face_works_on_pictures_too(vector_case):
    case = vector_case.on("colour")
    model = case.fitted.as_pyod()
    assert_array_equal(model.decision_function(case.new), case.fitted.anomaly_score(case.new))
    assert_array_equal(model.predict(case.new) == 1, case.fitted.predict(case.new) == -1)


def test_a_pyod_detector_behind_our_names_keeps_its_ranking():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(60, 3)), np.r_[rng.normal(size=(5, 3)), [[9.0, 9.0, 9.0]]]
    model = KNN(contamination=0.1)
    wrapped = anogan.from_pyod(model).fit(X)
    reference = KNN(contamination=0.1).fit(X)
    assert not hasattr(model, "decision_scores_")
    assert_array_equal(wrapped.anomaly_score(new), reference.decision_function(new))
    assert wrapped.anomaly_score(new).argmax() == 5
    assert_array_equal(wrapped.score_samples(new), -wrapped.anomaly_score(new))
    assert_array_equal(wrapped.predict(new) == -1, reference.predict(new) == 1)
    assert_array_equal(wrapped.fit_predict(X) == -1, reference.labels_ == 1)
    assert clone(wrapped).fit(X).anomaly_score(new).tolist() == wrapped.anomaly_score(new).tolist()


@pytest.mark.parametrize("contamination", [0.1, 0.3])
def test_there_and_back_is_the_same(vector_case, contamination):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        round_trip = anogan.from_pyod(vector_case.make(contamination=contamination).as_pyod()).fit(vector_case.X)
    direct = vector_case.fit(contamination=contamination)
    assert_array_equal(round_trip.anomaly_score(vector_case.new), direct.anomaly_score(vector_case.new))


def test_a_thresholder_is_refused_and_never_ignored():
    class Thresholder:
        def fit(self, scores):
            self.labels_, self.thresh_ = np.zeros(len(scores)), np.max(scores)

    model = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny).as_pyod()
    for value in (Thresholder(), 0.2):
        with pytest.raises(anogan.InputError, match="threshold is that of the detector"):
            model.contamination = value
    with pytest.raises(anogan.InputError, match="contamination"):
        anogan.DenoisingGAN(contamination=Thresholder()).as_pyod()
    assert clone(model).contamination == model.contamination
