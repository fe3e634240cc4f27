"""Settings of a training, and what its stages share."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .callbacks import Callback
from .history import History


@dataclass(frozen=True)
class TrainerSettings:
    """Settings of the training of any module.

    Parameters
    ----------
    steps : int
        Budget of each stage, in batches.
    batch_size : int
        Rows per step; all rows if there are fewer.
    learning_rate : float
        Learning rate of Adam.
    ema_decay : float
        Weights are averaged over the last ``1 / (1 - ema_decay)`` steps; 0 takes the last ones.
    patience : int
        Validation checks (`stage_run.CHECKS` per stage) without improvement after which a stage stops; 0 never stops.
    generator_rate : float
        Learning rate of phases called ``generator``, relative to that of others.
    checkpoint_seconds : float
        Shortest time between two checkpoints.
    """

    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    patience: int
    generator_rate: float = 1.0
    checkpoint_seconds: float = 5.0


@dataclass(eq=False)
class Training:
    """What the stages of a training share.

    Parameters
    ----------
    settings : TrainerSettings
    seed : int
        Seed of the order of the rows.
    members : int
        K, the leading axis that batches are expanded to.
    device : torch.device
    callbacks : sequence of Callback
    checkpoint : Path or None
        Directory to resume from and to write to.
    run_key : str
        Identifies parameters and data; a checkpoint of another run is refused.

    Attributes
    ----------
    history : History
        Curves of the stages so far.
    """

    settings: TrainerSettings
    _: KW_ONLY
    seed: int
    members: int
    device: torch.device
    callbacks: Sequence[Callback] = ()
    checkpoint: Path | None = None
    run_key: str = ""
    history: History = field(default_factory=dict, init=False)

    def expand(self, batch: Tensor) -> Tensor:
        """Return ``(B, *shape)`` as ``(K, B, *shape)`` on the device; all members see the same rows."""
        return batch.to(self.device, non_blocking=True).expand(self.members, *batch.shape)
