"""Scores that cannot tell rows apart are diagnosed at the fit and warned of at scoring; healthy ones are not."""

import warnings

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan.engine.degenerate import column_issues, score_issues

RNG = np.random.default_rng(0)
SPREAD = np.sort(RNG.normal(size=100)) + 5


@pytest.mark.parametrize(
    ("scores", "different", "threshold", "issue"),
    [
        (SPREAD, 100, 7.0, None),
        (np.full(100, 0.7), 100, 0.7, "constant scores"),
        (1000 + 1e-6 * SPREAD, 100, 1000.0, "constant scores"),  # they differ by less than float32 resolves
        (np.append(np.full(95, 1.0), [2, 3, 4, 5, 6]), 100, 6.0, "constant scores"),
        (np.full(100, 0.7), 1, 0.7, "constant scores"),
        (np.repeat([0.1, 0.2], 50), 2, 0.2, None),  # of two rows, many times
        (np.append(SPREAD, 1e4), 101, 1e4, "extreme threshold"),
        (np.full(5, 0.7), 5, 0.7, None),  # too few to say
    ],
)
def test_issues_of_scores(scores, different, threshold, issue):
    assert list(score_issues(scores, different, threshold)) == ([issue] if issue else [])


def test_equal_scores_are_counted():
    assert score_issues(np.full(100, 0.7), 100, 0.7, "picture") == {
        "constant scores": "100 calibration pictures have 1 different score"
    }


def test_hidden_columns_are_named():
    assert column_issues([], 3) == {}
    assert "2 of 3 columns ('a', 4)" in column_issues(["a", 4], 3)["hidden columns"]
    assert "(0, 1, 2, 3, 4, ...)" in column_issues(list(range(9)), 9)["hidden columns"]


def normal(rows=300):
    return np.random.default_rng(1).normal(size=(rows, 3))


def far_cluster(distance):
    X = normal()
    X[:12] += distance
    return X


def one_value(value):
    X = normal()
    X[:5] = value  # some of them train
    return X


def zeros_and_one_value(value):
    X = np.where(RNG.uniform(size=(300, 3)) < 0.8, 0.0, normal())
    X[:5, 1] = value
    return X


def fit(X, cls=anogan.DenoisingGAN, **changes):
    settings = {"steps": 20, "width": 16, "n_members": 1, "random_state": 0, "device": "cpu", "target_fpr": 0.05}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        return cls(**settings | changes).fit(X)


@pytest.mark.parametrize(
    ("X", "scaling"),
    [
        (far_cluster(1e4), "standard"),
        (far_cluster(1e8), "standard"),
        (one_value(1e300), "standard"),
        (zeros_and_one_value(1e300), "asinh"),
        (zeros_and_one_value(1e300), "standard"),
    ],
)
def test_a_scale_that_extreme_values_set_is_an_issue(X, scaling):
    detector = fit(pd.DataFrame(X, columns=["a", "b", "c"]), scaling=scaling)
    assert "hidden columns" in detector.diagnosis_.issues
    assert "'b'" in detector.diagnosis_.verdict
    assert detector.diagnosis_.advice.startswith("Remove or clip the extreme values")


@pytest.mark.parametrize("scaling", ["standard", "asinh", "soft", "quantile"])
@pytest.mark.parametrize(
    "X",
    [
        normal(),
        far_cluster(10),
        normal() * 1e-310,
        normal() * 1e300,
        RNG.integers(0, 2, size=(300, 3)).astype(float),
        np.where(RNG.uniform(size=(300, 3)) < 0.03, 1.0, 0.0),
        np.exp(normal()),
        np.column_stack([normal(), np.full(300, 7.0)]),
    ],
)
def test_ordinary_and_sparse_columns_of_any_scale_are_no_issue(X, scaling):
    issues = fit(X, scaling=scaling).diagnosis_.issues
    assert not {"hidden columns", "constant scores", "extreme threshold"} & set(issues)


def test_equal_rows_are_an_issue():
    verdict = fit(np.tile([1.0, 2.0], (100, 1))).diagnosis_.verdict
    assert verdict.startswith("constant scores: all 20 calibration rows are equal after scaling")


def test_scores_that_are_all_equal_are_warned_of_once_and_only_for_different_rows():
    detector, new = fit(one_value(1e300), scaling="standard"), normal(60)
    with pytest.warns(anogan.TrainingHealthWarning, match="All rows have the same score") as caught:
        detector.predict(new)
    assert len(caught) == 1
    with pytest.warns(anogan.TrainingHealthWarning, match="All rows have the same score"):
        fit(pd.DataFrame(one_value(1e300)), scaling="standard").anomaly_score(pd.DataFrame(new))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.anomaly_score(new[:5])
        detector.anomaly_score(np.tile(new[0], (60, 1)))
        fit(normal()).anomaly_score(new)


@pytest.mark.parametrize("name", sorted({*anogan.detector_names()} - {"feature_gan"}))
def test_every_detector_notices_a_column_that_its_scale_hides(name):
    cls = anogan.detector_class(name)
    issues = fit(far_cluster(1e8), cls=cls, **cls.tiny | {"steps": 10}, scaling="standard").diagnosis_.issues
    assert "hidden columns" in issues
