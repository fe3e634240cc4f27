"""Skip-GANomaly: an autoencoder with skip connections against a critic whose features are the latent."""

from typing import Any, ClassVar

from torch import Tensor

from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import cross_entropy_critic, non_saturating_generator
from ..losses.distances import l1, l2_squared, mean_l1, mean_l2_squared
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..nn.roles import SkipAutoencoder
from ..parameters import at_least, between, param
from .base import Detector


class SkipGANomalyModule(GANModule):
    """A U-Net generator and a critic."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        latent_dim: int,
        adversarial_weight: float,
        contextual_weight: float,
        latent_weight: float,
        residual_share: float,
    ) -> None:
        super().__init__()
        self.generator = SkipAutoencoder(backbone, latent_dim)
        self.critic = backbone.critic()
        self.adversarial_weight = adversarial_weight
        self.contextual_weight = contextual_weight
        self.latent_weight = latent_weight
        self.residual_share = residual_share

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "gan",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", (self.generator,), self.generator_loss),
                ),
                monitor=lambda x: mean_l1(x, self.reconstruct(x)),
            ),
        )

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(x)

    def critic_loss(self, x: Tensor) -> Terms:
        return {"adversarial": cross_entropy_critic(*self.critic_logits(x))}

    def generator_loss(self, x: Tensor) -> Terms:
        """Akcay 2019, eq. 5: adversarial + contextual l1 + latent |f(x) - f(x̂)|_2."""
        fake = self.reconstruct(x)
        real, made = critique_both(self.critic, x, fake)
        return {
            "adversarial": self.adversarial_weight * non_saturating_generator(made.logit),
            "contextual": self.contextual_weight * mean_l1(x, fake),
            "latent": self.latent_weight * mean_l2_squared(real.features, made.features),
        }

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        fake = self.reconstruct(x)
        real, made = critique_both(self.critic, x, fake)
        residual = l1(x, fake) / x[0, 0].numel()  # R(x)
        latent = l2_squared(real.features, made.features) / real.features.shape[-1]  # L(x)
        score = self.residual_share * residual + (1 - self.residual_share) * latent
        return Prediction(score, (x - fake).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, made = critique_both(self.critic, x, self.reconstruct(x))
        return real.logit, made.logit


class SkipGANomaly(Detector):
    """U-Net autoencoder against a critic; scores reconstruction and critic-feature residuals.

    Score:

    .. math:: A(x) = 0.9 R(x) + 0.1 L(x).

    R is the mean absolute residual, L the mean squared difference of the critic's
    features.

    Notes
    -----
    On vectors the U-Net becomes a multilayer perceptron whose decoder sees the encoder's middle layer; its
    outermost level has no skip, which would copy any input. Deviations from the paper: averaged weights; the weights
    with the smallest reconstruction error on held-out normal rows are kept; L is a mean square instead of a norm;
    scores are not rescaled by the test set's range. Scoring a row takes one pass of the generator and two of the
    critic.

    References
    ----------
    Akcay, Atapour-Abarghouei, Breckon: Skip-GANomaly: Skip Connected and Adversarially Trained Encoder-Decoder
    Anomaly Detection. IJCNN 2019, arXiv:1901.08954.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import SkipGANomaly
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = SkipGANomaly(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.reconstruct(X[:3]).shape
    (3, 4)
    """

    name = "skip_ganomaly"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the bottleneck.")
    adversarial_weight: float = param(1.0, at_least(0.0), help="Weight of the adversarial loss.")
    contextual_weight: float = param(50.0, at_least(0.0), help="Weight of the reconstruction loss.")
    latent_weight: float = param(1.0, at_least(0.0), help="Weight of the distance between critic features.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Share of the residual in the score.")

    def build(self, backbone: Backbone) -> GANModule:
        return SkipGANomalyModule(
            backbone,
            latent_dim=self.latent_dim,
            adversarial_weight=self.adversarial_weight,
            contextual_weight=self.contextual_weight,
            latent_weight=self.latent_weight,
            residual_share=self.residual_share,
        )
