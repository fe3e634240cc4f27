"""
A detector of your own
======================

A detector is one file: a module with the networks, the losses and the score, and an estimator with the parameters. Input
checks, tables, training, thresholds, reasons, saving and the command line come with the base class.
"""

from typing import ClassVar

import anogan
from anogan.engine.module import GANModule, Phase, Stage
from anogan.losses.adversarial import cross_entropy_critic, non_saturating_generator
from anogan.losses.distances import l2_squared, mean_l2_squared
from anogan.parameters import at_least, param


class BottleneckModule(GANModule):
    """An autoencoder G with a narrow middle, against a critic D."""

    def __init__(self, backbone, code_dim):
        super().__init__()
        self.generator = backbone.hourglass(bottleneck=code_dim)
        self.critic = backbone.critic()

    def stages(self):
        phases = (
            Phase("critic", (self.critic,), self.critic_loss),
            Phase("generator", (self.generator,), self.generator_loss),
        )
        return (Stage("gan", phases, monitor=lambda x: mean_l2_squared(self.reconstruct(x), x)),)

    def critic_loss(self, x):
        return {"adversarial": cross_entropy_critic(*self.critic_logits(x))}

    def generator_loss(self, x):
        fake = self.reconstruct(x)
        return {
            "adversarial": non_saturating_generator(self.critic(fake).logit),
            "reconstruction": mean_l2_squared(fake, x),
        }

    def critic_logits(self, x):
        return self.critic(x).logit, self.critic(self.reconstruct(x)).logit

    def reconstruct(self, x):
        return self.generator(x)[0]

    def score(self, x):
        return l2_squared(self.reconstruct(x), x)


class Bottleneck(anogan.Detector):
    """An autoencoder with a narrow middle.

    Score: squared error of the reconstruction.
    """

    name = "bottleneck"
    tiny: ClassVar = {"width": 8, "steps": 3, "batch_size": 16}  # settings for tests, which train in no time

    code_dim: int = param(3, at_least(1), help="Size of the middle.")

    def build(self, backbone):
        return BottleneckModule(backbone, self.code_dim)


# %%
# It is used as all others are, with everything that they have.
import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

X, benign = load_breast_cancer(return_X_y=True, as_frame=True)
normal = X[benign == 1][:300]
new = X.drop(normal.index)
detector = Bottleneck(steps=300, target_fpr=0.05, random_state=0).fit(normal)
print(detector.reasons(new[:1], count=3)["text"].to_list())
anogan.ScoreDisplay.from_estimator(detector, new, 1 - benign[new.index])
plt.gcf().set_size_inches(7, 3.5)
plt.gcf().set_layout_engine("constrained")

# %%
# In a package of your own, an entry point in the group ``anogan.detectors`` makes ``anogan fit --detector bottleneck``
# work, and ``anogan.testing.check_detector`` runs the contract that all detectors keep.
