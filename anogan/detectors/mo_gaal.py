"""MO-GAAL: several generators of potential outliers, each drawn to another level of the critic."""

from typing import Any, ClassVar

from torch import Tensor

from ..engine.module import GANModule
from ..nn.backbone import Backbone
from ..parameters import at_least, param
from .base import Detector
from .so_gaal import GAALModule


class MOGAALModule(GAALModule):
    """The generators aim for the k quantiles of D on real rows, from its least value up."""

    def targets(self, logit: Tensor) -> list[Tensor]:
        belief = logit.sigmoid()
        return [belief.quantile(i / len(self.generators), dim=1, keepdim=True) for i in range(len(self.generators))]


class MOGAAL(Detector):
    """Generators of potential outliers for every level of the critic, so that together they surround the data.

    Score: ``-log D(x)``, which ranks as the paper's ``1 - D(x)`` but does not round to 1 for all that is far away.

    Notes
    -----
    The i-th of k generators aims for the quantile ``(i - 1) / k`` of D on normal rows, and gives a share of the
    outliers in proportion to ``k + 1 - i``: most come where D believes least. Training and deviations are those of
    `SOGAAL`; besides, the quantiles are the batch's, and a generator is trained on as many rows as it gives to the
    critic.

    References
    ----------
    Liu, Li, Zhou, Jiang, Sun, Wang, He: Generative Adversarial Active Learning for Unsupervised Outlier Detection. IEEE
    Transactions on Knowledge and Data Engineering 32, 2020, arXiv:1809.10816.
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
    critic_steps: int = param(10, at_least(1), help="Critic steps to each generator step.")
    n_generators: int = param(10, at_least(1), help="Generators of potential outliers, k.")

    def build(self, backbone: Backbone) -> GANModule:
        return MOGAALModule(backbone, self.latent_dim, self.n_generators, self.critic_steps)
