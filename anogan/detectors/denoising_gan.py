"""DenoisingGAN: a critic that removes corruption, a generator that chooses it, and views of rows that are fused."""

from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.samples import Samples
from ..data.scaling import SCALINGS
from ..engine.folds import number_of_folds
from ..engine.module import GANModule, Prediction
from ..nn.backbone import Backbone
from ..parameters import at_least, between, one_of, param
from ..scoring.feature_distance import VALUES_AT_ONCE, features_of, nearest_distances
from ..scoring.nearest_neighbours import NearestNeighbourScorer
from ..scoring.row_probes import row_probes
from ..scoring.view_fusion import ViewFusion, separation
from ..scoring.views import VIEWS, RowViews
from .base import Detector
from .denoising import DenoisingModule, per_row

MEASURED_ROWS = 2048  # rows whose distances determine the bandwidth, at most
MEASURED_VALUES = 2**24  # numbers in them, at most
LEAST_BANDWIDTH = 0.02  # of rows that are (nearly) all equal
CALIBRATED_ROWS = 4096  # training rows whose scores turn those of others into p-values, at most
FOLDS = 4  # parts of the rows, of which one at a time is left out where synthetic anomalies are made
PROBED_ROWS = 1024  # rows of which synthetic anomalies are made, about
FEWEST_PROBED = 8  # rows of which some are made
CRITIC_VIEWS = {
    "distance": "distance to the nearest normal rows in the critics' features",
    "level": "how much corruption the critics see",
}


