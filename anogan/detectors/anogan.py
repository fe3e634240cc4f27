"""AnoGAN: a plain GAN, and a search for the latent of each sample."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples
from ..engine.module import GANModule, Stage
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import l2_squared
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..parameters import Constraint, above, at_least, between, boolean, param
from ..scoring.nearest_sample import NearestSample
from .base import Detector
from .reconstructing import ReconstructingModule

TRUNCATION = 0.5  # of the search on tables
TRUNCATIONS = (0.25, 0.35, 0.5, 0.7, 1.0)  # one of these on images
NEARLY = 0.9  # share of the variance explained at best that the least of them must explain
ROWS = 128  # training images that choose it
STEPS_FROM_MEAN, STEPS_FROM_NEAREST = 40, 3  # of the search
STORED = 1024  # samples, the nearest of which a search among w starts at
STORED_VALUES = 2**22  # numbers in them, at most: fewer large pictures are stored
FEWEST_STORED = 64


class AnoGANModule(ReconstructingModule):
    """A GAN, and the search for the latent that reconstructs a sample best."""

    searches = True
    truncation: Tensor  # (), distance of a latent from the start, at most, relative to that from the mean of the prior

    def __init__(
        self,
        backbone: Backbone,
        *,
        search_steps: int,
        search_learning_rate: float,
        truncation: float | None,
        residual_share: float,
        **training: Any,
    ) -> None:
        super().__init__(backbone, **training)
        self.search_steps = search_steps
        self.search_learning_rate = search_learning_rate
        self.register_buffer("truncation", torch.tensor(truncation or TRUNCATION))
        self.chooses_truncation = truncation is None and not backbone.geometry.has_columns and not backbone.has_mapping
        self.nearest = NearestSample() if backbone.has_mapping else None
        self.residual_share = residual_share

    def stages(self) -> tuple[Stage, ...]:
        return (self.adversarial_stage(),)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator.synthesis(self.search(x))

    def residual(self, x: Tensor, fake: Tensor) -> Tensor:
        real, made = critique_both(self.critic, x, fake)
        return self.loss(x, fake, real.features, made.features)

    def loss(self, x: Tensor, fake: Tensor, real_features: Tensor, fake_features: Tensor) -> Tensor:
        """a |x - G(w)|^2 / n + (1 - a) |f(x) - f(G(w))|^2 / n_d: ``(K, B)``."""
        residual = l2_squared(x, fake) / x[0, 0].numel()
        discrimination = l2_squared(real_features, fake_features) / real_features.shape[-1]
        return self.residual_share * residual + (1 - self.residual_share) * discrimination

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        if self.nearest is not None:
            count = min(STORED, max(STORED_VALUES // normal.batch(np.arange(1)).numel(), FEWEST_STORED))
            w = self.generator.mapping(self.latent(count))
            self.nearest.fit(w, self.generator.synthesis, lambda samples: self.critic(samples).features)
        elif self.chooses_truncation:
            rows = normal.batch(np.arange(min(len(normal), ROWS))).to(next(self.parameters()))
            self._choose_truncation(rows.expand(self.members, *rows.shape))
        super().after_training(normal)

    def _start(self, x: Tensor, features: Tensor) -> Tensor:
        """Return where searches start: the mean w, or that of the nearest stored sample: ``(K, B, latent)``."""
        if self.nearest is not None:
            return self.nearest(x, features, self.residual_share)
        return x.new_zeros(*x.shape[:2], self.latent_dim) + self.generator.centre()

    def _choose_truncation(self, x: Tensor) -> None:
        """Choose the least truncation whose reconstructions are nearly as good as any."""
        variance, explained = (x - x.mean(1, keepdim=True)).square().mean(), []
        for truncation in TRUNCATIONS:
            self.truncation.fill_(truncation)
            explained.append(float(1 - (x - self.reconstruct(x)).square().mean() / variance.clamp(min=1e-12)))
        enough = max(explained) - (1 - NEARLY) * abs(max(explained))
        self.truncation.fill_(next(t for t, share in zip(TRUNCATIONS, explained, strict=True) if share >= enough))

    @torch.enable_grad()
    def search(self, x: Tensor) -> Tensor:
        """Return the w (z without a mapping) whose sample is closest to x: ``(K, B, *shape)`` -> ``(K, B, latent)``.

        All rows are searched at once: the sum over rows keeps their gradients apart, and Adam's state is per element.
        """
        features = self.critic(x).features.detach()
        start = self._start(x, features)
        farthest = self.truncation * self.generator.radius(self.latent_dim)
        w = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([w], lr=self.search_learning_rate, fused=True)
        for _ in range(self.search_steps):
            fake = self.generator.synthesis(w)
            (w.grad,) = torch.autograd.grad(self.loss(x, fake, features, self.critic(fake).features).sum(), w)
            optimizer.step()
            with torch.no_grad():
                away = w - start
                w.copy_(start + away * (farthest / away.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1))
        return w.detach()


class AnoGAN(Detector):
    """Plain GAN; searches the latent space for each sample and scores what cannot be reconstructed.

    Score: the final loss of the search,

    .. math:: A(x) = a |x - G(z)|^2 / n + (1 - a) |f(x) - f(G(z))|^2 / n_d,

    with f the features of the critic's last hidden layer. On images it is relative to what normal images have whose
    edges are as strong: ``A / exp(b + c log e(x))`` with e(x) the sum of the squared differences of neighbouring pixels
    (or means of 2x2 pixels), b, and c in [0, 1], from a regression on training images. Otherwise smooth images would
    look normal, such as digits of few strokes, or ships under a clear sky.

    Notes
    -----
    *Search.* It starts at the mean of the prior and stays within ``truncation`` times the usual distance from it (the
    truncation of StyleGAN). Farther from it there are samples that explain anomalies, too: a search without bounds ends
    at about twice the usual distance and ranks worse on images and on most tables (annthyroid: 0.71 instead of 0.93 in
    AUROC, pendigits 0.82 instead of 0.87, cardio 0.87 instead of 0.88, magic 0.81 both). On images the distance is the
    least one at which reconstructions explain nine tenths of the variance of training images that they explain at most:
    0.35 on digits and 0.7 on photographs (AUROC with 0.35, 0.5 and 0.7 on 8s of MNIST: 0.969, 0.962, 0.940; on cars of
    CIFAR-10: 0.494, 0.547, 0.611). Scoring a row costs ``search_steps`` forward and backward passes.

    *Deviations from the paper.* Squared distances averaged over values, as in f-AnoGAN, instead of sums of absolute
    ones, which rank worse on images; half of the score is the residual instead of nine tenths, since averages of pixels
    and of features have similar sizes; a bounded search of few steps; WGAN-GP on images, whose samples are better after
    as many steps; critics of images use layer norm instead of batch norm, since a row's score must not depend on its
    batch; the generator's weights are averaged over steps; the weights with the smallest energy distance between
    samples and held-out normal rows are kept.

    R1 is lazy: it is applied at every 16th step with 16 times the weight. Losses without a gradient penalty or clipping
    need it on images, where the critic would otherwise be right from the first steps on. Nor does the energy distance
    stop their training on images: it rises while blurs turn into strokes, and falls later. Minimax, hinge and clipping
    draw blurs within 400 steps (AUROC 0.88, 0.94 and 0.55 on digit 2 of MNIST). After 1,000 steps at the common rate
    minimax, non-saturating loss and clipping draw 2s that a classifier reads as such in 97, 94 and 96 % (WGAN-GP 97 %,
    benchmarks/results/samples.md); the lower rates of papers are for far longer trainings: after 400 steps samples
    cover none of the held-out 8s with WGAN-GP at 1e-4 (Gulrajani 2017), the non-saturating loss at 2e-4 (Radford 2016)
    or R3GAN's losses at 1e-3, and 43 % with the default (benchmarks/results/rates.md).

    With ``backbone="style"`` the search is for w, and starts at the nearest of 1,024 samples that the model keeps
    (fewer of pictures with more than 4,096 values). How many steps it takes matters little: on one model of 3s of MNIST
    AUROC was 0.989 with none, 0.987 with 3 and 0.984 with 20, while reconstructions explained 27, 53 and 72 % of the
    variance of training pictures. A step of training takes 1.7 times as long as one of the plain networks. At the CPU
    time of these (700 steps) AUROC is 0.944, 0.980, 0.983 and 0.955 on 2s, 4s, 5s and 8s, of the plain networks 0.956,
    0.987, 0.992 and 0.948 (standard error 0.02). The plain networks do not gain by such a start: on 3s and 5s AUROC is
    0.978 and 0.994 with it, 0.986 and 0.992 without.

    ``growing`` takes the first half of the steps, and early stopping monitors the second half. It neither pays nor
    costs: 95 % are read, and with f-AnoGAN AUROC on 8s is 0.956 after 1,100 steps, without growing 0.958 after 1,000
    (one digit, one seed). ``augment`` is meant for sets of a few hundred images; see `FAnoGAN`.

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
    tiny: ClassVar[dict[str, Any]] = {
        "width": 8,
        "steps": 3,
        "batch_size": 16,
        "latent_dim": 4,
        "search_steps": 3,
        "search_learning_rate": 0.5,
    }

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    objective: str | None = param(
        None,
        Constraint(str, choices=tuple(OBJECTIVES), optional=True),
        help="Adversarial loss (default: wasserstein_gp on pictures, non_saturating on tables).",
    )
    penalty_weight: float = param(
        10.0, at_least(0.0), help="Weight of the gradient penalty, with objective wasserstein_gp."
    )
    critic_steps: int = param(1, at_least(1), help="Critic steps for each generator step.")
    search_steps: int | None = param(
        None,
        at_least(1, optional=True),
        help="Gradient steps of the latent search (default: 40; 3 with backbone style, from the nearest sample).",
    )
    search_learning_rate: float = param(0.1, above(0.0), help="Learning rate of the latent search.")
    truncation: float | None = param(
        None,
        Constraint(float, low=0.0, open_low=True, optional=True),
        help="Largest distance of a latent from where the search starts, as a multiple of the usual one from the mean "
        "of the prior (default: 0.5 on tables and with backbone style; on other pictures the least one that "
        "reconstructs training pictures nearly as well as any).",
    )
    residual_share: float = param(0.5, between(0.0, 1.0), help="Share of the residual in the score.")
    r1_weight: float | None = param(
        None,
        at_least(0.0, optional=True),
        help="Gamma of the R1 penalty on the critic at real samples (default: 1 on pictures, but 0 with a gradient "
        "penalty or clipping; 0 on tables).",
    )
    growing: bool = param(False, boolean(), help="Start with coarse pictures and fade finer resolutions in.")
    augment: float | str = param(
        0.0,
        Constraint(float, 0.0, 1.0, choices=("adaptive",)),
        help="Probability of each augmentation of the pictures that the critic sees in training, or adaptive.",
    )

    def build(self, backbone: Backbone) -> GANModule:
        objective = OBJECTIVES[self.objective or backbone.default_objective]
        default_r1_weight = 0.0 if objective.constrained else backbone.default_r1_weight
        return AnoGANModule(
            backbone,
            latent_dim=self.latent_dim,
            objective=objective,
            penalty_weight=self.penalty_weight,
            critic_steps=self.critic_steps,
            r1_weight=default_r1_weight if self.r1_weight is None else self.r1_weight,
            growing=self.growing,
            augment=self.augment,
            search_steps=self.search_steps or (STEPS_FROM_NEAREST if backbone.has_mapping else STEPS_FROM_MEAN),
            search_learning_rate=self.search_learning_rate,
            truncation=self.truncation,
            residual_share=self.residual_share,
        )
