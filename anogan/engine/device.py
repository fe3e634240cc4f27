"""The device and the number format that networks compute in."""

import os

import torch

from ..errors import InputError


def torch_dtype(precision: str) -> torch.dtype:
    """Return the torch type of a detector's ``precision``, ``"float32"`` or ``"float64"``."""
    return torch.float64 if precision == "float64" else torch.float32


def check_one_process() -> None:
    """Raise `InputError` if this process is one of several that ``torchrun`` started for one training."""
    processes = os.environ.get("WORLD_SIZE", "1") if "RANK" in os.environ else "1"
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        processes = str(torch.distributed.get_world_size())
    if processes != "1":
        raise InputError(
            "A model is trained by one process on one device, and torchrun would train the same model in each of its "
            "processes; start fit without it."
        )


def choose_device(device: str, precision: str) -> torch.device:
    """Return the torch device of this name; ``"auto"`` takes an accelerator if there is one.

    Raises
    ------
    InputError
        There is no such device, or it cannot compute in this precision.
    """
    name = device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if torch.backends.mps.is_available() and precision == "float32":
            name = "mps"
    try:
        chosen = torch.device(name)
        torch.empty(0, dtype=torch_dtype(precision), device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"device={device!r} with precision={precision!r} cannot be used: {error}") from None
    return chosen
