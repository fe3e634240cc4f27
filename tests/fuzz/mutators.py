"""Changes of any bytes, of JSON, and of CSV files. Each takes a generator and bytes, and returns bytes."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

Mutator = Callable[[Random, bytes], bytes]

INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1e308, -1e308, 5e-324, 10**7, 30_000, 2**31, 2**63, 10**30, -(10**30),
    float("nan"), float("inf"), -float("inf"), 0.5, "", "0", "x", "x" * 5000, "nan", "../x", "\x00", "\ud800", "é",
    "timm:resnet18", "mlp", "cpu", "number", "category", [], [[]], {}, {"": 0}, [0] * 100, ["x", None], [[1, 2], [3]],
)  # fmt: skip
CELLS = (
    "", " ", "nan", "NaN", "NA", "null", "None", "inf", "-inf", "1e400", "1e-400", "-0", "+1", "1,5", "1.234,5", "1_0",
    "0x10", "9" * 40, "-" + "9" * 400, "true", "TRUE", "yes", "2024-01-01", "2024-13-45", "0001-01-01", "9999-12-31",
    "24:00", "12:30:00", "2024-01-01T00:00:00+25:00", "=1+1", "@x", "\t", '"', '""', '"x', 'x"y', "'", ";", ",", "|",
    "\x00", "\r", "\n", "\ufeff", "\u2028", "x" * 3000, "é" * 50, "%", "$5", "5 %", "−5", "٣", "1e5", "1E+05", ".", "-",
    "?", "#", "\\", "\\N", "//", "{}", "[1]",
)  # fmt: skip


# ---------------------------------------------------------------- bytes


def flip(rng: Random, data: bytes) -> bytes:
    """Flip a bit in up to eight places."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[_near(rng, len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: Random, data: bytes) -> bytes:
    """Replace a short run of bytes by random ones, by zeros, by 0xFF or by a whole number of interest."""
    at = _near(rng, len(data))
    width = rng.choice((1, 2, 4, 8))
    number = (rng.choice(INTEGERS) % 2 ** (8 * width)).to_bytes(width, rng.choice(("little", "big")))
    new = rng.choice(
        (rng.randbytes(rng.randint(1, 16)), bytes(rng.randint(1, 64)), b"\xff" * rng.randint(1, 16), number)
    )
    return data[:at] + new + data[at + len(new) :]


def cut(rng: Random, data: bytes) -> bytes:
    """End the file early."""
    return data[: _near(rng, len(data))]


