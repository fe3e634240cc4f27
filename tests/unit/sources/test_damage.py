"""Files that are damaged, hostile, or of types that detectors do not take, end in one sentence that names the file."""

import io
import pickle
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anogan
from anogan import InputError, TableFile

X = np.random.default_rng(0).normal(size=(20, 3))


def npy(shape: object, dtype: str = "<f8", data: bytes = bytes(480), version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


def saved(array: np.ndarray, name: str = "x.npy", **others: np.ndarray) -> bytes:
    file = io.BytesIO()
    if name.endswith("npz"):
        np.savez_compressed(file, X=array, **others)
    else:
        np.save(file, array)
    return file.getvalue()


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name.replace("_", "."), content)
    return file.getvalue()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize(
    "array",
    [X, np.asfortranarray(X), X.astype(">f8"), X.astype("f2"), X.astype(">i4"), X > 0, X.astype(np.longdouble)],
    ids=str,
)
def test_arrays_of_any_layout_are_read(tmp_path, name, array):
    (tmp_path / name).write_bytes(saved(array, name))
    source = anogan.open_source(tmp_path / name)
    np.testing.assert_array_equal(source.read(), array)
    np.testing.assert_array_equal(np.concatenate([chunk.X for chunk in source.chunks(7)]), array)
    assert source.read().dtype.isnative


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy((-1, 6)), "shape (-1, 6)"),
        (npy((-20, -3)), "shape (-20, -3)"),
        (npy((10**12, 6)), "48,000,000,000,000 bytes, but the file holds 480"),
        (npy((2**62, 2**62)), "but the file holds 480"),
        (npy((19, 3)), "456 bytes, but the file holds 480"),
        (npy((20, 3))[:300], "but the file holds"),
        (npy((20, 3))[:40], "cut short"),
        (npy((0, 3), data=b""), "is empty"),
        (npy((5, 0), data=b""), "is empty"),
        (npy((60,)), "shape (60,)"),
        (npy((20, 3, 1, 1, 1)), "shape (20, 3, 1, 1, 1)"),
        (npy((20, 3, *[1] * 70)), "is not a table of rows"),
        (npy((20, 3), "|O"), "holds Python objects"),
        (npy((20, 3), "bogus"), "bogus"),
        (npy((60,), [("a", "<f8")]), "holds records"),
        (npy("x"), "shape is not valid"),
        (npy((20, 3), version=b"\x09\x00"), "version (9, 0)"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "is large"),
        (b"\x93NUMPY\x01\x00\x06\x00{'a': \n", "not a NumPy array"),
        (pickle.dumps(X), "not a NumPy array"),
        (b"", "not a NumPy array"),
        (saved(X.astype("c16")), "holds complex numbers"),
        (saved(X.astype("M8[s]")), "holds dates"),
        (saved(X.astype("U5")), "holds texts"),
        (saved(X * np.nan), "contains NaN, first in row 0"),
    ],
)
def test_a_malformed_array_is_refused_by_name(tmp_path, content, words):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy") as error:
        anogan.open_source(tmp_path / "x.npy").read()
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive(X_npy=npy((10**9, 60))), "but the file holds 480"),
        (archive(**{"X_npy": npy((20, 3)), "X.npy": npy((20, 3))}), "has 2 arrays 'X'"),
        (archive(X=npy((20, 3))), "has no array 'X'"),
        (archive(X_npy=npy((20, 3), "|O")), "holds Python objects"),
        (saved(X, "x.npz", y=np.array(["a"] * 20, object)), "y holds Python objects"),
        (saved(X, "x.npz", y=np.zeros(19)), "y has 19 labels, X has 20 rows"),
        (saved(X, "x.npz", y=np.array([b"\xff"] * 20)), "not a NumPy archive"),
        (saved(X, "x.npz", y=np.full(20, np.nan)), "missing labels"),
        (saved(X, "x.npz")[:-40], "not a NumPy archive"),
        (saved(X, "x.npz")[:200] + b"\0\0\0\0" + saved(X, "x.npz")[204:], "x.npz"),
    ],
)
def test_a_malformed_archive_is_refused_by_name(tmp_path, content, words):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz") as error:
        anogan.open_source(tmp_path / "x.npz").read()
    assert words in str(error.value)


def test_an_array_larger_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 400}.__getitem__)
    source = anogan.open_source(tmp_path / "x.npy")
    assert sum(len(chunk) for chunk in source.chunks(5)) == 20
    with pytest.raises(InputError, match="more than this machine's memory"):
        source.read()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2], [3]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64())),
        pa.array([1, 2], pa.duration("s")),
        pa.array([b"ab", b"cd"], pa.binary(2)),
        pa.array([b"0" * 16, b"1" * 16], pa.uuid()),
        pa.array([1, 2], pa.timestamp("us", "Nowhere/X")),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_no_detector_takes_are_refused_by_name(tmp_path, column):
    pq.write_table(pa.table({"c": column, "o": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet"):
        TableFile(tmp_path / "t.parquet").sample(9, 0)
    with pytest.raises(InputError, match="column 'c' should hold numbers"):
        list(TableFile(tmp_path / "t.parquet", types={"c": "double"}).chunks(9))


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)), [1.5, np.nan]),
        (pa.array([1, 2]).dictionary_encode(), [1, 2]),
        (pa.array(np.array([1, 2], "f2")), [1, 2]),
        (pa.array([2**64 - 1, 1], pa.uint64()), [2.0**64, 1]),
        (pa.nulls(2), [np.nan, np.nan]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_unusual_types_of_numbers_are_read(tmp_path, column, numbers):
    pq.write_table(pa.table({"c": column, "o": [1, 2]}), tmp_path / "t.parquet")
    (chunk,) = TableFile(tmp_path / "t.parquet", types={"c": "double"}).chunks(9)
    np.testing.assert_array_equal(chunk.X["c"], numbers)
    assert len(TableFile(tmp_path / "t.parquet").sample(9, 0).frame) == 2


def test_a_parquet_file_that_is_damaged_after_its_first_rows_is_refused_by_name(tmp_path):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=20_000).round(2)})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=1000, compression="zstd")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.parquet.*after row"):
        list(TableFile(tmp_path / "t.parquet", types={"a": "double"}).chunks(1000))
