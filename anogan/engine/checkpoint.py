"""Checkpoints: the state of a training as JSON and tensors in a sealed container, written completely or not at all."""

import os
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from ..container import open_container, write_container
from ..files.writing import written_whole
from ..layout import Layout
from ..schema import Count, check_type, with_nulls, without_nulls

FILE_NAME = "checkpoint.zip"
FORMAT_VERSION = 2


class TrainingState(TypedDict):
    """What a checkpoint holds beside its tensors; null stands for numbers that are not finite."""

    run_key: str
    stage: Count
    step: Count
    best_value: float | None
    checks_since_best: Count
    finished: bool
    history: dict[str, dict[str, list[int | float | None]]]


def write_checkpoint(directory: Path, tensors: dict[str, Tensor], state: TrainingState) -> None:
    """Replace the directory's checkpoint atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    with written_whole(directory / FILE_NAME) as file:
        write_container(file, FORMAT_VERSION, with_nulls(state), tensors)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(directory: Path) -> tuple[dict[str, Tensor], TrainingState] | None:
    """Return the tensors and the state last written, or None if there is no checkpoint yet.

    Raises
    ------
    FormatError
        The file is not a checkpoint, or is damaged.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return None
    with open_container(path, "checkpoint", FORMAT_VERSION) as container:
        check_type(container.manifest, TrainingState, f"{path}: manifest")
        return container.tensors(), without_nulls(container.manifest)


def pack_optimizer(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as flat tensors; its settings follow from the parameters and are left out."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{index}.{key}": t for index, entry in state.items() for key, t in entry.items()}


def unpack_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load into an optimiser what `pack_optimizer` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            index, key = name[len(prefix) + 1 :].split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def optimizer_layout(prefix: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> Layout:
    """Return the layout of what `pack_optimizer` returns. Weights that have taken no step yet have no state."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    layout: Layout = {}
    for index, weight in enumerate(weights):
        if any(name.startswith(f"{prefix}.{index}.") for name in tensors):
            layout[f"{prefix}.{index}.step"] = torch.float32, ()
            layout |= {
                f"{prefix}.{index}.{key}": (weight.dtype, tuple(weight.shape)) for key in ("exp_avg", "exp_avg_sq")
            }
    return layout
