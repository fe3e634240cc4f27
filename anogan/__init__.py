"""GAN-based anomaly detection: fit on normal data, rank, flag and explain what is unusual.

The public names and their types are in ``__init__.pyi``. Each is imported when it is first used, so that
``import anogan`` is fast.
"""

import ast
import importlib
import os
from pathlib import Path
from typing import Any

# Threads of torch on Linux wait for each other in a loop before they sleep. Where other programs keep the processors
# busy, the one that is waited for cannot run meanwhile: a picture took 2.1 s instead of 0.15. What is set here is read
# when torch is imported; what the user has set counts.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

__version__ = "0.1.0"

_HOMES = {
    alias.name: f"{__name__}.{node.module}"
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ImportFrom) and node.level
    for alias in node.names
}
"""The module that holds each public name, as the stub says."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    if not hasattr(home, name):  # a public module
        importlib.import_module(f"{_HOMES[name]}.{name}")
    globals()[name] = getattr(home, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
