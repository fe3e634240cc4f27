"""WGAN-GP: the distance of a sample's critic features to those of normal rows."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..data.samples import Samples
from ..engine.module import GANModule, Stage
from ..losses.adversarial import OBJECTIVES
from ..nn.backbone import Backbone
from ..parameters import at_least, one_of, param
from ..scoring.feature_distance import FeatureDistance, features_of
from .anogan import GenerativeModule
from .base import Detector


class WGANGPModule(GenerativeModule):
    """The game of WGAN-GP; afterwards a bank remembers the features of normal rows."""

    def __init__(
        self,
        backbone: Backbone,
        latent_dim: int,
        penalty_weight: float,
        critic_steps: int,
        bank: FeatureDistance,
        memory_bank_size: int,
    ) -> None:
        super().__init__(backbone, latent_dim, OBJECTIVES["wasserstein_gp"], penalty_weight, critic_steps)
        self.bank = bank
        self.memory_bank_size = memory_bank_size

    def stages(self) -> tuple[Stage, ...]:
        return (self.game(),)

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.bank.fit(features_of(self.critic, normal, self.memory_bank_size, self.members))

    def score(self, x: Tensor) -> Tensor:
        return self.bank(self.critic(x).features)


class WGANGP(Detector):
    """Wasserstein GAN with gradient penalty; scores distances in the critic's feature space.

    Score: distance of f(x) to the features of normal rows, by nearest neighbours or Mahalanobis.

    Notes
    -----
    The critic's own output is not used: it ranks worse than chance on many tables, since at equilibrium it is flat
    on normal rows and unconstrained elsewhere. Most of the score's strength is no merit of the game: features of a
    critic that was never trained, whitened in the same way, rank nearly as well on average (benchmarks/README.md has
    the figures). Deviations from the paper: a rate of 1e-3 instead of 1e-4; averaged
    weights; the best weights by the energy distance of samples to held-out normal rows are kept. Scoring costs one
    pass of the critic and one product with the bank.

    References
    ----------
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs. NeurIPS 2017,
    arXiv:1704.00028.
    """

    name = "wgan_gp"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "critic_steps": 1}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    penalty_weight: float = param(10.0, at_least(0.0), help="Lambda of the gradient penalty.")
    critic_steps: int = param(5, at_least(1), help="Critic steps to each generator step.")
    distance: str = param("mahalanobis", one_of("neighbours", "mahalanobis"), help="Distance between features.")
    neighbours: int = param(5, at_least(1), help="k of the nearest neighbours.")
    memory_bank_size: int = param(5000, at_least(2), help="Most normal rows whose features are remembered.")

    def build(self, backbone: Backbone) -> GANModule:
        bank = FeatureDistance(self.distance, self.neighbours)
        return WGANGPModule(
            backbone, self.latent_dim, self.penalty_weight, self.critic_steps, bank, self.memory_bank_size
        )
