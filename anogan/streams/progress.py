"""Progress of work on many rows or pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, how many rows or pictures are done, and how many there are (None if unknown)."""


def report(progress: Progress | None, what: str, done: int, total: int | None) -> None:
    """Call `progress`, if it is given."""
    if progress is not None:
        progress(what, done, total)
