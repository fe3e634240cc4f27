"""One seed decides every result, in any thread, and the global random generators are not used."""

import random
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.testing import assert_array_equal

from ..detectors.base import Detector
from .case import DATA, NETWORKS, ONE_OF_EACH, TRAINED, VECTOR, Case, on, require


@on(*ONE_OF_EACH)
def check_same_seed(case: Case) -> None:
    """The same seed gives the same scores and training curves, bit for bit."""
    again = case.fit()
    assert_array_equal(again.anomaly_score(case.new), case.fitted.anomaly_score(case.new))
    assert again.history_ == case.fitted.history_


@on(VECTOR)
def check_other_seed(case: Case) -> None:
    """Another seed gives other scores."""
    other = case.shared(random_state=1)
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
    drew = "torch's generator was advanced; draw with the functions of anogan.seeding"
    assert torch.equal(torch.get_rng_state(), before[0]), drew
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


@on(*TRAINED)
def check_threads_are_independent(case: Case) -> None:
    """What is fitted and computed in threads at the same time equals what each gives alone, bit for bit."""
    seeds = 0, 1
    alone = [_results(case, case.fitted, 0), _results(case, case.shared(random_state=1), 1)]
    with _busy_interpreter(), ThreadPoolExecutor(len(seeds)) as pool:
        together = list(pool.map(lambda seed: _results(case, case.make(random_state=seed).fit(case.X), seed), seeds))
    for expected, results in zip(alone, together, strict=True):
        for name, values in results.items():
            assert_array_equal(values, expected[name], err_msg=name)


def _results(case: Case, detector: Detector, seed: int) -> dict[str, Any]:
    """Use the methods of a fitted detector that compute with the networks."""
    results = {"scores": detector.anomaly_score(case.new), "explanations": detector.explain(case.new)}
    if detector.module_.can("sample"):
        results["samples"] = detector.sample(3, random_state=seed)
    return results | {"offset": detector.offset_, "seed": detector.seed_}


@contextmanager
def _busy_interpreter() -> Iterator[None]:
    """Let threads interrupt each other often, while one more thread draws from torch's global generator."""
    interval, finished = sys.getswitchinterval(), threading.Event()

    def draw() -> None:
        while not finished.wait(1e-4):
            torch.rand(1)

    with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("ignore")  # once for all threads, which share the filters
        drawing = pool.submit(draw)
        sys.setswitchinterval(1e-5)
        try:
            yield
        finally:
            sys.setswitchinterval(interval)
            finished.set()
            drawing.result()


@on(*DATA)
def check_samples_follow_their_seed(case: Case) -> None:
    """Samples of one seed are equal, those of another one differ."""
    detector = case.fitted
    require(detector, "sample")
    first, second, third = (np.asarray(detector.sample(4, random_state=seed)) for seed in (0, 0, 1))
    assert_array_equal(first, second)
    assert (first != third).any()
