"""Randomness from one seed, without touching anybody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def draw_seed(random_state: Any) -> int:
    """One integer seed in [0, 2**31) from scikit-learn's ``random_state``.

    An integer is its own seed, None draws fresh entropy, a ``RandomState`` is advanced by one draw.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return int(random_state) % 2**31


def derived_seed(seed: int, number: int) -> int:
    """A further seed in [0, 2**31), the same for the same two numbers."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31


@contextmanager
def forked_torch_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the CPU's generator and the device's inside the block; both are as before when it ends.

    `torch.manual_seed` would reseed all other devices as well.
    """
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):  # which need not be the current one
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
