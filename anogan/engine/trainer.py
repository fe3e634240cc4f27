"""The training loop, which executes a module's phases. No other code computes gradients of weights or changes them."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..data.samples import Samples
from ..errors import FormatError, InputError, TrainingDivergedError
from ..layout import check_layout, check_unknown, layout_of
from ..nn.growing import grow
from ..seeding import generators, seeded
from . import history as history_of
from .callbacks import Callback
from .checkpoint import (
    TrainingState,
    optimizer_layout,
    pack_optimizer,
    read_checkpoint,
    unpack_optimizer,
    write_checkpoint,
)
from .folds import outside, rows_outside
from .history import History
from .likeness import ranking_accuracy
from .module import GANModule, Phase, Stage

CHECKS = 20  # validation checks per stage
LOGS = 200  # logged steps per stage, besides the first one
GROWTH = 0.5  # share of a stage's budget after which growing networks have all their resolutions
RUNNING_STATISTICS = ("running_mean", "running_var")  # of batch norm
MONITOR_ROWS = 1024  # held-out rows of a validation check, at most
CRITIC_ROWS = 128  # rows whose critic logits are computed at a check, and rows of a check if none are held out


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
        Validation checks (`CHECKS` per stage) without improvement after which a stage stops; 0 never stops.
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


class Trainer:
    """Trains a `GANModule` on normal samples.

    Parameters
    ----------
    settings : TrainerSettings
    seed : int
        Seed of the order of the rows. `fit` is called in a `seeded` block, whose generators a checkpoint includes.
    members : int
        K, the leading axis that batches are expanded to.
    device : torch.device
    callbacks : sequence of Callback
    checkpoint : Path or None
        Directory to resume from and to write to.
    run_key : str
        Identifies parameters and data; a checkpoint of another run is refused.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        *,
        seed: int,
        members: int,
        device: torch.device,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
        run_key: str = "",
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.members = members
        self.device = device
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.run_key = run_key
        self.history: History = {}

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
        monitor_data = self._monitor_data(train, held_out)
        stages = module.stages()
        if saved is not None and saved[1]["stage"] >= len(stages):
            raise FormatError(f"The checkpoint in {self.checkpoint} is of a stage that this training does not have.")
        for number, stage in enumerate(stages):
            if saved is not None and saved[1]["stage"] > number:
                continue
            stage_run = _StageRun(self, module, stage, number, train, monitor_data)
            if saved is not None:
                stage_run.restore(*saved)
                saved = None
            stage_run.run()
        module.requires_grad_(False).eval()
        return self.history

    def expand(self, batch: Tensor) -> Tensor:
        """Return ``(B, *shape)`` as ``(K, B, *shape)`` on the device; all members see the same rows."""
        return batch.to(self.device, non_blocking=True).expand(self.members, *batch.shape)

    def _monitor_data(self, train: Samples, held_out: Samples | None) -> "_MonitorData":
        stops = held_out is not None and self.settings.patience > 0
        rows, most = (held_out, MONITOR_ROWS) if held_out is not None and stops else (train, CRITIC_ROWS)
        return _MonitorData(self.expand(rows.batch(np.arange(min(len(rows), most)))), stops)

    def _read_checkpoint(self) -> tuple[dict[str, Tensor], TrainingState] | None:
        saved = None if self.checkpoint is None else read_checkpoint(self.checkpoint)
        if saved is not None and saved[1]["run_key"] != self.run_key:
            raise InputError(
                f"The checkpoint in {self.checkpoint} belongs to other data or parameters. "
                "Fit with the same ones to resume it, or give another directory."
            )
        return saved


@dataclass(frozen=True)
class _MonitorData:
    """The rows of validation checks: held-out rows, which may stop a stage, or else training rows, which may not."""

    x: Tensor  # (K, B, *shape)
    stops: bool

    @property
    def name(self) -> str:
        """Key, after the stage's name, under which the checks are recorded."""
        return "held_out" if self.stops else "training"


