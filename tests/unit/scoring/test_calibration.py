"""Promises: conformal p-values, false discovery rates, thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from anogan.scoring.calibration import Calibration, conformal_threshold, member_scales

NUMBERS = st.floats(-1e6, 1e6)


def calibrated(scores):
    return Calibration(np.zeros(1), np.ones(1), np.sort(scores), 0.0)


@given(arrays(np.float64, st.integers(1, 20), elements=NUMBERS), arrays(np.float64, 5, elements=NUMBERS))
def test_a_p_value_counts_the_normal_rows_that_score_at_least_this(normal, scores):
    p = calibrated(normal).p_value(scores)
    expected = [(1 + sum(c >= s for c in normal)) / (1 + len(normal)) for s in scores]
    assert_allclose(p, expected)
    assert ((p > 0) & (p <= 1)).all()


@given(st.integers(1, 30))
def test_p_values_of_fresh_normal_rows_are_exactly_valid(m):
    # Over all ranks that a fresh row can take among m + 1 exchangeable ones: P(p <= j / (m + 1)) = j / (m + 1).
    everything = np.arange(m + 1.0)
    p = [calibrated(np.delete(everything, i)).p_value(everything[[i]])[0] for i in range(m + 1)]
    assert_allclose(np.sort(p), np.arange(1, m + 2) / (m + 1))


@given(arrays(np.float64, st.integers(0, 12), elements=NUMBERS), st.floats(0.01, 0.99))
def test_flag_is_benjamini_hochberg(scores, fdr):
    calibration = calibrated(np.linspace(-10, 10, 37))
    p = calibration.p_value(scores)
    ranks = [k for k in range(1, len(p) + 1) if np.sort(p)[k - 1] <= fdr * k / len(p)]
    expected = p <= np.sort(p)[max(ranks) - 1] if ranks else np.zeros(len(p), bool)
    assert_array_equal(calibration.flag(scores, fdr), expected)


def test_flag_keeps_its_promise_on_a_mixture():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        calibration = calibrated(rng.normal(size=1000))
        scores = np.r_[rng.normal(size=180), rng.normal(4, 1, size=20)]
        flagged = calibration.flag(scores, fdr=0.2)
        shares.append(flagged[:180].sum() / max(flagged.sum(), 1))
    assert np.mean(shares) < 0.2


@given(
    arrays(np.float64, st.integers(1, 40), elements=NUMBERS, unique=True),
    st.floats(0.01, 0.99),
)
def test_the_threshold_promises_the_false_alarm_rate(scores, target_fpr):
    threshold = conformal_threshold(scores, target_fpr)
    m = len(scores)
    assert threshold in scores
    exceeded_by_a_fresh_row = (np.sum(scores > threshold) + 1) / (m + 1)
    if m >= 1 / target_fpr - 1:
        assert exceeded_by_a_fresh_row <= target_fpr + 1e-9 or threshold == scores.max()
        below = np.sort(scores)[np.sort(scores) < threshold]
        if len(below):  # the next smaller score could not promise it
            assert (np.sum(scores > below[-1]) + 1) / (m + 1) > target_fpr - 1e-9
    else:
        assert threshold == scores.max()


def test_the_false_alarm_rate_is_kept_on_fresh_rows():
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(300):
        threshold = conformal_threshold(rng.normal(size=99), 0.05)
        rates.append((rng.normal(size=200) > threshold).mean())
    assert np.mean(rates) == pytest.approx(0.05, abs=0.005)


def test_one_member_keeps_its_units():
    location, scale = member_scales(np.array([[3.0, 5.0, 9.0]]))
    assert (location.tolist(), scale.tolist()) == ([0.0], [1.0])


def test_members_are_brought_to_one_scale():
    rng = np.random.default_rng(0)
    base = rng.exponential(size=500)
    members = np.stack([base, 1000 * base + 7, 1e-6 * base])
    calibration = Calibration(*member_scales(members), np.empty(0), 0.0)
    combined = calibration.combine(members)
    assert combined.shape == (500,)
    alone = Calibration(*(a[:1] for a in member_scales(members)), np.empty(0), 0.0).combine(members[:1])
    assert_allclose(combined, alone, rtol=1e-6)
    assert np.median(combined) == pytest.approx(0, abs=1e-9)
    assert np.quantile(combined, 0.95) == pytest.approx(1)


@given(arrays(np.float64, (2, 5), elements=NUMBERS))
def test_scales_are_positive_whatever_the_scores(members):
    _, scale = member_scales(members)
    assert (scale > 0).all()
    assert np.isfinite(scale).all()
