"""DenoisingGAN: a critic that undoes corruption, and a generator that chooses it."""

from typing import Any, ClassVar, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ..data.samples import Samples
from ..data.scaling import SCALINGS
from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.distances import mean_l2_squared
from ..nn.backbone import Backbone, Restoration
from ..parameters import at_least, between, one_of, param
from ..scoring.feature_distance import features_of, nearest_distances
from ..scoring.nearest_neighbours import NearestNeighbourScorer
from .base import Detector

MEASURED_ROWS = 2048  # rows whose distances give the bandwidth, at most
MEASURED_VALUES = 2**24  # numbers in them, at most
LEVELS = 8  # of corruption, the first of them none
LEAST_LEVEL = 1.5  # in bandwidths
GREATEST_LEVEL = 2.0  # in units of the scaled data, where normal values spread over about one
LEAST_BANDWIDTH = 0.02  # of rows that are (nearly) all alike
COMPONENTS = ("distance", "level", "noise")


class DenoisingGame(GANModule):
    """R sees a corrupted row and tells how much was added, and what; G chooses what to add.

    x̃ = x + j ε₀ + σ δ, where δ is normal noise or √d G(x, z) / |G(x, z)|.
    """

    expects_equilibrium = False  # R is what scores, and on pictures noise is easy to see

    bandwidth: Tensor  # (1,), s
    levels: Tensor  # (LEVELS,), the values of σ

    def __init__(
        self,
        backbone: Backbone,
        latent_dim: int,
        adversarial_share: float,
        level_weight: float,
        jitter: float,
    ) -> None:
        super().__init__()
        self.critic = backbone.denoising_critic(LEVELS)  # R
        self.corruptor = backbone.corruptor(latent_dim)  # G
        self.members = backbone.members
        self.latent_dim = latent_dim
        self.adversarial_share = adversarial_share
        self.level_weight = level_weight
        self.jitter = jitter
        self.register_buffer("bandwidth", torch.zeros(1))
        self.register_buffer("levels", torch.zeros(LEVELS))
        self.set_bandwidth(1.0)

    def set_bandwidth(self, s: float) -> None:
        """The levels rise geometrically from just above the distance of neighbours to the spread of all rows."""
        least, greatest = LEAST_LEVEL * s, max(GREATEST_LEVEL, 2 * LEAST_LEVEL * s)
        self.bandwidth.fill_(s)
        self.levels[1:] = torch.from_numpy(np.geomspace(least, greatest, LEVELS - 1)).to(self.levels)

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "denoising",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", (self.corruptor,), self.generator_loss),
                ),
                monitor=lambda x: torch.stack([*self.critic_loss(x).values()]).sum(0),
            ),
        )

    def draw_levels(self, x: Tensor) -> Tensor:
        """Which of the `LEVELS` each row gets, evenly: int64 ``(K, B)``."""
        return (torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) * LEVELS).long()

    def direction(self, x: Tensor) -> Tensor:
        """Where G pushes, with a mean square of one: ``(K, B, *shape)`` -> same."""
        z = torch.randn(*x.shape[:2], self.latent_dim, dtype=x.dtype, device=x.device)
        return normalize(self.corruptor(x, z).flatten(2), dim=-1).view_as(x) * x[0, 0].numel() ** 0.5

    def corrupt(self, x: Tensor, level: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """x̃, and what was added in units of its standard deviation: both ``(K, B, *shape)``."""
        jitter = self.jitter * self.bandwidth
        sigma = _per_row(self.levels[level], x)
        added = jitter * torch.randn(x.shape, dtype=x.dtype, device=x.device) + sigma * noise
        return x + added, added / (jitter.square() + sigma.square()).sqrt().clamp_min(torch.finfo(x.dtype).tiny)

    def critic_loss(self, x: Tensor) -> Terms:
        """How badly R tells what was added, and how much."""
        level = self.draw_levels(x)
        noise = torch.randn(x.shape, dtype=x.dtype, device=x.device)
        with torch.no_grad():
            chosen = torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) < self.adversarial_share
            noise = torch.where(_per_row(chosen, x), self.direction(x), noise)
        corrupted, added = self.corrupt(x, level, noise)
        said = self.critic(corrupted)
        wrong_level = cross_entropy(said.level.flatten(0, 1), level.flatten(), reduction="none")
        return {
            "noise": mean_l2_squared(said.noise, added),
            "level": self.level_weight * wrong_level.view_as(level).mean(-1),
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """G hides: the negative of R's error."""
        corrupted, added = self.corrupt(x, self.draw_levels(x), self.direction(x))
        return {"noise": -mean_l2_squared(self.critic(corrupted).noise, added)}

    def sigma(self, said: Restoration) -> Tensor:
        """The σ that R expects: ``(K, B)``, from 0 to the greatest level."""
        return said.level.softmax(-1) @ self.levels

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """R's log odds of no corruption, for rows as they are and for rows that G corrupted at the lowest level."""
        lowest = torch.ones(x.shape[:2], dtype=torch.int64, device=x.device)
        corrupted, _ = self.corrupt(x, lowest, self.direction(x))
        return self.log_odds(x), self.log_odds(corrupted)

    def log_odds(self, x: Tensor) -> Tensor:
        """That nothing was added: ``(K, B)``."""
        level = self.critic(x).level
        return level[..., 0] - level[..., 1:].logsumexp(-1)


class DenoisingGANModule(DenoisingGame):
    """The game among rows, and the distances to the nearest normal ones in R's features."""

    joint = True

    def __init__(self, *args: Any, bank: NearestNeighbourScorer) -> None:
        super().__init__(*args)
        self.bank = bank

    def before_training(self, normal: Samples) -> Samples:
        """Match the corruption to the data: s is the median distance of nearest neighbours, divided by √d."""
        values = normal.batch(np.arange(1))[0].numel()
        rows = normal.batch(np.arange(min(len(normal), MEASURED_ROWS, max(MEASURED_VALUES // values, 2)))).flatten(1)
        nearest = nearest_distances(rows, rows, min(2, len(rows)))[:, -1].median()
        self.set_bandwidth(max(float(nearest) / values**0.5, LEAST_BANDWIDTH))
        return normal

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.bank.fit(features_of(self.critic, normal, self.bank.size, self.members))

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        if len(self.bank.bank) < self.bank.size:
            self.bank.extend(features_of(self.critic, held_out, self.bank.size, self.members))

    def score(self, x: Tensor) -> Tensor:
        return self.bank(self.critic(x).features)

    def components(self, x: Tensor) -> dict[str, Tensor]:
        """What R says of a row, by name of `COMPONENTS`: each ``(K, B)``, or ``(1, B)``."""
        said = self.critic(x)
        spread = said.noise.square().flatten(2).mean(-1).sqrt()
        return dict(zip(COMPONENTS, (self.bank(said.features), self.sigma(said) / self.bandwidth, spread), strict=True))

    def reconstruct(self, x: Tensor) -> Tensor:
        """x without the corruption that R sees in it beyond the jitter of every training row: ``x - σ̂ ε̂``."""
        said = self.critic(x)
        return x - _per_row(self.sigma(said), x) * said.noise


def _per_row(values: Tensor, x: Tensor) -> Tensor:
    """``(K, B)`` in a shape that is broadcast over each row of x ``(K, B, *shape)``."""
    return values.reshape(*values.shape, *[1] * (x.dim() - 2))


class DenoisingGAN(Detector):
    """Adversarial denoising: a critic undoes corruption that a generator chooses; scores distances in its features.

    Score: geometric mean of the distances from f(x) to its nearest normal rows, f the features of all members.

    Notes
    -----
    *Idea.* Nearest neighbours are hard to beat on tables, but they measure with the columns as they are given. A
    network that undoes small corruption of normal rows has to know in which directions normal rows vary and in which
    they do not (its optimum is the gradient of the log density, Vincent 2011), and its features are a space to
    measure in that knows it too.

    *Game.* The critic R sees x̃ = x + j ε₀ + σ δ and tells the level of σ (one of 8, the first zero) and what was
    added, in units of its standard deviation, ε = (x̃ - x) / sqrt(j² + σ²). δ is normal noise or, for half of the rows,
    the choice of a generator: √d G(x, z) / |G(x, z)|, as long as noise. Both play for one quantity::

        min_R max_G  E |R_noise(x̃) - ε|² / d        and R besides:  cross entropy of the level, with weight 0.3

    G finds the directions in which R is still blind. No equilibrium is needed, and none of R's outputs is the score.

    *Bandwidth.* Corruption must suit the data: s is the median distance of nearest neighbours divided by √d. All rows
    are jittered by j = 0.7 s, so that R cannot learn them by heart, and the levels rise geometrically from 1.5 s to 2
    (3 s if that is more), the spread of the scaled data.

    *Score.* The last hidden layers of all members side by side, projected onto their 64 leading principal
    components; in that space the geometric mean of the distances to the 1st, 2nd and 4th nearest normal rows (4th,
    8th, 16th among at most 500). On tables hidden weights start as a random projection that keeps distances, so that
    the space begins as that of the columns. Training rows far from the bulk may be anomalies, so their
    distances are bounded from below (`outlier_iqr`). The rows that set the threshold are added to the memory bank
    afterwards: more rows raise no score, so the promised false-alarm rate holds (and p-values are a little too
    large, rather than too small).
    No row vouches for itself, so that rows of `fit` score like others.

    *Reasons.* ``reconstruct`` is x - σ̂ ε̂: what R sees as corruption is taken away, but for the jitter that every
    training row has. On pictures ``explain`` is |σ̂ ε̂|.

    *Cost.* A training step is one pass of R and G over a batch for each of them; scoring one pass of R and the search
    among at most `memory_bank_size` rows. benchmarks/results/ablation.md has what each part contributes,
    benchmarks/README.md where the method fails.

    References
    ----------
    The method is this package's own. Vincent: A connection between score matching and denoising autoencoders. Neural
    Computation 23 (2011). Loftsgaarden, Quesenberry: A nonparametric estimate of a multivariate density function.
    Annals of Mathematical Statistics 36 (1965).
    """

    name = "denoising_gan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "memory_bank_size": 64}

    latent_dim: int = param(8, at_least(1), help="Size of the noise z that G takes.")
    adversarial_share: float = param(0.5, between(0.0, 1.0), help="Share of the rows whose corruption G chooses.")
    level_weight: float = param(0.3, at_least(0.0), help="Of the level's loss; at 0 reconstructions say nothing.")
    jitter: float = param(0.7, at_least(0.0), help="Noise on every training row, in bandwidths.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(4096, at_least(2), help="Most normal rows that are remembered.")
    outlier_iqr: float | None = param(
        1.0,
        at_least(0.0, optional=True),
        help="Interquartile ranges from which a far training row vouches with reserve.",
    )
    scaling: str = param("soft", one_of(*SCALINGS), help="How numeric columns are brought to one scale.")
    patience: int = param(0, at_least(0), help="Looks at held-out rows without improvement until it stops; 0: never.")

    @property
    def components_(self) -> tuple[str, ...]:
        """Names of what `components` tells."""
        check_is_fitted(self)
        return COMPONENTS

    def components(self, X: Any) -> dict[str, np.ndarray]:
        """What the critic says of each sample, by name: float64 ``(n,)`` each, higher = more unusual.

        ``distance``: the score. ``level``: how much corruption it sees, in bandwidths. ``noise``: root mean square of
        the corruption it sees, in units of its standard deviation; about 1 for a corrupted row.
        """
        samples = self._transform(X)  # says so if this is not fitted
        module = cast(DenoisingGANModule, self.module_)
        parts = [module.components(x) for x in self._batches(samples)]
        return {name: torch.cat([part[name].mean(0) for part in parts]).cpu().double().numpy() for name in COMPONENTS}

    def build(self, backbone: Backbone) -> GANModule:
        bank = NearestNeighbourScorer(self.memory_bank_size, self.embedding_dim, self.outlier_iqr)
        return DenoisingGANModule(
            backbone, self.latent_dim, self.adversarial_share, self.level_weight, self.jitter, bank=bank
        )
