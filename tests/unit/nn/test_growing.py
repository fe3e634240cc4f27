"""Progressive growing: the schedule, and networks that pass from one resolution to the next without a seam."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d
from torch.testing import assert_close

from anogan import InputError
from anogan.data.spec import SampleSpec
from anogan.nn import dcgan, mlp, style  # noqa: F401  (they enter themselves into the table of backbones)
from anogan.nn.backbone import backbone_for
from anogan.nn.growing import Growing, enlarge, grow, level_at

TINY = 1e-9  # of a level: the fade-in has hardly started


@pytest.fixture(params=[("dcgan", (1, 28, 28)), ("dcgan", (3, 9, 22)), ("style", (1, 28, 28)), ("style", (3, 9, 22))])
def backbone(request):
    torch.manual_seed(0)
    name, shape = request.param
    return backbone_for(name, SampleSpec(shape, bounded=True), 1, 4)


def ready(network):
    """In float64, in eval mode, with weights that do something at every level."""
    network = network.double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return network


def at(network, level):
    for part in network.modules():
        if isinstance(part, Growing):
            part.level = level
    return network


def part_of(network):
    return next(part for part in network.modules() if isinstance(part, Growing))


def test_each_level_is_used_alone_for_as_long_as_the_next_one_fades_in():
    assert [level_at(share / 8, 2) for share in range(9)] == [0, 0, 0, 0.5, 1, 1, 1, 1.5, 2]
    assert level_at(0.0, 3) == 0
    assert level_at(1.0, 3) == 3
    levels = [level_at(share / 100, 3) for share in range(101)]
    assert levels == sorted(levels)


def test_a_new_network_has_all_its_levels_and_a_grown_one_has_them_again(backbone):
    for network in (backbone.decoder(3, growing=True), backbone.critic(growing=True)):
        part = part_of(network)
        assert part.level == part.top == len(part.sizes) - 1
        grow(network, 0.0)
        assert part.level == 0
        grow(network, 1.0)
        assert part.level == part.top


def test_a_decoder_at_a_level_gives_that_resolution_enlarged(backbone):
    decoder, z = ready(backbone.decoder(3, growing=True)), torch.randn(1, 2, 3).double()
    part = part_of(decoder)
    part.range = torch.nn.Identity()  # tanh does not commute with enlarging
    top = at(decoder, part.top)(z)
    assert top.shape == (1, 2, *backbone.spec.shape)
    for level in range(part.top):
        picture = at(decoder, level)(z)[0]
        assert picture.shape == top[0].shape
        sizes = part.sizes
        part.sizes = sizes[: level + 1]  # as if the level's own resolution was the full one
        smaller = decoder(z)[0]
        part.sizes = sizes
        assert smaller.shape[2:] == sizes[level]
        for size in sizes[level + 1 :]:
            smaller = enlarge(smaller, size)
        assert_close(picture, smaller)


def test_alpha_0_is_the_level_below_and_alpha_1_the_level_itself(backbone):
    x, z = torch.rand(1, 3, *backbone.spec.shape).double() * 2 - 1, torch.randn(1, 3, 3).double()
    for network, given in ((backbone.decoder(3, growing=True), z), (backbone.critic(growing=True), x)):
        network = ready(network)

        def out(level, network=network, given=given):
            made = at(network, level)(given)
            return made[0] if isinstance(made, tuple) else made

        for level in range(part_of(network).top):
            assert_close(out(level + TINY), out(level), rtol=1e-6, atol=1e-6)
            assert_close(out(level + 1 - TINY), out(level + 1), rtol=1e-6, atol=1e-6)
            half = out(level + 0.5)
            assert not torch.allclose(half, out(level))
            assert not torch.allclose(half, out(level + 1))


def test_a_growing_network_that_is_grown_is_the_plain_one(backbone):
    x, z = torch.rand(1, 2, *backbone.spec.shape) * 2 - 1, torch.randn(1, 2, 3)
    for make, given in ((lambda **o: backbone.decoder(3, **o), z), (backbone.critic, x)):
        plain, grown = make().eval(), make(growing=True).eval()
        state = plain.state_dict()
        missing, unexpected = grown.load_state_dict(state, strict=False)
        assert not unexpected
        assert all("heads" in name or "entries" in name for name in missing)
        for a, b in zip(plain(given), grown(given), strict=True):
            assert torch.equal(a, b)


def test_a_critic_sees_no_finer_than_its_level(backbone):
    critic, part = ready(backbone.critic(growing=True)), None
    part = part_of(critic)
    x = torch.rand(1, 2, *backbone.spec.shape).double()
    for level in range(part.top):
        detail = torch.randn_like(x[0])
        detail -= visible(detail, part.sizes[level : part.top])
        at(critic, level)
        assert_close(critic(x + detail).logit, critic(x).logit)
        at(critic, level + 0.5)
        assert not torch.allclose(critic(x + detail).logit, critic(x).logit)


def visible(x, sizes):
    """The part of ``x (B, C, H, W)`` that its averages can see, taken from the last of the sizes to the first."""
    whole = x.flatten(2)  # (B, C, n)
    averages = torch.eye(whole.shape[-1], dtype=x.dtype).reshape(1, -1, *x.shape[2:])
    for size in sizes[::-1]:
        averages = adaptive_avg_pool2d(averages, size)
    averages = averages[0].flatten(1)  # (n, m): pixel -> its share of each average
    return (whole @ averages @ torch.linalg.pinv(averages)).reshape(x.shape)


def test_levels_not_yet_there_get_no_gradient(backbone):
    z = torch.randn(1, 2, 3)
    decoder, critic = backbone.decoder(3, growing=True), backbone.critic(growing=True)
    reached = []
    for share in (0.0, 0.6, 1.0):
        for network in (decoder, critic):
            network.zero_grad()
            grow(network, share)
        critic(decoder(z)).logit.sum().backward()
        reached.append({k for n in (decoder, critic) for k, w in n.named_parameters() if w.grad is not None})
    assert len(reached[0]) < len(reached[2])
    coarsest_alone = {name for name in reached[0] - reached[2] if "heads.0" in name or "entries.0" in name}
    assert coarsest_alone  # the coarsest way in, at least, is not used any more


def test_vectors_do_not_grow():
    backbone = backbone_for("mlp", SampleSpec((5,)), 1, 4)
    for make in (lambda: backbone.decoder(3, growing=True), lambda: backbone.critic(growing=True)):
        with pytest.raises(InputError, match=r"growing=True needs pictures.*\(5,\).*growing=False"):
            make()
