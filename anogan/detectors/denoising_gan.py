"""DenoisingGAN: a critic that removes corruption, and a generator that chooses it."""

from typing import Any, ClassVar, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.samples import Samples
from ..data.scaling import SCALINGS
from ..engine.module import GANModule, Prediction
from ..nn.backbone import Backbone
from ..parameters import at_least, between, one_of, param
from ..scoring.feature_distance import features_of, nearest_distances
from ..scoring.nearest_neighbours import NearestNeighbourScorer
from .base import Detector
from .denoising import DenoisingModule, Restoration, per_row

MEASURED_ROWS = 2048  # rows whose distances determine the bandwidth, at most
MEASURED_VALUES = 2**24  # numbers in them, at most
LEAST_BANDWIDTH = 0.02  # of rows that are (nearly) all equal
COMPONENTS = ("distance", "level", "noise")


class DenoisingGANModule(DenoisingModule):
    """Adversarial denoising of rows, and the distances to the nearest normal rows in R's features."""

    joint = True

    def __init__(self, backbone: Backbone, *, scorer: NearestNeighbourScorer, **training: Any) -> None:
        super().__init__(backbone, **training)
        self.scorer = scorer

    def before_training(self, normal: Samples) -> Samples:
        """Set the bandwidth s: the median distance of nearest neighbours, divided by √d."""
        values = normal.batch(np.arange(1))[0].numel()
        rows = normal.batch(np.arange(min(len(normal), MEASURED_ROWS, max(MEASURED_VALUES // values, 2)))).flatten(1)
        nearest = nearest_distances(rows, rows, min(2, len(rows)))[:, -1].median()
        self.set_bandwidth(max(float(nearest) / values**0.5, LEAST_BANDWIDTH))
        return normal

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        self.scorer.fit(features_of(self.critic, normal, self.scorer.size, self.members))

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        if len(self.scorer.memory_bank) < self.scorer.size:
            self.scorer.extend(features_of(self.critic, held_out, self.scorer.size, self.members))

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        if not with_map:
            return Prediction(self.score(x), None)
        restored = self.critic(x)
        return Prediction(self.scorer(restored.features), (x - self.cleaned(x, restored)).abs())

    def score(self, x: Tensor) -> Tensor:
        return self.scorer(self.critic.features(x))

    def components(self, x: Tensor) -> dict[str, Tensor]:
        """Return R's outputs for each row, by name of `COMPONENTS`: each ``(K, B)`` or ``(1, B)``."""
        restored = self.critic(x)
        distance = self.scorer(restored.features)
        noise = restored.noise.square().flatten(2).mean(-1).sqrt()
        return dict(zip(COMPONENTS, (distance, self.sigma(restored) / self.bandwidth, noise), strict=True))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.cleaned(x, self.critic(x))

    def cleaned(self, x: Tensor, restored: Restoration) -> Tensor:
        """Return x without the corruption that R predicts, ``x - σ̂ ε̂``."""
        return x - per_row(self.sigma(restored), x) * restored.noise


class DenoisingGAN(Detector):
    """Adversarial denoising: a critic removes corruption that a generator chooses; scores distances in its features.

    Score: geometric mean of the distances from f(x) to its nearest normal rows, f the features of all members.

    Attributes
    ----------
    components_ : tuple of str
        Names of the entries that `components` returns.

    Notes
    -----
    *Idea.* Nearest neighbours are a strong baseline on tables, but they measure with the columns as they are given. A
    network that removes small corruption from normal rows has to learn in which directions normal rows vary and in
    which they do not (its optimum is the gradient of the log density, Vincent 2011). Distances between its features
    take these directions into account.

    *Training.* The critic R receives x̃ = x + j ε₀ + σ δ and predicts the level of σ (one of 8, the first is zero) and
    what was added, in units of its standard deviation, ε = (x̃ - x) / sqrt(j² + σ²). δ is normal noise or, for half of
    the rows, the choice of a generator: √d G(x, z) / |G(x, z)|, which is as long as noise. Both optimise one quantity::

        min_R max_G  E |R_noise(x̃) - ε|² / d        and R also:  cross entropy of the level, with weight 0.3

    G finds the directions in which R still errs. Training needs no equilibrium, and none of R's outputs is the score.

    *Bandwidth.* Corruption must suit the data: s is the median distance of nearest neighbours divided by √d. All rows
    are jittered by j = 0.7 s, so that R cannot memorise them, and the levels rise geometrically from 1.5 s to 2
    (3 s if that is more), the spread of the scaled data.

    *Score.* The last hidden layers of all members are concatenated and projected onto their 64 leading principal
    components. In that space the score is the geometric mean of the distances to the 1st, 2nd and 4th nearest normal
    rows (4th, 8th, 16th among at most 500). On tables hidden weights start as a random projection that keeps distances,
    so that the space starts as that of the columns. Training rows far from the bulk may be anomalies, so their
    distances are bounded from below (`outlier_iqr`). The rows that set the threshold are added to the memory bank
    afterwards: more rows raise no score, so the target false-alarm rate holds, and p-values are slightly too large
    rather than too small. A row does not count as its own neighbour, so that rows of `fit` score like others.

    *Reasons.* ``reconstruct`` is x - σ̂ ε̂: the corruption that R predicts is removed, except for the jitter that every
    training row has. On images ``explain`` is |σ̂ ε̂|.

    *Cost.* A training step takes one pass of R and one of G over a batch for each of the two. Scoring takes one pass of
    R and a search among at most `memory_bank_size` rows. benchmarks/results/ablation.md shows what each part
    contributes, benchmarks/README.md where the method fails.

    References
    ----------
    The method is this package's own. Vincent: A connection between score matching and denoising autoencoders. Neural
    Computation 23 (2011). Loftsgaarden, Quesenberry: A nonparametric estimate of a multivariate density function.
    Annals of Mathematical Statistics 36 (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import DenoisingGAN
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = DenoisingGAN(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    >>> detector.components_
    ('distance', 'level', 'noise')
    """

    name = "denoising_gan"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "memory_bank_size": 64}

    latent_dim: int = param(8, at_least(1), help="Size of the noise z that the generator takes.")
    adversarial_share: float = param(
        0.5, between(0.0, 1.0), help="Share of the rows whose corruption the generator chooses."
    )
    level_weight: float = param(
        0.3, at_least(0.0), help="Weight of the level's loss; at 0 reconstructions are meaningless."
    )
    jitter: float = param(0.7, at_least(0.0), help="Noise added to every training row, in bandwidths.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(4096, at_least(2), help="Largest number of normal rows in the memory bank.")
    outlier_iqr: float | None = param(
        1.0,
        at_least(0.0, optional=True),
        help="IQR multiple beyond which training rows are treated as outliers.",
    )
    scaling: str = param("soft", one_of(*SCALINGS), help="How numeric columns are scaled.")
    patience: int = param(
        0, at_least(0), help="Validation checks without improvement after which training stops; 0: never."
    )

    @property
    def components_(self) -> tuple[str, ...]:
        """Names of the entries that `components` returns."""
        check_is_fitted(self)
        return COMPONENTS

    def components(self, X: Any) -> dict[str, np.ndarray]:
        """Return the critic's outputs for each sample, by name: float64 ``(n,)`` each, higher = more unusual.

        ``distance`` is the score. ``level`` is the predicted level of corruption, in bandwidths. ``noise`` is the root
        mean square of the predicted corruption, in units of its standard deviation; about 1 for a corrupted row.

        Raises
        ------
        NotFittedError
            The detector is not fitted.
        """
        samples = self._samples(X)
        module = cast(DenoisingGANModule, self.module_)
        parts = [module.components(x) for x in self.fitted_state.inference.batches(samples)]
        return {name: torch.cat([part[name].mean(0) for part in parts]).cpu().double().numpy() for name in COMPONENTS}

    def build(self, backbone: Backbone) -> GANModule:
        return DenoisingGANModule(
            backbone,
            latent_dim=self.latent_dim,
            adversarial_share=self.adversarial_share,
            level_weight=self.level_weight,
            jitter=self.jitter,
            scorer=NearestNeighbourScorer(self.memory_bank_size, self.embedding_dim, self.outlier_iqr),
        )
