"""DenoisingGAN: a critic that finds and undoes corruption, and a generator that hides it."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ..data.samples import Samples
from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.distances import mean_l2_squared
from ..nn.backbone import Backbone, Restoration
from ..parameters import at_least, between, param
from ..scoring.feature_bank import nearest_distances
from ..scoring.neighbour_bank import NeighbourBank
from .base import Detector

BATCH = 512  # rows encoded at once for the bank
MEASURED_ROWS = 2048  # rows whose distances give the bandwidth
LEVELS = 8  # of corruption, the first of them none
LEAST_LEVEL = 1.5  # in bandwidths
GREATEST_LEVEL = 2.0  # in units of the scaled data, where normal values spread over about one
LEAST_BANDWIDTH = 0.02  # of rows that are (nearly) all alike
JITTER = 0.7  # in bandwidths
NOISE_WEIGHT = 3.0  # against the level's


class DenoisingGANModule(GANModule):
    """R sees a corrupted row and tells how much was added, and what; G chooses what to add.

    x̃ = x + j ε₀ + σ δ, where δ is normal noise or √d G(x, z) / |G(x, z)|.
    """

    bandwidth: Tensor  # (1,), s
    levels: Tensor  # (LEVELS,), the values of σ

    def __init__(self, backbone: Backbone, latent_dim: int, adversarial_share: float, bank: NeighbourBank) -> None:
        super().__init__()
        self.critic = backbone.denoising_critic(LEVELS)  # R
        self.corruptor = backbone.corruptor(latent_dim)  # G
        self.bank = bank
        self.members = backbone.members
        self.latent_dim = latent_dim
        self.adversarial_share = adversarial_share
        self.register_buffer("bandwidth", torch.zeros(1))
        self.register_buffer("levels", torch.zeros(LEVELS))
        self.set_bandwidth(1.0)

    def before_training(self, normal: Samples) -> None:
        """Match the corruption to the data: s is the median distance of nearest neighbours, divided by √d."""
        rows = normal.batch(np.arange(min(len(normal), MEASURED_ROWS))).flatten(1).double()
        nearest = nearest_distances(rows, rows, 2)[:, 1].median()
        self.set_bandwidth(max(float(nearest) / rows.shape[1] ** 0.5, LEAST_BANDWIDTH))

    def set_bandwidth(self, s: float) -> None:
        """The levels rise geometrically from just above the distance of neighbours to the spread of all rows."""
        least, greatest = LEAST_LEVEL * s, max(GREATEST_LEVEL, 2 * LEAST_LEVEL * s)
        self.bandwidth.fill_(s)
        self.levels[1:] = torch.from_numpy(np.geomspace(least, greatest, LEVELS - 1)).to(self.levels)

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "denoising",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", (self.corruptor,), self.generator_loss),
                ),
                monitor=lambda x: sum(self.critic_loss(x).values()),
            ),
        )

    def draw_levels(self, x: Tensor) -> Tensor:
        """Which of the `LEVELS` each row gets, evenly: int64 ``(K, B)``."""
        return (torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) * LEVELS).long()

    def direction(self, x: Tensor) -> Tensor:
        """Where G pushes, with a mean square of one: ``(K, B, *shape)`` -> same."""
        z = torch.randn(*x.shape[:2], self.latent_dim, dtype=x.dtype, device=x.device)
        return normalize(self.corruptor(x, z).flatten(2), dim=-1).view_as(x) * x[0, 0].numel() ** 0.5

    def corrupt(self, x: Tensor, level: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """x̃, and what was added in units of its standard deviation: both ``(K, B, *shape)``."""
        jitter = JITTER * self.bandwidth
        sigma = _per_row(self.levels[level], x)
        added = jitter * torch.randn(x.shape, dtype=x.dtype, device=x.device) + sigma * noise
        return x + added, added / (jitter.square() + sigma.square()).sqrt()

    def critic_loss(self, x: Tensor) -> Terms:
        """How badly R tells noise and level."""
        level = self.draw_levels(x)
        noise = torch.randn(x.shape, dtype=x.dtype, device=x.device)
        with torch.no_grad():
            chosen = torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) < self.adversarial_share
            noise = torch.where(_per_row(chosen, x), self.direction(x), noise)
        corrupted, added = self.corrupt(x, level, noise)
        said = self.critic(corrupted)
        wrong_level = cross_entropy(said.level.flatten(0, 1), level.flatten(), reduction="none")
        return {
            "noise": NOISE_WEIGHT * mean_l2_squared(said.noise, added),
            "level": wrong_level.view_as(level).mean(-1),
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """G hides: the negative of R's error."""
        corrupted, added = self.corrupt(x, self.draw_levels(x), self.direction(x))
        return {"noise": -mean_l2_squared(self.critic(corrupted).noise, added)}

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        self.bank.fit(self.features(normal))

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        self.bank.extend(self.features(held_out))

    def features(self, samples: Samples) -> Tensor:
        """Of at most as many rows as the bank holds, plus what its embedding is learned from: ``(K, n, F)``."""
        rows = np.arange(min(len(samples), self.bank.size))  # the rows come in random order
        batches = samples.batches(rows[i : i + BATCH] for i in range(0, len(rows), BATCH))
        return torch.cat([self.critic(x.to(self.levels).expand(self.members, *x.shape)).features for x in batches], dim=1)

    def score(self, x: Tensor) -> Tensor:
        return self.bank(self.critic(x).features)

    def sigma(self, said: Restoration) -> Tensor:
        """The σ that R expects: ``(K, B)``, in [0, the greatest level]."""
        return said.level.softmax(-1) @ self.levels

    def reconstruct(self, x: Tensor) -> Tensor:
        """x with the noise that R sees in it taken away."""
        said = self.critic(x)
        return x - _per_row(self.sigma(said), x) * said.noise


def _per_row(values: Tensor, x: Tensor) -> Tensor:
    """``(K, B)`` in a shape that is broadcast over each row of x ``(K, B, *shape)``."""
    return values.reshape(*values.shape, *[1] * (x.dim() - 2))


class DenoisingGAN(Detector):
    """Adversarial denoising; scores distances to normal rows in the critic's feature space.

    Score: geometric mean of the distances to the 1st, 2nd and 4th nearest normal rows in the features of all members.

    Notes
    -----

    References
    ----------
    Vincent: A connection between score matching and denoising autoencoders. Neural Computation 2011.
    """

    name = "denoising_gan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "bank_size": 64}

    latent_dim: int = param(8, at_least(1), help="Size of the noise z that G takes.")
    adversarial_share: float = param(0.5, between(0.0, 1.0), help="Share of the rows whose corruption G chooses.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    bank_size: int = param(4096, at_least(2), help="Most normal rows that are remembered.")
    fence: float | None = param(
        1.5, at_least(0.0, optional=True), help="Interquartile ranges from which a far training row is forgotten."
    )
    patience: int = param(0, at_least(0), help="Looks at held-out rows without improvement until it stops; 0: never.")

    def build(self, backbone: Backbone) -> GANModule:
        bank = NeighbourBank(self.bank_size, self.embedding_dim, self.fence)
        return DenoisingGANModule(backbone, self.latent_dim, self.adversarial_share, bank)
