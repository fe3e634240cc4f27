"""Scored chunks kept on disk until all are there, so that a run that was killed can be resumed."""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ..errors import AnoganWarning, InputError, Interrupted
from ..files.remote import is_remote
from ..files.writing import as_private_as, named_after
from ..wording import counted

_MAGIC = b"anogan scores\n"
_STATE = b"anogan"
_LENGTH_BYTES, _SUM_BYTES = 8, 4


class Journal:
    """A file with tables of one schema, each with the state of the run after it.

    The file starts with a magic string. Each table follows as its length, its check sum and an Arrow stream. Bytes
    after the last complete table were being written when the run was killed, or were damaged since; they are cut off.
    The first table is empty and identifies the run.

    Parameters
    ----------
    file : unbuffered binary file, readable and writable
    schema : pyarrow.Schema
    run : dict
        Properties that must be equal for the run to be resumed, as JSON; the error names those that differ.

    Attributes
    ----------
    state : dict
        State of the last complete table; empty if there is none.

    Raises
    ------
    InputError
        If the file belongs to another run or is not a journal.
    """

    def __init__(self, file: IO[bytes], schema: pa.Schema, run: dict[str, Any]) -> None:
        self._file, self._schema = file, schema
        self.state: dict[str, Any] = {}
        if not _MAGIC.startswith(file.read(len(_MAGIC))):
            raise InputError(f"{file.name} was not written by `anogan score`; move or delete it.")
        found = list(self._states())
        if not found:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(_MAGIC)
            self.append(schema.empty_table(), {"run": run})
            self.state = {}
            return
        recorded = found[0].get("run", {})
        other = [name for name, value in run.items() if recorded.get(name) != value]
        if other:
            raise InputError(
                f"{file.name} was started with another {' and '.join(other)}, so it cannot be resumed. "
                "Repeat the same command, or delete this file to start again."
            )
        self.state = found[-1] if len(found) > 1 else {}

    def append(self, table: pa.Table, state: dict[str, Any]) -> None:
        """Append rows and the state of the run after them; the operating system has both when this returns."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema.with_metadata({_STATE: json.dumps(state)})) as stream:
            stream.write_table(table.select(self._schema.names))
        content = sink.getvalue()
        head = len(content).to_bytes(_LENGTH_BYTES, "little") + zlib.crc32(content).to_bytes(_SUM_BYTES, "little")
        rest = memoryview(head + content.to_pybytes())
        self._file.seek(0, os.SEEK_END)
        while rest:  # an unbuffered write may be partial
            rest = rest[self._file.write(rest) :]
        self.state = state

    def tables(self) -> Iterator[pa.Table]:
        """Iterate over the tables appended so far, in order."""
        for stream in self._streams():
            table = stream.read_all()
            if table.num_rows:
                yield table.replace_schema_metadata()

    def _states(self) -> Iterator[dict[str, Any]]:
        """Iterate over the states of the complete tables, then cut off the rest of the file."""
        end = len(_MAGIC)
        with contextlib.suppress(pa.ArrowInvalid):
            for stream in self._streams():
                yield json.loads(stream.schema.metadata[_STATE])
                end = self._file.tell()
        self._file.truncate(end)

    def _streams(self) -> Iterator[Any]:
        self._file.seek(len(_MAGIC))
        size = os.fstat(self._file.fileno()).st_size
        while len(head := self._file.read(_LENGTH_BYTES + _SUM_BYTES)) == _LENGTH_BYTES + _SUM_BYTES:
            length = int.from_bytes(head[:_LENGTH_BYTES], "little")
            if not 0 < length <= size - self._file.tell():
                return
            content = self._file.read(length)
            if zlib.crc32(content) != int.from_bytes(head[_LENGTH_BYTES:], "little"):
                return
            yield pa.ipc.open_stream(pa.py_buffer(content))


@contextlib.contextmanager
def kept(output: str, schema: pa.Schema, run: dict[str, Any], *, resume: bool) -> Iterator[Journal]:
    """Open a journal beside the output; it is removed when the block succeeds and kept if the run can be resumed.

    Raises
    ------
    InputError
        If a journal exists and `resume` is False, or if it belongs to another run.
    """
    path = Path(f"{output}.part")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path} was not written by `anogan score`; move or delete it.")
    if path.exists() and not resume:
        kept_here, other = (
            f"{path} holds the scores of an interrupted run. Continue with",
            "or delete the file to start again.",
        )
        raise InputError(f"{kept_here} resume=True, {other}", f"{kept_here} --resume, {other}")
    mode, opener = ("r+b", None) if path.exists() else ("x+b", as_private_as(Path(output)))
    with named_after(Path(output)), open(path, mode, buffering=0, opener=opener) as file:
        journal = Journal(file, schema, run)
        try:
            yield journal
        except BaseException as error:
            if not journal.state or isinstance(error, InputError):  # the same data would fail again
                path.unlink()
                raise
            rows = f"{path} keeps {counted(journal.state['rows'], 'scored row')}; the same"
            python, shell = f"{rows} call with resume=True continues.", f"{rows} command with --resume continues."
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(python, shell) from error
            warnings.warn(AnoganWarning(python, shell), stacklevel=1)
            raise
    path.unlink()


@contextlib.contextmanager
def nameless(folder: str | None, schema: pa.Schema) -> Iterator[Journal]:
    """Open a journal in a temporary file without a name, which vanishes with this process however it ends."""
    place = Path(folder or tempfile.gettempdir())
    with named_after(place), tempfile.TemporaryFile(dir=place, buffering=0) as file:
        yield Journal(file, schema, {})


def identity(paths: Sequence[Path]) -> str:
    """Return a digest of the sizes and times of files or folders, which changes when they are modified."""
    facts = []
    for path in paths:
        if is_remote(path):
            remote: Any = path
            files = sorted(remote.rglob("*")) if remote.is_dir() else [remote]
            facts += [(str(file), remote.fs.ukey(file.path), 0) for file in files]
            continue
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        facts += [(str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def digest(path: str) -> str:
    """Return the SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
