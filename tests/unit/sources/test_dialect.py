"""CSV files in other dialects than the plain one, as they come from spreadsheets and data bases."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from anogan import CSVDialect, InputError, TableFile


@pytest.fixture
def opened(tmp_path):
    def call(content: str | bytes, name: str = "t.csv", **options: str) -> TableFile:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TableFile(path, dialect=CSVDialect(**options) if options else None)

    return call


def read(file: TableFile) -> dict[str, list]:
    frame = file.sample(10**6, 0).frame
    return {name: [None if cell != cell or cell is None else cell for cell in frame[name].tolist()] for name in frame}


@pytest.mark.parametrize(
    ("content", "columns", "note"),
    [
        ("a,b\n1.5,x\n2,y\n", {"a": [1.5, 2], "b": ["x", "y"]}, ""),
        ("a;b\n1,5;x\n2;y\n", {"a": [1.5, 2], "b": ["x", "y"]}, "separator ';'"),
        ("a;b\n1,5;2,5\n2,5;3,7\n", {"a": [1.5, 2.5], "b": [2.5, 3.7]}, "'a' holds numbers with decimal commas"),
        ("a|b|c\n1|2|x\n3|4|y\n", {"a": [1, 3], "b": [2, 4], "c": ["x", "y"]}, "separator '|'"),
        ("a\tb\n1\t2\n", {"a": [1], "b": [2]}, "separator tab"),
        ("a b\n1 2\n3 4\n", {"a": [1, 3], "b": [2, 4]}, "separator space"),
        ("a:b\n1:2\n3:4\n", {"a": [1, 3], "b": [2, 4]}, "separator ':'"),
        ("sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}, "separator ';'"),
        ("betrag\n106,91\n12,50\n", {"betrag": [106.91, 12.5]}, "decimal commas"),
        ("text\nhello, world\nfoo, bar\nx\n", {"text": ["hello, world", "foo, bar", "x"]}, ""),
        ('a,b\n"1,234.50",x\n"12",y\n', {"a": [1234.5, 12], "b": ["x", "y"]}, "commas between thousands"),
        ('a,b\n"1,234",2.5\n"12",3\n', {"a": [1234, 12], "b": [2.5, 3]}, "commas between thousands"),
        ("a;b\n1.234;0,5\n2.345;1\n", {"a": [1234, 2345], "b": [0.5, 1]}, "points between thousands"),
        ("a;b\n1.234;0.5\n2.345;1\n", {"a": [1.234, 2.345], "b": [0.5, 1]}, "separator ';'"),
        ("a,b\n1,?\n2,3\n", {"a": [1, 2], "b": [None, 3]}, "missing values for '?' (1 row)"),
        ("a,b\n1, \n2,3\n", {"a": [1, 2], "b": [None, 3]}, ""),
        ("a,b\n1,5€\n2,7€\n", {"a": [1, 2], "b": [5, 7]}, "the sign '€'"),
        ("zip,b\n01000,1\n20000,2\n", {"zip": ["01000", "20000"], "b": [1, 2]}, "leading zeros"),
        ("a,b\n007,1\n12.5,2\n", {"a": [7, 12.5], "b": [1, 2]}, ""),
        ("# note\na,b\n1,2\n", {"a": [1], "b": [2]}, "1 line before the header"),
        ("Sales 2024\n\na,b,c\n1,2,3\n", {"a": [1], "b": [2], "c": [3]}, "2 lines before the header"),
        ("a,b,\n1,2,\n", {"a": [1], "b": [2]}, ""),
        ("a,b\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}, ""),
        ("a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}, ""),
        ("'a','b'\n'x,1','2'\n'y','3'\n", {"a": ["x,1", "y"], "b": [2, 3]}, "quotes '"),
        ('a,b\n1,"x\ny, z"\n2,z\n', {"a": [1, 2], "b": ["x\ny, z", "z"]}, ""),
        ("1,A\n2,B\n", {"1": [2], "A": ["B"]}, "If the file has no header"),
        ("ä,b\n1,é\n".encode("cp1252"), {"ä": [1], "b": ["é"]}, "encoding cp1252"),
        ("ä,b\n1,é\n".encode("utf-16"), {"ä": [1], "b": ["é"]}, "encoding utf-16"),
        ("ä,b\n1,é\n".encode("utf-16-le"), {"ä": [1], "b": ["é"]}, "encoding utf-16-le"),
        ("ä,b\n1,é\n".encode("utf-16-be"), {"ä": [1], "b": ["é"]}, "encoding utf-16-be"),
        ("ä,b\n1,é\n".encode("utf-8-sig"), {"ä": [1], "b": ["é"]}, ""),
    ],
)
def test_the_dialect_is_detected_and_said(opened, content, columns, note):
    file = opened(content)
    assert read(file) == columns
    notes = [entry.text() for entry in file.notes]
    assert any(note in entry for entry in notes) if note else not notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('a,b\n"1,234",x\n"12",y\n', "column 'a' is ambiguous: '1,234'"),
        ("a;b\n1.234;x\n2.345;y\n", "column 'a' is ambiguous: '1.234'"),
        ("a,b\n1,2\n# note\n3,4\n", "row 1 has 1 field, but 2 are expected: '# note'. It looks like a comment"),
        ("a,b\n1,2\n3,4,5\n", "row 1 has 3 fields"),
        ("a,b,c\nr,1,2,3\nr,4,5,6\n", "3 names in its header, but rows of 4 fields"),
        (",,b\n0,2,2\n1,3,1\n", "2 columns without a name"),
        ('a,b\n1,"x\n3,4\n5,6\n', "(row 0).*quotation mark missing"),
        ('a,b\n1,"abc\n2,def\n3,"ghi"\n4,x\n', "(row 0).*quotation mark missing"),
        ('a,b\n"x,1\n3,4\n', "row 0.*quotation mark missing"),
        ("a,b\n" + "1,y\n" * 1000 + "1," + "x" * 3_000_000 + "\n2,3\n", "after row 1,000 is longer than 1 MB"),
        ("a|b\n1\n2\n", "has 1 field|separated by"),
        ("a,b\n1,5%\n2,0.7\n", "column 'b' mixes units"),
        ("<!DOCTYPE html>", "is a web page"),
        ('{"a": 1}\n', "is a JSON file.*jsonl"),
        ("a", "no rows"),
    ],
)
def test_what_cannot_be_read_rightly_is_refused(opened, content, words):
    with pytest.raises(InputError, match=rf"t\.csv.*{words.replace('(', '[(]').replace(')', '[)]')}"):
        read(opened(content))


def test_a_dialect_that_is_named_is_not_detected(opened):
    assert read(opened("1:A\n2:B\n", sep=":", header=False)) == {"column_0": [1, 2], "column_1": ["A", "B"]}
    assert read(opened("a;b\n1.500;x\n2.500;y\n", decimal=",")) == {"a": [1500, 2500], "b": ["x", "y"]}
    assert read(opened("a;b\n1.500;x\n2.500;y\n", decimal=".")) == {"a": [1.5, 2.5], "b": ["x", "y"]}
    assert read(opened("a,b\n1,x\n2,y\n", na_values=("x", "1"))) == {"a": [None, 2], "b": [None, "y"]}
    assert read(opened("ж,b\n1,2\n".encode("koi8-r"), encoding="koi8-r")) == {"ж": [1], "b": [2]}
    with pytest.raises(InputError, match="column 'a' does not write all"):
        read(opened("a;b\n1.5;x\n2.5;y\n", decimal=","))
    with pytest.raises(InputError, match="not text in the encoding utf-8"):
        opened("ж,b\n1,2\n".encode("koi8-r"), encoding="utf-8")


@pytest.mark.parametrize(
    "options",
    [{"sep": "ab"}, {"decimal": "x"}, {"thousands": "x"}, {"encoding": "x"}, {"decimal": ".", "thousands": "."}],
)
def test_a_dialect_that_is_none_is_refused(options):
    with pytest.raises(InputError):
        CSVDialect(**options)


def zipped(content: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


TEXT = b"a,b\n" + b"1,2\n" * 1000


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv.bz2", bz2.compress),
        ("t.csv.xz", lzma.compress),
        ("t.csv.zst", lambda text: pa.compress(text, "zstd", asbytes=True)),
        ("t.csv.zip", lambda text: zipped(text, "t.csv")),
        ("t.zip", lambda text: zipped(text, "t.csv")),
        ("t.csv", gzip.compress),  # the content counts, not the name
        ("t.csv.gz", bytes),
    ],
)
def test_compressed_files_are_read_and_cut_ones_refused(opened, name, compress):
    content = compress(TEXT)
    assert read(opened(content, name)) == {"a": [1] * 1000, "b": [2] * 1000}
    with pytest.raises(InputError, match="t"):
        read(opened(content[:-3], name))


def test_an_archive_of_several_files_is_refused(opened):
    with pytest.raises(InputError, match="holds 2 files"):
        opened(zipped(TEXT, "t.csv", "u.csv"), "t.csv.zip")
    with pytest.raises(InputError, match="is an Excel file"):
        opened(zipped(b"", "[Content_Types].xml"))


def marked(file: TableFile, **types: str) -> tuple[dict[str, list], dict[str, dict[int, str]]]:
    (chunk,) = file.selecting(types=types).chunks(10**6)
    columns = {name: [None if cell != cell else cell for cell in chunk.X[name].tolist()] for name in chunk.X}
    return columns, chunk.unreadable


def test_cells_of_another_type_are_marked_and_the_others_read(opened):
    file = opened("betrag;x\n106,91;a\nabc;b\n-;c\n;d\n")
    assert marked(file, betrag="double", x="string") == (
        {"betrag": [106.91, None, None, None], "x": ["a", "b", "c", "d"]},
        {"betrag": {1: "abc"}},
    )
    file = opened("m,d\ntrue,2024-01-01\nmaybe,soon\n?,2024-05-06 10:11:12.5\nFalse,2024-13-01\n")
    columns, cells = marked(file, m="bool", d="timestamp[us]")
    assert cells == {"m": {1: "maybe"}, "d": {1: "soon", 3: "2024-13-01"}}
    assert columns["m"] == [True, None, None, False]
    assert [str(day) for day in columns["d"]][2] == "2024-05-06 10:11:12.500000"


def test_numbers_late_in_a_file_are_never_read_in_another_format_than_early_ones(opened, monkeypatch):
    monkeypatch.setattr("anogan.sources.csv_reader._SAMPLE_BYTES", 1000)
    monkeypatch.setattr("anogan.sources.csv_reader._BLOCK_BYTES", 2000)
    with pytest.raises(InputError, match=r"first .* rows look like plain numbers"):
        for _ in opened("a,b\n" + "1.234,y\n" * 1000 + '"1.234,5",y\n').selecting(types={"a": "double"}).chunks(10):
            pass
    late = opened("a,b\n" + "1.5,y\n" * 1000 + '"2,5",y\n').selecting(types={"a": "double"})
    chunks = list(late.chunks(100))
    assert chunks[-1].unreadable == {"a": {0: "2,5"}}
    assert np.concatenate([chunk.X["a"] for chunk in chunks[:-1]]).tolist() == [1.5] * 1000


def test_a_code_may_have_its_leading_zero_at_the_end_of_the_file(opened, monkeypatch):
    monkeypatch.setattr("anogan.sources.csv_reader._SAMPLE_BYTES", 1000)
    rows = "".join(f"{99999 - i},x\n" for i in range(2000)) + "00001,x\n"
    assert opened(f"zip,b\n{rows}").read()["zip"][-1].as_py() == "00001"


def test_among_texts_only_empty_cells_and_na_values_are_missing(opened):
    content = "country,a\nNA,1\nDE,NA\n,3\nNA,4\nnull,5\n"
    file = opened(content)
    frame = file.sample(9, 0).frame
    assert frame["country"].fillna("missing").tolist() == ["NA", "DE", "missing", "NA", "null"]
    assert frame["a"].isna().tolist() == [False, True, False, False, False]
    assert opened(content, na_values=("NA",)).sample(9, 0).frame["country"].isna().sum() == 3
    (chunk,) = file.selecting(types={"country": "string", "a": "double"}).chunks(9)
    assert chunk.X["country"].tolist()[::3] == ["NA", "NA"]
    assert not chunk.unreadable
