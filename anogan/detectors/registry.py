"""Detectors by name. A file put into this folder is found; nothing else needs to know it."""

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from .base import Detector

_BY_NAME: dict[str, type["Detector"]] = {}


def register(cls: type["Detector"]) -> None:
    """Enter a detector class under its ``name``; a name taken by another class raises TypeError."""
    known = _BY_NAME.get(cls.name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(f"Two detectors are called {cls.name!r}: {known.__qualname__} and {cls.__qualname__}.")
    _BY_NAME[cls.name] = cls


def list_detectors() -> dict[str, type["Detector"]]:
    """All detectors by name, in alphabetical order."""
    package = importlib.import_module(__package__)
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{info.name}")
    return dict(sorted(_BY_NAME.items()))


def detector_class(name: str) -> type["Detector"]:
    """The detector of this name; raises `InputError` with the closest names."""
    known = list_detectors()
    if name not in known:
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"Unknown detector {name!r}; there are {', '.join(known)}.{hint}")
    return known[name]
