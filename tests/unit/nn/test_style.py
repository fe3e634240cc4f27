"""StyleGAN2's parts: demodulation, noise and W space."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.testing import assert_close

from anogan.data.spec import SampleSpec
from anogan.nn.backbone import Decoder, backbone_for
from anogan.nn.style import ModulatedConv, StyledLayer, activate

SPEC = SampleSpec((1, 12, 9), bounded=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def decoder():
    made = backbone_for("style", SPEC, 2, 4).decoder(3).double()
    for name, weight in made.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(weight, 0.5)
    return made


@pytest.mark.parametrize("kernel", [1, 3])
def test_demodulation_gives_unit_variance_whatever_the_style(kernel):
    conv = ModulatedConv(48, 6, 5, kernel, demodulate=True).double()
    x = torch.randn(3, 48, 80, 80).double()
    for scale in (0.1, 1.0, 30.0):
        y = conv(x, scale * torch.randn(3, 5).double())[..., 1:-1, 1:-1]  # the border sees zeros
        assert_close(y.var((2, 3)), torch.ones(3, 6).double(), rtol=0.15, atol=0)
    plain = ModulatedConv(48, 6, 5, kernel, demodulate=False).double()
    w = torch.randn(3, 5).double()
    assert plain(x, w).var() < plain(x, 10 * w).var() / 10


def test_scaling_inputs_and_outputs_is_modulating_the_weights_of_each_row():
    conv = ModulatedConv(4, 5, 3, 3, demodulate=True).double()
    x, w = torch.randn(2, 4, 6, 7).double(), torch.randn(2, 3).double()
    for row in range(2):
        weight = conv.weight * conv.style(w[row])[:, None, None]  # eq. 1
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # eq. 3
        assert_close(conv(x, w)[row], conv2d(x[row : row + 1], weight, padding=1)[0])


def test_the_activation_keeps_the_variance_about_as_it_is():
    assert abs(activate(torch.randn(100_000)).square().mean() - 1.04) < 0.02


def test_noise_is_added_with_a_learned_strength_that_starts_at_zero():
    layer, x, w, noise = StyledLayer(3, 4, 2), torch.randn(2, 3, 5, 5), torch.randn(2, 2), torch.randn(2, 1, 5, 5)
    assert torch.equal(layer(x, w, noise, (5, 5)), layer(x, w, None, (5, 5)))
    nn.init.constant_(layer.noise_strength, 0.5)
    assert_close(layer(x, w, noise, (5, 5)), activate(layer.conv(x, w) + 0.5 * noise))


def test_noise_is_drawn_in_training_only(decoder):
    z = torch.randn(2, 3, 3).double()
    assert not torch.equal(decoder(z), decoder(z))
    same = decoder(z[:, :1].expand(2, 3, 3))
    assert not torch.allclose(same[:, 0], same[:, 1])  # each row its own
    decoder.eval()
    assert torch.equal(decoder(z), decoder(z))


def test_a_sample_is_made_by_way_of_w(decoder):
    decoder.eval()
    z = torch.randn(2, 3, 3).double()
    w = decoder.mapping(z)
    assert w.shape == z.shape
    assert not torch.allclose(w, z)
    assert torch.equal(decoder.synthesis(w), decoder(z))


def test_centre_and_radius_are_those_of_the_mapped_w(decoder):
    for _ in range(500):
        decoder.mapping(torch.randn(2, 64, 3).double())
    w = decoder.eval().mapping(torch.randn(2, 20_000, 3).double())
    assert_close(decoder.centre(), w.mean(1, keepdim=True), rtol=0, atol=0.05)
    radius = (w - decoder.centre()).square().sum(-1, keepdim=True).mean(1, keepdim=True).sqrt()
    assert_close(decoder.radius(3), radius, rtol=0.05, atol=0.05)
    before = decoder.running_mean.clone()
    decoder.mapping(torch.randn(2, 1, 3).double() + 100)
    assert torch.equal(decoder.running_mean, before)  # eval mode learns nothing


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_a_plain_decoder_has_w_equal_z(name):
    plain = backbone_for(name, SampleSpec((5,)) if name == "mlp" else SPEC, 2, 4).decoder(3).eval()
    assert isinstance(plain, Decoder)
    z = torch.randn(2, 1, 3)
    assert plain.mapping(z) is z
    assert plain.centre() == 0
    assert plain.radius(4) == 2
    assert torch.equal(plain.synthesis(z), plain(z))