class DenoisingGANModule(DenoisingModule):
    """Adversarial denoising of rows; views of R's features and of the columns, fused."""

    joint = True

    def __init__(
        self, backbone: Backbone, *, scorer: NearestNeighbourScorer, keeps_rows: bool, **training: Any
    ) -> None:
        super().__init__(backbone, **training)
        self.scorer = scorer
        self.spec = backbone.spec
        self.has_columns = backbone.geometry.has_columns
        if self.has_columns:
            self.views = RowViews(scorer.size, self.spec, keeps_rows=keeps_rows)
            self.fusion = ViewFusion()

    def before_training(self, normal: Samples) -> Samples:
        """Set the bandwidth s: the median distance of nearest neighbours, divided by √d."""
        values = normal.batch(np.arange(1))[0].numel()
        rows = normal.batch(np.arange(min(len(normal), MEASURED_ROWS, max(MEASURED_VALUES // values, 2)))).flatten(1)
        nearest = nearest_distances(rows, rows, min(2, len(rows)))[:, -1].median()
        self.set_bandwidth(max(float(nearest) / values**0.5, LEAST_BANDWIDTH))
        self.folds = number_of_folds(len(normal), self.members) if self.has_columns else 0
        return normal

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        # The rows come in random order.
        features = features_of(self.critic, normal, self.scorer.size, self.members)
        if not self.has_columns:
            self.scorer.fit(features)
            return
        known = normal.batch(np.arange(features.shape[1])).to(self.bandwidth)
        probe_auroc = self._probe_auroc(known, features)
        inside = self._learn(known, features)
        rows = known[:CALIBRATED_ROWS]
        of_critics, of_columns = self.fusion.weights.split([len(CRITIC_VIEWS), len(VIEWS)])
        prior = torch.cat([of_critics / of_critics.sum(), of_columns / of_columns.sum()])  # half to the critics' views
        self.fusion.fit(self._scores(rows, self._new_to(rows), inside[: len(rows)]), probe_auroc, prior)

    def _new_to(self, rows: Tensor) -> Tensor:
        """Return the member that each of the first training rows ``(n, d)`` is new to, if there is one: ``(n,)``."""
        return torch.arange(len(rows), device=rows.device) % max(self.folds, 1)

    def _learn(self, rows: Tensor, features: Tensor) -> Tensor:
        """Let all views learn from rows ``(n, d)`` and their features; return which rows are no outliers: ``(n,)``."""
        self.scorer.fit(features)
        inside = self.scorer.least == 0  # a row near an outlier is not normal for that reason
        self.views.fit(rows[inside])
        available = [True, self.folds > 0, *self.views.available()]
        self.fusion.weights = torch.tensor(available, device=rows.device).to(rows)  # for the scores that weigh them
        return inside

    def _probe_auroc(self, rows: Tensor, features: Tensor) -> Tensor:
        """Return the AUROC with which each view separates synthetic anomalies from normal rows: ``(views,)``.

        Anomalies are made of rows that the views have not learned from, since a distance would otherwise find the very
        row that an anomaly is made of. Small tables take each fold in turn, larger ones as many as are needed.
        """
        if len(rows) < FEWEST_PROBED:
            return rows.new_full((len(CRITIC_VIEWS) + len(VIEWS),), 0.5)
        number = self.folds or FOLDS
        fold, member = torch.arange(len(rows), device=rows.device) % number, self._new_to(rows)
        found = []
        for part in range(min(number, -(-PROBED_ROWS * number // len(rows)))):
            new = fold == part
            self._learn(rows[~new], features[:, ~new])
            fresh, its_member = rows[new][:PROBED_ROWS], member[new][:PROBED_ROWS]
            made = row_probes(fresh, self.spec, torch.Generator().manual_seed(part))
            normal = self._scores(fresh, its_member)
            found += [separation(normal, self._scores(probe, its_member)) for probe in made]
        return torch.stack(found).mean(0)

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        known, room = len(self.scorer.memory_bank), self.scorer.room
        if not room:
            return
        self.scorer.extend(features_of(self.critic, held_out, room, self.members))
        if self.has_columns:
            inside = self.scorer.least[known:] == 0
            self.views.extend(held_out.batch(np.arange(len(inside))).to(self.bandwidth)[inside])

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        if not with_map:
            return Prediction(self.score(x), None)
        return Prediction(self.score(x), (x - self.reconstruct(x)).abs())

    def score(self, x: Tensor) -> Tensor:
        if not self.has_columns:
            return self.scorer(self.critic.features(x))
        return self.fusion(self.view_scores(x))[None]

    def view_scores(self, x: Tensor, fold: Tensor | None = None, own: Tensor | None = None) -> Tensor:
        """Return the score of each row by each view that has a weight: ``(K, B, d)`` -> ``(views, B)``.

        For training rows, ``fold (B,)`` is the member to which the row is new, whose level counts instead of the mean
        over members, and ``own (B,)`` is that of `RowViews`.
        """
        if not torch.compiler.is_exporting():  # a graph has no numbers before it runs; those of the last call hold
            self._wanted = (self.fusion.weights > 0).tolist()
        wanted = self._wanted
        features = self.critic.features(x)
        critics = x.new_zeros(len(CRITIC_VIEWS), x.shape[1])
        if wanted[0]:
            critics[0] = self.scorer(features)[0]
        if wanted[1]:
            level = self.sigma(self.critic.level(features)) / self.bandwidth
            critics[1] = level.mean(0) if fold is None else level.gather(0, fold[None])[0]
        return torch.cat([critics, self.views(x[0], wanted[len(CRITIC_VIEWS) :], own)])

    def _scores(self, rows: Tensor, *known: Tensor) -> Tensor:
        """Return `view_scores` of rows ``(n, d)``, computed in batches."""
        size = max(VALUES_AT_ONCE // (rows.shape[1] * self.members), 1)
        batches = zip(*(tensor.split(size) for tensor in (rows, *known)), strict=True)
        return torch.cat([self.view_scores(x.expand(self.members, *x.shape), *rest) for x, *rest in batches], dim=1)

    @torch.no_grad()
    def evidence(self, x: Tensor) -> Tensor:
        """Return -log p of each view: ``(K, B, *shape)`` -> ``(views, B)``; for images the score."""
        if not self.has_columns:
            return self.score(x)
        return self.fusion.evidence(self.view_scores(x)) * (self.fusion.weights > 0)[:, None]

    def summary(self) -> pd.DataFrame:
        """Return `DenoisingGAN.components_`."""
        if not self.has_columns:
            return pd.DataFrame(
                {"view": ["distance"], "probe_auroc": [np.nan], "weight": [1.0], "looks_at": [CRITIC_VIEWS["distance"]]}
            )
        views = CRITIC_VIEWS | VIEWS
        return pd.DataFrame(
            {
                "view": list(views),
                "probe_auroc": self.fusion.probe_auroc.tolist(),
                "weight": self.fusion.weights.tolist(),
                "looks_at": list(views.values()),
            }
        )

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return x without the corruption that R predicts, ``x - σ̂ ε̂``."""
        restored = self.critic(x)
        return x - per_row(self.sigma(restored.level), x) * restored.noise


class DenoisingGAN(Detector):
    """Adversarial denoising: several views of a row, among them a critic's, weighted by synthetic anomalies.

    Score: with p-values p_k of the views and weights w_k that add up to 1,

    .. math:: A(x) = log ∑_k w_k / p_k(x),

    which is -log of their weighted harmonic mean; for images the distance in the critic's features.

    Attributes
    ----------
    components_ : DataFrame
        One row for each view: ``view``, its name; ``probe_auroc``, how well it separates normal rows from synthetic
        anomalies; ``weight``, its share in the score, zero if it is not computed; ``looks_at``, in words. Images have
        one view.

    Notes
    -----
    *Idea.* No scaling and no distance is right for all tables, and nothing but labels says for certain which is right
    for one. What works without labels is to bring several views to one scale, that of p-values, and to let any view
    speak that is confident. Two views come from a critic that is trained adversarially, seven need no network.

    *Training.* A network that removes small corruption from normal rows has to learn in which directions these vary and
    in which they do not (its optimum is the gradient of the log density, Vincent 2011). The critic R receives
    x̃ = x + j ε₀ + σ δ and predicts the level of σ (one of 8, the first is zero) and what was added, in units of its
    standard deviation, ε = (x̃ - x) / sqrt(j² + σ²). δ is normal noise or, for half of the rows, the choice of a
    generator: ``√d G(x, z) / |G(x, z)|``, which is as long as noise. Both optimise one quantity, in one pass whose
    gradient is reversed on its way from R to G (Ganin, Lempitsky 2015)::

        min_R max_G  E |R_noise(x̃) - ε|² / d  +  0.3 (cross entropy of R's level)

    G finds the directions in which R still errs. Training needs no equilibrium.

    *Bandwidth.* Corruption must suit the data: s is the median distance of nearest neighbours divided by √d. All rows
    are jittered by j = 0.7 s, so that R cannot memorise them, and the levels rise geometrically from 1.5 s to 2
    (3 s if that is more), the spread of the scaled data.

    *Views of R.* ``distance``: the last hidden layers of all members are concatenated and projected onto their 32
    leading principal components. In that space it is the geometric mean of the distances to the nearest of all normal
    rows, of each half and of each quarter of them (of 4, 8 and 16 parts, if there are at most 500). On tables hidden
    weights start as a random projection that keeps distances, so that the space starts as that of the columns.
    ``level``: R's expectation of σ.

    *Views of the columns.* The distance to the nearest normal row: of the scaled columns, those of few values as
    categories (``nearest``), of columns by ``ranks``, and of ``whitened ranks``; the distance to the nearest of √n of
    the n rows (``coarse ranks``); the improbability of each value in its own column on either side (``tails``) or on
    one (``low tails``, ``high tails``), summed over columns.

    *Fusion.* The p-value of a view is the share of training rows that score at least as high; none of them counts as
    its own neighbour, and each member of the ensemble trains without a part of them, whose level it predicts (an
    ensemble of one has no such part, and no ``level``).
    The harmonic mean is dominated by the smallest p-values. Before any evidence R's views have half of the weight,
    and those of the columns share the other half. This is multiplied by exp(10 a), a the view's mean AUROC on three
    kinds of synthetic anomalies: mixtures of two rows, one column swapped, some values just beyond their range. They
    are made of rows that the views have not learned from. Fixed recipes do so as well as what generators make
    (benchmarks/results/fusion.md).

    *When training pays.* On ADBench's tables it is worth 1.3 points of AUROC over untrained critics, and the critics'
    views 1.9. On OddBench's it raises AUPR and not AUROC (benchmarks/results/ablation.md).

    *Outliers.* Training rows far from the bulk may be anomalies. Their distances in R's features are bounded from below
    (`outlier_iqr`), and the other views do not learn from them.

    *Threshold.* Rows that are held out set it, and are then added to the memory banks: more rows raise no score, so the
    target false-alarm rate holds, and p-values are slightly too large rather than too small.

    *Reasons.* ``reconstruct`` is x - σ̂ ε̂: the corruption that R predicts is removed, except for the jitter that every
    training row has. On images ``explain`` is ``|σ̂ ε̂|``.

    *Privacy.* With ``keep_rows=0`` the model holds no rows, and views that compare a row's columns with those of normal
    rows are left out.

    References
    ----------
    The method is this package's own. Vincent: A connection between score matching and denoising autoencoders. Neural
    Computation 23 (2011). Ganin, Lempitsky: Unsupervised domain adaptation by backpropagation. ICML 2015,
    arXiv:1409.7495. Loftsgaarden, Quesenberry: A nonparametric estimate of a multivariate density function. Annals of
    Mathematical Statistics 36 (1965). Pang, Ting, Albrecht: LeSiNN: Detecting anomalies by identifying least similar
    nearest neighbours. ICDM Workshops 2015. Wilson: The harmonic mean p-value for combining dependent tests. PNAS 116
    (2019). Li, Zhao, Hu, Botta, Ionescu, Chen: ECOD, arXiv:2201.00382 (tails of columns).

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import DenoisingGAN
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = DenoisingGAN(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    >>> detector.components_["view"].tolist()[:3]
    ['distance', 'level', 'nearest']
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
    embedding_dim: int = param(32, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(16384, at_least(2), help="Largest number of normal rows in the memory bank.")
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
    def components_(self) -> pd.DataFrame:
        """The views of rows, with the weights that they have in this model's score."""
        check_is_fitted(self)
        return cast(DenoisingGANModule, self.module_).summary()

    def components(self, X: Any) -> dict[str, np.ndarray]:
        """Return what each view says of each sample, by the names of `components_`: float64 ``(n,)`` each.

        For rows these are -log p, where p is the share of normal rows that are at least as unusual for this view, and
        zero for views without weight; for images, the distance.

        Raises
        ------
        NotFittedError
            The detector is not fitted.
        """
        samples = self._samples(X)
        module = cast(DenoisingGANModule, self.module_)
        parts = torch.cat(self.fitted_state.inference.each(samples, module.evidence), dim=1)
        return dict(zip(self.components_["view"], parts.cpu().double().numpy(), strict=True))

    def build(self, backbone: Backbone) -> GANModule:
        return DenoisingGANModule(
            backbone,
            latent_dim=self.latent_dim,
            adversarial_share=self.adversarial_share,
            level_weight=self.level_weight,
            jitter=self.jitter,
            scorer=NearestNeighbourScorer(self.memory_bank_size, self.embedding_dim, self.outlier_iqr),
            keeps_rows=self.keep_rows > 0,
        )