class _StageRun:
    """A stage in training: its optimisers, averaged weights, and the best weights so far."""

    def __init__(
        self,
        trainer: Trainer,
        module: GANModule,
        stage: Stage,
        number: int,
        train: Samples,
        monitor_data: _MonitorData,
    ) -> None:
        self.trainer, self.module, self.stage, self.number = trainer, module, stage, number
        self.train, self.monitor_data = train, monitor_data
        self.settings = trainer.settings
        for phase in stage.phases:
            if phase.every > self.settings.steps and not phase.lazy:
                raise InputError(
                    f"steps={self.settings.steps} gives phase '{phase.name}' no step: it takes one in "
                    f"{phase.every}. Raise steps, or lower critic_steps."
                )
        module.requires_grad_(False)
        self._train_mode()
        self.weights = [[w for net in phase.networks for w in net.parameters()] for phase in stage.phases]
        self.optimizers = {
            phase.networks: torch.optim.Adam(weights, lr=self._rate(phase), betas=stage.betas, fused=True)
            for phase, weights in zip(stage.phases, self.weights, strict=True)
        }
        self.average = _Average(module, self.settings.ema_decay) if self.settings.ema_decay else None
        self.step = 0
        self.best: dict[str, Tensor] | None = None
        self.best_value = float("inf")
        self.checks_since_best = 0
        self.finished = False

    def run(self) -> None:
        """Train from the present step to the end of the stage, and load the best weights."""
        name = self.stage.name
        for callback in self.trainer.callbacks:
            callback.on_stage_begin(name, self.settings.steps)
        if not self.finished:
            self._train_steps()
        if self.best is not None:
            self.module.load_state_dict(self.best)
        for callback in self.trainer.callbacks:
            callback.on_stage_end(name, self.step)

    def _rate(self, phase: Phase) -> float:
        """Return the learning rate of a phase."""
        rate = phase.rate * self.settings.learning_rate
        return rate * self.settings.generator_rate if phase.name == "generator" else rate

    def _train_steps(self) -> None:
        name, total = self.stage.name, self.settings.steps
        log_interval, check_interval = max(1, total // LOGS), max(1, total // CHECKS)
        last_written = time.monotonic()
        for batch in self._batches(self.step):
            self.step += 1
            for network in self.stage.growing:
                grow(network, self._growth())
            x = self.trainer.expand(batch) if not self.module.folds else self._of_members(batch)
            terms = self._train_step(x, log=self.step == 1 or self.step % log_interval == 0)
            if terms is not None:
                history_of.append(self.trainer.history, name, self.step, terms)
            if self.step % check_interval == 0 or self.step == total:
                self.finished = self._validate() or self.step == total
            for callback in self.trainer.callbacks:
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
        self.module.eval()
        for phase in self.stage.phases:
            for network in phase.networks:
                network.train()

    def _batches(self, done: int) -> Iterator[Tensor]:
        """Yield the batches of the steps after ``done``, which follow from seed, stage and step: training can resume.

        The rows are an endless stream of shuffled epochs, which is cut into batches of equal size. With folds, batches
        hold the rows of one member after those of another.
        """
        folds = self.module.folds
        n = rows_outside(len(self.train), folds) if folds else len(self.train)
        size = min(self.settings.batch_size, n)
        members = range(self.trainer.members)

        def rows(epoch: int) -> np.ndarray:
            return np.random.default_rng([self.trainer.seed, self.number, epoch]).permutation(n)

        def indices() -> Iterator[np.ndarray]:
            epoch, start = divmod(done * size, n)
            order = rows(epoch)
            for _ in range(done, self.settings.steps):
                chosen = order[start : start + size]
                start += size
                if start >= n:
                    epoch, start = epoch + 1, start - n
                    order = rows(epoch)
                    chosen = np.concatenate([chosen, order[:start]])
                yield np.concatenate([outside(chosen, k, folds) for k in members]) if folds else chosen

        return self.train.batches(indices())

    def _of_members(self, batch: Tensor) -> Tensor:
        """Return the rows of all members ``(K * B, *shape)`` as ``(K, B, *shape)`` on the device."""
        return batch.to(self.trainer.device, non_blocking=True).unflatten(0, (self.trainer.members, -1))

    def _train_step(self, x: Tensor, *, log: bool) -> dict[str, float] | None:
        """Run the phases of one training iteration on a batch; return the logged terms if asked for."""
        logged: dict[str, float] = {}
        for phase, weights in zip(self.stage.phases, self.weights, strict=True):
            if not phase.runs_at(self.step):
                continue
            optimizer = self.optimizers[phase.networks]
            for weight in weights:
                weight.requires_grad_(True)
            terms = phase.loss(x)
            total = torch.stack([term.sum() for term in terms.values()]).sum()
            if not torch.isfinite(total):
                raise TrainingDivergedError(
                    f"The loss of phase '{phase.name}' is not finite at step {self.step} of stage "
                    f"'{self.stage.name}'. Lower learning_rate, or check the data for extreme values."
                )
            total.backward()
            if log:
                logged.update(_summary(phase, terms, weights, self.trainer.members))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            for weight in weights:
                weight.requires_grad_(False)
                if phase.weight_clip is not None:
                    weight.clamp_(-phase.weight_clip, phase.weight_clip)
        if self.average is not None:
            self.average.update()
        return logged if log else None

    @torch.no_grad()
    def _validate(self) -> bool:
        """Evaluate the monitor and keep the weights if it improved; return whether the stage should stop."""
        if self._growth() < 1:
            return False  # the monitor at a coarser resolution says nothing about the full one
        current, live = self._current_weights(), _snapshot(self.module)
        self.module.load_state_dict(current)
        self.module.eval()
        with seeded(self.trainer.seed):  # the same latents at each check
            values = self._evaluate()
        with seeded(self.trainer.seed):
            self._emit_samples()
        self.module.load_state_dict(live)
        self._train_mode()
        name = f"{self.stage.name}/{self.monitor_data.name}"
        history_of.append(self.trainer.history, name, self.step, values)
        for callback in self.trainer.callbacks:
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

    def _evaluate(self) -> dict[str, float]:
        """Return the monitor and, in adversarial stages, which have two phases, the ranking accuracy of the critic."""
        values = {"monitor": float(self.stage.monitor(self.monitor_data.x).mean())}
        logits = self.module.critic_logits(self.monitor_data.x[:, :CRITIC_ROWS]) if len(self.stage.phases) > 1 else None
        return values if logits is None else values | {"critic_accuracy": ranking_accuracy(*logits)}

    def _emit_samples(self) -> None:
        """Pass synthetic samples to the callbacks that ask for some."""
        if not self.module.can("sample"):
            return
        for callback in self.trainer.callbacks:
            if callback.samples:
                callback.on_samples(self.stage.name, self.step, self.module.sample(callback.samples)[0])

    def _current_weights(self) -> dict[str, Tensor]:
        return _snapshot(self.module) | ({} if self.average is None else self.average.weights())

    def write(self) -> None:
        """Write all that the rest of the training depends on to the checkpoint directory, if there is one."""
        if self.trainer.checkpoint is None:
            return
        tensors = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.weights().items()}
        for number, optimizer in enumerate(self.optimizers.values()):
            tensors |= pack_optimizer(f"optimizer.{number}", optimizer)
        tensors |= {f"generator.{device}": state for device, state in generators().state().items()}
        state: TrainingState = {
            "run_key": self.trainer.run_key,
            "stage": self.number,
            "step": self.step,
            "best_value": self.best_value if math.isfinite(self.best_value) else None,
            "checks_since_best": self.checks_since_best,
            "finished": self.finished,
            "history": cast(Any, self.trainer.history),
        }
        write_checkpoint(self.trainer.checkpoint, tensors, state)

    def restore(self, tensors: dict[str, Tensor], state: TrainingState) -> None:
        """Read what `write` wrote."""

        def part(name: str) -> dict[str, Tensor]:
            return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")}

        try:
            self._check(tensors, state)
            self.module.load_state_dict(part("module"))
            if self.average is not None:
                self.average.load(part("average"))
            for number, optimizer in enumerate(self.optimizers.values()):
                unpack_optimizer(f"optimizer.{number}", optimizer, tensors)
            generators().restore(part("generator"), self.trainer.device)
        except (LookupError, TypeError, RuntimeError, ValueError) as error:
            raise FormatError(f"The checkpoint in {self.trainer.checkpoint} is damaged: {error}") from None
        self.step = state["step"]
        self.best = {k: v.to(self.trainer.device) for k, v in part("best").items()} or None
        self.best_value = math.inf if state["best_value"] is None else state["best_value"]
        self.checks_since_best = state["checks_since_best"]
        self.finished = state["finished"]
        self.trainer.history = cast(History, state["history"])

    def _check(self, tensors: dict[str, Tensor], state: TrainingState) -> None:
        """Raise `FormatError` unless tensors and state are such as `write` writes for these networks."""
        layout = layout_of(self.module.state_dict(), "module.")
        if any(name.startswith("best.") for name in tensors):
            layout |= layout_of(self.module.state_dict(), "best.")
        if self.average is not None:
            layout |= layout_of(self.average.weights(), "average.")
        for number, optimizer in enumerate(self.optimizers.values()):
            layout |= optimizer_layout(f"optimizer.{number}", optimizer, tensors)
        check_layout(tensors, layout)
        check_unknown({name: t for name, t in tensors.items() if not name.startswith("generator.")}, layout)
        if not 1 <= state["step"] <= self.settings.steps or (state["step"] == self.settings.steps) > state["finished"]:
            raise FormatError(f"step {state['step']} is not one of {self.settings.steps} steps, or the last one.")


