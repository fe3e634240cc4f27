"""GANomaly: encoder, decoder, second encoder."""

from typing import Any, ClassVar

from torch import Tensor

from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import cross_entropy_critic
from ..losses.distances import l1, mean_l1, mean_l2_squared
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..parameters import at_least, param
from .base import Detector


class GANomalyModule(GANModule):
    """G = G_D(G_E(x)) reconstructs, E encodes the reconstruction, the critic distinguishes it from the sample."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        latent_dim: int,
        adversarial_weight: float,
        contextual_weight: float,
        encoding_weight: float,
    ) -> None:
        super().__init__()
        self.encoder = backbone.encoder(latent_dim)  # G_E
        self.decoder = backbone.decoder(latent_dim)  # G_D
        self.second_encoder = backbone.encoder(latent_dim)  # E
        self.critic = backbone.critic()  # D
        self.adversarial_weight = adversarial_weight
        self.contextual_weight = contextual_weight
        self.encoding_weight = encoding_weight

    def stages(self) -> tuple[Stage, ...]:
        generator = (self.encoder, self.decoder, self.second_encoder)
        return (
            Stage(
                "gan",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", generator, self.generator_loss),
                ),
                monitor=lambda x: mean_l1(x, self.reconstruct(x)),
            ),
        )

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))

    def critic_loss(self, x: Tensor) -> Terms:
        return {"adversarial": cross_entropy_critic(*self.critic_logits(x))}

    def generator_loss(self, x: Tensor) -> Terms:
        """Akcay 2018, eq. 4: w_adv |f(x) - f(x̂)|_2 + w_con |x - x̂|_1 + w_enc |G_E(x) - E(x̂)|_2."""
        z = self.encoder(x)
        fake = self.decoder(z)
        real, made = critique_both(self.critic, x, fake)
        return {
            "adversarial": self.adversarial_weight * mean_l2_squared(real.features, made.features),
            "contextual": self.contextual_weight * mean_l1(x, fake),
            "encoding": self.encoding_weight * mean_l2_squared(z, self.second_encoder(fake)),
        }

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        z = self.encoder(x)
        fake = self.decoder(z)
        return Prediction(l1(z, self.second_encoder(fake)), (x - fake).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, made = critique_both(self.critic, x, self.reconstruct(x))
        return real.logit, made.logit


class GANomaly(Detector):
    """Encoder-decoder-encoder; scores how far the code of the reconstruction is from the code of the sample.

    Score:

    .. math:: A(x) = |G_E(x) - E(G(x))|_1

    Notes
    -----
    Deviations from the paper: the squared l2 of the losses is averaged over dimensions, as in the authors' code;
    averaged weights; the weights with the smallest reconstruction error on held-out normal rows are kept. Scoring a
    row takes one pass of encoder, decoder and second encoder.

    References
    ----------
    Akcay, Atapour-Abarghouei, Breckon: GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training.
    ACCV 2018, arXiv:1805.06725.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import GANomaly
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = GANomaly(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "ganomaly"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the bottleneck code z.")
    adversarial_weight: float = param(1.0, at_least(0.0), help="Weight of the feature matching loss.")
    contextual_weight: float = param(50.0, at_least(0.0), help="Weight of the reconstruction loss.")
    encoding_weight: float = param(1.0, at_least(0.0), help="Weight of the distance between both codes.")

    def build(self, backbone: Backbone) -> GANModule:
        return GANomalyModule(
            backbone,
            latent_dim=self.latent_dim,
            adversarial_weight=self.adversarial_weight,
            contextual_weight=self.contextual_weight,
            encoding_weight=self.encoding_weight,
        )
