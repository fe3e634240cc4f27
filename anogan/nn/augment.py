"""Differentiable augmentation of the real and the generated images that a critic sees in training.

Zhao 2020 (arXiv:2006.10738) showed that a critic trained in this way needs far fewer images. Since the generator's
gradient passes through the augmentation, the generator does not learn to make augmented images. The adaptive strength
is that of Karras 2020 (arXiv:2006.06676). There is no flip: the orientation of a part may be its defect.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..seeding import rand
from .outputs import Critique

Operation = Callable[[Tensor], Tensor]

TARGET = 0.6  # share of real images on the real side minus share on the other side, Karras 2020, section 3
IMAGES_TO_FULL = (
    25_000  # images during which the strength rises from 0 to 1 (500,000 in the paper, whose trainings are longer)
)


def _draw(x: Tensor) -> Tensor:
    """Draw a number in [0, 1) for each image: ``(K, B, 1, 1, 1)``."""
    return rand(*x.shape[:2], 1, 1, 1, dtype=x.dtype, device=x.device)


def brightness(x: Tensor) -> Tensor:
    """Shift all values by up to a quarter of the range."""
    return x + _draw(x) - 0.5


def contrast(x: Tensor) -> Tensor:
    """Multiply the distances from the image's mean by 0.5 to 1.5."""
    return torch.lerp(x.mean((-3, -2, -1), keepdim=True), x, _draw(x) + 0.5)


def saturation(x: Tensor) -> Tensor:
    """Multiply the distances of the channels from their mean by 0 to 2; grey images stay the same."""
    return torch.lerp(x.mean(-3, keepdim=True), x, 2 * _draw(x))


def translation(x: Tensor) -> Tensor:
    """Shift by whole pixels, up to an eighth of the height and of the width; the border is repeated."""
    for dim in (-2, -1):
        side = x.shape[dim]
        most = (side + 4) // 8
        shift = (_draw(x) * (2 * most + 1)).long() - most
        position = torch.arange(side, device=x.device).view(-1, *[1] * (-1 - dim)) + shift  # (K, B, 1, H, 1) or W
        x = x.take_along_dim(position.clamp(0, side - 1), dim)
    return x


def cutout(x: Tensor) -> Tensor:
    """Set a rectangle of half the height and half the width, at any place, to medium grey."""
    outside = torch.zeros((), dtype=torch.bool, device=x.device)
    for dim in (-2, -1):
        side = x.shape[dim]
        position = torch.arange(side, device=x.device).view(-1, *[1] * (-1 - dim))
        outside = outside | ((position + 0.5 - _draw(x) * side).abs() > side / 4)
    return x * outside


OPERATIONS: tuple[Operation, ...] = (brightness, contrast, saturation, translation, cutout)


def augment(x: Tensor, strength: Tensor, operations: Sequence[Operation] = OPERATIONS) -> Tensor:
    """Apply each operation to each image with its member's probability: ``(K, B, C, H, W), (K,)`` -> same shape."""
    for operation in operations:
        x = torch.where(_draw(x) < strength.view(-1, 1, 1, 1, 1), operation(x), x)
    return x


class Augmented(nn.Module):
    """A critic whose input is augmented in training and unchanged in eval mode.

    Parameters
    ----------
    critic : Module
    operations : sequence of callable
    members : int
    strength : float or "adaptive"
        Probability of each operation; ``"adaptive"`` starts at 0 and follows `adapt`.
    """

    strength: Tensor

    def __init__(
        self, critic: nn.Module, operations: Sequence[Operation], *, members: int, strength: float | str
    ) -> None:
        super().__init__()
        self.critic = critic
        self.operations = tuple(operations)
        self.adaptive = strength == "adaptive"
        self.register_buffer("strength", torch.full((members,), 0.0 if self.adaptive else float(strength)))

    def forward(self, x: Tensor, *context: Tensor) -> Critique:
        return self.critic(augment(x, self.strength, self.operations) if self.training else x, *context)

    @torch.no_grad()
    def adapt(self, real_logit: Tensor, fake_logit: Tensor) -> None:
        """Raise the strength where the critic overfits the real images, lower it elsewhere: logits ``(K, B)``.

        The statistic is the paper's r_t = E sign D(real), but counted from the middle between real and generated
        images: the zero of a Wasserstein critic is arbitrary.
        """
        if self.adaptive and self.training:
            middle = (real_logit.mean(-1, keepdim=True) + fake_logit.mean(-1, keepdim=True)) / 2
            overfit = (real_logit - middle).sign().mean(-1)  # r_t, (K,)
            step = real_logit.shape[-1] / IMAGES_TO_FULL
            self.strength.add_((overfit - TARGET).sign() * step).clamp_(0, 1)
