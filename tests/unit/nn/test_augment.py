"""Differentiable augmentation: nothing at strength 0, gradient at any, and an independent draw for every picture."""

import pytest
import torch
from torch.testing import assert_close

from anogan import AnoGAN, InputError
from anogan.data.spec import SampleSpec
from anogan.nn import dcgan, mlp, style  # noqa: F401  (they enter themselves into the table of backbones)
from anogan.nn.augment import IMAGES_TO_FULL, OPERATIONS, Augmented, augment, cutout, saturation, translation
from anogan.nn.backbone import backbone_for
from anogan.nn.outputs import Critique, critique_both

K, B = 2, 40


@pytest.fixture(params=[(1, 8, 8), (3, 9, 12)], ids=str)
def x(request):
    torch.manual_seed(0)
    return torch.rand(K, B, *request.param).double() * 2 - 1


class Seen(torch.nn.Module):
    """A critic that keeps its last input."""

    def forward(self, x):
        self.x = x
        return Critique(x.mean((2, 3, 4)), x.flatten(2))


def test_strength_0_is_the_identity(x):
    assert torch.equal(augment(x, torch.zeros(K)), x)


def test_strength_is_the_share_of_pictures_that_an_operation_changes(x):
    many = x[:, :1].expand(K, 4000, *x.shape[2:])
    changed = (augment(many, torch.tensor([0.1, 0.0])) != many).flatten(2).any(-1).double().mean(1)
    effective = [op for op in OPERATIONS if op is not saturation or x.shape[2] == 3]
    # A translation by no pixel, one of nine at these sizes, changes nothing.
    expected = 1 - 0.9 ** (len(effective) - 1) * (1 - 0.1 * 8 / 9)
    assert abs(changed[0] - expected) < 0.03
    assert changed[1] == 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.__name__)
def test_operations_keep_the_shape_draw_for_each_picture_and_let_gradient_through(operation, x):
    same = x[:1, :1].expand(K, B, *x.shape[2:]).clone().requires_grad_(True)
    out = operation(same)
    assert out.shape == same.shape
    assert out.dtype == same.dtype
    out.square().sum().backward()
    assert torch.isfinite(same.grad).all()
    assert same.grad.flatten(2).any(-1).double().mean() > 0.9
    if operation is saturation and x.shape[2] == 1:
        assert_close(out, same)
        return
    assert len({tuple(picture.flatten().tolist()) for picture in out.detach().flatten(0, 1)}) >= 5


def test_the_gradient_is_that_of_the_operations(x):
    x = x[:, :2].clone().requires_grad_(True)

    def function(given):
        torch.manual_seed(3)
        return augment(given, torch.full((K,), 0.7))

    assert torch.autograd.gradcheck(function, x, fast_mode=True)


def test_a_translation_shifts_by_at_most_an_eighth_and_repeats_the_border(x):
    height, width = x.shape[-2:]
    rows = torch.arange(height).double()[:, None].expand(height, width)
    columns = torch.arange(width).double().expand(height, width)
    ramp = torch.stack([rows, columns]).expand(1, 500, 2, height, width)
    shift = translation(ramp) - ramp
    most = [(side + 4) // 8 for side in (height, width)]
    for channel in (0, 1):
        assert shift[:, :, channel].abs().max() == most[channel]
        assert set(shift[0, :, channel, height // 2, width // 2].tolist()) == set(
            range(-most[channel], most[channel] + 1)
        )
    assert translation(ramp).amin() >= 0
    assert (translation(ramp).amax((0, 1, 3, 4)) == ramp.amax((0, 1, 3, 4))).all()


def test_a_cutout_is_a_grey_rectangle_of_at_most_a_quarter(x):
    holes = cutout(torch.ones_like(x)) == 0
    share = holes.double().mean((2, 3, 4))
    assert (share > 0).all()
    assert share.max() <= 0.36  # at 9 pixels half the height is 5 at most


def test_real_and_generated_pictures_are_augmented_by_independent_draws(x):
    seen = Seen()
    critic = Augmented(seen, OPERATIONS, members=K, strength=1.0).train()
    critique_both(critic, x, x)
    real, made = seen.x.chunk(2, dim=1)
    assert not torch.equal(real, x)
    assert (real != made).flatten(2).any(-1).all()
    critic.eval()
    critique_both(critic, x, x)
    assert torch.equal(seen.x, torch.cat([x, x], 1))


def test_the_generator_s_gradient_passes_through(x):
    backbone = backbone_for("dcgan", SampleSpec(tuple(x.shape[2:]), bounded=True), K, 4)
    critic = Augmented(backbone.critic(), backbone.geometry.augmentations, members=K, strength=0.8).double()
    x = x.requires_grad_(True)
    critic(x).logit.sum().backward()
    assert x.grad.flatten(2).any(-1).all()


def test_an_adaptive_strength_rises_while_the_critic_knows_the_real_ones_and_falls_again():
    critic = Augmented(Seen(), OPERATIONS, members=2, strength="adaptive").train()
    assert torch.equal(critic.strength, torch.zeros(2))
    real = torch.tensor([[3.0, 2, 3, 4], [1.0, -1, 1, -1]])  # separated; not separated
    fake = torch.tensor([[-3.0, -2, -3, -4], [1.0, -1, 1, -1]])
    for shown in range(1, 4):
        critic.adapt(real, fake)
        assert_close(critic.strength, torch.tensor([shown * 4 / IMAGES_TO_FULL, 0.0]))
    critic.adapt(real + 100, fake + 100)  # the zero of a Wasserstein critic is arbitrary
    assert critic.strength[0] == 4 * torch.tensor(4 / IMAGES_TO_FULL)
    critic.adapt(fake, real)
    assert_close(critic.strength[0], torch.tensor(3 * 4 / IMAGES_TO_FULL))
    critic.eval().adapt(real, fake)
    assert_close(critic.strength[0], torch.tensor(3 * 4 / IMAGES_TO_FULL))
    critic.train().strength.fill_(1.0)
    critic.adapt(real, fake)
    assert critic.strength[0] == 1


def test_a_fixed_strength_stays():
    critic = Augmented(Seen(), OPERATIONS, members=1, strength=0.3).train()
    critic.adapt(torch.ones(1, 4), -torch.ones(1, 4))
    assert_close(critic.strength, torch.tensor([0.3]))


def test_vectors_have_no_augmentation():
    with pytest.raises(InputError, match=r"augment='adaptive' needs pictures.*\(5,\).*augment=0"):
        AnoGAN(augment="adaptive").build(backbone_for("mlp", SampleSpec((5,)), 1, 4))
