"""Every method of a detector keeps scikit-learn's conventions and the project's own."""

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from ..engine.callbacks import Callback
from ..errors import InputError
from .case import (
    COLOUR,
    DATA,
    NETWORKS,
    ONE_OF_EACH,
    TABLE,
    VECTOR,
    Case,
    on,
    raises,
    require,
    rows_of,
    sample_data,
    warns,
)

CONTAMINATIONS = (0.25, 0.5)
"""Shares that make a whole number of rows of the training data."""


def _assert_looks_like(result: Any, X: Any, rows: int) -> None:
    """Compare the shape and columns of `result` with X's; its numbers must be finite."""
    if isinstance(X, pd.DataFrame):
        assert list(result.columns) == list(X.columns), list(result.columns)
        assert len(result) == rows, len(result)
        numeric = [c for c in X.columns if X[c].dtype.kind in "fi"]
        assert np.isfinite(result[numeric].to_numpy(float, na_value=0.0)).all(), result
    else:
        assert result.shape == (rows, *X.shape[1:]), result.shape
        assert np.isfinite(result).all(), result


@on(VECTOR)
def check_scikit_learn_estimator(case: Case) -> None:
    """scikit-learn's own `check_estimator` passes."""
    # Its checks want some of 300 normal rows flagged; a promised false-alarm rate of 1 % may flag none.
    detector = case.make(steps=1, width=4, target_fpr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(detector, on_skip=None)


@on(*ONE_OF_EACH)
def check_signs(case: Case) -> None:
    """`score_samples` is minus the anomaly score; `decision_function` is negative where `predict` is -1."""
    detector, new = case.fitted, case.new
    scores = detector.anomaly_score(new)
    assert_array_equal(detector.score_samples(new), -scores)
    assert_array_equal(detector.decision_function(new), -scores - detector.offset_)
    assert_array_equal(detector.predict(new), np.where(detector.decision_function(new) < 0, -1, 1))


@on(*ONE_OF_EACH)
def check_predict_follows_the_threshold(case: Case) -> None:
    """`predict` flags the rows that score above the threshold."""
    detector, X = case.fitted, case.X
    scores = detector.anomaly_score(X)
    far = np.abs(scores - detector.calibration_.threshold) > 1e-9 * (1 + np.abs(scores))
    assert_array_equal(detector.predict(X)[far] == -1, scores[far] > detector.calibration_.threshold)


@on(*ONE_OF_EACH)
def check_p_values(case: Case) -> None:
    """P-values lie in (0, 1] and do not rise with the score."""
    detector, new = case.fitted, case.new
    p = detector.p_value(new)
    assert p.shape == (len(new),), p.shape
    assert ((p > 0) & (p <= 1)).all(), p
    assert (np.diff(p[np.argsort(detector.anomaly_score(new))]) <= 0).all(), p
    assert_array_equal(p, detector.calibration_.p_value(detector.anomaly_score(new)))


@on(*ONE_OF_EACH)
def check_flag_follows_benjamini_hochberg(case: Case) -> None:
    """`flag` controls the false discovery rate by the procedure of Benjamini and Hochberg."""
    detector, new = case.fitted, case.new
    p = np.sort(detector.p_value(new))
    for fdr in (0.05, 0.5, 0.9):
        flagged = detector.flag(new, fdr=fdr)
        assert flagged.dtype == bool, flagged.dtype
        passing = [k for k in range(1, len(p) + 1) if p[k - 1] <= fdr * k / len(p)]
        assert flagged.sum() == (np.sum(p <= p[max(passing) - 1]) if passing else 0), fdr


@on(VECTOR)
def check_flag_refuses_an_impossible_rate(case: Case) -> None:
    """`flag` refuses a false discovery rate outside (0, 1)."""
    for fdr in (0, 1, -0.1, 7):
        with raises(InputError, "fdr"):
            case.fitted.flag(case.new, fdr=fdr)


@on(VECTOR, TABLE, COLOUR)
def check_contamination_is_the_flagged_share_of_training_rows(case: Case) -> None:
    """A numeric contamination flags exactly that share of the training rows, or of them as if each was left out."""
    for contamination in CONTAMINATIONS:
        detector = case.shared(contamination=contamination)
        flagged, share = (detector.predict(case.X) == -1).sum(), contamination * len(case.X)
        if "left_out" in detector.fitted_on_:
            assert flagged <= share, contamination
            flagged = (detector.calibration_.scores > detector.calibration_.threshold).sum()
        assert flagged == share, contamination


@on(VECTOR)
def check_contamination_is_about_the_flagged_share_of_new_rows(case: Case) -> None:
    """A contamination of 1/8 flags fewer than 40 % of new normal rows, with and without early stopping."""
    X = sample_data(VECTOR, 300, seed=1)
    for patience in (0, 5):
        detector = case.fit(X[:150], contamination=0.125, patience=patience)
        assert (detector.predict(X[150:]) == -1).mean() < 0.4, patience


@on(VECTOR)
def check_fit_predict(case: Case) -> None:
    """`fit_predict` is `fit`, then `predict`."""
    predicted = case.make(target_fpr=0.3).fit_predict(case.X)
    assert_array_equal(predicted, case.fit(target_fpr=0.3).predict(case.X))


@on(VECTOR)
def check_fit_returns_the_detector(case: Case) -> None:
    """`fit` returns the detector itself."""
    detector = case.make()
    assert detector.fit(case.X) is detector


@on(*DATA)
def check_explanations_are_not_negative(case: Case) -> None:
    """`explain` has the shape and the columns of the data, and is never negative."""
    parts = case.fitted.explain(case.new)
    _assert_looks_like(parts, case.new, len(case.new))
    assert (np.asarray(parts, dtype=float) >= 0).all()
    assert np.asarray(parts).any()


@on(*DATA)
def check_explanation_does_not_depend_on_other_rows(case: Case) -> None:
    """The explanation of a row is the same alone and among others."""
    alone = np.asarray(case.fitted.explain(rows_of(case.new, slice(1))))
    assert_allclose(np.asarray(case.fitted.explain(case.new))[:1], alone, rtol=1e-7, atol=1e-12)


@on(TABLE, COLOUR)
def check_threshold_of_pixels(case: Case) -> None:
    """At most the promised share of normal pictures has a pixel above the threshold of pixels; tables have none."""
    detector = case.shared(contamination=0.25)  # calibrates on all the training rows
    threshold = detector.calibration_.map_threshold
    if not case.is_image:
        assert threshold is None, threshold
        return
    peaks = detector.explain(case.X).sum(1).max((1, 2))
    assert threshold is not None
    assert (peaks > threshold).mean() <= 0.25
    if "left_out" not in detector.fitted_on_:  # as if left out, the maps are higher
        assert (peaks >= threshold - 1e-9 * threshold).mean() >= 0.25
    calibration = case.fitted.calibration_
    usual = calibration.map_threshold
    assert usual is not None
    # Calibration pictures that are learned have lower maps than when they set the threshold.
    learned = calibration.reference is not None or "left_out" in case.fitted.fitted_on_
    assert learned or usual <= case.fitted.explain(case.X).sum(1).max() * (1 + 1e-9)


@on(*DATA)
def check_samples_are_in_the_units_of_the_data(case: Case) -> None:
    """`sample` gives finite rows like the training rows, or raises InputError where the method does not generate."""
    detector = case.fitted
    if not detector.module_.can("sample"):
        with raises(InputError, "cannot sample"):
            detector.sample(3)
        return
    drawn = detector.sample(7, random_state=0)
    _assert_looks_like(drawn, case.X, 7)
    if isinstance(drawn, pd.DataFrame):
        assert drawn.dtypes.equals(case.X.dtypes), drawn.dtypes
        assert set(drawn["country"]) <= {"AT", "DE", "FR"}, set(drawn["country"])
    elif case.is_image:
        assert drawn.min() >= case.X.min() - 1e-9
        assert drawn.max() <= case.X.max() + 1e-9
    else:
        spread = (drawn - case.X.mean(0)) / case.X.std(0)
        assert np.abs(spread).max() < 100, "samples are in the networks' units"
    assert np.isfinite(detector.anomaly_score(drawn)).all()


@on(VECTOR)
def check_no_samples_are_refused(case: Case) -> None:
    """`sample` refuses to draw zero rows."""
    require(case.fitted, "sample")
    with raises(InputError, "at least 1"):
        case.fitted.sample(0)


@on(*DATA)
def check_reconstructions_are_in_the_units_of_the_data(case: Case) -> None:
    """`reconstruct` gives finite rows like the given ones, or raises InputError where the method has none."""
    detector = case.fitted
    if not detector.module_.can("reconstruct"):
        with raises(InputError, "cannot reconstruct"):
            detector.reconstruct(case.new)
        return
    made = detector.reconstruct(case.new)
    _assert_looks_like(made, case.new, len(case.new))
    assert np.isfinite(detector.anomaly_score(made)).all()


@on(*ONE_OF_EACH)
def check_two_rows_are_enough(case: Case) -> None:
    """Two rows can be fitted, with a warning."""
    two = rows_of(case.X, slice(1, 3))
    with warns(UserWarning, "Only 2 (rows|pictures)"):
        detector = case.make().fit(two)
    assert np.isfinite(detector.anomaly_score(two)).all()


@on(VECTOR)
def check_one_row_is_refused(case: Case) -> None:
    """One row cannot be fitted."""
    with raises(ValueError, "minimum of 2 is required"):
        case.make().fit(case.X[:1])


@on(*ONE_OF_EACH)
def check_batch_may_be_larger_than_the_data(case: Case) -> None:
    """A batch size above the number of rows works."""
    assert np.isfinite(case.fit(batch_size=1000).anomaly_score(case.new)).all()


@on(*NETWORKS)
def check_last_batch_of_one_row(case: Case) -> None:
    """Training works when the last batch of an epoch has one row."""
    rows = len(case.X)
    detector = case.fit(contamination=0.1, patience=0, steps=5, batch_size=rows - 1)
    assert np.isfinite(detector.anomaly_score(case.new)).all()


@on(VECTOR)
def check_unfitted_methods_raise(case: Case) -> None:
    """Every method that needs a fit raises NotFittedError before one."""
    detector, new = case.make(), case.new
    methods = [
        *("anomaly_score", "score_samples", "decision_function", "predict", "p_value", "flag", "explain", "reasons"),
        *("recalibrate", "drift", "reconstruct", "sample", "save"),
    ]
    for method in methods:
        argument = {"sample": 3, "save": "nowhere.anogan"}.get(method, new)
        with raises(NotFittedError, ""):
            getattr(detector, method)(argument)


@on(VECTOR)
def check_clone_and_parameters(case: Case) -> None:
    """`clone`, `get_params` and `set_params` agree; a clone is not fitted."""
    detector = case.fitted
    copied = clone(detector)
    assert type(copied) is type(detector)
    assert copied.get_params() == detector.get_params()
    assert not copied.__sklearn_is_fitted__()
    assert type(detector)(**detector.get_params()).get_params() == detector.get_params()
    assert copied.set_params(steps=7).steps == 7
    with raises(ValueError, "no_such_thing"):
        copied.set_params(no_such_thing=1)


@on(VECTOR)
def check_invalid_parameter_is_named(case: Case) -> None:
    """`fit` names a parameter outside its range before it starts."""
    with raises(InputError, r"The 'steps' parameter of \w+ must be .* Got -1 instead"):
        case.make(steps=-1).fit(case.X)


@on(VECTOR)
def check_constructor_only_stores(case: Case) -> None:
    """The constructor stores its parameters, whatever they are, and nothing else."""
    unchecked: dict[str, Any] = {"steps": "nonsense", "device": "no such device"}
    detector = case.cls(**unchecked)
    assert vars(detector).keys() == detector.get_params().keys()


@on(*ONE_OF_EACH)
def check_deepcopy(case: Case) -> None:
    """A deep copy of a fitted detector gives the same scores, bit for bit."""
    twin = copy.deepcopy(case.fitted)
    assert_array_equal(twin.anomaly_score(case.new), case.fitted.anomaly_score(case.new))
    assert_array_equal(twin.predict(case.new), case.fitted.predict(case.new))


@on(VECTOR)
def check_refit_forgets_the_former_data(case: Case) -> None:
    """A second fit to other data gives what a first one would, without the names of former columns."""
    table = case.on(TABLE)
    detector = table.fit()
    assert list(detector.feature_names_in_) == list(table.X.columns)
    detector.fit(case.X)
    assert not hasattr(detector, "feature_names_in_")
    assert detector.n_features_in_ == 5
    assert_array_equal(detector.anomaly_score(case.new), case.fitted.anomaly_score(case.new))


@on(*ONE_OF_EACH)
def check_diagnosis(case: Case) -> None:
    """The diagnosis has a verdict and finite measures."""
    diagnosis = case.fitted.diagnosis_
    assert isinstance(diagnosis.healthy, bool)
    assert diagnosis.verdict
    assert all(np.isfinite(value) for value in diagnosis.measures.values()), diagnosis.measures


@on(VECTOR)
def check_failed_fit_leaves_the_detector_as_it_was(case: Case) -> None:
    """A fit that fails or is interrupted leaves the former fit in place."""
    detector = case.fit()
    scores = detector.anomaly_score(case.new)

    class Stop(Callback):
        def on_step_end(self, stage: str, step: int, terms: Any) -> None:
            raise KeyboardInterrupt

    with raises(KeyboardInterrupt, ""):
        detector.fit(case.X * 1000, callbacks=[Stop()])
    assert_array_equal(detector.anomaly_score(case.new), scores)


@on(TABLE)
def check_results_keep_the_row_labels(case: Case) -> None:
    """Explanations and reconstructions of a table have its row labels."""
    new = case.new.set_axis([f"row {i}" for i in range(len(case.new))])
    methods = ["explain", *["reconstruct"] * case.fitted.module_.can("reconstruct")]
    for method in methods:
        assert list(getattr(case.fitted, method)(new).index) == list(new.index), method


@on(VECTOR)
def check_series_is_refused(case: Case) -> None:
    """A Series is refused with advice."""
    with raises(InputError, "to_frame"):
        case.make().fit(pd.Series(np.arange(20.0)))
