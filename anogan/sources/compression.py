"""Files that may be compressed: the first bytes tell how, whatever the name says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from ..errors import InputError

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip"}
_FOREIGN = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather (Arrow) file",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"\x93NUMPY": "a NumPy array",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF file",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
    b'{"': "a JSON file",
    b'[{"': "a JSON file",
}
_RENAMED = {
    "a Parquet file": ".parquet",
    "a Feather (Arrow) file": ".feather",
    "a NumPy array": ".npy",
    "a JSON file": ".jsonl",
}


def compression_of(path: Path) -> str:
    """Return how a file is compressed ("gz", "bz2", "xz", "zst" or "zip"), "" if it is not."""
    with open(path, "rb") as file:
        start = file.read(8)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")


def opened(path: Path) -> IO[bytes]:
    """Open a file that may be compressed, to read its content.

    Raises
    ------
    InputError
        If a .zip file holds anything but one file, or is an Excel file.
    """
    kind = compression_of(path)
    if kind == "zip":
        return _opened_zip(path)
    if kind == "zst":
        return cast(IO[bytes], pa.input_stream(str(path), compression="zstd"))
    openers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    return cast(IO[bytes], openers.get(kind, open)(path, "rb"))


def check_is_text(start: bytes) -> None:
    """Raise `InputError` if a file that should be text starts like another kind of file; it does not name the file."""
    found = next((kind for magic, kind in _FOREIGN.items() if start.lstrip().startswith(magic)), None)
    if found is not None:
        hint = f" Rename it so that its name ends in {_RENAMED[found]}." if found in _RENAMED else ""
        raise InputError(f"is {found}, not text.{hint}")


def _opened_zip(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = [info.filename for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    if "[Content_Types].xml" in names:
        raise InputError("is an Excel file, not text. Rename it so that its name ends in .xlsx.")
    if len(names) != 1:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise InputError(f"holds {len(names)} files ({listed}), but one is needed. Extract the one that is meant.")
    try:
        return archive.open(names[0])
    except RuntimeError:
        raise InputError("is encrypted. Extract the file.") from None
