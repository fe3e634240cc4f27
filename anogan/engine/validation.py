"""The rows of a training's validation checks, and what a check measures with them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..data.samples import Samples
from .likeness import ranking_accuracy
from .module import GANModule, Stage
from .settings import Training

MONITOR_ROWS = 1024  # held-out rows of a validation check, at most
CRITIC_ROWS = 128  # rows whose critic logits are computed at a check, and rows of a check if none are held out


@dataclass(frozen=True)
class MonitorData:
    """The rows of validation checks: held-out rows, which may stop a stage, or else training rows, which may not."""

    x: Tensor  # (K, B, *shape)
    stops: bool

    @classmethod
    def of(cls, training: Training, train: Samples, held_out: Samples | None) -> "MonitorData":
        """Return held-out rows if there are some and they may stop a stage, otherwise training rows."""
        stops = held_out is not None and training.settings.patience > 0
        rows, most = (held_out, MONITOR_ROWS) if held_out is not None and stops else (train, CRITIC_ROWS)
        return cls(training.expand(rows.batch(np.arange(min(len(rows), most)))), stops)

    @property
    def name(self) -> str:
        """Key, after the stage's name, under which the checks are recorded."""
        return "held_out" if self.stops else "training"

    def measured(self, module: GANModule, stage: Stage) -> dict[str, float]:
        """Return the monitor and, in adversarial stages, which have two phases, the ranking accuracy of the critic."""
        values = {"monitor": float(stage.monitor(self.x).mean())}
        logits = module.critic_logits(self.x[:, :CRITIC_ROWS]) if len(stage.phases) > 1 else None
        return values if logits is None else values | {"critic_accuracy": ranking_accuracy(*logits)}
