"""Backbones: every network has the promised shapes, ranges and independence of members and rows."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from anogan import InputError
from anogan.data.spec import SampleSpec
from anogan.detectors.pix2pix_inpainting import Inpainter, MaskedCritic
from anogan.nn import conv, dcgan
from anogan.nn.backbone import BACKBONES, Backbone, backbone_for
from anogan.nn.outputs import critique_both
from anogan.nn.roles import Corruptor, SkipAutoencoder, Translator

SPECS = {
    "vector": SampleSpec((5,)),
    "one column": SampleSpec((1,)),
    "one-hot": SampleSpec((6,), spans=((1, 4),)),
    "8x8": SampleSpec((1, 8, 8), bounded=True),
    "9x12": SampleSpec((3, 9, 12), bounded=True),
    "33x8": SampleSpec((1, 33, 8), bounded=True),
}
K, B = 2, 4
CASES = [(name, "auto") for name in SPECS] + [(name, "style") for name, spec in SPECS.items() if spec.is_image]
WITHOUT_FEATURES = ("encoder", "decoder", "unet", "inpainter", "corruptor", "translator", "classifying hourglass")
PATCHES = ("patch", "masked patch")


@pytest.fixture(params=CASES, ids=" ".join)
def case(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def spec(case):
    return SPECS[case[0]]


@pytest.fixture
def x(spec):
    return torch.rand(K, B, *spec.shape) * 2 - 1


@pytest.fixture
def backbone(case, spec):
    return backbone_for(case[1], spec, K, 4)


class Masked(nn.Module):
    """Takes the mask as numbers, like the inputs of the other networks: 0 erases nothing."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, mask):
        return self.network(x, mask > 0.5)


