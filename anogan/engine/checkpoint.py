"""Checkpoints: tensors in safetensors, the rest as JSON in its header; written whole or not at all, no pickle."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import FormatError

FILE_NAME = "checkpoint.safetensors"


def write_checkpoint(directory: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Replace the directory's checkpoint in one move."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{FILE_NAME}"  # one name: what a killed process left is written over
    try:
        # Clones, since safetensors refuses tensors that share memory.
        whole = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        with open(temporary, "wb") as file:  # not `save_file`, whose word for a full disk is no OSError
            file.write(save(whole, metadata={"state": json.dumps(state)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, directory / FILE_NAME)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and the state last written, or None if there is no checkpoint yet.

    Raises
    ------
    FormatError
        If the file is not one of ours.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is not a checkpoint of anogan: {error}") from None


def pack_optimizer(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as flat tensors (its settings are not stored; they follow from the parameters)."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{index}.{key}": t for index, entry in state.items() for key, t in entry.items()}


def unpack_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Undo `pack_optimizer`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            index, key = name[len(prefix) + 1 :].split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