def remove(rng: Random, data: bytes) -> bytes:
    """Leave out a part."""
    at = _near(rng, len(data))
    return data[:at] + data[at + rng.choice((1, 2, 7, 64, len(data) // 4)) :]


def insert(rng: Random, data: bytes) -> bytes:
    """Insert random bytes, or many of the same."""
    at = _near(rng, len(data))
    new = rng.choice((rng.randbytes(rng.randint(1, 32)), rng.randbytes(1) * rng.choice((1, 100, 20_000))))
    return data[:at] + new + data[at:]


def repeat(rng: Random, data: bytes) -> bytes:
    """Repeat a part."""
    at = _near(rng, len(data))
    part = data[at : at + rng.choice((1, 8, 100, 4000))]
    return data[:at] + part * rng.choice((2, 3, 20)) + data[at + len(part) :]


def append(rng: Random, data: bytes) -> bytes:
    """Add something to the end."""
    return data + rng.choice((b"\x00", b"\n", rng.randbytes(20), data[-200:], data[:5000], bytes(100_000)))


BYTES: tuple[Mutator, ...] = (flip, flip, overwrite, overwrite, cut, remove, insert, repeat, append)


def _near(rng: Random, size: int) -> int:
    """Return a position; every second one is near an end, where formats keep their headers and indices."""
    if not size:
        return 0
    near = min(size, 200)
    return rng.choice((rng.randrange(size), rng.choice((rng.randrange(near), size - 1 - rng.randrange(near)))))


# ---------------------------------------------------------------- JSON


def json_leaf(rng: Random, data: bytes) -> bytes:
    """Change one to three places of a JSON document: another value or key, or a key or an item too many or too few."""
    try:
        document = json.loads(data)
    except ValueError:
        return flip(rng, data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        document = changed_document(rng, document)
    return json.dumps(document).encode()


def changed_document(rng: Random, document: Any) -> Any:
    """Return the document with one place changed."""
    places = list(_places(document))
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(("", "x", f"{key}x", key.upper(), "__class__"))] = holder.pop(key)
        case 1:
            holder.insert(key, rng.choice(VALUES))
        case 2:
            other, name = rng.choice(places)
            holder[key] = other[name] if name in other or (isinstance(name, int) and name < len(other)) else None
        case 3 if isinstance(holder[key], int | float):
            holder[key] = holder[key] * rng.choice((-1, 2, 0, 1e9)) + rng.choice((0, 1, -1))
        case 3 if isinstance(holder[key], list):
            holder[key] = holder[key] * rng.choice((0, 2, 100))
        case _:
            holder[key] = rng.choice(VALUES)
    return json.loads(json.dumps(document))  # a part that was put inside itself would have no end


def json_text(rng: Random, data: bytes) -> bytes:
    """Change the text of a JSON document: deep nesting, a key twice, numbers with many digits, white space."""
    at = rng.choice([i for i, byte in enumerate(data[:20_000]) if byte in b":,[{"] or [0])
    deep = rng.choice((10, 990, 100_000))
    new = rng.choice(
        (b"[" * deep, b"[" * deep + b"]" * deep, b'{"a":' * deep, b"9" * 5000, b" " * 300_000, b"\xff", b"1e999")
    )
    return data[: at + 1] + new + rng.choice((b"", b",")) + data[at + 1 :]


JSON: tuple[Mutator, ...] = (json_leaf, json_leaf, json_leaf, json_text)


def _places(document: Any) -> "list[tuple[Any, Any]]":
    found: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        holder = todo.pop()
        entries = (
            list(holder.items())
            if isinstance(holder, dict)
            else list(enumerate(holder))
            if isinstance(holder, list)
            else []
        )
        found += [(holder, key) for key, _ in entries[:200]]
        todo += [value for _, value in entries[:200] if isinstance(value, dict | list)]
    return found


# ---------------------------------------------------------------- CSV


def csv_cells(rng: Random, data: bytes) -> bytes:
    """Replace a few cells, or one column, by texts of interest, mostly quoted as they must be; the header is a row."""
    rows, delimiter = _rows(data)
    quotes = rng.random() < 0.7

    def cell() -> str:
        text = rng.choice(CELLS)
        return '"' + text.replace('"', '""') + '"' if quotes and set(text) & set(f'"\r\n{delimiter}') else text

    if rng.random() < 0.3:
        column, new = rng.randrange(max(len(rows[0]), 1)), cell()
        rows[1:] = [[*row[:column], new, *row[column + 1 :]] if len(row) > column else row for row in rows[1:]]
    for _ in range(rng.choice((1, 1, 2, 10))):
        row = rng.choice([row for row in rows[: rng.choice((1, 3, len(rows)))] if row != [""]] or rows)
        if row:
            row[rng.randrange(len(row))] = cell() if rng.random() < 0.8 else rng.choice(rng.choice(rows) or [""])
    return _text(rows, delimiter)


def csv_shape(rng: Random, data: bytes) -> bytes:
    """Drop, repeat or shuffle rows or cells, so that rows get other lengths, or leave little."""
    rows, delimiter = _rows(data)
    row = rng.choice(rows)
    match rng.randrange(8):
        case 0:
            row.append(rng.choice(CELLS))
        case 1:
            del row[-1:]
        case 2:
            rows = rows[: rng.choice((0, 1, 2))]
        case 3:
            rows.insert(rng.randrange(len(rows)), [rng.choice(("", "#", "sep=,", "Report of June"))])
        case 4:
            rows = [line[:1] for line in rows]
        case 5:
            rows = [line * rng.choice((2, 50)) for line in rows]
        case 6:
            rows[0] = rng.sample(rows[0], len(rows[0]))
        case 7:
            rows[0] = [rows[0][0]] * len(rows[0]) if rows[0] else []
    return _text(rows, delimiter)


def csv_dialect(rng: Random, data: bytes) -> bytes:
    """Write the same cells with other delimiters, quotes, ends of lines or encodings."""
    rows, _ = _rows(data)
    quote = rng.choice(("", '"', "'"))
    text = rng.choice(("\n", "\r\n", "\r", "\n\n", "\u2028")).join(
        rng.choice((",", ";", "\t", "|", " ", "::", "\x01")).join(f"{quote}{cell}{quote}" for cell in row)
        for row in rows
    )
    encoding = rng.choice(
        ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "cp037")
    )
    return text.encode(encoding, "replace")


CSV: tuple[Mutator, ...] = (csv_cells, csv_cells, csv_cells, csv_shape, csv_dialect)


def _rows(data: bytes) -> tuple[list[list[str]], str]:
    """Return the cells and the delimiter, as far as they can be guessed without quotes."""
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    delimiter = max(",;\t|", key=text.partition("\n")[0].count)
    return [line.split(delimiter) for line in text.split("\n")] or [[""]], delimiter


def _text(rows: list[list[str]], delimiter: str) -> bytes:
    return "\n".join(delimiter.join(row) for row in rows).encode("utf-8", "surrogateescape")
