"""ConditionalGAN: normal given its context, by a critic that is also shown normal samples in the wrong one."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from ..data.samples import Samples
from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import non_saturating_generator
from ..losses.distances import energy_distance
from ..losses.penalties import r1_penalty
from ..nn.backbone import Backbone, Critique
from ..nn.layers import batched_linear
from ..parameters import Constraint, at_least, param
from ..scoring.calibration import member_scales
from ..scoring.feature_distance import features_of
from ..scoring.nearest_neighbours import NearestNeighbourScorer
from .base import Detector

ROWS_AT_ONCE = 256
LEAST_SCALE = 1.0  # nats; a log ratio that hardly varies among normal rows is no evidence below that


class ProjectionCritic(nn.Module):
    """psi(f(x)) + <v_c, f(x)>, Miyato 2018 (figure 1d); f and psi are the backbone's critic.

    ``(K, B, C + 1, ...)``, the class as the last entry of axis 2, -> `Critique`. Without classes it is that critic.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.critic = backbone.critic()
        self.classes = backbone.spec.classes
        if self.classes:
            nothing = torch.zeros(backbone.members, 1, *backbone.spec.shape)
            self.projection = batched_linear(backbone.members, self.critic(nothing).features.shape[-1], self.classes)
            nn.init.zeros_(self.projection.weight)  # a class of which nothing is learned stays without a say
            nn.init.zeros_(self.projection.bias)

    def forward(self, x: Tensor) -> Critique:
        if not self.classes:
            return self.critic(x)
        judged = self.critic(x[:, :, :-1])
        return Critique(judged.logit + self.suits(judged.features, class_of(x)), judged.features)

    def suits(self, features: Tensor, c: Tensor) -> Tensor:
        """<v_c, f(x)>: ``(K, B)``."""
        return _chosen(self.projection(features), c)


class ConditionalGANModule(GANModule):
    """G(z, c) against D(x, c); D also sees (x, c') with a class drawn at random.

    D's projection says whether x suits its context: against misplaced rows alone its optimum would be the log ratio
    p(c | x) / p(c); generated ones, which suit theirs, pull it towards zero, so that it is a bounded version of it.
    A bank of f(x) says whether x is unusual in any.
    """

    joint = True
    frequency: Tensor  # (classes,), p(c)
    location: Tensor  # (2, 1), of both parts of the score
    scale: Tensor  # (2, 1)

    def __init__(self, backbone: Backbone, latent_dim: int, r1_weight: float, bank: NearestNeighbourScorer) -> None:
        super().__init__()
        self.classes = backbone.spec.classes
        self.conditioned = self.classes > 0
        self.generator = backbone.decoder(latent_dim + self.classes)
        self.critic = ProjectionCritic(backbone)
        self.bank = bank
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
        """By their frequency: int64 ``(K, rows)``."""
        uniform = torch.rand(self.members, rows, dtype=self.frequency.dtype, device=self.frequency.device)
        return torch.bucketize(uniform, self.frequency.cumsum(0)[:-1])

    def generate(self, rows: int, c: Tensor | None) -> Tensor:
        """G(z, c) with its class: ``(K, rows, C + 1, ...)``, or ``(K, rows, C, ...)`` without a condition."""
        weight = next(self.generator.parameters())
        z = torch.randn(self.members, rows, self.latent_dim, dtype=weight.dtype, device=weight.device)
        if c is None:
            return self.generator(z)
        fake = self.generator(torch.cat([z, one_hot(c, self.classes).to(z)], dim=-1))
        number = c.to(fake).reshape(*c.shape, *[1] * (fake.dim() - 2))
        return torch.cat([fake, number.expand(-1, -1, 1, *fake.shape[3:])], dim=2)

    def sample_distance(self, x: Tensor) -> Tensor:
        """How far G's samples are from held-out rows, as distributions: ``(K,)``. A class's number is no coordinate."""
        values = slice(None, -1) if self.conditioned else slice(None)
        return energy_distance(x[:, :, values].flatten(2), self.counterparts(x)[:, :, values].flatten(2))

    def sample(self, rows: int) -> Tensor:
        return self.generate(rows, self.draw_classes(rows) if self.conditioned else None)

    def counterparts(self, x: Tensor) -> Tensor:
        """As many generated samples, of the same classes."""
        return self.generate(x.shape[1], class_of(x) if self.conditioned else None)

    def critic_loss(self, x: Tensor) -> Terms:
        """Of real, generated and misplaced samples, Reed 2016, algorithm 1."""
        with torch.no_grad():
            fake = self.counterparts(x)
        real, made = self.critic(x), self.critic(fake)
        terms = {"real": softplus(-real.logit).mean(-1), "fake": softplus(made.logit).mean(-1)}
        if self.conditioned:
            elsewhere = self.critic.suits(real.features, self.draw_classes(x.shape[1]))
            misplaced = real.logit - self.critic.suits(real.features, class_of(x)) + elsewhere
            terms |= {"fake": terms["fake"] / 2, "misplaced": softplus(misplaced).mean(-1) / 2}
        if self.r1_weight:
            terms["r1"] = self.r1_weight * r1_penalty(lambda real: self.critic(real).logit, x)
        return terms

    def generator_loss(self, x: Tensor) -> Terms:
        return {"adversarial": non_saturating_generator(self.critic(self.counterparts(x)).logit)}

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.bank.fit(features_of(self.critic, normal, self.bank.size, self.members))
        if self.conditioned:
            weight = next(self.critic.parameters())
            batches = (x.to(weight).expand(self.members, *x.shape) for x in _batches(normal, self.bank.size))
            location, scale = member_scales(torch.cat([self.parts(x) for x in batches], dim=1).cpu().double().numpy())
            self.location.copy_(torch.from_numpy(location[:, None]))
            self.scale.copy_(torch.from_numpy(np.maximum(scale, LEAST_SCALE)[:, None]))

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        if len(self.bank.bank) < self.bank.size:
            self.bank.extend(features_of(self.critic, held_out, self.bank.size, self.members))

    def parts(self, x: Tensor) -> Tensor:
        """Log distance of f(x) to normal rows, and minus log p(c | x) / p(c): ``(2, B)``."""
        features = self.critic(x).features
        distance = self.bank(features).log()  # (1, B)
        posterior = (self.critic.projection(features) + self.frequency.log()).log_softmax(-1)  # (K, B, classes)
        c = class_of(x)
        misfit = self.frequency[c].log() - _chosen(posterior, c)  # (K, B)
        return torch.cat([distance, misfit.mean(0, keepdim=True)])

    def score(self, x: Tensor) -> Tensor:
        if not self.conditioned:
            return self.bank(self.critic(x).features)
        return ((self.parts(x) - self.location) / self.scale).amax(0, keepdim=True)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.critic(x).logit, self.critic(self.counterparts(x)).logit


