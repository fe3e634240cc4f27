"""Hooks into training; the library itself shows nothing. Two of them write the curves down, with optional packages."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from .diagnostics import Diagnosis


class Callback:
    """Override what you need; every hook is empty."""

    samples: int = 0
    """How many synthetic samples `on_samples` wants to be shown; 0: it is not called."""

    def on_fit_begin(self, parameters: dict[str, Any]) -> None:
        """A fit with these constructor parameters begins (or resumes)."""

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        """Training begins, for the ``number``-th time (counted from 1)."""

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        """A stage of at most ``total_steps`` steps begins (or resumes)."""

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        """Step ``step`` (counted from 1) is done; ``terms`` holds its losses if it was a logged step."""

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Rows were looked at without learning from them; ``stage`` names the stage, and which rows they were."""

    def on_samples(self, stage: str, step: int, samples: Tensor) -> None:
        """At each look, if the method generates: samples ``(n, *shape)`` in the networks' units, of the first member.

        They come from the same latents each time, so that one sees them change.
        """

    def on_stage_end(self, stage: str, steps: int) -> None:
        """The stage ended after ``steps`` steps, by its budget or by early stopping."""

    def on_fit_end(self, diagnosis: Diagnosis | None) -> None:
        """The fit is over; None if it failed or was interrupted."""


class TensorBoardLogger(Callback):
    """Writes the curves for TensorBoard: ``tensorboard --logdir DIR``. Needs ``pip install anogan[tensorboard]``.

    Parameters
    ----------
    directory : path
        Further attempts of the same fit go to folders ``attempt-2``, ... below it.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._writer: Any = None
        self._module = _optional("torch.utils.tensorboard", "tensorboard")

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        self._close()
        directory = self.directory if number == 1 else self.directory / f"attempt-{number}"
        self._writer = self._module.SummaryWriter(directory)

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        for name, value in (terms or {}).items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        self.on_step_end(stage, step, values)
        self._writer.flush()  # what was seen so far survives a training that is killed

    def on_fit_end(self, diagnosis: Diagnosis | None) -> None:
        if diagnosis is not None:
            self._writer.add_text("diagnosis", diagnosis.verdict)
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class MLflowLogger(Callback):
    """Logs parameters, curves and the diagnosis to MLflow. Needs ``pip install anogan[mlflow]``.

    It writes to the active run, or to a run of its own that ends with the fit; where that is kept is MLflow's
    (``mlflow.set_tracking_uri``, ``MLFLOW_TRACKING_URI``). Curves of further attempts begin with ``attempt-2/``, ...
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


def _optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"The package for this is not installed: pip install 'anogan[{extra}]'.") from None
