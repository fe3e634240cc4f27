"""Methods of a fitted detector; what `anogan.testing` does not check."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import anogan
from anogan.engine.diagnostics import Diagnosis
from anogan.testing import Case


def test_a_fitted_detector_survives_pickle(case):
    twin = pickle.loads(pickle.dumps(case.fitted))
    assert_array_equal(twin.anomaly_score(case.new), case.fitted.anomaly_score(case.new))
    assert_array_equal(twin.predict(case.new), case.fitted.predict(case.new))


def test_parameters_set_after_fit_do_not_change_a_pickled_detector(network_case):
    saved = network_case.fit(n_members=None, width=None)
    scores = saved.anomaly_score(network_case.new)
    saved.set_params(width=5, n_members=2, precision="float32")
    assert_array_equal(pickle.loads(pickle.dumps(saved)).anomaly_score(network_case.new), scores)


def test_long_inputs_are_scored_in_batches_without_a_seam(network_case, monkeypatch):
    detector, new = network_case.fitted, network_case.new
    scores = detector.anomaly_score(new)
    many = np.concatenate([new] * 5)
    monkeypatch.setattr("anogan.engine.inference.VALUES_PER_BATCH", 1)  # the smallest batches there are
    assert_allclose(detector.anomaly_score(many), np.tile(scores, 5), rtol=1e-9)


def test_an_ill_training_is_announced(vector_case, monkeypatch):
    ill = Diagnosis(False, "the critic ate the data", {})
    monkeypatch.setattr("anogan.detectors.diagnosing.diagnose", lambda *_, **__: ill)
    with pytest.warns(anogan.TrainingHealthWarning, match=f"{vector_case.cls.__name__}: the critic ate"):
        assert vector_case.make().fit(vector_case.X).diagnosis_ == ill


def test_the_class_says_what_it_is(name, vector_case):
    cls = vector_case.cls
    assert cls.name == name
    assert cls.summary().endswith(".")
    for section in ("Score:", "Notes", "References"):
        assert section in cls.__doc__
    for parameter in cls.parameters().values():
        assert parameter.help.endswith((".", "...")), parameter.name


def test_a_rate_that_too_few_rows_cannot_guarantee_gives_a_warning(vector_case):
    with pytest.warns(anogan.CalibrationWarning) as said:
        rows = len(vector_case.fit(target_fpr=0.01).calibration_.scores)
    assert any(
        f"with {rows} calibration rows the smallest rate is {1 / (rows + 1):.2g}" in str(w.message) for w in said
    )


def test_a_budget_without_a_step_for_each_network_is_refused():
    with pytest.raises(anogan.InputError, match="critic_steps"):
        Case(anogan.WGANGP, "vector").fit(steps=4, critic_steps=5)
