"""Seeds from a random_state, and generators that are given back as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anogan.seeding import draw_seed, forked_torch_rng

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


def test_the_block_is_seeded_and_the_outside_left_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with forked_torch_rng(3, CPU):
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_outside_is_left_alone_after_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), forked_torch_rng(3, CPU):
        torch.rand(4) + torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)
