"""Fitted state as JSON values and arrays, and a strict reader for it.

A state names kinds by fixed words and never by classes or import paths, so reading one can build nothing but what
this package builds itself. `encode` keeps every value bit for bit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any

import numpy as np

from ..errors import FormatError
from ..schema import parse_json, quoted

State = dict[str, Any]
"""JSON values, numpy arrays, states, and lists of states without arrays, by name."""

ROOT = "preprocessor"
"""Path of the outermost state. An array's name is its path, such as ``preprocessor.scaler.center``."""

_LONGEST_TEXT = 10_000  # characters quoted or matched; longer names of columns and categories are kept as they are


def encode(state: State) -> tuple[bytes, dict[str, np.ndarray]]:
    """The JSON text of a state, and its arrays by path."""
    values, arrays = _split(state, ROOT)
    return json.dumps(values, indent=1, allow_nan=False).encode(), arrays


def decode(data: bytes, arrays: dict[str, np.ndarray]) -> StateReader:
    """The reader of a state that `encode` wrote.

    Raises
    ------
    FormatError
        If `data` is not strict JSON; see `parse_json`.
    """
    return StateReader(parse_json(data, ROOT), arrays)


class StateReader:
    """Reads a state value by value, each with the type that it must have.

    A value can be read once. `end` refuses values that nothing has read, so that a state holds exactly what its
    class writes.

    Parameters
    ----------
    values : Any
        Decoded JSON; it must be an object.
    arrays : dict of str to ndarray
        All arrays by path; those that are read are removed.
    path : str
        Where in the whole state this part stands, for messages.

    Raises
    ------
    FormatError
        By every method, if a value is missing or is not as required. The message names the value's path.
    """

    def __init__(self, values: Any, arrays: dict[str, np.ndarray], path: str = ROOT) -> None:
        self.path = path
        self._arrays = arrays
        if not isinstance(values, dict):
            raise FormatError(f"{path} is {quoted(values)}; an object is needed.")
        self._values = dict(values)

    def has(self, name: str) -> bool:
        """Whether there is such a value that was not read."""
        return name in self._values

    def text(self, name: str, choices: Collection[str] = (), pattern: str = "") -> str:
        """A text, one of `choices` if there are any, which matches the whole of `pattern` if there is one."""
        value = self._take(name, str)
        if choices and value not in choices:
            raise self.error(name, value, f"one of {', '.join(map(repr, choices))}")
        if pattern and (len(value) > _LONGEST_TEXT or not re.fullmatch(pattern, value)):
            raise self.error(name, value, "a known name")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text or None."""
        return self._take(name, str, type(None))

    def label(self, name: str) -> str | int:
        """The name of a column: a text or an integer."""
        return self._take(name, str, int, bool)

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._take(name, bool)

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer in [low, high]."""
        value = self._take(name, int)
        if not low <= value <= high:
            raise self.error(name, value, f"an integer from {low} to {high}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite float in [low, high]."""
        value = self._take(name, float)
        if not (math.isfinite(value) and low <= value <= high):
            raise self.error(name, value, f"a finite number in [{low}, {high}]")
        return value

    def items(self, name: str, longest: int | None = None) -> list[Any]:
        """A list of at most `longest` JSON values, whose types the caller checks."""
        value = self._take(name, list)
        if longest is not None and len(value) > longest:
            raise self.error(name, value, f"a list of at most {longest} values")
        return value

    def numbers(self, name: str, longest: int) -> list[float]:
        """A list of at most `longest` finite floats."""
        values = self.items(name, longest)
        if not all(type(value) is float and math.isfinite(value) for value in values):
            raise self.error(name, values, "finite numbers")
        return values

    def child(self, name: str) -> StateReader:
        """The reader of a state inside this one."""
        return StateReader(self._take(name, dict), self._arrays, f"{self.path}.{name}")

    def children(self, name: str) -> list[StateReader]:
        """The readers of a list of states."""
        return [
            StateReader(value, self._arrays, f"{self.path}.{name}[{i}]") for i, value in enumerate(self.items(name))
        ]

    def array(self, name: str, dtype: type, *shape: int | None, finite: bool = True) -> np.ndarray:
        """An array of this dtype and shape, where None stands for any length."""
        path = f"{self.path}.{name}"
        if path not in self._arrays:
            raise FormatError(f"{path} is missing; it must be an array.")
        value = self._arrays.pop(path)
        fits = value.ndim == len(shape) and all(
            wanted in (None, got) for wanted, got in zip(shape, value.shape, strict=True)
        )
        if value.dtype != np.dtype(dtype) or not fits:
            needed = f"{np.dtype(dtype)} of shape ({', '.join('any' if n is None else str(n) for n in shape)})"
            raise FormatError(f"{path} is an array {value.dtype} of shape {value.shape}; needed is {needed}.")
        if finite and not np.isfinite(value).all():
            raise FormatError(f"{path} contains NaN or infinity; all values must be finite.")
        return value

    def end(self) -> None:
        """Refuse values that were not read, and, for the outermost state, arrays."""
        unread = [*self._values, *(self._arrays if self.path == ROOT else ())]
        if unread:
            raise FormatError(f"{self.path} has the unexpected value {quoted(unread[0])}.")

    def error(self, name: str, value: Any, needed: str) -> FormatError:
        """The error that says what `name` is and what it must be."""
        return FormatError(f"{self.path}.{name} is {quoted(value)}; it must be {needed}.")

    def _take(self, name: str, *types: type) -> Any:
        if name not in self._values:
            raise FormatError(f"{self.path}.{name} is missing.")
        value = self._values.pop(name)
        if type(value) not in types:  # not isinstance: true is no integer here
            raise self.error(name, value, " or ".join(t.__name__ for t in types))
        return value


def _split(state: State, path: str) -> tuple[State, dict[str, np.ndarray]]:
    values: State = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in state.items():
        below = f"{path}.{name}"
        if isinstance(value, np.ndarray):
            arrays[below] = value
        elif isinstance(value, dict):
            values[name], inner = _split(value, below)
            arrays |= inner
        else:
            values[name] = value
    return values, arrays
