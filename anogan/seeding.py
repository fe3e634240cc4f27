"""Random numbers from one seed, without changing global generators."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def draw_seed(random_state: Any) -> int:
    """Return an integer seed in [0, 2**31) from scikit-learn's ``random_state``.

    An integer is used as it is, None draws fresh entropy, and a ``RandomState`` is advanced by one draw.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return int(random_state) % 2**31


def derived_seed(seed: int, number: int) -> int:
    """Return a further seed in [0, 2**31), which is a function of the two numbers."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31


@contextmanager
def forked_torch_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators of the CPU and of the device inside the block, and restore them at its end.

    `torch.manual_seed` would also seed all other devices.
    """
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):  # the device need not be the current one
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
