"""Checkpoints: tensors in safetensors, other state as JSON in its header, written completely or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..errors import FormatError
from ..sources.writing import written_whole

FILE_NAME = "checkpoint.safetensors"


def write_checkpoint(directory: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Replace the directory's checkpoint atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    # Clones, since safetensors refuses tensors that share memory.
    whole = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with written_whole(directory / FILE_NAME) as file:  # `save_file` raises no OSError if the disk is full
        file.write(save(whole, metadata={"state": json.dumps(state)}))
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors and the state last written, or None if there is no checkpoint yet.

    Raises
    ------
    FormatError
        The file is not a checkpoint, or is damaged.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return load(content), json.loads(header["__metadata__"]["state"])
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not a checkpoint of anogan: {error}") from None


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
