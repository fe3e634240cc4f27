"""Every method of a fitted detector, on every kind of data."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import anogan
from anogan.engine.diagnostics import Diagnosis

from .conftest import Case, sample_data


def assert_looks_like(result, X, rows):
    """Shape, columns and dtypes of X."""
    if isinstance(X, pd.DataFrame):
        assert list(result.columns) == list(X.columns)
        assert len(result) == rows
        numeric = [c for c in X.columns if X[c].dtype.kind in "fi"]
        assert np.isfinite(result[numeric].to_numpy(float, na_value=0.0)).all()
    else:
        assert result.shape == (rows, *X.shape[1:])
        assert np.isfinite(result).all()


def test_the_signs_follow_scikit_learn(case):
    detector, new = case.fitted, case.new
    scores = detector.anomaly_score(new)
    assert_array_equal(detector.score_samples(new), -scores)
    assert_array_equal(detector.decision_function(new), -scores - detector.offset_)
    assert_array_equal(detector.predict(new), np.where(detector.decision_function(new) < 0, -1, 1))


def test_predict_flags_what_lies_above_the_threshold(case):
    detector, X = case.fitted, case.X
    scores = detector.anomaly_score(X)
    far = np.abs(scores - detector.calibration_.threshold) > 1e-9 * (1 + np.abs(scores))
    assert_array_equal(detector.predict(X)[far] == -1, scores[far] > detector.calibration_.threshold)


def test_p_values_are_probabilities_that_fall_with_the_score(case):
    detector, new = case.fitted, case.new
    p = detector.p_value(new)
    assert p.shape == (len(new),)
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p[np.argsort(detector.anomaly_score(new))]) <= 0).all()
    assert_array_equal(p, detector.calibration_.p_value(detector.anomaly_score(new)))


def test_flag_controls_the_false_discovery_rate_by_benjamini_hochberg(case):
    detector, new = case.fitted, case.new
    p = np.sort(detector.p_value(new))
    for fdr in (0.05, 0.5, 0.9):
        flagged = detector.flag(new, fdr=fdr)
        assert flagged.dtype == bool
        passing = [k for k in range(1, len(p) + 1) if p[k - 1] <= fdr * k / len(p)]
        assert flagged.sum() == (np.sum(p <= p[max(passing) - 1]) if passing else 0)


@pytest.mark.parametrize("fdr", [0, 1, -0.1, 7])
def test_flag_refuses_a_rate_that_is_none(vector_case, fdr):
    with pytest.raises(anogan.InputError, match="fdr"):
        vector_case.fitted.flag(vector_case.new, fdr=fdr)


@pytest.mark.parametrize("contamination", [0.125, 0.25, 0.5])
def test_a_float_contamination_flags_exactly_that_share_of_the_training_rows(case, contamination):
    detector = case.fit(contamination=contamination)
    assert (detector.predict(case.X) == -1).sum() == contamination * len(case.X)


@pytest.mark.parametrize("patience", [0, 5])
def test_a_float_contamination_flags_about_that_share_of_fresh_rows(vector_case, patience):
    X = sample_data("vector", 300, seed=1)
    detector = vector_case.fit(X[:150], contamination=0.125, patience=patience)
    assert (detector.predict(X[150:]) == -1).mean() < 0.4


def test_fit_predict_is_fit_and_predict(vector_case):
    predicted = vector_case.make(target_fpr=0.3).fit_predict(vector_case.X)
    assert_array_equal(predicted, vector_case.fit(target_fpr=0.3).predict(vector_case.X))


def test_fit_returns_the_detector(vector_case):
    detector = vector_case.make()
    assert detector.fit(vector_case.X) is detector


def test_explain_has_the_shape_of_the_data_and_is_never_negative(case):
    parts = case.fitted.explain(case.new)
    assert_looks_like(parts, case.new, len(case.new))
    assert (np.asarray(parts, dtype=float) >= 0).all()
    assert np.asarray(parts).any()


def test_the_threshold_of_pixels_is_passed_by_as_few_normal_pictures_as_promised(case):
    detector = case.fit(contamination=0.25)  # which calibrates on all the training rows
    threshold = detector.calibration_.map_threshold
    if not case.is_image:
        assert threshold is None
        return
    peaks = detector.explain(case.X).sum(1).max((1, 2))
    assert (peaks > threshold).mean() <= 0.25
    assert (peaks >= threshold - 1e-9 * threshold).mean() >= 0.25
    assert case.fitted.calibration_.map_threshold <= case.fitted.explain(case.X).sum(1).max() * (1 + 1e-9)


def test_explain_of_a_row_does_not_depend_on_the_others(case):
    new = case.new
    first = new.iloc[:1] if isinstance(new, pd.DataFrame) else new[:1]
    assert_allclose(
        np.asarray(case.fitted.explain(new))[:1],
        np.asarray(case.fitted.explain(first)),
        rtol=1e-7,
        atol=1e-12,
    )


def test_samples_come_in_the_user_s_units(case):
    detector = case.fitted
    if not detector.module_.can("sample"):
        with pytest.raises(anogan.InputError, match="cannot sample"):
            detector.sample(3)
        return
    drawn = detector.sample(7, random_state=0)
    assert_looks_like(drawn, case.X, 7)
    if isinstance(drawn, pd.DataFrame):
        assert drawn.dtypes.equals(case.X.dtypes)
        assert set(drawn["country"]) <= {"AT", "DE", "FR"}
    elif case.is_image:
        assert drawn.min() >= case.X.min() - 1e-9
        assert drawn.max() <= case.X.max() + 1e-9
    else:
        spread = (drawn - case.X.mean(0)) / case.X.std(0)
        assert np.abs(spread).max() < 100  # in these units, not in the networks' ones
    assert np.isfinite(detector.anomaly_score(drawn)).all()


def test_no_samples_are_refused(vector_case):
    if vector_case.fitted.module_.can("sample"):
        with pytest.raises(anogan.InputError, match="at least 1"):
            vector_case.fitted.sample(0)


def test_reconstructions_come_in_the_user_s_units(case):
    detector = case.fitted
    if not detector.module_.can("reconstruct"):
        with pytest.raises(anogan.InputError, match="cannot reconstruct"):
            detector.reconstruct(case.new)
        return
    made = detector.reconstruct(case.new)
    assert_looks_like(made, case.new, len(case.new))
    assert np.isfinite(detector.anomaly_score(made)).all()


def test_two_rows_are_enough(case):
    two = case.X.iloc[1:3] if isinstance(case.X, pd.DataFrame) else case.X[1:3]
    with pytest.warns(UserWarning, match="Only 2 rows"):
        detector = case.make().fit(two)
    assert np.isfinite(detector.anomaly_score(two)).all()


def test_one_row_is_refused(vector_case):
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        vector_case.make().fit(vector_case.X[:1])


def test_a_batch_may_be_larger_than_the_data(case):
    assert np.isfinite(case.fit(batch_size=1000).anomaly_score(case.new)).all()


def test_a_last_batch_of_one_row_is_no_trouble(network_case):
    rows = len(network_case.X)
    detector = network_case.fit(contamination=0.1, patience=0, steps=5, batch_size=rows - 1)
    assert np.isfinite(detector.anomaly_score(network_case.new)).all()


def test_unfitted_detectors_say_so(vector_case):
    detector, new = vector_case.make(), vector_case.new
    methods = [
        "anomaly_score",
        "score_samples",
        "decision_function",
        "predict",
        "p_value",
        "flag",
        "explain",
        "reasons",
        "recalibrate",
        "drift",
        "reconstruct",
        "sample",
        "save",
    ]
    for method in methods:
        argument = {"sample": 3, "save": "nowhere.anogan"}.get(method, new)
        with pytest.raises(NotFittedError):
            getattr(detector, method)(argument)


def test_clone_and_parameters_go_around(vector_case):
    detector = vector_case.fitted
    copied = clone(detector)
    assert type(copied) is type(detector)
    assert copied.get_params() == detector.get_params()
    assert not copied.__sklearn_is_fitted__()
    assert type(detector)(**detector.get_params()).get_params() == detector.get_params()
    assert copied.set_params(steps=7).steps == 7
    with pytest.raises(ValueError, match="no_such_thing"):
        copied.set_params(no_such_thing=1)


def test_a_bad_parameter_is_named_before_any_work(vector_case):
    with pytest.raises(anogan.InputError, match=r"The 'steps' parameter of \w+ must be .* Got -1 instead"):
        vector_case.make(steps=-1).fit(vector_case.X)


def test_the_constructor_does_no_work(vector_case):
    detector = vector_case.cls(steps="nonsense", device="no such device")
    assert vars(detector).keys() == detector.get_params().keys()


def test_a_fitted_detector_survives_pickle_and_deepcopy(case):
    scores = case.fitted.anomaly_score(case.new)
    for twin in (pickle.loads(pickle.dumps(case.fitted)), copy.deepcopy(case.fitted)):
        assert_array_equal(twin.anomaly_score(case.new), scores)
        assert_array_equal(twin.predict(case.new), case.fitted.predict(case.new))


def test_a_refit_forgets_the_former_data(vector_case):
    table = vector_case.__class__(vector_case.name, "table")
    detector = table.fit()
    assert list(detector.feature_names_in_) == list(table.X.columns)
    detector.fit(vector_case.X)
    assert not hasattr(detector, "feature_names_in_")
    assert detector.n_features_in_ == 5
    assert_array_equal(detector.anomaly_score(vector_case.new), vector_case.fitted.anomaly_score(vector_case.new))


def test_the_diagnosis_is_words_and_numbers(case):
    diagnosis = case.fitted.diagnosis_
    assert isinstance(diagnosis.healthy, bool)
    assert diagnosis.verdict
    assert all(np.isfinite(value) for value in diagnosis.measures.values())


def test_an_ill_training_is_announced(vector_case, monkeypatch):
    ill = Diagnosis(False, "the critic ate the data", {})
    monkeypatch.setattr("anogan.detectors.fitting.diagnose", lambda *_, **__: ill)
    with pytest.warns(anogan.TrainingHealthWarning, match=f"{vector_case.cls.__name__}: the critic ate"):
        assert vector_case.make().fit(vector_case.X).diagnosis_ == ill


def test_the_class_tells_what_it_is(name, vector_case):
    cls = vector_case.cls
    assert cls.name == name
    assert cls.summary().endswith(".")
    for section in ("Score:", "Notes", "References"):
        assert section in cls.__doc__
    for parameter in cls.parameters().values():
        assert parameter.help.endswith((".", "...")), parameter.name


def test_a_failed_fit_leaves_the_detector_as_it_was(vector_case):
    detector = vector_case.fit()
    scores = detector.anomaly_score(vector_case.new)

    class Stop(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.fit(vector_case.X * 1000, callbacks=[Stop()])
    assert_array_equal(detector.anomaly_score(vector_case.new), scores)


def test_answers_about_a_table_keep_its_row_labels(name):
    table = Case(name, "table")
    new = table.new.set_axis([f"row {i}" for i in range(len(table.new))])
    assert list(table.fitted.explain(new).index) == list(new.index)
    if table.fitted.module_.can("reconstruct"):
        assert list(table.fitted.reconstruct(new).index) == list(new.index)


def test_numbers_of_numpy_are_parameters(vector_case, tmp_path):
    detector = vector_case.fit(width=np.int64(8), learning_rate=np.float32(0.5**10))
    detector.save(tmp_path / "m.anogan")
    assert anogan.load(tmp_path / "m.anogan").width == 8


def test_a_series_is_refused(vector_case):
    with pytest.raises(anogan.InputError, match="to_frame"):
        vector_case.make().fit(pd.Series(np.arange(20.0)))


def test_a_rate_that_too_few_rows_cannot_promise_is_announced(vector_case):
    with pytest.warns(anogan.CalibrationWarning, match=r"smallest rate is 0\.14"):
        vector_case.fit(target_fpr=0.1)


def test_a_budget_without_a_step_for_each_network_is_refused():
    with pytest.raises(anogan.InputError, match="critic_steps"):
        Case("wgan_gp", "vector").fit(steps=4, critic_steps=5)
