"""The paths that are meant by what a user names: patterns such as ``jan*.csv``, several files, and standard input."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ..errors import InputError

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_SUFFIXES = {b"PAR1": ".parquet", b"ARROW1": ".feather", b"\x93NUMPY": ".npy", b"{": ".jsonl"}


def paths_of(data: Paths) -> list[Path]:
    """Return the files and folders that are meant, those of a pattern in the order of their names.

    Raises
    ------
    InputError
        If a pattern matches nothing, or a file is named twice.
    """
    given = [data] if isinstance(data, str | os.PathLike) else list(data)
    paths: list[Path] = []
    for item in (str(os.fspath(item)) for item in given):
        if os.path.exists(item) or not glob.has_magic(item):
            paths.append(Path(item))
            continue
        matches = sorted(glob.glob(item))
        if not matches:
            raise InputError(f"There is no file '{item}'.")
        paths += map(Path, matches)
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"{path} is named twice.")
    if not paths:
        raise InputError("No file is named.")
    return paths


def standard_input() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Copy standard input to a file, whose name shows the format; the folder vanishes when it is garbage."""
    folder = tempfile.TemporaryDirectory(prefix="anogan-")
    path = Path(folder.name) / "standard_input"
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with open(path, "rb") as file:
        start = file.read(8)
    suffix = next((suffix for magic, suffix in _SUFFIXES.items() if start.startswith(magic)), ".csv")
    return path.rename(path.with_suffix(suffix)), folder
