"""Differentiable augmentation of what a critic of pictures sees in training, of real and generated ones alike.

Zhao 2020 (arXiv:2006.10738) showed that a critic trained so needs far fewer pictures and that, since the generator's
gradient passes through, it does not learn to make augmented ones. The adaptive strength is Karras 2020's
(arXiv:2006.06676). There is no flip: which way round a part lies may be what is wrong with it.
"""

import torch
from torch import Tensor, nn

from .backbone import Critique

TARGET = 0.6  # of the share of real pictures on the real side minus that on the other, Karras 2020, section 3
PICTURES_TO_FULL = (
    25_000  # shown while the strength goes from 0 to 1 (500,000 in the paper, whose trainings are longer)
)


def _draw(x: Tensor) -> Tensor:
    """One number in [0, 1) for each picture: ``(K, B, 1, 1, 1)``."""
    return torch.rand(*x.shape[:2], 1, 1, 1, dtype=x.dtype, device=x.device)


def brightness(x: Tensor) -> Tensor:
    """Shifted by up to a quarter of the range."""
    return x + _draw(x) - 0.5


def contrast(x: Tensor) -> Tensor:
    """Distances from the picture's mean times 0.5 to 1.5."""
    return torch.lerp(x.mean((-3, -2, -1), keepdim=True), x, _draw(x) + 0.5)


def saturation(x: Tensor) -> Tensor:
    """Distances of the channels from their mean times 0 to 2; nothing on grey."""
    return torch.lerp(x.mean(-3, keepdim=True), x, 2 * _draw(x))


def translation(x: Tensor) -> Tensor:
    """Moved by whole pixels, up to an eighth of the height and of the width; the border is repeated."""
    for dim in (-2, -1):
        side = x.shape[dim]
        most = (side + 4) // 8
        shift = (_draw(x) * (2 * most + 1)).long() - most
        position = torch.arange(side, device=x.device).view(-1, *[1] * (-1 - dim)) + shift  # (K, B, 1, H, 1) or W
        x = x.take_along_dim(position.clamp(0, side - 1), dim)
    return x


def cutout(x: Tensor) -> Tensor:
    """A rectangle of half the height and half the width, anywhere, is made medium grey."""
    outside = torch.zeros((), dtype=torch.bool, device=x.device)
    for dim in (-2, -1):
        side = x.shape[dim]
        position = torch.arange(side, device=x.device).view(-1, *[1] * (-1 - dim))
        outside = outside | ((position + 0.5 - _draw(x) * side).abs() > side / 4)
    return x * outside


OPERATIONS = (brightness, contrast, saturation, translation, cutout)


def augment(x: Tensor, strength: Tensor) -> Tensor:
    """Each operation befalls each picture with its member's probability: ``(K, B, C, H, W), (K,)`` -> same shape."""
    for operation in OPERATIONS:
        x = torch.where(_draw(x) < strength.view(-1, 1, 1, 1, 1), operation(x), x)
    return x


class Augmented(nn.Module):
    """A critic that in training sees everything augmented, and in eval mode as it is.

    Parameters
    ----------
    critic : Module
    members : int
    strength : float or "adaptive"
        Probability of each operation; or begin with 0 and follow `adapt`.
    """

    strength: Tensor

    def __init__(self, critic: nn.Module, members: int, strength: float | str) -> None:
        super().__init__()
        self.critic = critic
        self.adaptive = strength == "adaptive"
        self.register_buffer("strength", torch.full((members,), 0.0 if self.adaptive else float(strength)))

    def forward(self, x: Tensor, *context: Tensor) -> Critique:
        return self.critic(augment(x, self.strength) if self.training else x, *context)

    @torch.no_grad()
    def adapt(self, real_logit: Tensor, fake_logit: Tensor) -> None:
        """More where the critic knows the real pictures too well, less where it does not: logits ``(K, B)``.

        The paper's r_t = E sign D(real), but counted from the middle between both kinds: the zero of a Wasserstein
        critic means nothing.
        """
        if self.adaptive and self.training:
            middle = (real_logit.mean(-1, keepdim=True) + fake_logit.mean(-1, keepdim=True)) / 2
            overfit = (real_logit - middle).sign().mean(-1)  # r_t, (K,)
            step = real_logit.shape[-1] / PICTURES_TO_FULL
            self.strength.add_((overfit - TARGET).sign() * step).clamp_(0, 1)
