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
from .base import Detector
from .generative import GenerativeModule


class WGANGPModule(GenerativeModule):
    """WGAN-GP, and afterwards the distances to the features of normal rows."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        scorer: FeatureDistance,
        memory_bank_size: int,
        **training: Any,
    ) -> None:
        super().__init__(backbone, objective=OBJECTIVES["wasserstein_gp"], **training)
        self.scorer = scorer
        self.memory_bank_size = memory_bank_size

    def stages(self) -> tuple[Stage, ...]:
        return (self.adversarial_stage(),)

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.scorer.fit(features_of(self.critic, normal, self.memory_bank_size, self.members))

    def score(self, x: Tensor) -> Tensor:
        return self.scorer(self.critic(x).features)


class WGANGP(Detector):
    """Wasserstein GAN with gradient penalty; scores distances in the critic's feature space.

    Score: distance of the critic's features f(x) to those of normal rows N, by nearest neighbours or Mahalanobis,

    .. math:: A(x) = min_{y ∈ N} |f(x) - f(y)|   or   A(x)^2 = (f(x) - m)^T S^{-1} (f(x) - m).

    Notes
    -----
    The critic's own output is not used: it ranks worse than chance on many tables, since at equilibrium it is flat
    on normal rows and unconstrained elsewhere. Most of the score's strength does not come from adversarial training:
    features of a critic that was never trained, whitened in the same way, rank nearly as well on average
    (benchmarks/README.md has the figures). Deviations from the paper: a rate of 1e-3 instead of 1e-4; averaged
    weights; the weights with the smallest energy distance between samples and held-out normal rows are kept. Scoring
    takes one pass of the critic, and a product with the whitening matrix or a search in the memory bank.

    References
    ----------
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs. NeurIPS 2017,
    arXiv:1704.00028.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import WGANGP
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = WGANGP(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "wgan_gp"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "critic_steps": 1}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    penalty_weight: float = param(10.0, at_least(0.0), help="Lambda of the gradient penalty.")
    critic_steps: int | None = param(
        None,
        at_least(1, optional=True),
        help="Critic steps for each generator step (default: 5 on tables, 1 on pictures).",
    )
    distance: str = param("mahalanobis", one_of("neighbours", "mahalanobis"), help="Distance between features.")
    neighbours: int = param(5, at_least(1), help="Number of nearest neighbours, k.")
    memory_bank_size: int = param(5000, at_least(2), help="Largest number of normal rows in the memory bank.")

    def build(self, backbone: Backbone) -> GANModule:
        return WGANGPModule(
            backbone,
            latent_dim=self.latent_dim,
            penalty_weight=self.penalty_weight,
            critic_steps=self.critic_steps or backbone.default_critic_steps,
            scorer=FeatureDistance(self.distance, self.neighbours),
            memory_bank_size=self.memory_bank_size,
        )
