"""Files at URLs such as ``s3://bucket/new.parquet``, through fsspec."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL."""
    return _URL.match(str(path)) is not None


def remote_path(url: str) -> Any:
    """Return a URL as an object with the methods of `pathlib.Path`.

    Raises
    ------
    InputError
        A package that reads such URLs is missing, or the place cannot be reached.
    """
    try:
        from upath import UPath
    except ModuleNotFoundError:
        raise InputError(f"Reading '{url}' needs another package: pip install \"anogan[remote]\".") from None
    with explained_remote(url):
        return UPath(url)


@contextlib.contextmanager
def explained_remote(url: str) -> Iterator[None]:
    """Turn what the libraries of remote file systems raise into `InputError`."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"'{url}' cannot be opened: {error}.") from None
    except Exception as error:  # each file system raises errors of its own
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"'{url}' cannot be read or written: {text}.") from None


def fetch(path: Any, folder: str) -> Path:
    """Copy a remote file or folder into a local folder; return the copy."""
    copy = Path(folder) / path.name
    with explained_remote(str(path)):
        if not path.exists():
            raise InputError(f"There is no file or folder '{path}'.")
        path.fs.get(path.path, str(copy), recursive=path.is_dir())
    return copy


@contextlib.contextmanager
def local_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a file on this machine: that of a temporary copy if the file is remote."""
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="anogan-") as folder:
        yield fetch(remote_path(str(path)), folder)


@contextlib.contextmanager
def written_remotely(url: str) -> Iterator[IO[bytes]]:
    """Open a temporary file that is copied to a URL, under another name and then its own, if the block succeeds."""
    target = remote_path(url)
    with tempfile.NamedTemporaryFile(prefix="anogan-") as file:
        yield file
        file.flush()
        part = target.with_name(f".{target.name}.part")
        with explained_remote(url):
            try:
                with open(file.name, "rb") as content, part.open("wb") as copy:
                    shutil.copyfileobj(content, copy)
                target.fs.mv(part.path, target.path)
            except BaseException:
                with contextlib.suppress(Exception):
                    part.unlink(missing_ok=True)
                raise