def class_of(x: Tensor) -> Tensor:
    """The class of each sample, the last entry along axis 2: ``(K, B, C + 1, ...)`` -> int64 ``(K, B)``."""
    return x[:, :, -1:].flatten(2)[..., 0].long()


def _chosen(values: Tensor, c: Tensor) -> Tensor:
    """``(K, B, classes)`` at the classes ``(K, B)``."""
    return values.gather(-1, c.unsqueeze(-1)).squeeze(-1)


def _batches(samples: Samples, most: int) -> Iterator[Tensor]:
    """The first ``most`` samples, some at a time."""
    rows = np.arange(min(len(samples), most))
    return samples.batches(rows[i : i + ROWS_AT_ONCE] for i in range(0, len(rows), ROWS_AT_ONCE))


class ConditionalGAN(Detector):
    """GAN given a condition; scores what is unusual in itself or unusual for its context.

    Score: the larger of two, ``log distance(f(x))`` to the nearest normal rows and ``-log p(c | x) / p(c)`` by the
    critic's projection, each from its median on normal rows and in units of what lies between that and its 95th
    percentile (at least 1). Without a condition the distance alone, as it is.

    Notes
    -----
    *Condition.* What is given and not judged: the merchant's category, the product variant, the camera, the network
    service. ``condition="service"`` names a column of a DataFrame; ``condition="folder"`` takes the name of each
    picture's folder; for other data it comes with the samples, ``Conditioned(X, labels)``, wherever X is asked for.
    A class that `fit` did not see, or a missing one, is an error: nothing is known of what is normal there. Samples
    are drawn with the frequencies of the classes. In ``explain`` the condition itself has no part.

    *Game.* Besides real and generated samples the critic sees real ones with a class drawn at random, which it has to
    reject (matching-aware, Reed 2016). Its projection then rises with p(c | x) / p(c), and stands for it in the score;
    only the differences between classes are used, since what the critic says of x itself is not a usable score (see
    WGANGP). Features do not see the class, so that a class of few rows is measured with those of all others, and says
    little by itself.

    *Deviations* from Mirza 2014 and Miyato 2018: cross entropy with R1 instead of hinge and spectral norm; averaged
    weights; the best weights by the energy distance of samples to held-out normal rows, each in its context, are kept.
    Scoring costs one pass of the critic and a search in the bank.

    References
    ----------
    Mirza, Osindero: Conditional Generative Adversarial Nets. 2014, arXiv:1411.1784. Miyato, Koyama: cGANs with
    Projection Discriminator. ICLR 2018, arXiv:1802.05637. Reed, Akata, Yan, Logeswaran, Schiele, Lee: Generative
    Adversarial Text to Image Synthesis. ICML 2016, arXiv:1605.05396.
    """

    name = "conditional_gan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "memory_bank_size": 64}

    condition: str | None = param(
        None,
        Constraint(str, optional=True),
        help="Column of a table that is given, not judged; 'folder' for pictures in a folder for each class.",
    )
    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    r1_weight: float = param(0.1, at_least(0.0), help="Gamma of the R1 penalty on the critic at real samples.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(4096, at_least(2), help="Most normal rows that are remembered.")
    outlier_iqr: float | None = param(
        1.0,
        at_least(0.0, optional=True),
        help="Interquartile ranges from which a far training row vouches with reserve.",
    )

    def build(self, backbone: Backbone) -> GANModule:
        bank = NearestNeighbourScorer(self.memory_bank_size, self.embedding_dim, self.outlier_iqr)
        return ConditionalGANModule(backbone, self.latent_dim, self.r1_weight, bank)
