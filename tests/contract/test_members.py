"""Members of an ensemble: different networks, trained side by side as each would be alone."""

import re

import numpy as np
import pytest
import torch

from anogan.engine.trainer import Trainer, TrainerSettings

MEMBERS = 3


def test_members_differ_and_their_mean_is_finite(case):
    detector = case.fit(n_members=MEMBERS)
    scores = detector.anomaly_score(case.new)
    assert scores.shape == (len(case.new),)
    assert np.isfinite(scores).all()
    alone = [case.fit(random_state=0).anomaly_score(case.new)]
    assert not np.array_equal(scores, alone[0])
    members = detector.fitted_state.inference.score(detector._samples(case.new))
    assert members.shape == (1 if detector.module_.joint else MEMBERS, len(case.new))
    for a in range(len(members)):
        for b in range(a):
            assert not np.allclose(members[a], members[b], rtol=1e-6), (a, b)


def test_an_ensemble_draws_from_all_its_members(vector_case):
    detector = vector_case.fit(n_members=MEMBERS)
    if detector.module_.can("sample"):
        assert len(np.unique(detector.sample(7, random_state=0), axis=0)) == 7


def test_explanations_and_reconstructions_of_an_ensemble_keep_the_shape(network_case):
    detector = network_case.fit(n_members=MEMBERS)
    assert detector.explain(network_case.new).shape == network_case.new.shape
    if detector.module_.can("reconstruct"):
        assert detector.reconstruct(network_case.new).shape == network_case.new.shape


def member_of(state, k, alone):
    """The state of member ``k`` in the names of a module of one member."""
    return {
        key: state[re.sub(r"\.nets\.0\.", f".nets.{k}.", key)] if ".nets." in key else _slice(state[key], k, t)
        for key, t in alone.items()
    }


def _slice(tensor, k, like):
    return tensor if tensor.shape == like.shape else tensor[k : k + 1]


class SameForAllMembers:
    """Random numbers that do not know the members axis: the same sequence for one member and for many."""

    def __init__(self, draw):
        self.draw, self.calls = draw, 0

    def __call__(self, members, *shape, **kwargs):
        self.calls += 1
        generator = torch.Generator().manual_seed(self.calls)
        return self.draw(1, *shape, generator=generator, **kwargs).repeat(members, *[1] * len(shape))


@pytest.fixture
def shared_draws(monkeypatch):
    def restart():
        monkeypatch.undo()
        monkeypatch.setattr(torch, "randn", SameForAllMembers(torch.randn))
        monkeypatch.setattr(torch, "rand", SameForAllMembers(torch.rand))

    yield restart
    monkeypatch.undo()


def test_each_member_is_trained_as_if_it_was_alone(network_case, shared_draws):
    settings = TrainerSettings(steps=4, batch_size=10, learning_rate=0.01, ema_decay=0.5, patience=0)
    shared_draws()
    ensemble, samples = network_case.module(n_members=MEMBERS)
    start = {k: v.clone() for k, v in ensemble.state_dict().items()}
    shared_draws()
    Trainer(settings, seed=0, members=MEMBERS, device=torch.device("cpu")).fit(ensemble, samples, None)
    for k in range(MEMBERS):
        shared_draws()
        alone, _ = network_case.module(n_members=1)
        alone.load_state_dict(member_of(start, k, alone.state_dict()))
        shared_draws()
        Trainer(settings, seed=0, members=1, device=torch.device("cpu")).fit(alone, samples, None)
        expected = member_of(ensemble.state_dict(), k, alone.state_dict())
        for key, tensor in alone.state_dict().items():
            # A bias before a batch norm gets rounding errors for gradients, which Adam takes to its own scale.
            torch.testing.assert_close(tensor, expected[key], rtol=1e-7, atol=1e-8, msg=f"member {k}, {key}")
