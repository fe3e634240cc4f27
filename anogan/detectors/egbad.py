"""EGBAD: BiGAN, an encoder trained together with the generator."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.module import GANModule, Phase, Stage
from ..losses.adversarial import cross_entropy_critic
from ..losses.distances import l1, mean_l1
from ..nn.backbone import Backbone, Critique, critique_both
from ..parameters import at_least, between, boolean, one_of, param
from .base import Detector


class BiGANModule(GANModule):
    """G: z -> x, E: x -> z, and a critic of pairs that tells (x, E(x)) from (G(z), z)."""

    def __init__(self, backbone: Backbone, latent_dim: int, spectral_norm: bool) -> None:
        super().__init__()
        self.generator = backbone.decoder(latent_dim)
        self.encoder = backbone.encoder(latent_dim)
        self.critic_xz = backbone.critic(context_dim=latent_dim, spectral_norm=spectral_norm)
        self.latent_dim = latent_dim
        self.members = backbone.members

    def latent(self, rows: int) -> Tensor:
        weight = next(self.generator.parameters())
        return torch.randn(self.members, rows, self.latent_dim, dtype=weight.dtype, device=weight.device)

    def sample(self, rows: int) -> Tensor:
        return self.generator(self.latent(rows))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encoder(x))

    def pairs(self, x: Tensor) -> tuple[Critique, Critique]:
        """The critic on (x, E(x)) and on (G(z), z)."""
        z = self.latent(x.shape[1])
        return critique_both(self.critic_xz, x, self.generator(z), self.encoder(x), z)

    def joint_critic_loss(self, x: Tensor) -> Tensor:
        """Donahue 2016 (arXiv:1605.09782), eq. 3: ``(K,)``."""
        encoded, generated = self.pairs(x)
        return cross_entropy_critic(encoded.logit, generated.logit)

    def joint_generator_loss(self, x: Tensor) -> Tensor:
        """The same game with the labels exchanged, for encoder and generator: ``(K,)``."""
        encoded, generated = self.pairs(x)
        return cross_entropy_critic(generated.logit, encoded.logit)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        encoded, generated = self.pairs(x)
        return encoded.logit, generated.logit


class EGBADModule(BiGANModule):
    """The score of EGBAD on a BiGAN."""

    def __init__(
        self, backbone: Backbone, latent_dim: int, spectral_norm: bool, residual_share: float, critic_score: str
    ) -> None:
        super().__init__(backbone, latent_dim, spectral_norm)
        self.residual_share = residual_share
        self.critic_score = critic_score

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "bigan",
                (
                    Phase("critic", (self.critic_xz,), lambda x: {"adversarial": self.joint_critic_loss(x)}),
                    Phase(
                        "generator",
                        (self.encoder, self.generator),
                        lambda x: {"adversarial": self.joint_generator_loss(x)},
                    ),
                ),
                monitor=lambda x: mean_l1(x, self.reconstruct(x)),
            ),
        )

    def score(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        fake = self.generator(z)
        real = self.critic_xz(x, z)
        if self.critic_score == "feature_matching":
            disbelief = l1(real.features, self.critic_xz(fake, z).features)
        else:
            disbelief = torch.nn.functional.softplus(-real.logit)  # -log D(x, E(x))
        return self.residual_share * l1(x, fake) + (1 - self.residual_share) * disbelief


class EGBAD(Detector):
    """BiGAN, whose encoder is trained along; scores reconstruction and the joint critic's disbelief.

    Score: ``alpha |x - G(E(x))|_1 + (1 - alpha) L_D``; L_D is ``-log D(x, E(x))`` or
    ``|f(x, E(x)) - f(G(E(x)), E(x))|_1``.

    Notes
    -----
    Deviations from the paper: averaged weights; the best weights by the reconstruction of held-out normal rows are
    kept; no batch norm and no dropout in the critic. Scoring costs one pass of each network a row (two of the critic
    with feature matching).

    References
    ----------
    Zenati, Foo, Lecouat, Manek, Chandrasekhar: Efficient GAN-Based Anomaly Detection. 2018, arXiv:1802.06222.
    """

    name = "egbad"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    spectral_norm: bool = param(False, boolean(), help="Spectral normalisation of the critic.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Share of the residual in the score.")
    critic_score: str = param(
        "feature_matching", one_of("cross_entropy", "feature_matching"), help="The critic's part of the score."
    )

    def build(self, backbone: Backbone) -> GANModule:
        return EGBADModule(backbone, self.latent_dim, self.spectral_norm, self.residual_share, self.critic_score)
