"""Whether new scores are like those that set the threshold."""

import numpy as np
import pytest
from scipy.stats import binom

from anogan.scoring.calibration import Calibration, conformal_threshold
from anogan.scoring.drift import FELL, FITS, MORE_FLAGGED, NOT_HELD_OUT, ROSE, TOO_FEW, compare


def drift(scores, usual, after=(1.0, 5.0, 2.0)):
    calibration = Calibration(np.zeros(1), np.ones(1), np.sort(usual), conformal_threshold(usual, 0.05))
    return compare(calibration, np.asarray(scores), ["a", "b", "c"], np.ones(3), np.asarray(after))


USUAL = np.random.default_rng(0).normal(size=400)


def test_the_same_distribution_still_fits_nearly_always():
    rng = np.random.default_rng(1)
    words = [drift(rng.normal(size=300), rng.normal(size=400)).verdict for _ in range(300)]
    # Both tests together err in one of a hundred at most; effects that do not matter are left out besides.
    assert words.count(FITS) >= binom.ppf(0.001, 300, 0.99)


def test_a_shift_upwards_is_named_with_its_columns():
    found = drift(np.random.default_rng(1).normal(0.6, 1, 300), USUAL)
    assert found.verdict == ROSE
    assert found.superiority > 0.6
    assert found.columns == [("b", pytest.approx(0.8)), ("c", pytest.approx(0.2))]


def test_a_few_anomalies_are_seen_by_the_flagged_ones():
    scores = np.r_[np.random.default_rng(1).normal(size=270), np.full(30, 9.0)]
    found = drift(scores, USUAL)
    assert found.verdict == MORE_FLAGGED
    assert found.flagged >= 0.1
    assert found.flagged_p_value < 0.005


def test_a_shift_downwards_is_another_word():
    found = drift(np.random.default_rng(1).normal(-1, 1, 300), USUAL)
    assert (found.verdict, found.columns) == (FELL, [])


def test_training_rows_are_nothing_to_compare_with():
    calibration = Calibration(np.zeros(1), np.ones(1), np.sort(USUAL), 1.0, held_out=False)
    assert compare(calibration, USUAL + 1, [], np.ones(0), np.ones(0)).verdict == NOT_HELD_OUT


def test_few_rows_say_nothing_unless_they_are_all_beyond():
    assert drift(USUAL[:5], USUAL).verdict == TOO_FEW
    assert drift(np.full(5, 50.0), USUAL).verdict == ROSE


def test_scores_that_are_all_equal():
    found = drift(np.zeros(50), np.zeros(60))
    assert (found.verdict, found.superiority, found.p_value) == (FITS, 0.5, 1.0)


def test_the_expected_share_is_what_calibration_promises():
    found = drift(USUAL, USUAL)
    assert found.expected <= 0.05 + 1e-9
    assert found.expected == pytest.approx(20 / 401)
