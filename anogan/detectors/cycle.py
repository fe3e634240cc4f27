"""The training that both forms of CycleGAN share: two translators, two critics, and a cycle."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import Objective
from ..losses.penalties import gradient_penalty
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..nn.roles import Translator

PENALTY_WEIGHT = 10.0  # of the gradient penalty, Gulrajani 2017 (arXiv:1704.00028), section 4


class CycleModule(GANModule):
    """G translates unlabelled samples to normal ones, F normal ones to anomalous ones; each side has a critic.

    Parameters
    ----------
    backbone : Backbone
        Makes G and the critics.
    anomalous_network : Module
        F.
    cycle_weight, identity_weight : float
        Weights of the two reconstruction losses.
    """

    objective: ClassVar[Objective]

    def __init__(
        self, backbone: Backbone, anomalous_network: nn.Module, *, cycle_weight: float, identity_weight: float
    ) -> None:
        super().__init__()
        self.to_normal = self.new_translator(backbone)  # G
        self.anomalous_network = anomalous_network  # F
        self.critic_normal = self.new_critic(backbone)
        self.critic_unlabeled = self.new_critic(backbone)
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "cycle",
                (
                    Phase("critic", (self.critic_normal, self.critic_unlabeled), self.critic_loss),
                    Phase("generator", (self.to_normal, self.anomalous_network), self.generator_loss),
                ),
                monitor=self.held_out_loss,
                betas=self.objective.betas,
            ),
        )

    @staticmethod
    def new_translator(backbone: Backbone) -> nn.Module:
        """Return a network that translates to one side."""
        return Translator(backbone)

    @staticmethod
    def new_critic(backbone: Backbone) -> nn.Module:
        """Return a critic of one side."""
        return backbone.patch_critic()

    @abstractmethod
    def draw_unlabeled(self, x: Tensor) -> Tensor:
        """Draw as many samples of the unlabelled set as x has."""

    def to_anomalous(self, x: Tensor) -> Tensor:
        """Apply F."""
        return self.anomalous_network(x)

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance between samples that should be equal: ``(K,)``."""

    @abstractmethod
    def held_out_loss(self, x: Tensor) -> Tensor:
        """Return the loss that early stopping monitors: ``(K,)``."""

    def critic_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 1 for both directions, with another objective instead of logarithms (section 4)."""
        y = self.draw_unlabeled(x)
        with torch.no_grad():
            made_normal, made_anomalous = self.to_normal(y), self.to_anomalous(x)
        normal, translated = critique_both(self.critic_normal, x, made_normal)
        unlabeled, anomalous = critique_both(self.critic_unlabeled, y, made_anomalous)
        terms = {
            "normal": self.objective.critic(normal.logit.flatten(1), translated.logit.flatten(1)),
            "unlabeled": self.objective.critic(unlabeled.logit.flatten(1), anomalous.logit.flatten(1)),
        }
        if self.objective.penalised:
            of_normal = gradient_penalty(lambda between: self.critic_normal(between).logit, x, made_normal)
            of_unlabeled = gradient_penalty(lambda between: self.critic_unlabeled(between).logit, y, made_anomalous)
            terms["gradient_penalty"] = PENALTY_WEIGHT * (of_normal + of_unlabeled)
        return terms

    def generator_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 3: two adversarial losses, the cycle of normal samples (half of eq. 2), identity (5.2)."""
        y = self.draw_unlabeled(x)
        made_normal, made_anomalous = self.to_normal(y), self.to_anomalous(x)
        return {
            "normal": self.objective.generator(self.critic_normal(made_normal).logit.flatten(1)),
            "unlabeled": self.objective.generator(self.critic_unlabeled(made_anomalous).logit.flatten(1)),
            "cycle": self.cycle_weight * self.distance(x, self.to_normal(made_anomalous)),
            "identity": self.identity_weight * self.identity(x, y),
        }

    def identity(self, x: Tensor, y: Tensor) -> Tensor:
        """Return how much the generators change samples that are of the target kind already: ``(K,)``."""
        return self.distance(x, self.to_normal(x))
