"""Locks on outputs: two runs never write the same file or folder at once."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from filelock import lock_descriptor

from ..errors import InputError
from .remote import is_remote

_POLL = 0.02  # seconds between two attempts to get a lock
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextlib.contextmanager
def locked(target: str | os.PathLike[str], *, folder: bool = False, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock on an output, so that no other run that also takes it writes there.

    The operating system holds the lock on a hidden file (``.NAME.lock`` beside a file, ``.anogan.lock`` in a folder;
    of a link, where it leads) and releases it however the process ends. A file that a killed process left does no
    harm. Inside the block, the same thread can take the same lock again. A folder is created, and removed afterwards
    if it is still empty.

    Parameters
    ----------
    target : path
        It need not exist.
    folder : bool
        Whether the target is a folder.
    patience : float
        Seconds to wait until another run has ended.

    Raises
    ------
    InputError
        If another run, or another thread, holds the lock.
    """
    if is_remote(target):  # a file system that has no locks: the last writer's file stays, as a whole
        yield
        return
    real = Path(os.path.realpath(target))
    home = real if folder else real.parent
    path = home / (".anogan.lock" if folder else f".{real.name}.lock")
    if path in _held.get():
        yield
        return
    made = [place for place in (home, *home.parents) if not place.exists()] if folder else []
    try:
        descriptor = _acquired(path, time.monotonic() + patience, folder=folder)
    except TimeoutError:
        other = "folder" if folder else "file"
        raise InputError(
            f"Another run is writing {target}; wait until it has ended, or name another {other}."
        ) from None
    except OSError as error:
        error.filename = os.fspath(target)  # the user does not know of the hidden file
        raise
    token = _held.set(_held.get() | {path})
    try:
        yield
    finally:
        _held.reset(token)
        with contextlib.suppress(OSError):
            path.unlink()  # before the lock is released: a run that waits for it then sees that the file is gone
        os.close(descriptor)
        with contextlib.suppress(OSError):  # not empty
            for place in made:
                place.rmdir()


def _acquired(path: Path, deadline: float, *, folder: bool) -> int:
    """Return a descriptor of the file at `path` that holds its lock; raise `TimeoutError` if another one does."""
    while True:
        if folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = _opened(path)
        except FileNotFoundError:
            if folder:
                continue  # the run that made the folder has just ended and removed it
            raise
        try:
            held = _locks(descriptor, path)
            if held and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not held:
            if time.monotonic() >= deadline:
                raise TimeoutError
            time.sleep(_POLL)


def _opened(path: Path) -> int:
    flags = getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | flags)  # another user's file, which most file systems lock as well


def _locks(descriptor: int, path: Path) -> bool:
    """Return whether the lock was free and is now held; on a file system without locks, warn and go on."""
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        warnings.warn(
            f"The file system of {path.parent} has no locks ({error.strerror}), so nothing stops a second run from "
            "writing there at the same time.",
            stacklevel=4,
        )
        return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a descriptor's file still has its name: the run that held the lock before removes the file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
