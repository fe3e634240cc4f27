"""SO-GAAL: a generator of potential outliers, from which a critic learns the boundary of the normal rows."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..data.samples import Samples
from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.distances import energy_distance
from ..nn.backbone import Backbone
from ..nn.roles import Corruptor
from ..parameters import at_least, param
from ..seeding import rand, randn
from .base import Detector

MEASURED_ROWS = 4096  # rows whose range is the box, at most
MARGIN = 0.5  # of the range, added at each end


class GAALModule(GANModule):
    """A critic D, and generators that start as uniform noise in a box around the data and learn where D is uncertain.

    The i-th of k generators provides a share of the outliers that falls from k to 1 with i, and aims for the places
    where D has the value that `targets` sets.
    """

    low: Tensor  # (*shape), lower corner of the box
    high: Tensor

    def __init__(self, backbone: Backbone, *, latent_dim: int, n_generators: int, critic_steps: int) -> None:
        super().__init__()
        self.generators = nn.ModuleList(Corruptor(backbone, latent_dim) for _ in range(n_generators))
        self.critic = backbone.critic()
        self.latent_dim = latent_dim
        self.members = backbone.members
        self.critic_steps = critic_steps
        self.register_buffer("low", torch.zeros(backbone.spec.shape))
        self.register_buffer("high", torch.ones(backbone.spec.shape))

    def before_training(self, normal: Samples) -> Samples:
        """Set the box: the range of each value, extended by half of it at both ends."""
        rows = normal.batch(np.arange(min(len(normal), MEASURED_ROWS)))
        low, high = rows.amin(0), rows.amax(0)
        self.low.copy_(low - MARGIN * (high - low))
        self.high.copy_(high + MARGIN * (high - low))
        return normal

    def stages(self) -> tuple[Stage, ...]:
        """The generators stop at the weights whose outliers were nearest to held-out rows; the critic trains on."""
        critic = Phase("critic", (self.critic,), self.critic_loss)
        generators = Phase("generator", tuple(self.generators), self.generator_loss, every=self.critic_steps)
        return (
            Stage("gan", (critic, generators), monitor=self.outlier_distance),
            Stage("critic", (critic,), monitor=lambda x: torch.stack([*self.critic_loss(x).values()]).sum(0)),
        )

    def targets(self, logit: Tensor) -> list[Tensor]:
        """Return each generator's target value of D, given the logits of real rows: ``(K, B)`` -> k of ``(K, 1)``."""
        return [torch.ones_like(logit[:, :1])]

    def noise(self, rows: int) -> Tensor:
        """Draw uniformly from the box: ``(K, rows, *shape)``."""
        dtype, device = self.low.dtype, self.low.device
        share = rand(self.members, rows, *self.low.shape, dtype=dtype, device=device)
        return self.low + (self.high - self.low) * share

    def outliers(self, rows: int) -> list[Tensor]:
        """Generate about ``rows`` outliers u + G_i(u, z), at least one per generator: k of ``(K, b, *shape)``."""
        k = len(self.generators)
        made = []
        for i, generator in enumerate(self.generators):
            u = self.noise(max(1, round(rows * (k - i) / (k * (k + 1) / 2))))
            z = randn(*u.shape[:2], self.latent_dim, dtype=u.dtype, device=u.device)
            made.append(u + generator(u, z))
        return made

    def critic_loss(self, x: Tensor) -> Terms:
        """Liu 2019: -log D(x) - log(1 - D(x̃)), where x̃ are outliers, and noise as the generators started from.

        Without the noise D forgets distant regions as soon as the generators have left them.
        """
        noise, outliers = self.noise(x.shape[1]), torch.cat(self.outliers(x.shape[1]), dim=1)
        logit = self.critic(torch.cat([x, noise, outliers], dim=1)).logit
        real, far, near = logit.split([x.shape[1], noise.shape[1], outliers.shape[1]], dim=1)
        return {
            "real": softplus(-real).mean(-1),
            "noise": softplus(far).mean(-1) / 2,
            "outliers": softplus(near).mean(-1) / 2,
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """Cross-entropy between D(G_i(u)) and its target."""
        targets = self.targets(self.critic(x).logit)
        terms = {}
        for i, (outliers, target) in enumerate(zip(self.outliers(x.shape[1]), targets, strict=True), 1):
            logit = self.critic(outliers).logit
            terms[f"target_{i}"] = (softplus(logit) - target * logit).mean(-1)
        return terms

    def outlier_distance(self, x: Tensor) -> Tensor:
        """Return the energy distance between potential outliers and held-out rows: ``(K,)``."""
        return energy_distance(x.flatten(2), torch.cat(self.outliers(x.shape[1]), dim=1).flatten(2))

    def score(self, x: Tensor) -> Tensor:
        return softplus(-self.critic(x).logit)


class SOGAAL(Detector):
    """A generator of potential outliers near the data, against a critic; scores the critic's loss.

    Score:

    .. math:: A(x) = -log D(x),

    which ranks as the paper's ``1 - D(x)`` but does not round to 1 for all distant rows.

    Notes
    -----
    The generator trains in the first of two stages, then the critic trains alone. As in the authors' code the generator
    starts as the identity on uniform noise and changes slowly, there by a small learning rate, here by
    ``critic_steps``.

    Deviations from the paper: half of the critic's negatives remain noise, since it would forget distant regions once
    the generator collapses; the noise fills twice the range of the data on each axis, since normal rows alone do not
    show how far anomalies lie; outliers are noise plus a change by a network that takes further noise; Adam; averaged
    weights; the stages end by held-out normal rows instead of by eye. Scoring a row takes one pass of the critic.

    References
    ----------
    Liu, Li, Zhou, Jiang, Sun, Wang, He: Generative Adversarial Active Learning for Unsupervised Outlier Detection. IEEE
    Transactions on Knowledge and Data Engineering 32, 2020, arXiv:1809.10816.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import SOGAAL
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = SOGAAL(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "so_gaal"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "critic_steps": 1}

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    critic_steps: int = param(10, at_least(1), help="Critic steps for each generator step.")

    def build(self, backbone: Backbone) -> GANModule:
        return GAALModule(backbone, latent_dim=self.latent_dim, n_generators=1, critic_steps=self.critic_steps)
