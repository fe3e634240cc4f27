"""The training loop: the stages of a module in their order, resumed from a checkpoint if there is one."""

from torch import Tensor

from ..data.samples import Samples
from ..errors import FormatError, InputError
from .checkpoint import TrainingState, read_checkpoint
from .history import History
from .module import GANModule
from .settings import Training
from .stage_run import StageRun
from .validation import MonitorData


class Trainer(Training):
    """Trains a `GANModule` on normal samples, in a `seeded` block, whose generators a checkpoint includes."""

    def fit(self, module: GANModule, train: Samples, held_out: Samples | None) -> History:
        """Train every stage of the module, which ends in eval mode with the best weights.

        Parameters
        ----------
        module : GANModule
            On the trainer's device.
        train : Samples of n rows
        held_out : Samples or None
            Normal rows that no step sees, for early stopping. None trains for the whole budget.

        Raises
        ------
        TrainingDivergedError
            A loss is not finite; the message names phase and step.
        """
        saved = self._read_checkpoint()
        monitor_data = MonitorData.of(self, train, held_out)
        stages = module.stages()
        if saved is not None and saved[1]["stage"] >= len(stages):
            raise FormatError(f"The checkpoint in {self.checkpoint} is of a stage that this training does not have.")
        for number, stage in enumerate(stages):
            if saved is not None and saved[1]["stage"] > number:
                continue
            stage_run = StageRun(self, module, stage, number, train, monitor_data)
            if saved is not None:
                stage_run.restore(*saved)
                saved = None
            stage_run.run()
        module.requires_grad_(False).eval()
        return self.history

    def _read_checkpoint(self) -> tuple[dict[str, Tensor], TrainingState] | None:
        saved = None if self.checkpoint is None else read_checkpoint(self.checkpoint)
        if saved is not None and saved[1]["run_key"] != self.run_key:
            raise InputError(
                f"The checkpoint in {self.checkpoint} belongs to other data or parameters. "
                "Fit with the same ones to resume it, or give another directory."
            )
        return saved
