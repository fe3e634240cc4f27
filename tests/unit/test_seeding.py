"""Seeds from a random_state, and generators of one thread that stand in for torch's global ones."""

from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anogan.seeding import OwnInitialisation, draw_seed, generators, rand, randn, randperm, seeded

CPU = torch.device("cpu")


@given(st.integers(0, 2**40))
def test_an_integer_is_its_own_seed_and_fits_31_bits(number):
    seed = draw_seed(number)
    assert 0 <= seed < 2**31
    assert draw_seed(seed) == seed


def test_none_draws_fresh_seeds_without_numpy_s_global_generator():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert len({draw_seed(None) for _ in range(5)}) == 5
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_generator_is_advanced_by_one_draw():
    generator, twin = np.random.RandomState(0), np.random.RandomState(0)
    assert draw_seed(generator) == twin.randint(2**31)
    assert draw_seed(generator) == twin.randint(2**31)


def draws():
    return [rand(3), randn(2, 2, dtype=torch.float64), randperm(20), rand((2, 3), device=CPU)]


def layers():
    network = nn.Sequential(
        nn.Linear(3, 4), nn.Conv2d(2, 3, 3), nn.LSTM(2, 2), nn.Embedding(3, 2), nn.MultiheadAttention(4, 2)
    )
    network.append(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5)))
    for initialise in (nn.init.normal_, nn.init.uniform_, nn.init.trunc_normal_, nn.init.orthogonal_):
        initialise(network.append(nn.Linear(6, 6))[-1].weight)
    for initialise in (nn.init.xavier_normal_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_):
        initialise(network.append(nn.Linear(6, 6))[-1].weight)
    return [*network.state_dict().values(), torch.empty(4).exponential_(), torch.randint(9, (5,)), torch.randperm(9)]


@pytest.mark.parametrize("draw", [draws, layers])
def test_a_block_draws_what_the_global_generator_would_and_leaves_it_alone(draw):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = draw()
    before = torch.get_rng_state()
    for _ in range(2):
        with seeded(3), OwnInitialisation():
            for value, drawn in zip(expected, draw(), strict=True):
                assert torch.equal(value, drawn)
    assert torch.equal(torch.get_rng_state(), before)


def test_outside_of_a_block_the_global_generator_is_used():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = rand(4)
        torch.manual_seed(3)
        assert torch.equal(first, torch.rand(4))


def test_a_block_inside_a_block_leaves_the_outer_one_as_it_was_even_after_an_error():
    with seeded(3):
        first, second = rand(4), rand(4)
    with seeded(3):
        again = rand(4)
        with pytest.raises(RuntimeError, match="size"), seeded(4):
            rand(4) + rand(5)
        assert torch.equal(first, again)
        assert torch.equal(second, rand(4))


def test_a_block_holds_for_its_own_thread_only():
    seen = []

    def look():
        try:
            generators()
        except LookupError:
            seen.append("none")

    with seeded(3):
        thread = Thread(target=look)
        thread.start()
        thread.join()
    assert seen == ["none"]


def test_generators_continue_where_their_state_was_taken():
    with seeded(3):
        rand(5)
        state, expected = generators().state(), rand(5)
    with seeded(9):
        generators().restore(state, CPU)
        assert torch.equal(rand(5), expected)
    assert list(state) == ["cpu"]