class Logits(nn.Module):
    """Values and logits of an hourglass as one tensor, so that all of its weights matter."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, z):
        values, _, logits = self.network(x, z)
        return torch.cat([values.flatten(2), logits], dim=2)


def networks(backbone, spec):
    """name -> (network, its inputs)."""
    x = torch.rand(K, B, *spec.shape) * 2 - 1
    z = torch.randn(K, B, 3)
    made = {"encoder": (backbone.encoder(3), (x,)), "decoder": (backbone.decoder(3), (z,))}
    made["unet"] = SkipAutoencoder(backbone, 3), (x,)
    made["corruptor"] = Corruptor(backbone, 3), (x, z)
    made["translator"] = Translator(backbone), (x,)
    made["classifying hourglass"] = Logits(backbone.hourglass(bottleneck=3, noise_dim=3, classes=2)), (x, z)
    mask = torch.zeros_like(x)
    made["inpainter"] = Masked(Inpainter(backbone, 3)), (x, mask)
    made["patch"] = backbone.patch_critic(), (x,)
    made["masked patch"] = Masked(MaskedCritic(backbone)), (x, mask)
    for normed in (False, True):
        made[f"critic {normed}"] = backbone.critic(spectral_norm=normed), (x,)
        made[f"joint {normed}"] = backbone.critic(context_dim=3, spectral_norm=normed), (x, z)
        made[f"pair {normed}"] = backbone.of(spec.paired()).critic(spectral_norm=normed), (torch.cat([x, x], 2),)
        made[f"latent {normed}"] = backbone.of(SampleSpec((3,))).critic(spectral_norm=normed), (z,)
    return made


def test_encoders_and_decoders_have_the_promised_shapes(backbone, spec, x):
    assert backbone.encoder(3)(x).shape == (K, B, 3)
    made = backbone.decoder(3)(torch.randn(K, B, 3))
    assert made.shape == x.shape
    values, features, logits = backbone.hourglass(bottleneck=3, bounded=True)(x)
    assert values.shape == x.shape
    assert features.shape[:2] == (K, B)
    assert features.dim() == 3
    assert logits.shape == (K, B, 0)
    assert backbone.hourglass(classes=2)(x).logits.shape == (K, B, 2)


def test_critics_give_a_logit_and_features(backbone, spec):
    for name, (network, inputs) in networks(backbone, spec).items():
        if name in WITHOUT_FEATURES + PATCHES:
            continue
        logit, features = network(*inputs)
        assert logit.shape == (K, B), name
        assert features.shape[:2] == (K, B), name
        assert features.dim() == 3, name


def test_an_inpainter_sees_the_mask_and_nothing_under_it(backbone, x):
    network = Inpainter(backbone, 3).double().eval()
    masks, x = backbone.geometry.masks(), x.double()
    for mask in masks:
        filled = network(x, mask.expand_as(x))
        assert filled.shape == x.shape
        assert torch.equal(network(torch.where(mask, 7.0, x), mask.expand_as(x)), filled)
        if not mask.all():
            assert not torch.equal(network(torch.where(mask, x, 7.0), mask.expand_as(x)), filled)
    if len(masks) > 1:
        zeros = torch.zeros_like(x)
        assert not torch.equal(network(zeros, masks[0].expand_as(x)), network(zeros, masks[1].expand_as(x)))


def test_a_patch_critic_has_a_logit_for_each_patch_and_uses_the_mask(backbone, spec, x):
    patches = 1
    if spec.is_image:
        sizes = conv.level_sizes(*spec.shape[1:])[: dcgan.PATCH_LEVELS + 1]
        patches = sizes[-1][0] * sizes[-1][1]
    assert backbone.patch_critic()(x).logit.shape == (K, B, patches)
    network = MaskedCritic(backbone)
    mask = backbone.geometry.masks()[0].expand_as(x)
    logit, features = network(x, mask)
    assert logit.shape == (K, B, patches)
    assert features.shape[:2] == (K, B)
    assert features.dim() == 3
    assert not torch.equal(network(x, ~mask).logit, logit)


def test_generated_values_lie_in_the_range_of_the_spec(backbone, spec, x):
    for made in (backbone.decoder(3)(torch.randn(K, B, 3) * 50), SkipAutoencoder(backbone, 3)(x * 50)):
        if spec.bounded:
            assert made.abs().max() <= 1
        for start, stop in spec.spans:
            assert_close(made[..., start:stop].sum(-1), torch.ones(K, B))


def test_members_are_independent(backbone, spec):
    for name, (network, inputs) in networks(backbone, spec).items():
        network.eval()
        out = network(*inputs)
        changed = network(*(torch.cat([i[:1], i[1:] + 1]) for i in inputs))
        first, first_changed = (o[0] if isinstance(o, tuple) else o for o in (out, changed))
        assert torch.equal(first[0], first_changed[0]), name
        assert not torch.equal(first[1], first_changed[1]), name


def test_rows_are_independent_in_eval_mode(backbone, spec):
    for name, (network, inputs) in networks(backbone, spec).items():
        network.double().eval()
        inputs = tuple(i.double() for i in inputs)
        out, alone = network(*inputs), network(*(i[:, 1:2] for i in inputs))
        whole, single = (o[0] if isinstance(o, tuple) else o for o in (out, alone))
        assert_close(whole[:, 1:2], single, msg=name)


def test_critics_do_not_mix_rows_even_in_training(backbone, spec):
    for name, (network, inputs) in networks(backbone, spec).items():
        if name in WITHOUT_FEATURES + PATCHES or "True" in name:  # spectral norm changes with each call
            continue
        network.double().train()
        inputs = tuple(i.double() for i in inputs)
        assert_close(network(*inputs).logit[:, :1], network(*(i[:, :1] for i in inputs)).logit, msg=name)


def test_a_critic_of_two_batches_is_the_critic_of_each(backbone, spec, x):
    critic = backbone.critic().double().eval()
    a, b = x.double(), x.double() + 1
    both = critique_both(critic, a, b)
    for joint, single in zip(both, (critic(a), critic(b)), strict=True):
        assert_close(joint.logit, single.logit)
        assert_close(joint.features, single.features)
    critic = backbone.critic(context_dim=3).double().eval()
    z = torch.randn(2, K, B, 3).double()
    both = critique_both(critic, a, b, z[0], z[1])
    assert_close(both[0].logit, critic(a, z[0]).logit)
    assert_close(both[1].logit, critic(b, z[1]).logit)


def test_a_joint_critic_uses_its_context(backbone, spec, x):
    critic = backbone.critic(context_dim=3).eval()
    z = torch.randn(K, B, 3)
    assert (critic(x, z).logit != critic(x, z + 1).logit).all()


def test_every_network_is_reached_by_gradient(backbone, spec):
    for name, (network, inputs) in networks(backbone, spec).items():
        out = network(*inputs)
        (out.logit if isinstance(out, tuple) else out).square().sum().backward()
        idle = [k for k, w in network.named_parameters() if w.grad is None or not w.grad.any()]
        assert not idle, f"{name}: {idle}"


def test_width_sets_the_size(spec):
    small, large = (
        sum(w.numel() for w in backbone_for("auto", spec, 1, width).critic().parameters()) for width in (4, 8)
    )
    assert large > small
    default = backbone_for("auto", spec, 1, None)
    assert default.width == default.default_width


def test_the_wrong_modality_gets_advice():
    with pytest.raises(InputError, match=r"needs \(C, H, W\).*X\[:, None\]"):
        backbone_for("dcgan", SPECS["vector"], 1, None)
    with pytest.raises(InputError, match=r"needs vectors.*reshape"):
        backbone_for("mlp", SPECS["8x8"], 1, None)
    with pytest.raises(InputError, match=r"7x20 pixels.*at least 8x8"):
        backbone_for("auto", SampleSpec((1, 7, 20), bounded=True), 1, None)
    with pytest.raises(InputError, match=r"backbone 'style' needs \(C, H, W\)"):
        backbone_for("style", SPECS["vector"], 1, None)
    with pytest.raises(InputError, match=r"Unknown backbone 'resnet'; there are .*mlp"):
        backbone_for("resnet", SPECS["vector"], 1, None)


def test_a_backbone_needs_few_methods():
    assert len(Backbone.__abstractmethods__) <= 7


@pytest.mark.parametrize(("name", "vector_width", "patch_width"), [("mlp", 4, 4), ("dcgan", 32, 64), ("style", 32, 64)])
def test_networks_for_other_samples_are_of_the_same_kind_if_they_can(name, vector_width, patch_width):
    spec = SPECS["vector" if name == "mlp" else "8x8"]
    backbone = backbone_for(name, spec, K, 4)
    paired = backbone.of(spec.paired())
    assert (paired.name, paired.members, paired.width) == (name, K, 4)
    vectors = backbone.of(SampleSpec((3,)))
    assert (vectors.name, vectors.members, vectors.width) == ("mlp", K, vector_width)
    assert backbone.of(SampleSpec((3,)), width=backbone.patch_width).width == patch_width


def test_two_backbones_of_one_name_are_refused():
    with pytest.raises(TypeError, match="Two backbones are called 'mlp'"):
        type("Impostor", (Backbone,), {"name": "mlp"})
    assert BACKBONES["mlp"].__name__ == "MLP"


@pytest.mark.parametrize("side", range(8, 70, 3))
def test_halving_ends_at_three_or_four_pixels(side):
    sizes = conv.level_sizes(side, side + 5)
    assert sizes[0] == (side, side + 5)
    assert 3 <= min(sizes[-1]) <= conv.COARSEST
    assert all(b == tuple((n + 1) // 2 for n in a) for a, b in pairwise(sizes))


def test_channels_double_up_to_a_limit():
    assert conv.level_channels(6, 16) == [16, 32, 64, 128, 128, 128]


def test_dcgan_weights_are_drawn_from_a_narrow_normal():
    torch.manual_seed(0)
    backbone = backbone_for("dcgan", SampleSpec((3, 32, 32), bounded=True), 1, 32)
    for network in (backbone.encoder(8), backbone.decoder(8), backbone.critic(), backbone.hourglass(bottleneck=8)):
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        assert convolutions
        for layer in convolutions:
            assert abs(layer.weight.std() - 0.02) < 0.002
            assert not layer.bias.any()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                assert abs(layer.weight.mean() - 1) < 0.02
                assert 0.01 < layer.weight.std() < 0.03


def test_the_u_net_uses_its_bottleneck_and_its_skips():
    torch.manual_seed(0)
    for spec in (SPECS["8x8"], SPECS["vector"]):
        network = SkipAutoencoder(backbone_for("auto", spec, 1, 4), 2).double().eval()
        x = torch.rand(1, 2, *spec.shape).double()
        out = network(x)
        bottleneck = [w for k, w in network.named_parameters() if "squeeze" in k or "bottleneck" in k]
        assert bottleneck
        with torch.no_grad():
            for weight in bottleneck:
                weight += 1.0
        assert not torch.equal(network(x), out)
        with torch.no_grad():
            for weight in bottleneck:
                weight.zero_()
        assert not torch.equal(network(x)[:, 0], network(x)[:, 1])  # the skips still carry the sample