class _Average:
    """Exponential moving average of a module's weights and running statistics, by `torch.optim.swa_utils`' update.

    `AveragedModel` walks the module tree at each step, which costs as much as the forward pass of a small network. The
    singular vectors of spectral norm are not averaged, since they would lose their unit length.
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        weights = {name for name, _ in module.named_parameters()}
        live = {k: t for k, t in module.state_dict().items() if k in weights or k.endswith(RUNNING_STATISTICS)}
        self.names, self.live = list(live), list(live.values())
        self.averages = [tensor.clone() for tensor in self.live]
        self.update_averages = get_ema_multi_avg_fn(decay)

    def update(self) -> None:
        self.update_averages(self.averages, self.live, None)

    def weights(self) -> dict[str, Tensor]:
        return dict(zip(self.names, (t.clone() for t in self.averages), strict=True))

    def load(self, weights: dict[str, Tensor]) -> None:
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(weights[name])


def _snapshot(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _summary(
    phase: Phase, terms: dict[str, Tensor], weights: list[torch.nn.Parameter], members: int
) -> dict[str, float]:
    """Return the loss terms of a phase, averaged over members, and the root mean square of their gradient norms."""
    gradients = [w.grad for w in weights if w.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
    values = {f"{phase.name}/{term}": float(value.detach().mean()) for term, value in terms.items()}
    return values | {f"{phase.name}/gradient_norm": float(norm) / members**0.5}
