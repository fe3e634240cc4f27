"""Members of an ensemble are different networks, each trained as it would be alone."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.testing import assert_close

from ..engine.settings import TrainerSettings
from ..engine.trainer import Trainer
from .case import COLOUR, NETWORKS, STYLE, TABLE, VECTOR, Case, on, require

MEMBERS = 3
State = dict[str, Tensor]


@on(VECTOR, TABLE, COLOUR, STYLE)
def check_members_differ(case: Case) -> None:
    """The members of an ensemble score differently, and their mean is finite."""
    detector = case.shared(n_members=MEMBERS)
    scores = detector.anomaly_score(case.new)
    assert scores.shape == (len(case.new),), scores.shape
    assert np.isfinite(scores).all(), scores
    assert not np.array_equal(scores, case.fitted.anomaly_score(case.new))
    samples = detector.preprocessor_.transform(case.new, torch.float64)
    x = samples.batch(np.arange(len(samples)))
    with torch.no_grad():
        members = detector.module_.score(x.expand(MEMBERS, *x.shape)).numpy()
    assert members.shape == (1 if detector.module_.joint else MEMBERS, len(case.new)), members.shape
    for a in range(len(members)):
        for b in range(a):
            assert not np.allclose(members[a], members[b], rtol=1e-6), f"members {b} and {a} score the same"


@on(VECTOR)
def check_ensemble_samples_from_all_members(case: Case) -> None:
    """The samples of an ensemble are all different."""
    detector = case.shared(n_members=MEMBERS)
    require(detector, "sample")
    assert len(np.unique(detector.sample(7, random_state=0), axis=0)) == 7


@on(*NETWORKS)
def check_ensemble_keeps_the_shape(case: Case) -> None:
    """Explanations and reconstructions of an ensemble have the shape of the data."""
    detector = case.shared(n_members=MEMBERS)
    assert detector.explain(case.new).shape == case.new.shape
    if detector.module_.can("reconstruct"):
        assert detector.reconstruct(case.new).shape == case.new.shape


@on(*NETWORKS)
def check_members_train_independently(case: Case) -> None:
    """Each member of an ensemble ends with the weights that it would have alone."""
    settings = TrainerSettings(steps=4, batch_size=10, learning_rate=0.01, ema_decay=0.5, patience=0)

    def train(members: int, start: Callable[[State], State] = dict) -> tuple[State, State]:
        """Train from `start` of the initial weights; return the weights before and after."""
        with _same_draws_for_all_members():
            module, samples = case.module(n_members=members)
        module.folds = 0  # members that are trained crosswise see different rows
        module.load_state_dict(start(module.state_dict()))
        before = {k: v.clone() for k, v in module.state_dict().items()}
        with _same_draws_for_all_members():
            Trainer(settings, seed=0, members=members, device=torch.device("cpu")).fit(module, samples, None)
        return before, module.state_dict()

    first, last = train(MEMBERS)
    for k in (0, MEMBERS - 1):
        _, alone = train(1, partial(_member_of, first, k))
        expected = _member_of(last, k, alone)
        for key, tensor in alone.items():
            # The gradients of a bias before a batch norm are rounding errors, which Adam scales up.
            assert_close(tensor, expected[key], rtol=1e-7, atol=1e-8, msg=f"member {k}, {key}")


def _member_of(state: State, k: int, alone: State) -> State:
    """Return the state of member `k` in the names of `alone`, the state of a module of one member."""
    return {
        key: state[re.sub(r"\.nets\.0\.", f".nets.{k}.", key)] if ".nets." in key else _slice(state[key], k, like)
        for key, like in alone.items()
    }


def _slice(tensor: Tensor, k: int, like: Tensor) -> Tensor:
    return tensor if tensor.shape == like.shape else tensor[k : k + 1]


@contextmanager
def _same_draws_for_all_members() -> Iterator[None]:
    """Make `torch.randn` and `torch.rand` draw the same sequence for each member of an ensemble."""

    def shared(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        seeds = itertools.count(1)

        def draw_for_all(members: int, *shape: int, **kwargs: Any) -> Tensor:
            generator = torch.Generator().manual_seed(next(seeds))
            return draw(1, *shape, **kwargs | {"generator": generator}).repeat(members, *[1] * len(shape))

        return draw_for_all

    with patch.object(torch, "randn", shared(torch.randn)), patch.object(torch, "rand", shared(torch.rand)):
        yield
