"""Layers that hold k copies of themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from anogan.data.spec import SampleSpec
from anogan.nn.layers import BatchedLinear, BatchedSpectralNorm, OutputRange, batched_linear


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_each_member_is_an_affine_map_of_its_own():
    layer, x = BatchedLinear(3, 5, 4).double(), torch.randn(3, 7, 5).double()
    out = layer(x)
    assert out.shape == (3, 7, 4)
    for k in range(3):
        assert_close(out[k], x[k] @ layer.weight[k] + layer.bias[k])
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_members_learn_from_their_own_losses_alone():
    layer, x = BatchedLinear(2, 3, 1), torch.randn(2, 6, 3)
    layer(x)[0].sum().backward()
    assert layer.weight.grad[0].any()
    assert not layer.weight.grad[1].any()


def test_weights_start_uniform_as_in_torch():
    layer = BatchedLinear(4, 100, 200)
    for tensor in (layer.weight, layer.bias):
        assert tensor.abs().max() <= 0.1
        assert abs(tensor.std() - 0.1 / 3**0.5) < 0.005


def test_a_spectrally_normalised_matrix_has_norm_one_for_each_member():
    layer = batched_linear(3, 20, 30, spectral_norm=True).double()
    for _ in range(50):
        layer(torch.randn(3, 2, 20).double())
    norms = torch.linalg.matrix_norm(layer.weight, ord=2)
    assert_close(norms, torch.ones(3).double(), rtol=1e-3, atol=0)


def test_spectral_norm_scales_and_does_not_turn():
    weight = torch.randn(2, 6, 5)
    ratio = BatchedSpectralNorm(weight)(weight) / weight
    for k in range(2):
        assert_close(ratio[k], ratio[k, 0, 0].expand(6, 5))


def test_the_spectral_estimate_is_frozen_in_eval_mode():
    layer = batched_linear(1, 6, 5, spectral_norm=True).eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(torch.randn(1, 3, 6))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_two_forwards_before_a_backward_are_allowed():
    layer = batched_linear(2, 4, 3, spectral_norm=True)
    (layer(torch.randn(2, 5, 4)).sum() + layer(torch.randn(2, 5, 4)).sum()).backward()


def test_a_bounded_sample_ends_in_tanh():
    x = torch.randn(1, 3, 2, 4, 4) * 10
    assert torch.equal(OutputRange(SampleSpec((2, 4, 4), bounded=True))(x), x.tanh())


def test_an_unbounded_sample_without_spans_is_left_alone():
    x = torch.randn(1, 3, 6)
    assert OutputRange(SampleSpec((6,)))(x) is x


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=4), st.integers(0, 3))
def test_one_hot_spans_become_probabilities_and_the_rest_stays(gaps_and_widths, rest):
    spans, position = [], 0
    for gap, width in gaps_and_widths:
        spans.append((position + gap, position + gap + width))
        position += gap + width
    dim = position + rest
    if dim == 0:
        return
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, dim)))
    out = OutputRange(SampleSpec((dim,), spans=tuple(spans)))(x)
    assert out.shape == x.shape
    inside = np.zeros(dim, dtype=bool)
    for start, stop in spans:
        inside[start:stop] = True
        assert_close(out[..., start:stop].sum(-1), torch.ones(2, 3).double())
        assert (out[..., start:stop] > 0).all()
    assert torch.equal(out[..., ~inside], x[..., ~inside])
