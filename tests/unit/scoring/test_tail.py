"""The fitted tail of calibration scores."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import genpareto

import anogan
from anogan.scoring.calibration import Calibration, fdr_level
from anogan.scoring.tail import FittedTail

DRAWS = {
    "normal": np.random.Generator.normal,
    "uniform": np.random.Generator.uniform,
    "exponential": np.random.Generator.exponential,
    "cauchy": np.random.Generator.standard_cauchy,
}


def rng():
    return np.random.default_rng(0)


def calibrated(scores):
    return Calibration(np.zeros(1), np.ones(1), np.sort(scores), 0.0)


def test_the_tail_is_scipy_s_distribution_above_its_start():
    tail = FittedTail.of(np.sort(rng().normal(size=1000)))
    x = tail.start + np.array([0.0, 0.5, 1, 5, 100])
    assert_allclose(tail.p_value(x), tail.share * genpareto.sf(x - tail.start, tail.shape, scale=tail.scale))
    assert tail.share == 201 / 1001
    assert tail.shape >= 200**-0.5


@settings(max_examples=30)
@given(
    st.integers(100, 500),
    st.floats(-3, 8),
    st.sampled_from(sorted(DRAWS)),
    st.integers(0, 9),
)
def test_p_values_fall_with_the_score_are_never_zero_and_do_not_depend_on_its_unit(m, log_unit, name, seed):
    unit, draws, draw = 10.0**log_unit, np.random.default_rng(seed), DRAWS[name]
    scores, new = np.sort(draw(draws, size=m)), np.sort(np.append(draw(draws, size=50), [1e3, 1e9]))
    p = calibrated(scores).p_value(new, "fitted")
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p) <= 0).all()
    assert_allclose(calibrated(scores * unit + 3).p_value(new * unit + 3, "fitted"), p, rtol=0.02)


def test_below_the_start_the_p_values_are_those_of_counting():
    calibration = calibrated(rng().normal(size=300))
    new = np.linspace(-3, calibration.tail.start, 50)
    assert_array_equal(calibration.p_value(new, "fitted"), calibration.p_value(new))


@pytest.mark.parametrize("name", ["normal", "exponential", "uniform"])
def test_small_p_values_of_known_distributions_are_not_too_small_on_average(name):
    shares, draws, draw = [], rng(), DRAWS[name]
    for _ in range(40):
        p = calibrated(draw(draws, size=400)).p_value(draw(draws, size=5000), "fitted")
        shares.append([(p <= level).mean() / level for level in (0.05, 0.005, 0.0005)])
    assert (np.mean(shares, axis=0) < [1.15, 1.3, 1.3]).all()


def test_the_model_never_raises_a_p_value():
    draws = rng()
    for draw in DRAWS.values():
        calibration, new = calibrated(draw(draws, size=400)), draw(draws, size=1000)
        assert (calibration.p_value(new, "fitted") <= calibration.p_value(new)).all()


def test_one_far_row_among_many_can_be_flagged_only_with_a_fitted_tail():
    draws = rng()
    calibration = calibrated(draws.normal(size=400))
    scores = np.append(draws.normal(size=999), 1e4)
    assert not calibration.flag(scores, 0.05).any()
    assert_array_equal(np.flatnonzero(calibration.flag(scores, 0.05, "fitted")), [999])
    other = dataclasses.replace(calibration, scores=calibration.scores + 1e5)
    assert not other.flag(scores, 0.05, "fitted").any()  # the tail is that of the new scores


@pytest.mark.parametrize("scores", [np.arange(50.0), np.ones(1000), np.repeat(np.arange(15.0), 100)])
def test_too_few_different_high_scores_are_refused(scores):
    with pytest.raises(anogan.InputError, match=r"A tail cannot be fitted .* different values, and 20 are needed"):
        FittedTail.of(scores)


@given(st.lists(st.sampled_from([0.001, 0.002, 0.01, 0.03, 0.2, 0.9]), max_size=30), st.floats(0.01, 0.5))
def test_the_small_p_values_decide_the_level(p, fdr):
    p = np.array(p)
    level = fdr_level(p, len(p), fdr)
    passing = [v for v in p if v <= fdr * (p <= v).sum() / len(p)]
    assert level == max(passing, default=0.0)
    assert fdr_level(p[p <= fdr], len(p), fdr) == level


@pytest.fixture(scope="module")
def detector():
    X = np.random.default_rng(1).normal(size=(1000, 3))
    return anogan.WGANGP(steps=100, width=16, n_members=1, random_state=0, device="cpu").fit(X)


def test_a_detector_that_can_flag_nothing_warns_and_names_the_ways_out(detector):
    new = np.vstack([np.random.default_rng(2).normal(size=(500, 3)), [[50, 50, 50]]])
    with pytest.warns(anogan.CalibrationWarning, match="No row is flagged: with 200 .* tail='fitted'"):
        assert not detector.flag(new, 0.01).any()
    assert detector.flag(new, 0.01, tail="fitted")[-1]
    assert_array_equal(detector.p_value(new, tail="fitted") <= 0.01 / 501, detector.flag(new, 0.01, tail="fitted"))


def test_an_unknown_tail_is_refused(detector):
    with pytest.raises(anogan.InputError, match="tail must be one of 'empirical', 'fitted', got 'thin'"):
        detector.flag(np.zeros((3, 3)), tail="thin")


def test_the_shape_is_found_and_one_standard_error_added():
    shapes = [FittedTail.of(np.sort(genpareto(0.5).rvs(2000, random_state=seed))).shape for seed in range(20)]
    assert abs(np.mean(shapes) - (0.5 + 1.5 / 400**0.5)) < 0.06
