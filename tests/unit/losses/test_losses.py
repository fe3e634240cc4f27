"""Losses against their papers' formulas, computed another way."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close

from anogan.losses.adversarial import OBJECTIVES
from anogan.losses.distances import energy_distance, l1, l2_squared, mean_l1, mean_l2_squared
from anogan.losses.penalties import gradient_penalty, r1_penalty

LOGITS = arrays(np.float64, (2, 3), elements=st.floats(-20, 20))


def d(logit):
    return 1 / (1 + np.exp(-logit))


FORMULAS = {
    "minimax": (lambda r, f: -np.log(d(r)) - np.log(1 - d(f)), lambda f: np.log(1 - d(f))),
    "non_saturating": (lambda r, f: -np.log(d(r)) - np.log(1 - d(f)), lambda f: -np.log(d(f))),
    "least_squares": (lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2, lambda f: 0.5 * (f - 1) ** 2),
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f: -f),
    "wasserstein": (lambda r, f: f - r, lambda f: -f),
    "wasserstein_gp": (lambda r, f: f - r, lambda f: -f),
}


def test_every_objective_has_its_formula_here():
    assert set(OBJECTIVES) == set(FORMULAS)
    assert [name for name, o in OBJECTIVES.items() if o.weight_clip] == ["wasserstein"]
    assert [name for name, o in OBJECTIVES.items() if o.penalised] == ["wasserstein_gp"]


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=25)
@given(real=LOGITS, fake=LOGITS)
def test_an_objective_is_its_formula(name, real, fake):
    critic, generator = FORMULAS[name]
    objective = OBJECTIVES[name]
    got = objective.critic(torch.from_numpy(real), torch.from_numpy(fake))
    assert got.shape == (2,)
    np.testing.assert_allclose(got, critic(real, fake).mean(-1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        objective.generator(torch.from_numpy(fake)), generator(fake).mean(-1), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", FORMULAS)
def test_critic_and_generator_pull_the_generated_logit_apart(name):
    fake = torch.zeros(1, 4, requires_grad=True)
    real = torch.zeros(1, 4, requires_grad=True)
    critic = torch.autograd.grad(OBJECTIVES[name].critic(real, fake).sum(), (real, fake), allow_unused=True)
    (generator,) = torch.autograd.grad(OBJECTIVES[name].generator(fake).sum(), fake)
    assert (critic[0] < 0).all()  # the critic raises the real logit
    assert (generator < 0).all()  # the generator raises the generated one
    if name != "least_squares":  # whose target for generated samples is the logit 0
        assert (critic[1] > 0).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_extreme_logits_stay_finite(name):
    extreme = torch.tensor([[1e4, -1e4]])
    assert torch.isfinite(OBJECTIVES[name].critic(extreme, extreme)).all()
    assert torch.isfinite(OBJECTIVES[name].generator(extreme)).all()


PAIRS = arrays(np.float64, (2, 2, 3, 2, 2), elements=st.floats(-100, 100))


@given(PAIRS)
def test_distances_sum_over_a_sample_and_average_over_a_batch(pair):
    a, b = torch.from_numpy(pair)
    difference = np.abs(pair[0] - pair[1])
    np.testing.assert_allclose(l1(a, b), difference.sum((2, 3)))
    np.testing.assert_allclose(l2_squared(a, b), (difference**2).sum((2, 3)))
    np.testing.assert_allclose(mean_l1(a, b), difference.mean((1, 2, 3)))
    np.testing.assert_allclose(mean_l2_squared(a, b), (difference**2).mean((1, 2, 3)))


@given(
    arrays(np.float64, (1, 4, 2), elements=st.floats(-50, 50)),
    arrays(np.float64, (1, 3, 2), elements=st.floats(-50, 50)),
)
def test_the_energy_distance_is_a_distance_of_distributions(a, b):
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    assert_close(energy_distance(a, b), energy_distance(b, a))
    assert energy_distance(a, b) >= -1e-6
    assert_close(energy_distance(a, a[:, [2, 0, 3, 1]]), torch.zeros(1).double(), atol=1e-5, rtol=0)


def test_the_energy_distance_of_two_points_is_known():
    a, b = torch.zeros(1, 1, 2), torch.tensor([[[3.0, 4.0]]])
    assert_close(energy_distance(a, b), torch.tensor([10.0]))


SLOPES = torch.tensor([[3.0, 4.0], [0.6, 0.8]]).double()  # of one linear critic per member: norms 5 and 1


def linear_critic(x):
    return torch.einsum("kbd,kd->kb", x, SLOPES)


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    real, fake = torch.randn(2, 2, 6, 2).double()
    assert_close(gradient_penalty(linear_critic, real, fake), torch.tensor([16.0, 0.0]).double())


def test_r1_of_a_linear_critic_is_half_its_squared_slope():
    real = torch.randn(2, 6, 2).double()
    assert_close(r1_penalty(linear_critic, real), torch.tensor([12.5, 0.5]).double())


def test_the_gradient_penalty_is_evaluated_between_the_samples():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.square().flatten(2).sum(-1)

    real, fake = torch.zeros(1, 200, 1, 2, 2), torch.ones(1, 200, 1, 2, 2)
    gradient_penalty(critic, real, fake)
    (points,) = seen
    assert ((points >= 0) & (points <= 1)).all()
    assert (points == points[:, :, :1, :1, :1]).all()  # one mixing weight a sample
    assert points[0, :, 0, 0, 0].std() > 0.2


@pytest.mark.parametrize("penalty", ["gradient", "r1"])
def test_penalties_train_the_critic_alone(penalty):
    slope = torch.tensor(2.0, requires_grad=True)
    real = torch.randn(1, 5, 3, requires_grad=True)
    fake = torch.randn(1, 5, 3, requires_grad=True)

    def critic(x):
        return (slope * x.square()).sum(-1)

    value = gradient_penalty(critic, real, fake) if penalty == "gradient" else r1_penalty(critic, real)
    value.sum().backward()
    assert slope.grad is not None
    assert slope.grad != 0
    assert real.grad is None
    assert fake.grad is None


def test_the_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    slope = torch.tensor(0.0, requires_grad=True)
    value = gradient_penalty(lambda x: (slope * x).sum(-1), torch.zeros(1, 3, 2), torch.ones(1, 3, 2))
    value.sum().backward()
    assert math.isclose(value.item(), 1.0, rel_tol=1e-4)
    assert torch.isfinite(slope.grad)
