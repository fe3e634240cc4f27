"""What a detector's module declares: its stages and phases of training, and its score."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..data.samples import Samples

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Phase:
    """One move of the game.

    Parameters
    ----------
    name : str
        Under which its loss terms are logged: ``"<name>/<term>"``.
    networks : tuple of Module
        The only networks that get gradients and a step. Phases with the same networks share an optimiser.
    loss : callable, (K, B, *shape) -> dict of (K,)
        Named terms; what is minimised is their sum.
    every : int
        Played at each ``every``-th step of the stage.
    weight_clip : float or None
        After the step, every weight is clipped to plus or minus this (original WGAN).
    lazy : bool
        A regulariser that is seldom enough: played at the first step too, so that no budget is too short for it.
    """

    name: str
    networks: tuple[nn.Module, ...]
    loss: Callable[[Tensor], Terms]
    every: int = 1
    weight_clip: float | None = None
    lazy: bool = False

    def plays(self, step: int) -> bool:
        """Whether this is a move of the ``step``-th step, counted from 1."""
        return step % self.every == 0 or (self.lazy and step == 1)


@dataclass(frozen=True)
class Stage:
    """Phases played together until the budget is spent or the monitor stops falling.

    Parameters
    ----------
    name : str
    phases : tuple of Phase
        In the order in which they are played at each step.
    monitor : callable, (K, B, *shape) -> (K,)
        Evaluated on held-out normal rows, in eval mode and without gradients; lower is better.
    betas : (float, float)
        Of Adam.
    growing : tuple of Module
        Networks that begin at their coarsest resolution and have all of them after `trainer.GROWTH` of the budget.
    """

    name: str
    phases: tuple[Phase, ...]
    monitor: Callable[[Tensor], Tensor]
    betas: tuple[float, float] = (0.5, 0.999)
    growing: tuple[nn.Module, ...] = ()


class GANModule(nn.Module, ABC):
    """Networks, losses and score of one detector. Knows no optimiser, no device, no file, no units.

    Every ``x`` is ``(K, B, *shape)`` with the ensemble member leading.
    """

    joint: ClassVar[bool] = False
    """Whether the members make one score together, so that `score` gives ``(1, B)``."""

    expects_equilibrium: ClassVar[bool] = True
    """Whether the game should not be won: a critic that is never mistaken teaches the generator nothing."""

    conditioned: bool = False
    """Whether the last entry of x along its first own axis is the condition: given, not judged."""

    unlabeled: Samples | None = None
    """Unlabelled rows, where the user gave some; for modules that learn from such."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The training, in order."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """``(K, B, *shape)`` -> ``(K, B)``, higher = more anomalous; called in eval mode without gradients.

        ``(1, B)`` if the members judge together (`joint`).
        """

    def before_training(self, normal: Samples) -> Samples:
        """Look at the training rows, for what must suit the data before the first step.

        Returns what the stages train on, whose batches are the ``x`` of losses and monitors; by default the rows
        themselves.
        """
        return normal

    def as_trained_on(self, held_out: Samples) -> Samples:
        """Other rows in the form that `before_training` returned; by default as they are."""
        return held_out

    def after_training(self, normal: Samples) -> None:
        """Learn what training does not, such as a bank of features of normal rows. Default: nothing."""

    def after_calibration(self, held_out: Samples) -> None:
        """Learn from the rows that set the threshold. No score may rise by it, or the promise is broken.

        Default: nothing.
        """

    def reconstruct(self, x: Tensor) -> Tensor:
        """The nearest sample the model can make: ``(K, B, *shape)`` -> same."""
        raise NotImplementedError

    def anomaly_map(self, x: Tensor) -> Tensor:
        """How unusual each value is: ``(K, B, *shape)`` -> same, >= 0. For modules that localise what they score."""
        raise NotImplementedError

    def sample(self, rows: int) -> Tensor:
        """Synthetic normal samples: ``(K, rows, *shape)``."""
        raise NotImplementedError

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """The critic's logits ``(K, B)`` of real samples and of as many generated ones; None without such a critic.

        x is in the form of `before_training`'s.
        """
        return None

    @classmethod
    def can(cls, method: str) -> bool:
        """Whether this module has its own ``reconstruct``, ``anomaly_map``, ``sample`` or ``after_calibration``."""
        return getattr(cls, method) is not getattr(GANModule, method)
