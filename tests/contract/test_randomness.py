"""One seed decides everything, and nobody else's generator is touched."""

import random

import numpy as np
import torch


def test_the_same_seed_gives_bit_equal_scores(case):
    again = case.fit()
    np.testing.assert_array_equal(again.anomaly_score(case.new), case.fitted.anomaly_score(case.new))
    assert again.history_ == case.fitted.history_


def test_another_seed_gives_other_scores(vector_case):
    other = vector_case.fit(random_state=1)
    assert (other.anomaly_score(vector_case.new) != vector_case.fitted.anomaly_score(vector_case.new)).any()


def test_without_a_seed_two_fits_differ_and_tell_their_seed(vector_case):
    first, second = vector_case.fit(random_state=None), vector_case.fit(random_state=None)
    assert first.seed_ != second.seed_
    repeated = vector_case.fit(random_state=first.seed_)
    np.testing.assert_array_equal(repeated.anomaly_score(vector_case.new), first.anomaly_score(vector_case.new))


def test_a_generator_as_random_state_is_advanced(vector_case):
    generator = np.random.RandomState(3)
    assert vector_case.fit(random_state=generator).seed_ != vector_case.fit(random_state=generator).seed_


def test_global_generators_are_left_alone(network_case):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    detector = network_case.fit()
    detector.anomaly_score(network_case.new)
    detector.explain(network_case.new)
    if detector.module_.can("sample"):
        detector.sample(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_global_seed_has_no_influence(vector_case):
    torch.manual_seed(123)
    again = vector_case.fit()
    np.testing.assert_array_equal(
        again.anomaly_score(vector_case.new), vector_case.fitted.anomaly_score(vector_case.new)
    )


def test_samples_follow_their_seed(case):
    detector = case.fitted
    if not detector.module_.can("sample"):
        return
    first, second, third = (np.asarray(detector.sample(4, random_state=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
