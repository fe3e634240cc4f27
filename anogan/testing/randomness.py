"""One seed decides every result, and the global random generators are not used."""

import random

import numpy as np
import torch
from numpy.testing import assert_array_equal

from .case import DATA, NETWORKS, VECTOR, Case, on, require


@on(*DATA)
def check_same_seed(case: Case) -> None:
    """The same seed gives the same scores and training curves, bit for bit."""
    again = case.fit()
    assert_array_equal(again.anomaly_score(case.new), case.fitted.anomaly_score(case.new))
    assert again.history_ == case.fitted.history_


@on(VECTOR)
def check_other_seed(case: Case) -> None:
    """Another seed gives other scores."""
    other = case.fit(random_state=1)
    assert (other.anomaly_score(case.new) != case.fitted.anomaly_score(case.new)).any()


@on(VECTOR)
def check_unseeded_fits_keep_their_seed(case: Case) -> None:
    """Two fits without a seed differ, and the seed that each keeps repeats it."""
    first, second = case.fit(random_state=None), case.fit(random_state=None)
    assert first.seed_ != second.seed_
    repeated = case.fit(random_state=first.seed_)
    assert_array_equal(repeated.anomaly_score(case.new), first.anomaly_score(case.new))


@on(VECTOR)
def check_generator_as_random_state(case: Case) -> None:
    """A generator given as `random_state` is advanced by a fit."""
    generator = np.random.RandomState(3)
    assert case.fit(random_state=generator).seed_ != case.fit(random_state=generator).seed_


@on(*NETWORKS)
def check_global_generators_are_not_used(case: Case) -> None:
    """No method draws from the global generators of torch, numpy or random."""
    torch.manual_seed(5)
    before = torch.get_rng_state(), _state_of_numpy(), random.getstate()
    detector = case.fit()
    detector.anomaly_score(case.new)
    detector.explain(case.new)
    if detector.module_.can("sample"):
        detector.sample(3)
    assert torch.equal(torch.get_rng_state(), before[0]), "torch's generator was advanced"
    assert_array_equal(_state_of_numpy(), before[1])
    assert random.getstate() == before[2], "random's generator was advanced"


def _state_of_numpy() -> np.ndarray:
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return np.append(state["key"], state["pos"])


@on(VECTOR)
def check_global_seed_has_no_influence(case: Case) -> None:
    """The global seed of torch does not change a fit."""
    torch.manual_seed(123)
    assert_array_equal(case.fit().anomaly_score(case.new), case.fitted.anomaly_score(case.new))


@on(*DATA)
def check_samples_follow_their_seed(case: Case) -> None:
    """Samples of one seed are equal, those of another one differ."""
    detector = case.fitted
    require(detector, "sample")
    first, second, third = (np.asarray(detector.sample(4, random_state=seed)) for seed in (0, 0, 1))
    assert_array_equal(first, second)
    assert (first != third).any()
