"""A random table written in a random dialect is read back equal, or refused because it is ambiguous."""

import bz2
import csv
import gzip
import io
import lzma
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anogan import InputError, TableFile

COMPRESSIONS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}
WORDS = st.from_regex(r"[abcäöé]([xyz ,;|'-]{0,6}[abcäöé])?", fullmatch=True)
NUMBERS = st.one_of(st.none(), st.integers(-(10**7), 10**7).map(lambda n: n / 100))


@st.composite
def columns(draw):
    """Draw a table with a column of text, and columns of numbers with gaps."""
    rows = draw(st.integers(2, 25))
    table = {"größe": draw(st.lists(WORDS, min_size=rows, max_size=rows))}
    for name in ("betrag", "x y", "c")[: draw(st.integers(1, 3))]:
        table[name] = [12.5, *draw(st.lists(NUMBERS, min_size=rows - 1, max_size=rows - 1))]
    return table


@st.composite
def dialects(draw):
    """Draw separator, decimal sign, sign between thousands, gap word, quoting, encoding, ends of lines, compression."""
    decimal = draw(st.sampled_from(".,"))
    return {
        "sep": draw(st.sampled_from(",;\t|")),
        "decimal": decimal,
        "thousands": draw(st.sampled_from(["", " ", "'", "," if decimal == "." else "."])),
        "gap": draw(st.sampled_from(["", "?", "-", "NA", "n/a", "None", "null", ".", "missing", " "])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
        "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "suffix": draw(st.sampled_from(list(COMPRESSIONS))),
    }


def written(number, dialect):
    if number is None:
        return dialect["gap"]
    text = f"{number:,.2f}".replace(",", "T").replace(".", dialect["decimal"])
    return text.replace("T", dialect["thousands"])


@settings(deadline=None, max_examples=80)
@given(columns(), dialects())
def test_a_table_in_any_dialect_is_read_back_equal(table, dialect):
    numbers = [name for name in table if name != "größe"]
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=dialect["sep"], quoting=dialect["quoting"], lineterminator=dialect["end"])
    writer.writerow(table)
    rows = zip(*table.values(), strict=True)
    writer.writerows([text, *(written(cell, dialect) for cell in cells)] for text, *cells in rows)
    content = COMPRESSIONS[dialect["suffix"]](file.getvalue().encode(dialect["encoding"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.csv{dialect['suffix']}"
        path.write_bytes(content)
        found = TableFile(path).read().to_pydict()
        chunks = TableFile(path, types={"größe": "string", **dict.fromkeys(numbers, "double")}).chunks(7)
        scored = list(chunks)
    assert list(found) == list(table)
    assert found["größe"] == table["größe"]
    assert [text for chunk in scored for text in chunk.X["größe"]] == table["größe"]
    assert not any(chunk.unreadable for chunk in scored)
    for name in numbers:
        assert found[name] == table[name]
        cells = [cell for chunk in scored for cell in chunk.X[name].tolist()]
        assert [None if math.isnan(cell) else cell for cell in cells] == table[name]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1000, 999_999), min_size=1, max_size=20), st.sampled_from(",."), st.sampled_from(",;"))
def test_whole_numbers_with_a_sign_between_thousands_are_never_read_as_small_numbers(values, sign, sep):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=sep).writerows(
        [["a", "b"], *([f"{value:,}".replace(",", sign), "x"] for value in values)]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text(file.getvalue())
        for read in (lambda: TableFile(path).read(), lambda: list(TableFile(path, types={"a": "double"}).chunks(9))):
            if sign == "." and sep == ",":  # these look like any plain numbers with three decimals
                read()
                continue
            with pytest.raises(InputError, match="is ambiguous"):
                read()
