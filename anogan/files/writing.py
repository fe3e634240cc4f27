"""Writing tables and other files, which appear only when they are complete."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ..errors import InputError
from .locks import locked
from .remote import explained_remote, is_remote, remote_path, written_remotely

WRITTEN_SUFFIXES = (".csv", ".tsv", ".parquet")
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠](?s:.)"  # the last four are full-width forms, which spreadsheets take for the others
_NUMBER = r"^[+-](\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?$"
_READ_IN_FOLDERS = (".parquet", ".png")  # of the files that anogan writes, those that a folder of data may consist of
_UNSUPPORTED = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODATA)  # as in shutil
_PATIENCE = 10.0  # seconds that a write waits for another one to the same file


def check_target(target: str, inputs: Sequence[str] = (), *, folder: bool = False) -> None:
    """Raise if an output cannot be written, before hours are spent on computing it.

    Parameters
    ----------
    target : str
        A path, a URL, or "-" for standard output.
    inputs : sequence of str
        Files and folders of data that must neither be replaced nor get more data, or patterns of them.
    folder : bool
        Whether the output is a folder, which may be created.

    Raises
    ------
    InputError
        If the target is one of the `inputs`, or a Parquet file or a PNG in one, which would be read as data; if the
        folder around it does not exist; or if the target is a folder (or a file, where a folder is needed).
    PermissionError
        If the folder around it cannot be written to.
    """
    path = Path(target)
    if is_device(target):
        return
    if is_remote(target):
        _check_remote_target(target, inputs, folder=folder)
        return
    for source in (match for name in inputs for match in ([name] if os.path.exists(name) else glob.glob(name))):
        if path.exists() and path.samefile(source):
            raise InputError(f"The output '{target}' would replace the input '{source}'; name another file.")
        if _is_read_in(path, source):
            raise InputError(
                f"The output '{target}' would lie in the input '{source}', and be read as data with it; name a file "
                "elsewhere."
            )
    if path.is_dir() != folder and path.exists():
        raise InputError(f"{path} is a {'file' if folder else 'folder'}; name a {'folder' if folder else 'file'}.")
    home = path if path.is_dir() else Path(os.path.realpath(path)).parent
    if not home.is_dir() and not folder:
        raise InputError(f"The folder '{home}' for the output does not exist.")
    while not home.exists():
        home = home.parent
    if not os.access(home, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied: cannot write here", str(home))


def _is_read_in(path: Path, folder: str) -> bool:
    """Return whether a file, which need not exist yet, lies in a folder of data and would be read as part of it."""
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    return inside and path.name.lower().endswith(_READ_IN_FOLDERS)


def _check_remote_target(target: str, inputs: Sequence[str], *, folder: bool) -> None:
    if folder:
        raise InputError(f"A folder cannot be written to '{target}'; name one on this machine.")
    path = remote_path(target)
    with explained_remote(target):
        is_folder, same = path.is_dir(), [name for name in inputs if is_remote(name) and remote_path(name) == path]
    if is_folder:
        raise InputError(f"{target} is a folder; name a file.")
    if same:
        raise InputError(f"The output '{target}' would replace the input '{same[0]}'; name another file.")


def as_text(name: str) -> str:
    """Return a file name as text: bytes that are not UTF-8 are written as ``\\xNN``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_device(target: str) -> bool:
    """Return whether the target is standard output, a device or a pipe, which cannot be replaced by renaming."""
    path = Path(target)
    return target == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def check_table_target(target: str, inputs: Sequence[str] = ()) -> None:
    """Call `check_target` for a table; also raise `InputError` if its suffix is not that of a table."""
    check_target(target, inputs)
    if not is_device(target) and not target.lower().endswith(WRITTEN_SUFFIXES):
        raise InputError(
            f"A table cannot be written to '{target}'; name a file that ends in {', '.join(WRITTEN_SUFFIXES)}, or -."
        )


