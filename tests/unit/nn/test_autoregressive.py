"""The decoder of rows is a distribution: probabilities sum to one, and samples follow them."""

import itertools

import torch
from torch.testing import assert_close

from anogan.nn.autoregressive import RowDecoder
from anogan.seeding import seeded

SIZES = (2, 3, 2)


def make():
    torch.manual_seed(0)
    return RowDecoder(SIZES, 4, 16).double()


def test_samples_follow_the_probabilities_which_sum_to_one():
    decoder, context = make(), torch.linspace(-1, 1, 4).double()[None]
    rows = torch.tensor(list(itertools.product(*map(range, SIZES))))
    probability = decoder.log_likelihood(rows, context.expand(len(rows), -1)).exp()
    assert_close(probability.sum(), torch.tensor(1.0).double())
    with seeded(0), torch.no_grad():
        drawn = decoder.sample(context.expand(20_000, -1))
    shares = (drawn[:, None] == rows).all(-1).double().mean(0)
    assert_close(shares, probability.detach(), rtol=0, atol=0.02)


def test_a_column_depends_on_earlier_columns_and_the_context_alone():
    decoder = make()
    rows, context = torch.tensor([[1, 2, 0]]), torch.ones(1, 4).double()
    base = decoder.log_likelihood(rows, context)
    assert decoder.log_likelihood(rows, -context) != base
    first = [decoder.log_likelihood(torch.tensor([[1, b, c]]), context).exp() for b in range(3) for c in range(2)]
    other = [decoder.log_likelihood(torch.tensor([[0, b, c]]), context).exp() for b in range(3) for c in range(2)]
    assert_close(sum(first) + sum(other), torch.ones(1).double())
