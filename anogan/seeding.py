"""Random numbers from one seed, drawn from generators of the running thread and never from the global ones.

Detectors that are fitted in several threads at once therefore give what each gives alone. Losses, monitors and the
hooks of a module draw with `rand`, `randn` and `randperm` of this file; constructors may also use torch's own functions
and layers, since a module is built inside `OwnInitialisation`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FILLS = {
    *(Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_, Tensor.log_normal_),
    *(torch.nn.init.uniform_, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_),  # a mode sees these as a whole
}
"""Functions that draw the values of a tensor, their first argument."""
INITIALISERS = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial),
    *FILLS,
}


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


class Generators:
    """One generator for each device, all with the same seed.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._by_device: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        """Return the generator of the device, which is made when it is first asked for."""
        if device not in self._by_device:
            made = torch.Generator(device).manual_seed(self.seed)
            self._by_device[device] = self._by_device.setdefault(made.device, made)  # "cuda" and "cuda:0" are one
        return self._by_device[device]

    def state(self) -> dict[str, Tensor]:
        """Return the state of each generator by the type of its device, such as ``"cpu"`` or ``"cuda"``."""
        return {device.type: generator.get_state() for device, generator in self._by_device.items()}

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Continue on the CPU and on the device where `state` was taken."""
        for each in (torch.device("cpu"), device):
            if each.type in state:
                self.on(each).set_state(state[each.type])


_CURRENT: ContextVar[Generators] = ContextVar("generators")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from new generators inside the block, in this thread alone; blocks may be nested."""
    token = _CURRENT.set(Generators(seed))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def generators() -> Generators:
    """Return the generators of the innermost `seeded` block; outside of one raise LookupError."""
    return _CURRENT.get()


def rand(*size: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
    """Draw uniformly from [0, 1), as `torch.rand` does."""
    return torch.rand(*size, generator=_generator(device), dtype=dtype, device=device)


def randn(*size: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
    """Draw from the standard normal distribution, as `torch.randn` does."""
    return torch.randn(*size, generator=_generator(device), dtype=dtype, device=device)


def randperm(n: int, device: torch.device | None = None) -> Tensor:
    """Draw a permutation of the numbers below ``n``, as `torch.randperm` does."""
    return torch.randperm(n, generator=_generator(device), device=device)


class OwnInitialisation(TorchFunctionMode):
    """Inside this block torch's own functions, with which layers draw their first weights, draw from `generators` too.

    It slows every operation of torch, so only modules are built inside.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in INITIALISERS and kwargs.get("generator") is None:
            tensor = next((value for value in (*args, kwargs.get("tensor")) if isinstance(value, Tensor)), None)
            device = kwargs.get("device") if tensor is None else tensor.device
            kwargs = kwargs | {"generator": _generator(None if device is None else torch.device(device))}
        return func(*args, **kwargs)


def _generator(device: torch.device | None) -> torch.Generator | None:
    """Return this thread's generator for the device; outside of a `seeded` block None, which is torch's global one."""
    current = _CURRENT.get(None)
    return None if current is None else current.on(device or torch.get_default_device())
