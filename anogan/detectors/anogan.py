"""AnoGAN: a plain GAN, and a search for the latent of each sample."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import OBJECTIVES, Objective
from ..losses.distances import energy_distance, l1
from ..losses.penalties import gradient_penalty, r1_penalty
from ..nn.augment import Augmented
from ..nn.backbone import Backbone, critique_both
from ..parameters import Constraint, above, at_least, between, boolean, one_of, param
from .base import Detector

R1_EVERY = 16  # steps from one R1 penalty to the next, Karras 2020 (arXiv:1912.04958), appendix B


class GenerativeModule(GANModule):
    """A generator from noise against a critic; the game that AnoGAN, f-AnoGAN's first stage and WGAN-GP share.

    Parameters
    ----------
    backbone : Backbone
    latent_dim : int
        Size of z ~ N(0, I).
    objective : Objective
    penalty_weight : float
        Of the gradient penalty, if the objective has one.
    critic_steps : int
        Critic steps to each generator step.
    r1_weight : float
        Gamma of the R1 penalty on real samples; 0 leaves it out.
    growing : bool
        Whether generator and critic begin at a coarse resolution.
    augment : float or "adaptive"
        How often what the critic sees in training is augmented; 0 leaves it out.
    """

    def __init__(
        self,
        backbone: Backbone,
        latent_dim: int,
        objective: Objective,
        penalty_weight: float,
        critic_steps: int,
        r1_weight: float = 0.0,
        growing: bool = False,
        augment: float | str = 0.0,
    ) -> None:
        super().__init__()
        self.generator = backbone.decoder(latent_dim, growing=growing)  # (K, B, latent) -> (K, B, *shape)
        self.critic = (  # (K, B, *shape) -> logit, features
            backbone.augmented_critic(augment, growing=growing) if augment else backbone.critic(growing=growing)
        )
        self.latent_dim = latent_dim
        self.members = backbone.members
        self.objective = objective
        self.penalty_weight = penalty_weight
        self.critic_steps = critic_steps
        self.r1_weight = r1_weight
        self.growing = growing

    def game(self) -> Stage:
        """The adversarial stage."""
        clip = self.objective.weight_clip
        critic = Phase("critic", (self.critic,), self.critic_loss, weight_clip=clip)
        r1 = Phase("r1", (self.critic,), self.r1_loss, every=R1_EVERY, weight_clip=clip, lazy=True)
        generator = Phase("generator", (self.generator,), self.generator_loss, every=self.critic_steps)
        return Stage(
            "gan",
            (critic, r1, generator) if self.r1_weight else (critic, generator),
            monitor=self.sample_distance,
            betas=(0.0, 0.9) if self.objective.penalised else (0.5, 0.999),
            growing=(self.generator, self.critic) if self.growing else (),
        )

    def latent(self, rows: int) -> Tensor:
        weight = next(self.generator.parameters())
        return torch.randn(self.members, rows, self.latent_dim, dtype=weight.dtype, device=weight.device)

    def sample(self, rows: int) -> Tensor:
        return self.generator(self.latent(rows))

    def critic_loss(self, x: Tensor) -> Terms:
        with torch.no_grad():
            fake = self.sample(x.shape[1])
        real, made = critique_both(self.critic, x, fake)
        if isinstance(self.critic, Augmented):
            self.critic.adapt(real.logit, made.logit)
        terms = {"adversarial": self.objective.critic(real.logit, made.logit)}
        if self.objective.penalised:
            penalty = gradient_penalty(lambda between: self.critic(between).logit, x, fake)
            terms["gradient_penalty"] = self.penalty_weight * penalty
        return terms

    def r1_loss(self, x: Tensor) -> Terms:
        """Lazy: as seldom as it is played, so much heavier it weighs."""
        return {"r1": self.r1_weight * R1_EVERY * r1_penalty(lambda real: self.critic(real).logit, x)}

    def generator_loss(self, x: Tensor) -> Terms:
        return {"adversarial": self.objective.generator(self.critic(self.sample(x.shape[1])).logit)}

    def sample_distance(self, x: Tensor) -> Tensor:
        """How far the samples are from held-out rows, as distributions: ``(K,)``."""
        return energy_distance(x.flatten(2), self.sample(x.shape[1]).flatten(2))

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, made = critique_both(self.critic, x, self.sample(x.shape[1]))
        return real.logit, made.logit


class AnoGANModule(GenerativeModule):
    """The plain game, and the search for the latent that explains a sample best."""

    start: Tensor

    def __init__(
        self, *args: Any, search_steps: int, search_learning_rate: float, residual_share: float, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        # Drawn once and the same for all rows: a row's score depends neither on its position nor on its batch.
        self.register_buffer("start", torch.randn(self.members, 1, self.latent_dim))
        self.search_steps = search_steps
        self.search_learning_rate = search_learning_rate
        self.residual_share = residual_share

    def stages(self) -> tuple[Stage, ...]:
        return (self.game(),)

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        w = self.search(x)  # one search for both
        score = self.distance(x, self.features(x), w).detach()
        return Prediction(score, (x - self.generator.synthesis(w)).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator.synthesis(self.search(x))

    def features(self, x: Tensor) -> Tensor:
        return self.critic(x).features

    def distance(self, x: Tensor, features: Tensor, w: Tensor) -> Tensor:
        """a |x - G(w)| + (1 - a) |f(x) - f(G(w))|, Schlegl 2017, eq. 5: ``(K, B)``."""
        fake = self.generator.synthesis(w)
        residual, discrimination = l1(x, fake), l1(features, self.features(fake))
        return self.residual_share * residual + (1 - self.residual_share) * discrimination

    @torch.enable_grad()
    def search(self, x: Tensor) -> Tensor:
        """The w (z without a mapping) whose sample is closest to x: ``(K, B, *shape)`` -> ``(K, B, latent)``.

        All rows at once; the sum over rows keeps their gradients apart, and Adam's state is one per number of w.
        """
        features = self.features(x).detach()
        start = self.generator.search_start(self.start)  # (K, 1, latent)
        w = start.expand(-1, x.shape[1], -1).clone().requires_grad_(True)
        optimizer = torch.optim.Adam([w], lr=self.search_learning_rate, fused=True)
        for _ in range(self.search_steps):
            (w.grad,) = torch.autograd.grad(self.distance(x, features, w).sum(), w)
            optimizer.step()
            with torch.no_grad():
                w.copy_(self.generator.confined(w))
        return w.detach()


class AnoGAN(Detector):
    """Plain GAN; searches the latent space for each sample and scores what cannot be explained.

    Score: the final loss of the search, ``a |x - G(z)|_1 + (1 - a) |f(x) - f(G(z))|_1``, with f the features of the
    critic's last hidden layer.

    Notes
    -----
    Deviations from the paper: critics of images use layer norm instead of batch norm (a row's score must not
    depend on its batch); the generator's weights are averaged over steps; the best weights by the energy distance
    of samples to held-out normal rows are kept; 100 search steps at a rate of 0.2 instead of 500, which rank as well
    as 500 at 0.05 (on six ADBench tables). Scoring costs ``search_steps`` forward and backward passes a row.

    With ``backbone="style"`` the search is one for w, begins at the mean w and goes no farther from it than w usually
    lie: elsewhere in W there are pictures of anything. R1 is lazy, at every 16th step and 16 times as heavy.
    ``growing`` takes the first half of the steps, and early stopping watches the second.

    References
    ----------
    Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs: Unsupervised Anomaly Detection with Generative
    Adversarial Networks to Guide Marker Discovery. IPMI 2017, arXiv:1703.05921. Karras, Laine, Aittala, Hellsten,
    Lehtinen, Aila: Analyzing and Improving the Image Quality of StyleGAN. CVPR 2020, arXiv:1912.04958. Karras, Aila,
    Laine, Lehtinen: Progressive Growing of GANs. ICLR 2018, arXiv:1710.10196.
    """

    name = "anogan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "search_steps": 3}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    objective: str = param("non_saturating", one_of(*OBJECTIVES), help="The adversarial game.")
    penalty_weight: float = param(10.0, at_least(0.0), help="Of the gradient penalty, with objective wasserstein_gp.")
    critic_steps: int = param(1, at_least(1), help="Critic steps to each generator step.")
    search_steps: int = param(100, at_least(1), help="Gradient steps of the latent search.")
    search_learning_rate: float = param(0.2, above(0.0), help="Of the latent search.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Share of the residual in the score.")
    r1_weight: float | None = param(
        None,
        at_least(0.0, optional=True),
        help="Gamma of the R1 penalty on the critic at real samples (default: 1 with backbone style, else 0).",
    )
    growing: bool = param(False, boolean(), help="Begin with coarse pictures and fade finer resolutions in.")
    augment: float | str = param(
        0.0,
        Constraint(float, 0.0, 1.0, choices=("adaptive",)),
        help="Augmentation of the pictures that the critic sees: probability of each operation, or adaptive.",
    )

    def build(self, backbone: Backbone) -> GANModule:
        return AnoGANModule(
            backbone,
            self.latent_dim,
            OBJECTIVES[self.objective],
            self.penalty_weight,
            self.critic_steps,
            backbone.default_r1_weight if self.r1_weight is None else self.r1_weight,
            self.growing,
            self.augment,
            search_steps=self.search_steps,
            search_learning_rate=self.search_learning_rate,
            residual_share=self.residual_share,
        )
