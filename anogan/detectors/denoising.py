"""Adversarial denoising, which DenoisingGAN trains on samples and FeatureGAN on patches of features."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.distances import mean_l2_squared
from ..nn.backbone import Backbone
from ..nn.roles import Corruptor
from ..seeding import rand, randn

LEVELS = 8  # of corruption; the first one is zero
LEAST_LEVEL = 1.5  # in bandwidths
GREATEST_LEVEL = 2.0  # in units of the scaled data, where normal values spread over about one


class Restoration(NamedTuple):
    """Output of a denoising critic for a batch of corrupted samples.

    Attributes
    ----------
    noise : (K, B, *shape) tensor
        Predicted corruption, in units of its standard deviation.
    level : (K, B, LEVELS) tensor
        Logits of the level of corruption.
    features : (K, B, F) tensor
        The last hidden layer.
    """

    noise: Tensor
    level: Tensor
    features: Tensor


class DenoisingCritic(nn.Module):
    """R: ``(K, B, *shape)`` -> `Restoration`."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.hourglass = backbone.hourglass(classes=LEVELS)

    def features(self, x: Tensor) -> Tensor:
        """Return the features alone: ``(K, B, *shape)`` -> ``(K, B, F)``."""
        return self.hourglass.features(x)

    def level(self, features: Tensor) -> Tensor:
        """Return the logits of the level, given the features: ``(K, B, F)`` -> ``(K, B, LEVELS)``."""
        return self.hourglass.classify(features)

    def forward(self, x: Tensor) -> Restoration:
        values, features, logits = self.hourglass(x)
        return Restoration(values, logits, features)


class DenoisingModule(GANModule):
    """R predicts from a corrupted row how much was added, and what; G chooses what is added.

    x̃ = x + j ε₀ + σ δ, where δ is normal noise or √d G(x, z) / |G(x, z)|.
    """

    expects_equilibrium = False  # R computes the score, and on images noise is easy to recognise

    bandwidth: Tensor  # (1,), s
    levels: Tensor  # (LEVELS,), the values of σ

    def __init__(
        self,
        backbone: Backbone,
        *,
        latent_dim: int,
        adversarial_share: float,
        level_weight: float,
        jitter: float,
    ) -> None:
        super().__init__()
        self.critic = DenoisingCritic(backbone)  # R
        self.corruptor = Corruptor(backbone, latent_dim)  # G
        self.members = backbone.members
        self.latent_dim = latent_dim
        self.adversarial_share = adversarial_share
        self.level_weight = level_weight
        self.jitter = jitter
        self.register_buffer("bandwidth", torch.zeros(1))
        self.register_buffer("levels", torch.zeros(LEVELS))
        self.set_bandwidth(1.0)

    def set_bandwidth(self, s: float) -> None:
        """Set levels that rise geometrically from just above the distance of neighbours to the spread of all rows."""
        least, greatest = LEAST_LEVEL * s, max(GREATEST_LEVEL, 2 * LEAST_LEVEL * s)
        self.bandwidth.fill_(s)
        self.levels[1:] = torch.from_numpy(np.geomspace(least, greatest, LEVELS - 1)).to(self.levels)

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "denoising",
                (Phase("critic", (self.critic, self.corruptor), self.loss),),
                monitor=lambda x: torch.stack([*self.loss(x).values()]).sum(0),
            ),
        )

    def draw_levels(self, x: Tensor) -> Tensor:
        """Draw one of the `LEVELS` for each row, uniformly: int64 ``(K, B)``."""
        return (rand(x.shape[:2], dtype=x.dtype, device=x.device) * LEVELS).long()

    def direction(self, x: Tensor) -> Tensor:
        """Return the direction that G chooses, with a mean square of one: ``(K, B, *shape)`` -> same."""
        z = randn(*x.shape[:2], self.latent_dim, dtype=x.dtype, device=x.device)
        return normalize(self.corruptor(x, z).flatten(2), dim=-1).view_as(x) * x[0, 0].numel() ** 0.5

    def corrupt(self, x: Tensor, level: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return x̃, and what was added in units of its standard deviation: both ``(K, B, *shape)``.

        ``chosen (K, b, *shape)`` are the directions δ of the first b rows. Those of the others are normal noise, which
        adds up with the jitter to normal noise.
        """
        b = chosen.shape[1]
        jitter, sigma = self.jitter * self.bandwidth, per_row(self.levels[level], x)
        scale = (jitter.square() + sigma.square()).sqrt()
        noise = randn(x.shape, dtype=x.dtype, device=x.device)
        added = torch.cat([jitter * noise[:, :b] + sigma[:, :b] * chosen, scale[:, b:] * noise[:, b:]], dim=1)
        return x + added, added / scale.clamp_min(torch.finfo(x.dtype).tiny)

    def loss(self, x: Tensor) -> Terms:
        """R's error in predicting what was added, and its cross entropy in predicting how much; G gets the negative.

        Both are trained in one pass, since the gradient is reversed between them (Ganin, Lempitsky 2015,
        arXiv:1409.7495).
        """
        some = x[:, : round(self.adversarial_share * x.shape[1])]
        chosen = self.direction(some) if some.numel() else some
        level = self.draw_levels(x)
        corrupted, added = self.corrupt(x, level, 2 * chosen.detach() - chosen)  # the value is `chosen`
        restored = self.critic(corrupted)
        wrong_level = cross_entropy(restored.level.flatten(0, 1), level.flatten(), reduction="none")
        return {
            "noise": mean_l2_squared(restored.noise, added),
            "level": self.level_weight * wrong_level.view_as(level).mean(-1),
        }

    def sigma(self, level: Tensor) -> Tensor:
        """Return R's expectation of σ, given the logits of its level: ``(K, B)``, from 0 to the greatest level."""
        return level.softmax(-1) @ self.levels

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """R's log odds of no corruption, for unchanged rows and for rows that G corrupted at the lowest level."""
        lowest = torch.ones(x.shape[:2], dtype=torch.int64, device=x.device)
        corrupted, _ = self.corrupt(x, lowest, self.direction(x))
        return self.log_odds(x), self.log_odds(corrupted)

    def log_odds(self, x: Tensor) -> Tensor:
        """Return R's log odds that nothing was added: ``(K, B)``."""
        level = self.critic(x).level
        return level[..., 0] - level[..., 1:].logsumexp(-1)


def per_row(values: Tensor, x: Tensor) -> Tensor:
    """Reshape ``(K, B)`` so that it broadcasts over each row of x ``(K, B, *shape)``."""
    return values.reshape(*values.shape, *[1] * (x.dim() - 2))
