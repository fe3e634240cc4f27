"""The optimisation steps of a stage's phases. No other code computes gradients of weights or changes them."""

import torch
from torch import Tensor

from ..errors import InputError, TrainingDivergedError
from .module import GANModule, Phase, Stage
from .settings import TrainerSettings


class PhaseSteps:
    """The phases of a stage with their weights and optimisers.

    All weights of the module are frozen, but for those of a phase while it takes its step.

    Parameters
    ----------
    module : GANModule
    stage : Stage
        One of the module's.
    settings : TrainerSettings
    members : int

    Attributes
    ----------
    optimizers : dict of tuple of Module to Optimizer
        One for each group of networks that a phase trains.

    Raises
    ------
    InputError
        The budget is too small for a phase to take a step.
    """

    def __init__(self, module: GANModule, stage: Stage, settings: TrainerSettings, members: int) -> None:
        self.stage, self.settings, self.members = stage, settings, members
        for phase in stage.phases:
            if phase.every > settings.steps and not phase.lazy:
                raise InputError(
                    f"steps={settings.steps} gives phase '{phase.name}' no step: it takes one in "
                    f"{phase.every}. Raise steps, or lower critic_steps."
                )
        module.requires_grad_(False)
        self.weights = [[w for net in phase.networks for w in net.parameters()] for phase in stage.phases]
        self.optimizers = {
            phase.networks: torch.optim.Adam(weights, lr=self._rate(phase), betas=stage.betas, fused=True)
            for phase, weights in zip(stage.phases, self.weights, strict=True)
        }

    def run(self, x: Tensor, step: int, *, log: bool) -> dict[str, float] | None:
        """Run the phases of one training iteration on a batch ``(K, B, *shape)``.

        Returns the logged terms if asked for.

        Raises
        ------
        TrainingDivergedError
            A loss is not finite; the message names phase and step.
        """
        logged: dict[str, float] = {}
        for phase, weights in zip(self.stage.phases, self.weights, strict=True):
            if not phase.runs_at(step):
                continue
            optimizer = self.optimizers[phase.networks]
            for weight in weights:
                weight.requires_grad_(True)
            terms = phase.loss(x)
            total = torch.stack([term.sum() for term in terms.values()]).sum()
            if not torch.isfinite(total):
                raise TrainingDivergedError(
                    f"The loss of phase '{phase.name}' is not finite at step {step} of stage "
                    f"'{self.stage.name}'. Lower learning_rate, or check the data for extreme values."
                )
            total.backward()
            if log:
                logged.update(_summary(phase, terms, weights, self.members))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            for weight in weights:
                weight.requires_grad_(False)
                if phase.weight_clip is not None:
                    weight.clamp_(-phase.weight_clip, phase.weight_clip)
        return logged if log else None

    def _rate(self, phase: Phase) -> float:
        """Return the learning rate of a phase."""
        rate = phase.rate * self.settings.learning_rate
        return rate * self.settings.generator_rate if phase.name == "generator" else rate


def _summary(
    phase: Phase, terms: dict[str, Tensor], weights: list[torch.nn.Parameter], members: int
) -> dict[str, float]:
    """Return the loss terms of a phase, averaged over members, and the root mean square of their gradient norms."""
    gradients = [w.grad for w in weights if w.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
    values = {f"{phase.name}/{term}": float(value.detach().mean()) for term, value in terms.items()}
    return values | {f"{phase.name}/gradient_norm": float(norm) / members**0.5}
