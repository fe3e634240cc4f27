"""ConditionalGAN: what is normal given a condition, learned by a critic that also sees samples of the wrong class."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from ..data.choose import preprocessor_for
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import non_saturating_generator
from ..losses.distances import energy_distance
from ..losses.penalties import r1_penalty
from ..nn.backbone import Backbone
from ..parameters import Constraint, at_least, param
from ..scoring.calibration import member_scales
from ..scoring.feature_distance import features_of
from ..scoring.nearest_neighbours import NearestNeighbourScorer
from ..seeding import rand, randn
from .base import Detector
from .projection import ProjectionCritic, chosen, class_of

ROWS_AT_ONCE = 256
LEAST_SCALE = 1.0  # nats; a log ratio that hardly varies among normal rows is no evidence below that


class ConditionalGANModule(GANModule):
    """G(z, c) against D(x, c); D also sees (x, c') with a class drawn at random.

    D's projection measures whether x fits its condition: against mismatched rows alone its optimum would be the log
    ratio p(c | x) / p(c). Generated rows, which fit theirs, pull it towards zero, so that it is a bounded version of
    the ratio. A memory bank of f(x) measures whether x is unusual regardless of its condition.
    """

    joint = True
    frequency: Tensor  # (classes,), p(c)
    location: Tensor  # (2, 1), of both parts of the score
    scale: Tensor  # (2, 1)

    def __init__(
        self, backbone: Backbone, *, latent_dim: int, r1_weight: float, scorer: NearestNeighbourScorer
    ) -> None:
        super().__init__()
        self.classes = backbone.spec.classes
        self.conditioned = self.classes > 0
        self.generator = backbone.decoder(latent_dim + self.classes)
        self.critic = ProjectionCritic(backbone)
        self.scorer = scorer
        self.members = backbone.members
        self.latent_dim = latent_dim
        self.r1_weight = r1_weight
        if self.conditioned:
            self.register_buffer("frequency", torch.full((self.classes,), 1 / self.classes))
            self.register_buffer("location", torch.zeros(2, 1))
            self.register_buffer("scale", torch.ones(2, 1))

    def before_training(self, normal: Samples) -> Samples:
        """Count the classes, each once more than it occurs: a class may occur in none of the training rows."""
        if self.conditioned:
            counts = torch.ones(self.classes)
            for x in _batches(normal, len(normal)):
                counts += class_of(x[None]).flatten().bincount(minlength=self.classes)
            self.frequency.copy_(counts / counts.sum())
        return normal

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "gan",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", (self.generator,), self.generator_loss),
                ),
                monitor=self.sample_distance,
            ),
        )

    def draw_classes(self, rows: int) -> Tensor:
        """Draw classes by their frequency: int64 ``(K, rows)``."""
        uniform = rand(self.members, rows, dtype=self.frequency.dtype, device=self.frequency.device)
        return torch.bucketize(uniform, self.frequency.cumsum(0)[:-1])

    def generate(self, rows: int, c: Tensor | None) -> Tensor:
        """G(z, c) with its class: ``(K, rows, C + 1, ...)``, or ``(K, rows, C, ...)`` without a condition."""
        weight = next(self.generator.parameters())
        z = randn(self.members, rows, self.latent_dim, dtype=weight.dtype, device=weight.device)
        if c is None:
            return self.generator(z)
        fake = self.generator(torch.cat([z, one_hot(c, self.classes).to(z)], dim=-1))
        number = c.to(fake).reshape(*c.shape, *[1] * (fake.dim() - 2))
        return torch.cat([fake, number.expand(-1, -1, 1, *fake.shape[3:])], dim=2)

    def sample_distance(self, x: Tensor) -> Tensor:
        """Return the energy distance of G's samples to held-out rows, without the number of the class: ``(K,)``."""
        values = slice(None, -1) if self.conditioned else slice(None)
        return energy_distance(x[:, :, values].flatten(2), self.counterparts(x)[:, :, values].flatten(2))

    def sample(self, rows: int) -> Tensor:
        return self.generate(rows, self.draw_classes(rows) if self.conditioned else None)

    def counterparts(self, x: Tensor) -> Tensor:
        """Generate as many samples of the same classes."""
        return self.generate(x.shape[1], class_of(x) if self.conditioned else None)

    def critic_loss(self, x: Tensor) -> Terms:
        """Real, generated and mismatched samples, Reed 2016, algorithm 1."""
        with torch.no_grad():
            fake = self.counterparts(x)
        real, made = self.critic(x), self.critic(fake)
        terms = {"real": softplus(-real.logit).mean(-1), "fake": softplus(made.logit).mean(-1)}
        if self.conditioned:
            wrong_class = self.critic.class_logit(real.features, self.draw_classes(x.shape[1]))
            mismatched = real.logit - self.critic.class_logit(real.features, class_of(x)) + wrong_class
            terms |= {"fake": terms["fake"] / 2, "mismatched": softplus(mismatched).mean(-1) / 2}
        if self.r1_weight:
            terms["r1"] = self.r1_weight * r1_penalty(lambda real: self.critic(real).logit, x)
        return terms

    def generator_loss(self, x: Tensor) -> Terms:
        return {"adversarial": non_saturating_generator(self.critic(self.counterparts(x)).logit)}

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.scorer.fit(features_of(self.critic, normal, self.scorer.size, self.members))
        if self.conditioned:
            weight = next(self.critic.parameters())
            batches = (x.to(weight).expand(self.members, *x.shape) for x in _batches(normal, self.scorer.size))
            location, scale = member_scales(torch.cat([self.parts(x) for x in batches], dim=1).cpu().double().numpy())
            self.location.copy_(torch.from_numpy(location[:, None]))
            self.scale.copy_(torch.from_numpy(np.maximum(scale, LEAST_SCALE)[:, None]))

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        if room := self.scorer.room:
            self.scorer.extend(features_of(self.critic, held_out, room, self.members))

    def parts(self, x: Tensor) -> Tensor:
        """Return the log distance of f(x) to normal rows, and minus log p(c | x) / p(c): ``(2, B)``."""
        features = self.critic(x).features
        distance = self.scorer(features).log()  # (1, B)
        posterior = (self.critic.projection(features) + self.frequency.log()).log_softmax(-1)  # (K, B, classes)
        c = class_of(x)
        misfit = self.frequency[c].log() - chosen(posterior, c)  # (K, B)
        return torch.cat([distance, misfit.mean(0, keepdim=True)])

    def score(self, x: Tensor) -> Tensor:
        if not self.conditioned:
            return self.scorer(self.critic(x).features)
        return ((self.parts(x) - self.location) / self.scale).amax(0, keepdim=True)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.critic(x).logit, self.critic(self.counterparts(x)).logit


def _batches(samples: Samples, most: int) -> Iterator[Tensor]:
    """Yield the first ``most`` samples in batches."""
    rows = np.arange(min(len(samples), most))
    return samples.batches(rows[i : i + ROWS_AT_ONCE] for i in range(0, len(rows), ROWS_AT_ONCE))


class ConditionalGAN(Detector):
    """GAN given a condition; scores what is unusual in itself or unusual for its condition.

    Score: the larger of two, the log distance of f(x) to the nearest normal rows and, by the critic's projection,

    .. math:: -log [ p(c | x) / p(c) ].

    From each its median on normal rows is subtracted, and the difference is divided by the
    distance between this median and the 95th percentile (at least 1). Without a condition the score is the distance.

    Notes
    -----
    *Condition.* A condition is given rather than scored: the merchant's category, the product variant, the camera, the
    network service. ``condition="service"`` names a column of a DataFrame; ``condition="folder"`` takes the name of
    each image's folder; for other data it is passed with the samples, ``Conditioned(X, labels)``, wherever X is
    expected. A class that `fit` did not see, or a missing one, is an error, because nothing is known of what is normal
    there. Samples are drawn with the frequencies of the classes. ``explain`` gives the condition itself no share.

    *Training.* Besides real and generated samples the critic sees real ones with a class drawn at random, which it
    must reject (matching-aware, Reed 2016). Its projection then rises with p(c | x) / p(c), and replaces it in the
    score. Only the differences between classes are used, since the critic's logit of x itself is not a usable score
    (see WGANGP). Features do not see the class, so that a class of few rows is measured with those of all others.

    *Deviations* from Mirza 2014 and Miyato 2018: cross entropy with R1 instead of hinge and spectral norm; averaged
    weights; the weights with the smallest energy distance between samples and held-out normal rows, each given its
    condition, are kept. Scoring takes one pass of the critic and a search in the memory bank.

    References
    ----------
    Mirza, Osindero: Conditional Generative Adversarial Nets. 2014, arXiv:1411.1784. Miyato, Koyama: cGANs with
    Projection Discriminator. ICLR 2018, arXiv:1802.05637. Reed, Akata, Yan, Logeswaran, Schiele, Lee: Generative
    Adversarial Text to Image Synthesis. ICML 2016, arXiv:1605.05396.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from anogan import ConditionalGAN
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"duration": rng.normal(size=200), "service": rng.choice(["http", "dns"], 200)})
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = ConditionalGAN(condition="service", steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "conditional_gan"
    uses_condition = True
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "memory_bank_size": 64}

    condition: str | None = param(
        None,
        Constraint(str, optional=True),
        help="Column of a table that is given rather than scored; 'folder' for pictures in one folder per class.",
    )
    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    r1_weight: float = param(0.1, at_least(0.0), help="Gamma of the R1 penalty on the critic at real samples.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(4096, at_least(2), help="Largest number of normal rows in the memory bank.")
    outlier_iqr: float | None = param(
        1.0,
        at_least(0.0, optional=True),
        help="IQR multiple beyond which training rows are treated as outliers.",
    )

    def make_preprocessor(self, X: Any) -> Preprocessor:
        return preprocessor_for(X, scaling=self.scaling, condition=self.condition, columns=self.columns)

    def build(self, backbone: Backbone) -> GANModule:
        return ConditionalGANModule(
            backbone,
            latent_dim=self.latent_dim,
            r1_weight=self.r1_weight,
            scorer=NearestNeighbourScorer(self.memory_bank_size, self.embedding_dim, self.outlier_iqr),
        )
