"""Changes that know a format: zip archives, safetensors, NumPy arrays, PNG chunks, and whole model files."""

import io
import json
import struct
import zipfile
import zlib
from hashlib import sha256
from random import Random

import numpy as np
import pyarrow as pa

from .mutators import BYTES, INTEGERS, JSON, Mutator

DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "I32", "I8", "U8", "BOOL", "C64", "X", "")
DESCRIPTIONS = (
    "<f8",
    ">f4",
    "<f2",
    "|O",
    "|S5",
    "<U3",
    "<i8",
    "|b1",
    "<M8[ns]",
    "<c16",
    "|V8",
    "<f16",
    "[('a','<f8')]",
    "x",
)

SHAPES = (
    b"()", b"(0,)", b"(5,)", b"(0, 3)", b"(-1, 3)", b"(-1,)", b"(3, -1)", b"(2, 3, 4)", b"(4, 1, 8, 8)", b"(1e3,)",
    b"(10**9,)", b"(%d, 3)" % 2**62, b"(%d, 3)" % 2**70, b"(30000000, 30)", b"[5, 3]", b"('5', 3)", b"(True, 3)",
)  # fmt: skip


def one_of(*mutators: Mutator) -> Mutator:
    """Return a mutator that applies one of these."""
    return lambda rng, data: rng.choice(mutators)(rng, data)


any_bytes = one_of(*BYTES)
any_json = one_of(*JSON)


# ---------------------------------------------------------------- zip


