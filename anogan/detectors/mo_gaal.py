"""MO-GAAL: several generators of potential outliers, each aiming for another level of the critic."""

from typing import Any, ClassVar

from torch import Tensor

from ..engine.module import GANModule
from ..nn.backbone import Backbone
from ..parameters import at_least, param
from .base import Detector
from .so_gaal import GAALModule


class MOGAALModule(GAALModule):
    """The generators aim for k quantiles of D on real rows, from its least value up."""

    def targets(self, logit: Tensor) -> list[Tensor]:
        probability = logit.sigmoid()
        return [
            probability.quantile(i / len(self.generators), dim=1, keepdim=True) for i in range(len(self.generators))
        ]


class MOGAAL(Detector):
    """Generators of potential outliers for every level of the critic, so that together they surround the data.

    Score:

    .. math:: A(x) = -log D(x),

    which ranks as the paper's ``1 - D(x)`` but does not round to 1 for all distant rows.

    Notes
    -----
    The i-th of k generators aims for the quantile ``(i - 1) / k`` of D on normal rows, and provides a share of
    the outliers in proportion to ``k + 1 - i``: most lie where D is lowest. Training and deviations are those of
    `SOGAAL`; in addition, the quantiles are those of the batch, and a generator is trained on as many rows as it
    provides to the critic.

    References
    ----------
    Liu, Li, Zhou, Jiang, Sun, Wang, He: Generative Adversarial Active Learning for Unsupervised Outlier Detection. IEEE
    Transactions on Knowledge and Data Engineering 32, 2020, arXiv:1809.10816.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import MOGAAL
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = MOGAAL(steps=20, width=8, n_generators=3, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.anomaly_score(X[:3]).shape
    (3,)
    """

    name = "mo_gaal"
    tiny: ClassVar[dict[str, Any]] = {
        "width": 8,
        "steps": 3,
        "batch_size": 16,
        "latent_dim": 4,
        "critic_steps": 1,
        "n_generators": 3,
    }

    latent_dim: int = param(32, at_least(1), help="Size of the latent z.")
    critic_steps: int = param(10, at_least(1), help="Critic steps for each generator step.")
    n_generators: int = param(10, at_least(1), help="Number of generators of potential outliers, k.")

    def build(self, backbone: Backbone) -> GANModule:
        return MOGAALModule(
            backbone, latent_dim=self.latent_dim, n_generators=self.n_generators, critic_steps=self.critic_steps
        )
