"""AnoGAN: a plain GAN, and a search for the latent of each sample."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.module import GANModule, Prediction, Stage
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import l1
from ..nn.backbone import Backbone
from ..parameters import Constraint, above, at_least, between, boolean, one_of, param
from .base import Detector
from .generative import GenerativeModule


class AnoGANModule(GenerativeModule):
    """A GAN, and the search for the latent that reconstructs a sample best."""

    start: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        search_steps: int,
        search_learning_rate: float,
        residual_share: float,
        **training: Any,
    ) -> None:
        super().__init__(backbone, **training)
        # The start is drawn once for all rows, so that a row's score depends neither on its position nor on its batch.
        self.register_buffer("start", torch.randn(self.members, 1, self.latent_dim))
        self.search_steps = search_steps
        self.search_learning_rate = search_learning_rate
        self.residual_share = residual_share

    def stages(self) -> tuple[Stage, ...]:
        return (self.adversarial_stage(),)

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
        """Return the w (z without a mapping) whose sample is closest to x: ``(K, B, *shape)`` -> ``(K, B, latent)``.

        All rows are searched at once: the sum over rows keeps their gradients apart, and Adam's state is per element.
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
    """Plain GAN; searches the latent space for each sample and scores what cannot be reconstructed.

    Score: the final loss of the search, ``a |x - G(z)|_1 + (1 - a) |f(x) - f(G(z))|_1``, with f the features of the
    critic's last hidden layer.

    Notes
    -----
    Deviations from the paper: critics of images use layer norm instead of batch norm, since a row's score must not
    depend on its batch; the generator's weights are averaged over steps; the weights with the smallest energy distance
    between samples and held-out normal rows are kept; the search takes 100 steps at a learning rate of 0.2 instead of
    500 steps, which ranks as well as 500 steps at 0.05 (on six ADBench tables). Scoring a row costs ``search_steps``
    forward and backward passes.

    With ``backbone="style"`` the search is for w. It starts at the mean w and is confined to the usual distance from
    it, because elsewhere W contains images of anything. R1 is lazy: it is applied at every 16th step with 16 times the
    weight. ``growing`` takes the first half of the steps, and early stopping monitors the second half.

    References
    ----------
    Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs: Unsupervised Anomaly Detection with Generative
    Adversarial Networks to Guide Marker Discovery. IPMI 2017, arXiv:1703.05921. Karras, Laine, Aittala, Hellsten,
    Lehtinen, Aila: Analyzing and Improving the Image Quality of StyleGAN. CVPR 2020, arXiv:1912.04958. Karras, Aila,
    Laine, Lehtinen: Progressive Growing of GANs. ICLR 2018, arXiv:1710.10196.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import AnoGAN
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = AnoGAN(steps=20, width=8, search_steps=5, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "anogan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "search_steps": 3}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    objective: str = param("non_saturating", one_of(*OBJECTIVES), help="Adversarial loss.")
    penalty_weight: float = param(
        10.0, at_least(0.0), help="Weight of the gradient penalty, with objective wasserstein_gp."
    )
    critic_steps: int = param(1, at_least(1), help="Critic steps for each generator step.")
    search_steps: int = param(100, at_least(1), help="Gradient steps of the latent search.")
    search_learning_rate: float = param(0.2, above(0.0), help="Learning rate of the latent search.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Share of the residual in the score.")
    r1_weight: float | None = param(
        None,
        at_least(0.0, optional=True),
        help="Gamma of the R1 penalty on the critic at real samples (default: 1 with backbone style, else 0).",
    )
    growing: bool = param(False, boolean(), help="Start with coarse pictures and fade finer resolutions in.")
    augment: float | str = param(
        0.0,
        Constraint(float, 0.0, 1.0, choices=("adaptive",)),
        help="Probability of each augmentation of the pictures that the critic sees in training, or adaptive.",
    )

    def build(self, backbone: Backbone) -> GANModule:
        return AnoGANModule(
            backbone,
            latent_dim=self.latent_dim,
            objective=OBJECTIVES[self.objective],
            penalty_weight=self.penalty_weight,
            critic_steps=self.critic_steps,
            r1_weight=backbone.default_r1_weight if self.r1_weight is None else self.r1_weight,
            growing=self.growing,
            augment=self.augment,
            search_steps=self.search_steps,
            search_learning_rate=self.search_learning_rate,
            residual_share=self.residual_share,
        )
