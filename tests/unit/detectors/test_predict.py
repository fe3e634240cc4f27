"""A prediction is the score and the map of the separate methods, and the networks run once for both."""

import warnings
from functools import cache

import numpy as np
import pytest
import torch

import anogan
from anogan.engine.module import GANModule

DETECTORS = list(anogan.list_detectors())


@cache
def fitted(name, is_image):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(24, 3, 9, 12)) if is_image else rng.normal(size=(24, 5))
    cls = anogan.list_detectors()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(device="cpu", random_state=0, n_members=2, **cls.tiny).fit(X)


@pytest.fixture(params=[False, True], ids=["vector", "picture"])
def is_image(request):
    torch.set_num_threads(1)
    return request.param


@pytest.fixture(params=DETECTORS)
def module(request, is_image):
    return fitted(request.param, is_image).module_


@pytest.fixture
def x(is_image):
    rows = torch.rand(1, 7, *((3, 9, 12) if is_image else (5,)), generator=torch.Generator().manual_seed(1))
    return rows.expand(2, *rows.shape[1:])


@torch.no_grad()
def test_a_prediction_equals_score_and_map(module, x):
    score, anomaly_map = module.predict(x, with_map=True)
    assert torch.equal(score, module.score(x))
    if module.can("anomaly_map"):
        assert torch.equal(anomaly_map, module.anomaly_map(x))
    elif module.can("reconstruct"):
        assert torch.equal(anomaly_map, (x - module.reconstruct(x)).abs())
    else:
        assert anomaly_map is None


@torch.no_grad()
def test_without_a_map_there_is_the_score_alone(module, x):
    score, anomaly_map = module.predict(x)
    assert torch.equal(score, module.score(x))
    assert anomaly_map is None


@torch.no_grad()
def test_a_module_that_localises_shares_the_passes_of_its_networks(module, x):
    if not module.can("anomaly_map"):
        pytest.skip("the module has no map of its own")
    assert type(module).predict is not GANModule.predict
    calls = []
    module.patches.extractor.register_forward_hook(lambda *_: calls.append(1))
    module.predict(x, with_map=True)
    assert len(calls) == 1
