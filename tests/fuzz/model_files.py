"""Changes of model files that know the format: every JSON value, every tensor, and the zip around them.

A changed file is sealed again, as somebody would who knows the format; the seal proves nothing about who wrote it.
"""

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from anogan.container import digests
from anogan.persistence import MANIFEST, PREPROCESSOR, WEIGHTS

SCALARS = (
    None,
    True,
    False,
    -1,
    0,
    1,
    3,
    10**7,
    10**9,
    2**62,
    0.5,
    -1e308,
    1e308,
    1e-320,
    "",
    "x",
    "os.system",
    "ä" * 300,
)
CONTAINERS = ([], {}, [[]], {"x": 1}, [1, 2, 3], ["a", "a"])
CONSTANTS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 500)
"""What is not JSON, or not a number of 64 bits."""
_MARK = "the place of a constant"


@dataclass(frozen=True)
class Parts:
    """A model file taken apart."""

    manifest: dict[str, Any]
    preprocessor: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, data: bytes) -> "Parts":
        """Take a valid file apart."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            del manifest["sha256"]
            return cls(manifest, json.loads(archive.read(PREPROCESSOR)), load_tensors(archive.read(WEIGHTS)))

    def sealed(self, constant: str = "") -> bytes:
        """Return a file with these parts and their digests; `constant` replaces `_MARK` in the texts."""
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        mark = json.dumps(_MARK).encode()
        state = json.dumps(self.preprocessor).encode().replace(mark, constant.encode())
        parts = {WEIGHTS: save_tensors(tensors), PREPROCESSOR: state}
        manifest = self.manifest | {"sha256": digests(self.manifest, parts)}
        return zip_of(
            Entry(MANIFEST, json.dumps(manifest).encode().replace(mark, constant.encode())),
            *(Entry(name, part) for name, part in parts.items()),
        )


def mutants(data: bytes) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield every mutant of a valid file: what was changed, and a function that makes the file.

    Each JSON value and name is changed, left out and repeated; each tensor gets other types, shapes and values.
    """
    parts = Parts.of(data)
    for field in ("manifest", "preprocessor"):
        whole = getattr(parts, field)
        for place in places(whole):
            name = ".".join(map(str, (field, *place)))
            for value in (*SCALARS, *CONTAINERS):
                yield f"{name} = {str(value)[:40]!r}", partial(_mutant, parts, field, changed, place, value)
            for constant in CONSTANTS:
                marked = partial(_mutant, parts, field, changed, place, _MARK, constant=constant)
                yield f"{name} = {constant[:20]}", marked
            yield f"{name} dropped", partial(_mutant, parts, field, without, place)
            yield f"{name} repeated", partial(_mutant, parts, field, repeated, place)
    for name, tensor in parts.tensors.items():
        for what, other in other_tensors(tensor):
            tensors = {key: value for key, value in parts.tensors.items() if key != name}
            tensors |= {} if other is None else {name: other}
            yield f"{name} {what}", replace(parts, tensors=tensors).sealed


def _mutant(parts: Parts, field: str, change: Callable[..., Any], *where: Any, constant: str = "") -> bytes:
    return replace(parts, **{field: change(getattr(parts, field), *where)}).sealed(constant)


def other_tensors(tensor: Tensor) -> Iterator[tuple[str, Tensor | None]]:
    """Yield tensors of other types, shapes and values; None stands for none at all."""
    yield "dropped", None
    for dtype in (torch.float16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool):
        if dtype != tensor.dtype:
            yield f"as {dtype}", tensor.to(dtype)
    yield "with one more axis", tensor[None]
    yield "empty", tensor.new_zeros(0)
    yield "flat", tensor.reshape(-1)
    if tensor.dim() and tensor.numel():
        yield "longer", torch.cat([tensor, tensor[:1]])
        yield "shorter", tensor[:-1]
        yield "of one row", tensor[:1]
        yield "wider", torch.cat([tensor, tensor[..., :1]], dim=-1)
        yield "upside down", tensor.flip(0)
    values = (
        (float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0, -1.0) if tensor.is_floating_point() else (0, 1)
    )
    values += () if tensor.is_floating_point() or tensor.dtype == torch.bool else (-1, 2**30)
    for value in values:
        yield f"full of {value}", torch.full_like(tensor, value)
        if tensor.numel():
            one = tensor.clone().reshape(-1)
            one[0] = value
            yield f"with one {value}", one.reshape(tensor.shape)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value; of long lists the first two."""
    if place:
        yield place
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*place, name))
    elif isinstance(value, list):
        for number in range(min(len(value), 2)):
            yield from places(value[number], (*place, number))


def changed(whole: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at a place."""
    whole = copy.deepcopy(whole)
    _holder(whole, place)[place[-1]] = value
    return whole


def without(whole: Any, place: tuple[Any, ...]) -> Any:
    """Return a copy without the value at a place."""
    whole = copy.deepcopy(whole)
    del _holder(whole, place)[place[-1]]
    return whole


def repeated(whole: Any, place: tuple[Any, ...]) -> Any:
    """Return a copy in which the value of a list stands twice, or that of an object under one more name."""
    whole = copy.deepcopy(whole)
    holder = _holder(whole, place)
    if isinstance(holder, list):
        holder.append(holder[place[-1]])
    else:
        holder[f"{place[-1]}_"] = holder[place[-1]]
    return whole


def _holder(whole: Any, place: tuple[Any, ...]) -> Any:
    for name in place[:-1]:
        whole = whole[name]
    return whole


# ---------------------------------------------------------------- zip archives that lie


@dataclass(frozen=True)
class Entry:
    """An entry of a zip, with what the archive says of it; None tells the truth."""

    name: str
    data: bytes = b""
    method: int = zipfile.ZIP_STORED
    flags: int = 0
    size: int | None = None
    crc: int | None = None
    offset: int | None = None
    local_size: int | None = None
    local_name: str | None = None
    raw: bytes | None = None

    @property
    def stored(self) -> bytes:
        """The bytes in the archive: `raw`, or the compressed data."""
        if self.raw is not None:
            return self.raw
        if self.method != zipfile.ZIP_DEFLATED:
            return self.data
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(self.data) + deflate.flush()


def zip_of(*entries: Entry, count: int | None = None, before: bytes = b"", comment: bytes = b"") -> bytes:
    """Return a zip archive of entries, whose end says that there are `count` of them."""
    out, directory = bytearray(before), bytearray()
    for entry in entries:
        stored, offset = entry.stored, len(out) if entry.offset is None else entry.offset
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        here = (20, entry.flags, entry.method, 0, 0x21, crc, len(stored))
        local = (entry.local_name or entry.name).encode()
        local_size = size if entry.local_size is None else entry.local_size
        out += struct.pack("<4s5H3L2H", b"PK\3\4", *here, local_size, len(local), 0) + local + stored
        name = entry.name.encode()
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *here, size, len(name), 0, 0, 0, 0, 0, offset) + name
    count = len(entries) if count is None else count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(out), len(comment))
    return bytes(out + directory + end + comment)


def zeros(size: int, byte: bytes = b"\0") -> bytes:
    """Return deflated data that inflate to about `size` equal bytes, without deflating all of them."""
    deflate = zlib.compressobj(9, wbits=-15)
    block = deflate.compress(byte * 2**20) + deflate.flush(zlib.Z_FULL_FLUSH)
    return block * (size >> 20) + deflate.flush()
