"""The paths that are meant by what a user names: patterns such as ``jan*.csv``, several files, and standard input."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import InputError
from .remote import explained_remote, is_remote, remote_path

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_SUFFIXES = {b"PAR1": ".parquet", b"ARROW1": ".feather", b"\x93NUMPY": ".npy", b"{": ".jsonl"}


def paths_of(data: Paths) -> list[Path]:
    """Return the files and folders that are meant, those of a pattern in the order of their names.

    A URL such as ``s3://bucket/new.parquet`` becomes an object with the methods of a path.

    Raises
    ------
    InputError
        If a pattern matches nothing, or a file is named twice.
    """
    given = [data] if isinstance(data, str | os.PathLike) or is_remote(data) else list(data)  # type: ignore[arg-type]
    paths: list[Path] = []
    for item in (str(item) for item in given):
        if is_remote(item):
            paths += _remote(item)
            continue
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


def _remote(url: str) -> list[Any]:
    """Return the files at a URL, which may be a pattern."""
    path = remote_path(url)
    with explained_remote(url):
        if not glob.has_magic(url) or path.exists():
            return [path]
        matches = sorted(path.fs.glob(path.path))
        found = [remote_path(path.fs.unstrip_protocol(match)) for match in matches]
    if not found:
        raise InputError(f"There is no file '{url}'.")
    return found


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
