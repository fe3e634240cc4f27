"""One sentence with the file's name for whatever goes wrong while a file that others made is read."""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from ..errors import InputError

_COMPRESSION = (EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)
_OUTER = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EIO, errno.ENOSPC, errno.EMFILE)


@contextlib.contextmanager
def explained(
    path: os.PathLike[str], what: str = "", *, where: Callable[[], str] = lambda: "", header: bool = False
) -> Iterator[None]:
    """Turn the errors of the libraries that read a file into `InputError`.

    Parameters
    ----------
    path : path
        The file that the message names.
    what : str
        What the file should be, such as ``"a NumPy array (.npy)"``.
    where : function without arguments -> str
        How far the reading came, for the message.
    header : bool
        Whether only a library's code runs, so that any error means a damaged file and not a fault in ours.
    """
    try:
        yield
    except InputError:
        raise
    except UnicodeError as error:
        if what:
            raise InputError(f"{path} {_is_not(what)}{_shown(error)}.") from None
        raise InputError(
            f"{path} is not text in its encoding{where()}. Name another with CSVDialect(encoding='cp1252') (on the "
            "command line --encoding cp1252)."
        ) from None
    except MemoryError as error:
        raise InputError(f"{path} is damaged, or needs more memory than there is{where()}{_shown(error)}.") from None
    except (pa.ArrowException, OverflowError, *_COMPRESSION) as error:
        raise InputError(f"{path} {_is_not(what)}{where()}{_shown(error)}.") from None
    except OSError as error:
        if error.errno in _OUTER:
            error.filename = error.filename or str(path)
            raise
        raise InputError(f"{path} {_is_not(what)}{where()}{_shown(error)}.") from None
    except Exception as error:
        if not header:
            raise
        raise InputError(f"{path} {_is_not(what)}{where()}{_shown(error)}.") from None


def _is_not(what: str) -> str:
    return f"is not {what}, or is damaged or cut short" if what else "is damaged or was cut short"


def _shown(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f" ({text[:200]})" if text else ""


def check_memory(path: os.PathLike[str], size: int) -> None:
    """Raise `InputError` if an array of so many bytes cannot be held in this machine's memory."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > there:
        raise InputError(
            f"{path} holds an array of {size / 2**30:,.1f} GiB, more than this machine's memory ({there / 2**30:,.1f} "
            "GiB). Give fewer rows, or a table (.csv or .parquet), of which rows are drawn."
        )
