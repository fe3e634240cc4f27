"""Callbacks of training, and two that log its curves with optional packages."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files.writing import named_after

if TYPE_CHECKING:
    from torch import Tensor

    from .diagnostics import Diagnosis


class Callback:
    """Base class of callbacks. Every method does nothing by default; override those that you need."""

    samples: int = 0
    """Number of synthetic samples passed to `on_samples`; it is not called if this is 0."""

    def on_fit_begin(self, parameters: dict[str, Any]) -> None:
        """Called when a fit with these constructor parameters starts or resumes."""

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        """Called before the ``number``-th training of a fit, counted from 1."""

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        """Called when a stage of at most ``total_steps`` steps starts or resumes."""

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        """Called after each step, counted from 1; ``terms`` holds its losses if it is a logged step."""

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Called after each validation check; ``stage`` is the name of the stage and of the rows: ``gan/held_out``."""

    def on_samples(self, stage: str, step: int, samples: Tensor) -> None:
        """Called at each validation check of a detector that generates samples.

        The samples ``(n, *shape)`` are those of the first member, in the networks' units. They come from the same
        latents each time.
        """

    def on_stage_end(self, stage: str, steps: int) -> None:
        """Called when a stage has ended after ``steps`` steps, by its budget or by early stopping."""

    def on_fit_end(self, diagnosis: Diagnosis | None) -> None:
        """Called when a fit has ended; the diagnosis is None if it failed or was interrupted."""


class TensorBoardLogger(Callback):
    """Logs the curves to TensorBoard (``tensorboard --logdir DIR``). Needs ``pip install anogan[tensorboard]``.

    Parameters
    ----------
    directory : path
        Further attempts of the same fit are logged to its folders ``attempt-2``, ...
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._writer: Any = None
        self._module = _optional("torch.utils.tensorboard", "tensorboard")

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        self._close()
        directory = self.directory if number == 1 else self.directory / f"attempt-{number}"
        with named_after(self.directory):
            self._writer = self._module.SummaryWriter(directory)

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        with named_after(self.directory):
            for name, value in (terms or {}).items():
                self._writer.add_scalar(f"{stage}/{name}", value, step)

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        self.on_step_end(stage, step, values)
        with named_after(self.directory):
            self._writer.flush()  # the curves so far survive a training that is killed

    def on_fit_end(self, diagnosis: Diagnosis | None) -> None:
        if diagnosis is not None:
            with named_after(self.directory):
                self._writer.add_text("diagnosis", diagnosis.verdict)
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with named_after(self.directory):
                writer.close()


class MLflowLogger(Callback):
    """Logs parameters, curves and the diagnosis to MLflow. Needs ``pip install anogan[mlflow]``.

    It logs to the active run, or to a new run that ends with the fit. MLflow's settings say where runs are stored
    (``mlflow.set_tracking_uri``, ``MLFLOW_TRACKING_URI``). Names of curves of further attempts start with
    ``attempt-2/``, ...
    """

    def __init__(self) -> None:
        self._mlflow = _optional("mlflow", "mlflow")
        self._prefix = ""
        self._own_run = False

    def on_fit_begin(self, parameters: dict[str, Any]) -> None:
        self._own_run = self._mlflow.active_run() is None
        if self._own_run:
            self._mlflow.start_run()
        self._mlflow.log_params(parameters)

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        self._prefix = "" if number == 1 else f"attempt-{number}/"

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        if terms:
            self._mlflow.log_metrics({f"{self._prefix}{stage}/{k}": v for k, v in terms.items()}, step=step)

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        self.on_step_end(stage, step, values)

    def on_fit_end(self, diagnosis: Diagnosis | None) -> None:
        if diagnosis is not None:
            self._mlflow.set_tag("diagnosis", diagnosis.verdict)
            self._mlflow.log_metrics(diagnosis.measures)
        if self._own_run:
            self._mlflow.end_run("FINISHED" if diagnosis is not None else "FAILED")
            self._own_run = False


def _optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"The package for this is not installed: pip install 'anogan[{extra}]'.") from None
