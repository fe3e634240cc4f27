"""The training of one stage: its steps, validation checks and checkpoints."""

import math
import time
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from ..data.samples import Samples
from ..errors import FormatError
from ..layout import check_layout, check_unknown, layout_of
from ..nn.growing import grow
from ..seeding import generators, seeded
from . import history as history_of
from .averaging import WeightAverage
from .checkpoint import TrainingState, optimizer_layout, pack_optimizer, unpack_optimizer, write_checkpoint
from .history import History
from .module import GANModule, Stage
from .phase_steps import PhaseSteps
from .settings import Training
from .shuffling import shuffled
from .validation import MonitorData

CHECKS = 20  # validation checks per stage
LOGS = 200  # logged steps per stage, besides the first one
GROWTH = 0.5  # share of a stage's budget after which growing networks have all their resolutions


class StageRun:
    """A stage in training: its optimisers, averaged weights, and the best weights so far.

    Parameters
    ----------
    training : Training
    module : GANModule
        On the training's device.
    stage : Stage
        One of the module's.
    number : int
        Of the stage.
    train : Samples
    monitor_data : MonitorData
    """

    def __init__(
        self,
        training: Training,
        module: GANModule,
        stage: Stage,
        number: int,
        train: Samples,
        monitor_data: MonitorData,
    ) -> None:
        self.training, self.module, self.stage, self.number = training, module, stage, number
        self.train, self.monitor_data = train, monitor_data
        self.settings = training.settings
        self.phase_steps = PhaseSteps(module, stage, self.settings, training.members)
        networks = {network for phase in stage.phases for network in phase.networks}
        own = {id(t) for network in networks for t in network.state_dict(keep_vars=True).values()}
        self.own = [name for name, t in module.state_dict(keep_vars=True).items() if id(t) in own]
        self.module.eval()
        self._train_mode()
        self.average = WeightAverage(module, self.settings.ema_decay) if self.settings.ema_decay else None
        self.step = 0
        self.best: dict[str, Tensor] | None = None
        self.best_value = float("inf")
        self.checks_since_best = 0
        self.finished = False

    def run(self) -> None:
        """Train from the present step to the end of the stage, and load the best weights."""
        name = self.stage.name
        for callback in self.training.callbacks:
            callback.on_stage_begin(name, self.settings.steps)
        if not self.finished:
            self._train_steps()
        if self.best is not None:
            _load(self.module.state_dict(), self.best)
        for callback in self.training.callbacks:
            callback.on_stage_end(name, self.step)

    def _train_steps(self) -> None:
        name, total = self.stage.name, self.settings.steps
        log_interval, check_interval = max(1, total // LOGS), max(1, total // CHECKS)
        last_written = time.monotonic()
        for x in self._batches():
            self.step += 1
            for network in self.stage.growing:
                grow(network, self._growth())
            terms = self.phase_steps.run(x, self.step, log=self.step == 1 or self.step % log_interval == 0)
            if self.average is not None:
                self.average.update()
            if terms is not None:
                history_of.append(self.training.history, name, self.step, terms)
            if self.step % check_interval == 0 or self.step == total:
                self.finished = self._validate() or self.step == total
            for callback in self.training.callbacks:
                callback.on_step_end(name, self.step, terms)
            if self.finished or time.monotonic() - last_written >= self.settings.checkpoint_seconds:
                self.write()
                last_written = time.monotonic()
            if self.finished:
                return

    def _growth(self) -> float:
        """Return the share of the growth that is done, in [0, 1]; it follows from the step, so training can resume."""
        return min(1.0, self.step / (GROWTH * self.settings.steps)) if self.stage.growing else 1.0

    def _train_mode(self) -> None:
        """Put this stage's networks in training mode; others stay frozen, with the statistics of their batch norms."""
        for phase in self.stage.phases:
            for network in phase.networks:
                network.train()

    def _batches(self) -> Iterator[Tensor]:
        """Yield the batches ``(K, B, *shape)`` of the steps that are still to be taken, on the device."""
        folds, members = self.module.folds, self.training.members
        positions = shuffled(
            len(self.train),
            self.settings.batch_size,
            range(self.step, self.settings.steps),
            seed=(self.training.seed, self.number),
            folds=folds,
            members=members,
        )
        for batch in self.train.batches(positions):
            if folds:  # the rows of one member after those of another: (K * B, *shape)
                yield batch.to(self.training.device, non_blocking=True).unflatten(0, (members, -1))
            else:
                yield self.training.expand(batch)

    @torch.no_grad()
    def _validate(self) -> bool:
        """Evaluate the monitor and keep the weights if it improved; return whether the stage should stop."""
        if self._growth() < 1:
            return False  # the monitor at a coarser resolution says nothing about the full one
        state = self.module.state_dict()
        live = {name: state[name].clone() for name in self.own}
        current = live | ({} if self.average is None else self.average.weights())
        _load(state, current)
        self.module.eval()
        with seeded(self.training.seed):  # the same latents at each check
            values = self.monitor_data.measured(self.module, self.stage)
        with seeded(self.training.seed):
            self._emit_samples()
        _load(state, live)
        self._train_mode()
        name = f"{self.stage.name}/{self.monitor_data.name}"
        history_of.append(self.training.history, name, self.step, values)
        for callback in self.training.callbacks:
            callback.on_validation(name, self.step, values)
        if not self.monitor_data.stops:
            self.best = current
            return False
        # A check whose numbers overflow is the worst there is.
        value = values["monitor"] if math.isfinite(values["monitor"]) else math.inf
        if self.best is None or value < self.best_value:
            self.best, self.best_value, self.checks_since_best = current, value, 0
            return False
        self.checks_since_best += 1
        return self.stage.stops and self.checks_since_best >= self.settings.patience

    def _emit_samples(self) -> None:
        """Pass synthetic samples to the callbacks that ask for some."""
        if not self.module.can("sample"):
            return
        for callback in self.training.callbacks:
            if callback.samples:
                callback.on_samples(self.stage.name, self.step, self.module.sample(callback.samples)[0])

    def write(self) -> None:
        """Write all that the rest of the training depends on to the checkpoint directory, if there is one."""
        if self.training.checkpoint is None:
            return
        tensors = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        if self.best is not None:
            tensors |= {f"best.{k}": v for k, v in (self.module.state_dict() | self.best).items()}
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.weights().items()}
        for number, optimizer in enumerate(self.phase_steps.optimizers.values()):
            tensors |= pack_optimizer(f"optimizer.{number}", optimizer)
        tensors |= {f"generator.{device}": state for device, state in generators().state().items()}
        state: TrainingState = {
            "run_key": self.training.run_key,
            "stage": self.number,
            "step": self.step,
            "best_value": self.best_value if math.isfinite(self.best_value) else None,
            "checks_since_best": self.checks_since_best,
            "finished": self.finished,
            "history": cast(Any, self.training.history),
        }
        write_checkpoint(self.training.checkpoint, tensors, state)

    def restore(self, tensors: dict[str, Tensor], state: TrainingState) -> None:
        """Read what `write` wrote."""

        def part(name: str) -> dict[str, Tensor]:
            return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")}

        try:
            self._check(tensors, state)
            self.module.load_state_dict(part("module"))
            if self.average is not None:
                self.average.load(part("average"))
            for number, optimizer in enumerate(self.phase_steps.optimizers.values()):
                unpack_optimizer(f"optimizer.{number}", optimizer, tensors)
            generators().restore(part("generator"), self.training.device)
        except (LookupError, TypeError, RuntimeError, ValueError) as error:
            raise FormatError(f"The checkpoint in {self.training.checkpoint} is damaged: {error}") from None
        self.step = state["step"]
        self.best = {k: v.to(self.training.device) for k, v in part("best").items()} or None
        self.best_value = math.inf if state["best_value"] is None else state["best_value"]
        self.checks_since_best = state["checks_since_best"]
        self.finished = state["finished"]
        self.training.history = cast(History, state["history"])

    def _check(self, tensors: dict[str, Tensor], state: TrainingState) -> None:
        """Raise `FormatError` unless tensors and state are such as `write` writes for these networks."""
        layout = layout_of(self.module.state_dict(), "module.")
        if any(name.startswith("best.") for name in tensors):
            layout |= layout_of(self.module.state_dict(), "best.")
        if self.average is not None:
            layout |= layout_of(self.average.weights(), "average.")
        for number, optimizer in enumerate(self.phase_steps.optimizers.values()):
            layout |= optimizer_layout(f"optimizer.{number}", optimizer, tensors)
        check_layout(tensors, layout)
        check_unknown({name: t for name, t in tensors.items() if not name.startswith("generator.")}, layout)
        if not 1 <= state["step"] <= self.settings.steps or (state["step"] == self.settings.steps) > state["finished"]:
            raise FormatError(f"step {state['step']} is not one of {self.settings.steps} steps, or the last one.")


def _load(state: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """Copy weights into a module's state; `load_state_dict` checks them first, which takes longer."""
    for name, tensor in weights.items():
        state[name].copy_(tensor)
