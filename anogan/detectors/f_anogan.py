"""f-AnoGAN: WGAN-GP, then an encoder that replaces the latent search."""

from typing import Any, ClassVar

from torch import Tensor

from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import l2_squared, mean_l2_squared
from ..nn.backbone import Backbone, critique_both
from ..parameters import Constraint, at_least, boolean, one_of, param
from .anogan import GenerativeModule
from .base import Detector


class FAnoGANModule(GenerativeModule):
    """Generator and critic are trained first; the encoder second, with both frozen."""

    def __init__(
        self,
        backbone: Backbone,
        latent_dim: int,
        penalty_weight: float,
        critic_steps: int,
        encoder_training: str,
        feature_weight: float,
        growing: bool,
        augment: float | str,
    ) -> None:
        game = OBJECTIVES["wasserstein_gp"], penalty_weight, critic_steps
        super().__init__(backbone, latent_dim, *game, growing=growing, augment=augment)
        self.encoder = backbone.encoder(latent_dim)  # (K, B, *shape) -> w (K, B, latent)
        self.encoder_training = encoder_training
        self.feature_weight = feature_weight

    def stages(self) -> tuple[Stage, ...]:
        encoding = Phase("encoder", (self.encoder,), getattr(self, f"{self.encoder_training}_loss"))
        return self.game(), Stage("encoder", (encoding,), monitor=lambda x: self.score(x).mean(-1))

    def ziz_loss(self, x: Tensor) -> Terms:
        """|w - E(G(w))|^2 / d, section 2.2.1; w is z, if there is no mapping."""
        w = self.generator.mapping(self.latent(x.shape[1]))
        return {"latent": mean_l2_squared(w, self.encoder(self.generator.synthesis(w)))}

    def izi_loss(self, x: Tensor) -> Terms:
        """|x - G(E(x))|^2 / n, section 2.2.2."""
        return {"residual": mean_l2_squared(x, self.reconstruct(x))}

    def izi_f_loss(self, x: Tensor) -> Terms:
        """The residual, and kappa |f(x) - f(G(E(x)))|^2 / n_d, section 2.2.3."""
        fake = self.reconstruct(x)
        real, made = critique_both(self.critic, x, fake)
        features = mean_l2_squared(real.features, made.features)
        return {"residual": mean_l2_squared(x, fake), "features": self.feature_weight * features}

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator.synthesis(self.encoder(x))

    def score(self, x: Tensor) -> Tensor:
        fake = self.reconstruct(x)
        real, made = critique_both(self.critic, x, fake)
        residual = l2_squared(x, fake) / x[0, 0].numel()
        return residual + self.feature_weight * l2_squared(real.features, made.features) / real.features.shape[-1]


class FAnoGAN(Detector):
    """WGAN-GP with an encoder trained afterwards; scores reconstruction and critic-feature residuals.

    Score: ``|x - G(E(x))|^2 / n + kappa |f(x) - f(G(E(x)))|^2 / n_d``, the loss of ``encoder_training="izi_f"``.

    Notes
    -----
    Deviations from the paper: one learning rate for all data (the paper's 1e-4 is for 64x64 images and far longer
    training); averaged weights; the best weights by held-out normal rows are kept. Scoring costs two passes of the
    critic and one of encoder and generator a row. With ``backbone="style"`` the encoder gives w, not z.

    References
    ----------
    Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth: f-AnoGAN: Fast Unsupervised Anomaly Detection with
    Generative Adversarial Networks. Medical Image Analysis 54, 2019, doi:10.1016/j.media.2019.01.010.
    """

    name = "f_anogan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "critic_steps": 1}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    penalty_weight: float = param(10.0, at_least(0.0), help="Lambda of the gradient penalty.")
    critic_steps: int = param(5, at_least(1), help="Critic steps to each generator step.")
    encoder_training: str = param("izi_f", one_of("ziz", "izi", "izi_f"), help="What the encoder learns from.")
    feature_weight: float = param(1.0, at_least(0.0), help="Kappa: weight of the critic's features.")
    growing: bool = param(False, boolean(), help="Begin with coarse pictures and fade finer resolutions in.")
    augment: float | str = param(
        0.0,
        Constraint(float, 0.0, 1.0, choices=("adaptive",)),
        help="Augmentation of the pictures that the critic sees: probability of each operation, or adaptive.",
    )

    def build(self, backbone: Backbone) -> GANModule:
        return FAnoGANModule(
            backbone,
            self.latent_dim,
            self.penalty_weight,
            self.critic_steps,
            self.encoder_training,
            self.feature_weight,
            self.growing,
            self.augment,
        )
