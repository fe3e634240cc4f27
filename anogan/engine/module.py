"""The interface between a detector's networks and the trainer: stages, phases, losses and scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..data.samples import Samples

Terms = dict[str, Tensor]


class Prediction(NamedTuple):
    """What a module computes for a batch in one pass of its networks.

    Attributes
    ----------
    score : (K, B) or (1, B) tensor
        As `GANModule.score` returns it.
    anomaly_map : (K, B, *shape) tensor or None
        How unusual each value is, >= 0. None if no map was asked for, or if the module neither localises nor
        reconstructs.
    """

    score: Tensor
    anomaly_map: Tensor | None


class LeftOut(NamedTuple):
    """What training samples would score if they had been left out of the training.

    Attributes
    ----------
    scores : (K, n) or (1, n) tensor
        Of the first n samples, as `GANModule.score` returns them.
    peaks : (n,) tensor
        The greatest value of each picture's anomaly map, summed over channels; empty for other samples.
    """

    scores: Tensor
    peaks: Tensor

    def of_pictures(self, tiles: np.ndarray) -> "LeftOut | None":
        """Return the greatest ones among the tiles of each picture, given their numbers, if all of one are here."""
        whole = int((tiles.cumsum() <= self.scores.shape[1]).sum())
        if not whole:
            return None
        parts = tiles[:whole].tolist()
        scores, peaks = (each[..., : sum(parts)].split(parts, dim=-1) for each in self)
        return LeftOut(torch.stack([part.amax(-1) for part in scores], dim=-1), torch.stack([p.max() for p in peaks]))


@dataclass(frozen=True)
class Phase:
    """One optimisation step of a training iteration.

    Parameters
    ----------
    name : str
        Prefix of the logged loss terms: ``"<name>/<term>"``.
    networks : tuple of Module
        The only networks that receive gradients and are updated. Phases with the same networks share an optimiser.
    loss : callable, (K, B, *shape) -> dict of (K,)
        Named loss terms; the phase minimises their sum.
    every : int
        The phase runs at every ``every``-th iteration of the stage.
    weight_clip : float or None
        Every weight is clipped to plus or minus this value after the step (original WGAN).
    lazy : bool
        Whether this is a regulariser that is applied rarely. A lazy phase also runs at the first iteration, so that it
        runs at least once in a training of any length.
    rate : float
        Learning rate as a multiple of the training's; equal for phases with the same networks.
    """

    name: str
    networks: tuple[nn.Module, ...]
    loss: Callable[[Tensor], Terms]
    every: int = 1
    weight_clip: float | None = None
    lazy: bool = False
    rate: float = 1.0

    def runs_at(self, step: int) -> bool:
        """Return whether the phase runs at iteration ``step``, counted from 1."""
        return step % self.every == 0 or (self.lazy and step == 1)


@dataclass(frozen=True)
class Stage:
    """Phases that are trained together until the budget is spent or the monitor stops improving.

    Parameters
    ----------
    name : str
        Key of the stage's curves in the training history.
    phases : tuple of Phase
        The optimisation steps of one iteration, in order.
    monitor : callable, (K, B, *shape) -> (K,)
        Evaluated on held-out normal rows, in eval mode and without gradients; lower is better.
    betas : (float, float)
        Adam's coefficients.
    growing : tuple of Module
        Networks that start at their coarsest resolution and use all resolutions after the share `stage_run.GROWTH` of
        the budget.
    stops : bool
        Whether the stage may end before its budget is spent.
    """

    name: str
    phases: tuple[Phase, ...]
    monitor: Callable[[Tensor], Tensor]
    betas: tuple[float, float] = (0.5, 0.999)
    growing: tuple[nn.Module, ...] = ()
    stops: bool = True


class GANModule(nn.Module, ABC):
    """The networks, losses and score of one detector.

    A module is independent of optimisers, devices, files and the user's units. Every ``x`` is ``(K, B, *shape)``, with
    the ensemble member as the leading axis.
    """

    joint: ClassVar[bool] = False
    """Whether all members compute one score together, so that `score` returns ``(1, B)``."""

    expects_equilibrium: ClassVar[bool] = True
    """Whether training should keep the critic from winning: a critic that is always right gives no useful gradient."""

    folds: int = 0
    """If not 0, member k trains without the rows k, k + folds, k + 2 folds, ...; see `engine.folds`."""
    searches: ClassVar[bool] = False
    """Whether `score` searches the latent space, so that it needs more than one pass."""

    conditioned: bool = False
    """Whether the last entry of x along axis 2 is the condition, which is given rather than scored."""

    left_out: LeftOut | None = None
    """Set by `after_training` if the module knows it: the calibration then has the training rows too."""

    unlabeled: Samples | None = None
    """Unlabelled rows passed to ``fit``, for modules that learn from them."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Return the training stages, in order."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """Return the anomaly score: ``(K, B, *shape)`` -> ``(K, B)``, higher = more anomalous.

        Called in eval mode and without gradients. Modules that are `joint` return ``(1, B)``.
        """

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        """Return the score and, if asked for, the anomaly map of each sample.

        The map is `anomaly_map` if the module localises, otherwise the absolute residual ``|x - reconstruct(x)|`` if it
        reconstructs, otherwise None. Modules whose score and map share work override this method so that their
        networks run once; results equal those of the separate methods bit for bit.
        """
        anomaly_map = None
        if with_map and self.can("anomaly_map"):
            anomaly_map = self.anomaly_map(x)
        elif with_map and self.can("reconstruct"):
            anomaly_map = (x - self.reconstruct(x)).abs()
        return Prediction(self.score(x), anomaly_map)

    def before_training(self, normal: Samples) -> Samples:
        """Adapt the module to the training rows before the first step.

        Returns the samples that the stages train on; their batches are the ``x`` of losses and monitors. The default
        returns the rows unchanged.
        """
        return normal

    def as_trained_on(self, held_out: Samples) -> Samples:
        """Return other rows in the form that `before_training` returns. The default returns them unchanged."""
        return held_out

    def after_training(self, normal: Samples) -> None:
        """Learn what training does not learn, such as a memory bank of normal features. The default does nothing."""

    def after_calibration(self, held_out: Samples) -> None:
        """Learn from the rows that set the threshold. The default does nothing.

        No score may rise through it, otherwise the false-alarm rate would exceed the target.
        """

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the nearest sample that the model can generate: ``(K, B, *shape)`` -> same."""
        raise NotImplementedError

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Return how unusual each value is: ``(K, B, *shape)`` -> same, >= 0. Only for modules that localise."""
        raise NotImplementedError

    def sample(self, rows: int) -> Tensor:
        """Return synthetic normal samples: ``(K, rows, *shape)``."""
        raise NotImplementedError

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the critic's logits ``(K, B)`` of real samples and of as many generated ones.

        x has the form that `before_training` returns. The default, for modules without such a critic, is None.
        """
        return None

    @classmethod
    def can(cls, method: str) -> bool:
        """Return whether the module implements the optional method, such as ``reconstruct`` or ``sample``."""
        return getattr(cls, method) is not getattr(GANModule, method)