def parts_of(data: bytes) -> dict[str, bytes]:
    """Return the members of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive with these members, names that occur twice included."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), content, compression)
    return buffer.getvalue()


def zip_members(rng: Random, data: bytes) -> bytes:
    """Rename, repeat, leave out, empty or swap members, add large or strange ones, or compress in another way."""
    parts = list(parts_of(data).items())
    at = rng.randrange(len(parts))
    name, content = parts[at]
    match rng.randrange(8):
        case 0:
            parts[at] = (rng.choice(("", "x", "../x", "/etc/x", name.upper(), f"{name}/", "a" * 3000)), content)
        case 1:
            parts.append((name, rng.choice((content, b"", b"{}"))))
        case 2:
            del parts[at]
        case 3:
            parts[at] = (name, rng.choice((b"", b"{}", b"[]", b"null", bytes(8), bytes(30_000_000), b" " * 3_000_000)))
        case 4:
            other = rng.randrange(len(parts))
            parts[at], parts[other] = (name, parts[other][1]), (parts[other][0], content)
        case 5:
            parts += [(f"extra-{k}", b"") for k in range(rng.choice((1, 3000)))]
        case 6:
            parts.append(("zeros", bytes(30_000_000)))
        case 7:
            rng.shuffle(parts)
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return zipped(parts, zipfile.ZIP_DEFLATED if len(data) > 10**6 else rng.choice(methods))


def zip_records(rng: Random, data: bytes) -> bytes:
    """Change a field of the local headers, of the central directory, of the end record, or of compressed data."""
    if rng.random() < 0.3:
        methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        data = zipped(list(parts_of(data).items()), rng.choice(methods))
    marks = [i for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06") for i in _found(data, mark)]
    at = rng.choice(marks) + rng.randrange(4, 46)
    width = rng.choice((1, 2, 4))
    value = rng.choice((rng.choice(INTEGERS), rng.getrandbits(32))) % 2 ** (8 * width)
    return data[:at] + value.to_bytes(width, "little") + data[at + width :]


def _found(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0 and len(found) < 50:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


# ---------------------------------------------------------------- tensors and arrays


def tensors(rng: Random, data: bytes) -> bytes:
    """Change the header of a safetensors file, or values of its tensors."""
    size = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + size], data[8 + size :]
    match rng.randrange(6):
        case 0:
            header = any_json(rng, header)
        case 1:
            return rng.choice((2**63, 2**64 - 1, 0, len(data), 10**9, size + 1)).to_bytes(8, "little") + data[8:]
        case 2 | 3:
            entries = json.loads(header)
            entry = entries[rng.choice(sorted(entries))]
            for field in rng.sample(("dtype", "shape", "data_offsets"), rng.choice((1, 2))):
                if field in entry:
                    entry[field] = _tensor_field(rng, field, entry[field])
            header = json.dumps(entries).encode()
        case 4 if body:
            count = rng.choice((1, 1, len(body) // 4))
            new = struct.pack("<f", rng.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, 1e-40, 1e10))) * count
            at = rng.randrange(max(len(body) - len(new), 0) // 4 + 1) * 4
            body = body[:at] + new + body[at + len(new) :]
        case _:
            body = any_bytes(rng, body)
    return len(header).to_bytes(8, "little") + header + body


def _tensor_field(rng: Random, field: str, value: object) -> object:
    if field == "dtype":
        return rng.choice(DTYPES)
    numbers = [int(number) for number in value] if isinstance(value, list) else []
    return rng.choice(
        (numbers[::-1], [*numbers, 1], numbers[1:], [-1, *numbers[1:]], [rng.choice(INTEGERS) for _ in numbers], [])
    )


def npy_header(rng: Random, data: bytes) -> bytes:
    """Change the description, order or shape in the header of a .npy file, its version, or its length."""
    text = b"{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (
        rng.choice(("<f8", "<f8", *DESCRIPTIONS)).encode(),
        rng.choice((b"False", b"False", b"True", b"0", b"None")),
        rng.choice(SHAPES),
    )
    if rng.random() < 0.2:
        text = any_bytes(rng, text)
    major = rng.choice((1, 1, 2, 3, 4, 0))
    length = len(text) + 1 if rng.random() < 0.9 else rng.choice(INTEGERS)
    width = 2 if major == 1 else 4
    body = data[rng.choice((128, 128, 100, len(data))) :]
    return (
        b"\x93NUMPY" + bytes((major, 0)) + (length % 2 ** (8 * width)).to_bytes(width, "little") + text + b"\n" + body
    )


def in_npz(inner: Mutator) -> Mutator:
    """Return a mutator of .npz files that changes one array."""

    def change(rng: Random, data: bytes) -> bytes:
        parts = parts_of(data)
        name = rng.choice(sorted(parts))
        parts[name] = inner(rng, parts[name])
        return zipped(list(parts.items()), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))

    return change


# ---------------------------------------------------------------- Arrow


def arrow_columns(rng: Random) -> pa.Table:
    """Return a table whose columns have types that a user's table seldom has, under names that a model knows."""
    count = rng.choice((0, 1, 5))
    kinds = (
        pa.null(), pa.bool_(), pa.uint64(), pa.float16(), pa.decimal128(38, 10), pa.time64("ns"), pa.date32(),
        pa.date64(), pa.duration("s"), pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.binary(), pa.large_string(),
        pa.string(), pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.dictionary(pa.int8(), pa.string()),
        pa.month_day_nano_interval(), pa.map_(pa.string(), pa.int64()), pa.binary(3), pa.string_view(), pa.int8(),
        pa.float64(),
    )  # fmt: skip
    columns = {}
    for name in ("amount", "items", "shop", "member", "day"):
        kind = rng.choice(kinds)
        try:
            columns[name] = pa.array([rng.choice((None, 1, 0))] * count, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
            columns[name] = pa.nulls(count, kind)
    return pa.table(columns)


# ---------------------------------------------------------------- pictures


def png_chunks(rng: Random, data: bytes) -> bytes:
    """Change, leave out, repeat or move chunks of a PNG file; their check sums are right."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    which = rng.randrange(len(chunks))
    kind, content = chunks[which]
    match rng.randrange(6):
        case 0 | 1:
            chunks[which] = (kind, any_bytes(rng, content))
        case 2:
            del chunks[which]
        case 3:
            chunks.insert(
                rng.randrange(len(chunks)),
                rng.choice((chunks[which], (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7))))),
            )
        case 4:
            sides = [rng.choice((0, 1, 7, 8, 2**15, 2**31 - 1, 2**32 - 1)) for _ in range(2)]
            flags = bytes(rng.choice((0, 1, 2, 3, 4, 6, 8, 16)) for _ in range(5))
            chunks[0] = (b"IHDR", struct.pack(">II", *sides) + rng.choice((flags, chunks[0][1][8:])))
        case 5:
            extra = (b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"IEND", b"sRGB", b"pHYs")
            chunks.insert(
                rng.randrange(len(chunks) + 1), (rng.choice(extra), rng.randbytes(rng.choice((0, 1, 8, 100))))
            )
    whole = (len(c).to_bytes(4, "big") + k + c + zlib.crc32(k + c).to_bytes(4, "big") for k, c in chunks)
    return data[:8] + b"".join(whole)


# ---------------------------------------------------------------- model files


def resealed(change_manifest: Mutator, changes: dict[str, Mutator]) -> Mutator:
    """Return a mutator of model files that changes one part and seals the file again, as an attacker would."""

    def change(rng: Random, data: bytes) -> bytes:
        parts = parts_of(data)
        name = rng.choice(sorted(parts))
        if name == "manifest.json":
            parts[name] = change_manifest(rng, parts[name])
        else:
            parts[name] = changes.get(name.rpartition(".")[2], any_bytes)(rng, parts[name])
        return zipped(list(sealed(parts).items()))

    return change


def sealed(parts: dict[str, bytes]) -> dict[str, bytes]:
    """Return the parts of a model file with a manifest that has their check sums, as far as it still is a manifest."""
    try:
        manifest = json.loads(parts["manifest.json"])
        manifest.pop("sha256", None)
        rest = {name: content for name, content in parts.items() if name != "manifest.json"}
        rest["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
        manifest["sha256"] = {name: sha256(content).hexdigest() for name, content in rest.items()}
    except (KeyError, ValueError, AttributeError, RecursionError):
        return parts
    return {**parts, "manifest.json": json.dumps(manifest, indent=1).encode()}