@contextlib.contextmanager
def written_whole(target: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at its path or URL only if the block succeeds; "-" is standard output.

    As when a file is opened for writing, a link leads to the file that is replaced, and a file that is replaced keeps
    its permissions, owner and group; a new one has what the umask says.
    """
    if target == "-":
        with named_after(Path("standard output")):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    if is_remote(target):
        with written_remotely(str(target)) as file:
            yield file
        return
    path = Path(target)
    with named_after(path):
        if is_device(str(target)):
            with open(path, "wb") as file:
                yield file
            return
        with locked(path, patience=_PATIENCE):
            replaced = Path(os.path.realpath(path))
            temporary = replaced.with_name(f".{replaced.name}.part")
            temporary.unlink(missing_ok=True)  # a killed process left it, or it is a link that must not be followed
            try:
                with open(temporary, "xb", opener=as_private_as(path)) as file:
                    yield file
                os.replace(temporary, replaced)
            finally:
                temporary.unlink(missing_ok=True)


def as_private_as(path: Path) -> Callable[[str, int], int]:
    """Return an opener of new files that gives them the permissions, owner and group of the file at `path`, if any."""

    def opened(name: str, flags: int) -> int:
        try:
            old = path.stat()  # of a link's file, and refused where the system lets nobody follow another user's link
        except FileNotFoundError:
            return os.open(name, flags, 0o666)
        descriptor = os.open(name, flags, stat.S_IRUSR | stat.S_IWUSR)
        try:
            _permit(descriptor, path, old)
            _give(descriptor, old)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    return opened


def _permit(descriptor: int, path: Path, old: os.stat_result) -> None:
    """Give a new file the access list and the mode of the file at `path`.

    Mounts of buckets and of other systems' folders may refuse that. The new file then stays as it is, if its group and
    others may do no more with it than with the old one.

    Raises
    ------
    PermissionError
        If they may do more.
    """
    with _passed_over_where_unsupported():
        for name in os.listxattr(path) if hasattr(os, "listxattr") else ():  # the access list is one of them
            with _passed_over_where_unsupported():
                os.setxattr(descriptor, name, os.getxattr(path, name))
    with _passed_over_where_unsupported():
        os.chmod(descriptor, stat.S_IMODE(old.st_mode))  # last, because it may forbid to set attributes
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & ~old.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = "More people could read the new file than the old one, and its permissions cannot be set here"
        raise PermissionError(errno.EPERM, message, str(path))


@contextlib.contextmanager
def _passed_over_where_unsupported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _give(descriptor: int, old: os.stat_result) -> None:
    """Give a file to the owner and group of another one; where its group cannot be kept, a group has no access."""
    new = os.fstat(descriptor)
    if new.st_gid != old.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except PermissionError:
            os.fchmod(descriptor, stat.S_IMODE(new.st_mode) & ~stat.S_IRWXG)
    if new.st_uid != old.st_uid:
        with contextlib.suppress(PermissionError):  # only an administrator gives files away
            os.fchown(descriptor, old.st_uid, -1)


@contextlib.contextmanager
def named_after(path: Path) -> Iterator[None]:
    """Let errors name the file that the user asked for instead of none or a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # NumPy's and Pillow's when less was written than asked for
            raise OSError(errno.EIO, str(error), str(path)) from error
        if error.filename is None or str(error.filename).endswith(".part"):
            error.filename = str(path)
        raise


class TableWriter:
    """Writes tables of one schema to CSV, TSV or Parquet, by the suffix of the target; "-" is CSV.

    Parameters
    ----------
    file : writable binary file
    target : str
    schema : pyarrow.Schema
    formulas : bool
        Whether a text may be one that a spreadsheet would run as a formula. If not, an apostrophe is put before such
        texts and column names in CSV and TSV, as OWASP recommends: those that begin with =, +, -, @, a tab or the
        end of a line and are no numbers.
    """

    def __init__(self, file: IO[bytes], target: str, schema: pa.Schema, *, formulas: bool = False) -> None:
        # Imported here, because saving a model needs neither.
        import pyarrow.csv as pv
        import pyarrow.parquet as pq

        name = target.lower()
        if name.endswith(".parquet"):
            self._writer: Any = pq.ParquetWriter(file, schema)
            self._is_text = self._as_texts = False
            return
        delimiter = "\t" if name.endswith(".tsv") else ","
        self._is_text, self._as_texts = True, not formulas
        names = schema.names if formulas else _without_formulas(pa.table({"name": schema.names}))["name"].to_pylist()
        file.write((delimiter.join(_quoted(n, delimiter) for n in names) + "\n").encode())
        options = pv.WriteOptions(include_header=False, delimiter=delimiter)
        self._writer = pv.CSVWriter(file, schema, write_options=options)

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        if self._as_texts:
            table = _without_formulas(table)
        # Arrow's CSV writer writes bytes of earlier rows for a chunk without rows.
        self._writer.write_table(table.combine_chunks() if self._is_text else table)

    def close(self) -> None:
        """Finish the table; the file itself stays open."""
        self._writer.close()


@contextlib.contextmanager
def table_writer(target: str, schema: pa.Schema, *, formulas: bool = False) -> Iterator[TableWriter]:
    """Open a `TableWriter` on a file that appears only when it is complete."""
    with written_whole(target) as file:
        writer = TableWriter(file, target, schema, formulas=formulas)
        yield writer
        writer.close()


def _without_formulas(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    for index, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = table.column(index)
            matches = pc.match_substring_regex(texts, _FORMULA)
            found = pc.and_not(matches, pc.match_substring_regex(texts, _NUMBER))
            safe = pc.if_else(found, pc.binary_replace_slice(texts, 0, 0, "'"), texts)
            table = table.set_column(index, column, safe)
    return table


def _quoted(name: str, delimiter: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in (delimiter, '"', "\n", "\r")) else name
