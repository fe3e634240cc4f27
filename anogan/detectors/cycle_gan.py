"""CycleGAN: the change that turns a sample into a normal one, learned from a pool that nobody has labelled."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import l1, l2_squared, mean_l1
from ..nn.backbone import Backbone, critique_both
from ..parameters import at_least, between, param
from .base import Detector

GAME = OBJECTIVES["least_squares"]


class CycleGANModule(GANModule):
    """G turns samples of the pool into normal ones, F the other way round; a critic for each kind."""

    def __init__(
        self, backbone: Backbone, choices: int, cycle_weight: float, identity_weight: float, residual_share: float
    ) -> None:
        super().__init__()
        self.to_normal = backbone.translator()  # G
        self.to_other = backbone.translator()  # F
        self.critic_normal = backbone.patch_critic()
        self.critic_other = backbone.patch_critic()
        self.damage = backbone.damage
        self.choices = choices
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.residual_share = residual_share

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "cycle",
                (
                    Phase("critic", (self.critic_normal, self.critic_other), self.critic_loss),
                    Phase("generator", (self.to_normal, self.to_other), self.generator_loss),
                ),
                monitor=lambda x: mean_l1(x, self.to_normal(self.damage(x))),
            ),
        )

    def draw_other(self, x: Tensor) -> Tensor:
        """As many samples as x has, those of some candidates that have the patch which looks least normal."""
        candidates = self.candidates(x)
        with torch.no_grad():
            belief = self.critic_normal(candidates).logit.amin(-1)
        least = belief.topk(x.shape[1], largest=False).indices  # (K, B)
        return candidates.gather(1, least.reshape(*least.shape, *[1] * (x.dim() - 2)).expand_as(x))

    def candidates(self, x: Tensor) -> Tensor:
        """Samples of the pool, or without one x itself, damaged: ``(K, choices * B, *shape)``."""
        if self.pool is None:
            return self.damage(x.repeat(1, self.choices, *[1] * (x.dim() - 2)))
        drawn = (torch.rand(self.choices * x.shape[1], dtype=torch.float64) * len(self.pool)).long()
        y = self.pool.batch(drawn.numpy()).to(x)
        return y.expand(len(x), *y.shape)

    def critic_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 1 for both directions, with squares instead of logarithms (section 4)."""
        y = self.draw_other(x)
        with torch.no_grad():
            made_normal, made_other = self.to_normal(y), self.to_other(x)
        normal, translated = critique_both(self.critic_normal, x, made_normal)
        other, spoilt = critique_both(self.critic_other, y, made_other)
        return {
            "normal": GAME.critic(normal.logit.flatten(1), translated.logit.flatten(1)),
            "other": GAME.critic(other.logit.flatten(1), spoilt.logit.flatten(1)),
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 3: both games, the cycle of normal samples (half of eq. 2), and section 5.2's identity loss."""
        y = self.draw_other(x)
        made_normal, made_other = self.to_normal(y), self.to_other(x)
        identity = mean_l1(x, self.to_normal(x)) + mean_l1(y, self.to_other(y))
        return {
            "normal": GAME.generator(self.critic_normal(made_normal).logit.flatten(1)),
            "other": GAME.generator(self.critic_other(made_other).logit.flatten(1)),
            "cycle": self.cycle_weight * mean_l1(x, self.to_normal(made_other)),
            "identity": self.identity_weight * identity,
        }

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.to_normal(x)

    def score(self, x: Tensor) -> Tensor:
        changed = self.reconstruct(x)
        before, after = critique_both(self.critic_normal, x, changed)
        residual = l1(x, changed) / x[0, 0].numel()
        features = l2_squared(before.features, after.features) / before.features.shape[-1]
        return self.residual_share * residual + (1 - self.residual_share) * features

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        normal, translated = critique_both(self.critic_normal, x, self.to_normal(self.draw_other(x)))
        return normal.logit.mean(-1), translated.logit.mean(-1)


class CycleGAN(Detector):
    """Translates samples into normal ones, learned from an unlabelled pool; scores the change needed.

    Score: ``0.9 |x - G(x)|_1 / n + 0.1 |f(x) - f(G(x))|^2 / n_f``; G translates to normal, f are the features of the
    critic of normal samples.

    Notes
    -----
    *Pool.* ``fit(X, X_other=pool)`` takes a second set that nobody has labelled, such as the parts that came back or
    last month's production: mostly normal, some not. Since most of it is normal, G must leave most of what it
    sees alone, which the identity loss asks for; ``explain`` then shows the counterfactual difference |x - G(x)|. Lest
    the few anomalies drown, `choices` times as many samples are drawn as a batch needs, and those are used that have
    the patch which the critic of normal samples believes least. Anomalies must be frequent and plain enough for that
    critic to find them: of the defects of magnetic tiles, in a tenth of a pool of 399 pictures, it did not.

    *Without a pool* damaged normal samples take its place (`Backbone.damage`): in pictures a rectangle (each side 1/16
    to 1/2 of the picture's, drawn evenly by its logarithm) is replaced by a piece of another picture, of changed
    brightness; in vectors up to half of the columns take the values of another row.

    *Deviations from the paper*: the cycle of pool samples, |y - F(G(y))|, is left out, for F cannot know which normal
    sample was an anomaly before, and of what kind, so that with it G leaves everything alone; generators make a change
    that is added to the sample, by a U-Net on pictures, so that what they leave alone stays sharp; spectral norm
    instead of instance norm in the critics; no history of generated pictures; averaged weights. A training step costs
    seven passes of generators.

    References
    ----------
    Zhu, Park, Isola, Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. ICCV
    2017, arXiv:1703.10593.
    """

    name = "cycle_gan"
    takes_pool = True
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16}

    choices: int = param(4, at_least(1), help="Pool samples from which the least normal looking one is taken.")
    cycle_weight: float = param(10.0, at_least(0.0), help="Of the cycle's reconstruction loss.")
    identity_weight: float = param(5.0, at_least(0.0), help="Of what a generator changes in samples of its own kind.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Share of the residual in the score.")

    patience: int = param(0, at_least(0), help="Looks at held-out rows without improvement until it stops; 0: never.")

    def build(self, backbone: Backbone) -> GANModule:
        return CycleGANModule(backbone, self.choices, self.cycle_weight, self.identity_weight, self.residual_share)
