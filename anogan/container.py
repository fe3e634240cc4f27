"""A file of JSON texts and tensors: a zip of manifest.json, weights.safetensors and further JSON, without pickle.

A file is checked from the outside in, and each step trusts the one before it: the zip's directory, the sizes that it
declares, the texts, the digests, and the names and sizes of the tensors. No tensor is allocated before all of these
fit, and none may be larger than its part of the file.
"""

import hashlib
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypedDict

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from .errors import FormatError, InputError
from .schema import LARGEST_TEXT, Count, check_type, is_too_large, parse_json, quoted

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"
MOST_TENSORS = 2**15

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}  # safetensors' names
_CHUNK = 2**20  # bytes read at once
_LONGEST_DIRECTORY, _MOST_PARTS = 2**12, 16  # bytes and entries of a zip's directory
_END, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")  # the header before the data of an entry of a zip
_IN_ZIP64 = 0xFFFFFFFF
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, ValueError)
"""What reading damaged bytes as a zip may raise."""


class _Entry(TypedDict):
    """What the header of safetensors says of a tensor."""

    dtype: str
    shape: list[Count]
    data_offsets: tuple[Count, Count]


class Container:
    """An open file, whose directory, texts and digests have been checked; see `open_container`.

    Attributes
    ----------
    manifest : dict
        JSON, without its digests.
    texts : dict of str to bytes
        The further parts by name.
    declared : dict of str to Tensor
        The tensors on the meta device: types and shapes without values.
    sizes : dict of str to int
        Bytes of each part.
    written : datetime
    """

    def __init__(self, path: Path, file: IO[bytes], archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
        self.path, self._file, self._archive = path, file, archive
        self.sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        self.written = datetime(*archive.getinfo(MANIFEST).date_time)
        self._status = _status(file)
        self.texts = {name: _text(archive, name) for name in self.sizes if name not in (MANIFEST, WEIGHTS)}
        self.manifest = {name: value for name, value in manifest.items() if name != "sha256"}
        self._check_digests(manifest.get("sha256"))
        del self.manifest["format_version"]  # belongs to the file and not to its contents
        self.declared, self._places = self._read_header()

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Read the tensors whose names start with ``prefix``.

        Raises
        ------
        FormatError
            The file was changed since it was opened.
        """
        with _format_errors(self.path):
            found = dict(self._read(prefix))
        if _status(self._file) != self._status:
            raise FormatError(f"{self.path} was changed while it was read.")
        return found

    def _read(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        with self._archive.open(WEIGHTS) as part:
            for name, meta in self.declared.items():
                if not name.startswith(prefix):
                    continue
                tensor = torch.empty(meta.shape, dtype=meta.dtype)
                values = tensor.reshape(-1).view(torch.uint8).numpy()
                part.seek(self._places[name])
                for start in range(0, len(values), _CHUNK):
                    chunk = memoryview(values[start : start + _CHUNK])  # type: ignore[arg-type]
                    if part.readinto(chunk) != len(chunk):  # type: ignore[attr-defined]
                        raise EOFError(f"it ends within {name}")
                if tensor.dtype == torch.bool and (values > 1).any():
                    raise ValueError(f"{name} has a value that is neither true nor false")
                yield name, tensor

    def _check_digests(self, written: Any) -> None:
        with self._archive.open(WEIGHTS) as part:
            found = digests(self.manifest, self.texts) | {WEIGHTS: hashlib.file_digest(part, "sha256").hexdigest()}  # type: ignore[arg-type]
        for name, digest in found.items():
            if not isinstance(written, dict) or digest != written.get(name):
                raise FormatError(f"{self.path}: {name} was altered after the file was written.")

    def _read_header(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return type and shape of each tensor, and where it starts, as the header of safetensors says."""
        size = self._archive.getinfo(WEIGHTS).file_size
        with self._archive.open(WEIGHTS) as part:
            length = int.from_bytes(part.read(8), "little")
            if not 2 <= length <= min(size - 8, LARGEST_TEXT):
                raise ValueError(f"{WEIGHTS} has a header of {length:,} bytes")
            header = parse_json(part.read(length), f"the header of {WEIGHTS}")
        check_type(header, dict[str, _Entry], WEIGHTS)
        if len(header) > MOST_TENSORS:
            raise ValueError(f"it has {len(header):,} tensors, and no file that is written has over {MOST_TENSORS:,}")
        declared, places, position = {}, {}, 8 + length
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            dtype = _DTYPES.get(entry["dtype"])
            if dtype is None or start != position or math.prod(entry["shape"]) * dtype.itemsize != stop - start:
                raise ValueError(f"{name} has a type, a shape or a place that cannot be")
            declared[name] = torch.empty(entry["shape"], dtype=dtype, device="meta")
            places[name], position = start, stop
        if position != size:
            raise ValueError(f"{WEIGHTS} has {size:,} bytes, and its header describes {position:,}")
        return declared, places


@contextmanager
def open_container(path: str | os.PathLike[str], kind: str, version: int, *texts: str) -> Iterator[Container]:
    """Open a file that `write_container` wrote.

    Parameters
    ----------
    path : path
    kind : str
        What the file should be, for messages, such as "model file".
    version : int
        Format version that the manifest must have.
    *texts : str
        Names of the further parts.

    Raises
    ------
    FormatError
        Not such a file, another format version, a missing or altered part, or sizes that are never written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would wait
        what = "special file"
        if path.is_dir():
            what = "directory; anogan.score_per_group scores with the models that fit_per_group writes to one"
        raise FormatError(f"{path} is not a {kind} of anogan, but a {what}.")
    with open(path, "rb") as file:
        try:
            count = _count(file)
            archive = zipfile.ZipFile(file)
            _check_entries(file, archive, count)
            manifest = parse_json(_text(archive, MANIFEST), MANIFEST)
            if not isinstance(manifest, dict):
                raise FormatError(f"{MANIFEST} is not a JSON object")
        except _DAMAGED as error:
            raise FormatError(f"{path} is not a {kind} of anogan ({str(error).rstrip('.')}).") from None
        found = manifest.get("format_version")
        if type(found) is not int or found != version:
            raise FormatError(
                f"{path} has {kind} format version {quoted(found)}; this anogan reads version {version}. "
                "Install the anogan that wrote it, or fit again."
            )
        with _format_errors(path):
            if unlike := {MANIFEST, WEIGHTS, *texts} ^ set(archive.namelist()):
                raise FormatError(f"{sorted(unlike)[0]!r} is missing or is never written")
            container = Container(path, file, archive, manifest)
        yield container


def write_container(
    file: IO[bytes], version: int, manifest: dict[str, Any], tensors: dict[str, Tensor], **texts: bytes
) -> None:
    """Write a file that `open_container` reads.

    Raises
    ------
    InputError
        The contents are beyond the limits of what is read.
    """
    whole: dict[str, Tensor] = {}
    written = set()
    for name, tensor in tensors.items():
        whole[name] = tensor.detach().cpu().contiguous()
        if (memory := whole[name].untyped_storage().data_ptr()) in written:
            whole[name] = whole[name].clone()  # safetensors refuses tensors that share memory
        written.add(memory)
    manifest = manifest | {"format_version": version}
    parts = texts | {WEIGHTS: save_tensors(whole)}
    manifest["sha256"] = digests(manifest, parts)
    parts[MANIFEST] = json.dumps(manifest, indent=1, allow_nan=False).encode()
    for name in (MANIFEST, *texts):
        if is_too_large(parts[name]):
            raise InputError(f"{name} would have {len(parts[name]):,} bytes, too many to be read. Use fewer columns.")
    if len(whole) > MOST_TENSORS:
        raise InputError(f"There are {len(whole):,} tensors, and at most {MOST_TENSORS:,} are read. Lower n_members.")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MANIFEST, WEIGHTS, *texts):
            # Compression takes seconds and saves less than a tenth of the weights.
            archive.writestr(name, parts[name], zipfile.ZIP_STORED if name == WEIGHTS else None)


def digests(manifest: dict[str, Any], parts: dict[str, bytes]) -> dict[str, str]:
    """Return the digest of each part; that of the manifest does not depend on its layout."""
    whole = parts | {MANIFEST: json.dumps(manifest, sort_keys=True).encode()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in whole.items()}


def _count(file: IO[bytes]) -> int:
    """Return the number of entries of a zip, if it ends with a short directory, which `ZipFile` then reads whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _END64.size - 20 - _END.size, 0))
    tail = file.read()
    if len(tail) < _END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    signature, *_, count, length, _, comment = _END.unpack(tail[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        raise zipfile.BadZipFile("File is not a zip file")
    lengths, counts = [length], [count]
    if tail[: -_END.size][-20:].startswith(b"PK\x06\x07") and len(tail) > _END64.size:
        *_, long_count, long_length, _ = _END64.unpack(tail[: _END64.size])
        lengths, counts = [*lengths, long_length], [*counts, long_count]
    if max(lengths) > _LONGEST_DIRECTORY or max(counts) > _MOST_PARTS:
        raise zipfile.BadZipFile(f"it has a directory of {max(counts):,} entries")
    return int(count)


def _check_entries(file: IO[bytes], archive: zipfile.ZipFile, count: int) -> None:
    """Raise `BadZipFile` unless entries follow each other without gaps, as their own headers and the directory say."""
    position = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        file.seek(position)
        header = file.read(_LOCAL.size)
        if entry.header_offset != position or len(header) < _LOCAL.size:
            raise zipfile.BadZipFile("its entries overlap or have gaps")
        signature, _, flags, method, _, _, crc, compressed, size, name, extra = _LOCAL.unpack(header)
        sizes = {compressed: entry.compress_size, size: entry.file_size}
        if (
            signature != b"PK\x03\x04"
            or (flags, method, crc) != (0, entry.compress_type, entry.CRC)
            or file.read(name) != entry.filename.encode()
            or any(here not in (there, _IN_ZIP64) for here, there in sizes.items())
        ):
            raise zipfile.BadZipFile(f"the header of {entry.filename[:40]!r} is not that of the directory")
        is_stored = method == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        is_small = method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and entry.file_size <= LARGEST_TEXT
        if not (is_small or (is_stored and entry.filename == WEIGHTS)):
            raise zipfile.BadZipFile(f"{entry.filename[:40]!r} is larger than any that is written")
        position += _LOCAL.size + name + extra + entry.compress_size
    if position != archive.start_dir:
        raise zipfile.BadZipFile("its entries overlap or have gaps")
    if not len(set(archive.namelist())) == len(archive.namelist()) == count:
        raise zipfile.BadZipFile("it has two entries of one name, or another number of entries than it says")


def _text(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        return part.read(archive.getinfo(name).file_size)  # `read()` would inflate more than the size that was checked


def _status(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


@contextmanager
def _format_errors(path: Path) -> Iterator[None]:
    """Report what reading damaged bytes raises as a `FormatError` with the file's name."""
    try:
        yield
    except _DAMAGED as error:
        text = str(error).rstrip(".")
        raise FormatError(text if str(path) in text else f"{path} is damaged: {text}.") from None
