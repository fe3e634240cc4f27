"""ALAD: BiGAN with two further critics for cycle consistency."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..data.spec import SampleSpec
from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import cross_entropy_critic
from ..losses.distances import l1, mean_l1
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..parameters import at_least, boolean, param
from .base import Detector
from .egbad import BiGANModule


class ALADModule(BiGANModule):
    """The cycle critics distinguish (x, x) from (x, G(E(x))) and (z, z) from (z, E(G(z)))."""

    def __init__(self, backbone: Backbone, *, latent_dim: int, spectral_norm: bool) -> None:
        super().__init__(backbone, latent_dim=latent_dim, spectral_norm=spectral_norm)
        self.critic_xx = backbone.of(backbone.spec.paired()).critic(spectral_norm=spectral_norm)
        self.critic_zz = backbone.of(SampleSpec((2 * latent_dim,))).critic(spectral_norm=spectral_norm)

    def stages(self) -> tuple[Stage, ...]:
        critics = (self.critic_xz, self.critic_xx, self.critic_zz)
        return (
            Stage(
                "alad",
                (
                    Phase("critics", critics, self.critic_loss),
                    Phase("generator", (self.encoder, self.generator), self.generator_loss),
                ),
                monitor=lambda x: mean_l1(x, self.reconstruct(x)),
            ),
        )

    def cycles(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the logits of real and of cycled pairs, for x and for z."""
        z = self.latent(x.shape[1])
        real_xx, fake_xx = critique_both(self.critic_xx, _pair(x, x), _pair(x, self.reconstruct(x)))
        z_cycled = self.encoder(self.generator(z))
        real_zz, fake_zz = critique_both(self.critic_zz, _pair(z, z), _pair(z, z_cycled))
        return (real_xx.logit, fake_xx.logit), (real_zz.logit, fake_zz.logit)

    def critic_loss(self, x: Tensor) -> Terms:
        """Zenati 2018, eq. 4-6."""
        xx, zz = self.cycles(x)
        return {
            "xz": self.joint_critic_loss(x),
            "xx": cross_entropy_critic(*xx),
            "zz": cross_entropy_critic(*zz),
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """The same losses with the labels exchanged."""
        (real_xx, fake_xx), (real_zz, fake_zz) = self.cycles(x)
        return {
            "xz": self.joint_generator_loss(x),
            "xx": cross_entropy_critic(fake_xx, real_xx),
            "zz": cross_entropy_critic(fake_zz, real_zz),
        }

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        """|f_xx(x, x) - f_xx(x, G(E(x)))|_1, Zenati 2018, eq. 8."""
        fake = self.reconstruct(x)
        real, made = critique_both(self.critic_xx, _pair(x, x), _pair(x, fake))
        return Prediction(l1(real.features, made.features), (x - fake).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score


def _pair(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], dim=2)  # (K, B, 2 * shape[0], ...)


class ALAD(Detector):
    """BiGAN with cycle critics and spectral normalisation; scores in the features of the critic of (x, x') pairs.

    Score:

    .. math:: A(x) = |f_{xx}(x, x) - f_{xx}(x, G(E(x)))|_1

    Notes
    -----
    Deviations from the paper: averaged weights; the weights with the smallest reconstruction error on held-out normal
    rows are kept; no batch norm and no dropout in the critics. Scoring a row takes one pass of encoder and
    generator and two of a critic.

    References
    ----------
    Zenati, Romain, Foo, Lecouat, Chandrasekhar: Adversarially Learned Anomaly Detection. ICDM 2018,
    arXiv:1812.02288.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import ALAD
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = ALAD(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "alad"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    spectral_norm: bool = param(True, boolean(), help="Whether the critics have spectral normalisation.")

    def build(self, backbone: Backbone) -> GANModule:
        return ALADModule(backbone, latent_dim=self.latent_dim, spectral_norm=self.spectral_norm)
