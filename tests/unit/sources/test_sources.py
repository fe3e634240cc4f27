"""Sources: opened by what a path is, read in pieces, and streamed to a detector."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from PIL import Image

import anogan
from anogan import ArrayFile, ImageFolder, InputError, PictureSource, Stream, TableFile, TopK
from anogan.sources.csv import CSV
from anogan.sources.formats import TableFormat
from anogan.sources.source import Chunk, Source


def table(rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"amount": rng.normal(size=rows), "kind": rng.choice(["a", "b"], rows)})


@pytest.fixture(scope="module")
def detector():
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(table())


@pytest.fixture
def pictures(tmp_path):
    for i in range(5):
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    return tmp_path


@pytest.fixture
def forgotten():
    """Forget the sources and formats that a test defines."""
    sources, formats = list(Source.known), list(TableFormat.known)
    yield
    Source.known[:], TableFormat.known[:] = sources, formats


def test_the_end_of_the_name_decides_how_a_path_is_opened(tmp_path, pictures):
    table().to_csv(tmp_path / "t.csv", index=False)
    table().to_parquet(tmp_path / "t.parquet", index=False)
    np.save(tmp_path / "x.npy", np.ones((4, 2)))
    np.savez(tmp_path / "x.npz", X=np.ones((4, 2)), y=[0, 0, 1, 1])
    opened = {name: anogan.open_source(tmp_path / name) for name in ("t.csv", "t.parquet", "x.npy", "x.npz", "0.png")}
    assert [type(source) for source in opened.values()] == [TableFile, TableFile, ArrayFile, ArrayFile, PictureSource]
    assert [source.total for source in opened.values()] == [None, 50, 4, 4, 1]
    assert isinstance(anogan.open_source(tmp_path), TableFile)  # a folder that holds a .parquet
    (tmp_path / "t.parquet").unlink()
    assert anogan.open_source(tmp_path, size=16).pictures.size == (16, 16)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "x.npy", "x.npz"])
def test_chunks_are_the_rows_from_any_start(tmp_path, name):
    expected = table(23)
    if name.startswith("t"):
        getattr(expected, f"to_{name[2:]}")(tmp_path / name, index=False)
    else:
        expected = np.random.default_rng(0).normal(size=(23, 3))
        {"x.npy": np.save}.get(name, lambda path, X: np.savez(path, X=X))(tmp_path / name, expected)
    for start in (0, 10, 12):
        chunks = list(anogan.open_source(tmp_path / name).chunks(10, start=start))
        assert chunks[0].first == start
        assert [chunk.end for chunk in chunks[:-1]] == [chunk.first for chunk in chunks[1:]]
        if isinstance(expected, pd.DataFrame):
            found = pd.concat([chunk.X for chunk in chunks], ignore_index=True)
            pd.testing.assert_frame_equal(found, expected[start:].reset_index(drop=True))
        else:
            np.testing.assert_array_equal(np.concatenate([chunk.X for chunk in chunks]), expected[start:])


def test_a_new_format_of_tables_is_one_class(tmp_path, forgotten, detector):
    class Feather(TableFormat):
        suffixes = (".feather",)

        def __init__(self, path):
            self.path = path
            self.names = feather.read_table(path).column_names

        def types(self, columns, text):
            schema = feather.read_table(self.path).schema
            return {name: schema.field(name).type for name in columns}

        def batches(self, types, rows, *, strict=()):
            yield feather.read_table(self.path, columns=list(types)).cast(pa.schema(list(types.items())))

    feather.write_feather(table(), tmp_path / "t.feather")
    source = anogan.open_source(tmp_path / "t.feather")
    assert isinstance(source, TableFile)
    pd.testing.assert_frame_equal(source.sample(50, 0).frame, table())
    np.testing.assert_array_equal(detector.anomaly_score(source), detector.anomaly_score(table()))
    assert TopK.of(Stream(detector, tmp_path / "t.feather"), highest=3).scores.shape == (50,)


def test_a_new_kind_of_source_is_one_class(tmp_path, forgotten):
    class Words(Source):
        suffixes = (".words",)
        kind = "array"
        total = None

        def __init__(self, path):
            self.name = str(path)
            self.numbers = np.array(path.read_text().split(), float)[:, None]

        def chunks(self, rows, *, start=0):
            for first in range(start, len(self.numbers), rows):
                yield Chunk(first, self.numbers[first : first + rows], end=first + rows)

    X = np.random.default_rng(0).normal(size=(40, 1)).round(3)
    (tmp_path / "x.words").write_text(" ".join(map(str, X[:, 0])))
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    scores = TopK.of(Stream(detector, tmp_path / "x.words", chunk_rows=7), highest=1).scores
    np.testing.assert_allclose(scores, detector.anomaly_score(X), rtol=1e-5)


def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "normal.doc").write_text("x")
    with pytest.raises(InputError, match=r"no kind that can be read; .*\.csv.*\.npy.*\.png"):
        anogan.open_source(tmp_path / "normal.doc")
    with pytest.raises(InputError, match=r"Did you mean .*normal\.doc"):
        anogan.open_source(tmp_path / "norml.txt")
    with pytest.raises(InputError, match="not a table"):
        TableFile(tmp_path / "normal.doc")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1"] * 40_000 + ["2.5"], "float64"),
        (["5"] * 40_000 + ["true"], "object"),  # bool holds the last value but not the first ones
        (["2024-01-01"] * 40_000 + ["2024-01-01 12:00:00"], "datetime64[s]"),
        (["2024-01-01"] * 40_000 + ["soon"], "object"),
        ([""] * 140_000 + ["word"], "object"),
        (["true"] * 40_000 + ["maybe"], "object"),
        ([" 7"] * 40_000 + ["NA"], "float64"),
        (["1"] * 40_000 + ['"a ""b"""'], "object"),
    ],
)
def test_csv_types_widen_until_all_blocks_can_be_read(tmp_path, values, dtype):
    rows = len(values)
    wide = ["x" * 40] * rows  # makes several blocks of a file of few rows
    lines = [f"{v},{w},{i}" for i, (v, w) in enumerate(zip(values, wide, strict=True))]
    (tmp_path / "t.csv").write_text("v,w,i\n" + "\n".join(lines) + "\n")
    frame = TableFile(tmp_path / "t.csv").sample(rows, 0).frame
    assert frame["i"].dtype == np.int64
    assert str(frame["v"].dtype) in (dtype, {"object": "str"}.get(dtype, dtype))
    assert len(frame) == rows


def test_a_value_of_another_type_is_named_with_its_row(tmp_path):
    lines = [f"{i},x" for i in range(100_000)]
    lines[90_000] = "many,x"
    (tmp_path / "t.csv").write_text("items,kind\n" + "\n".join(lines))
    with pytest.raises(InputError, match=r"'items' should hold numbers, but has an invalid value 'many' \(row 90000\)"):
        list(TableFile(tmp_path / "t.csv").frames({"items": "double"}))
    chunks = list(TableFile(tmp_path / "t.csv", types={"items": "double"}).chunks(1000))
    assert {chunk.first: chunk.unreadable for chunk in chunks if chunk.unreadable} == {90_000: {"items": {0: "many"}}}
    assert sum(len(chunk) for chunk in chunks) == 100_000
    assert all(chunk.X["items"].notna().sum() == 1000 - (chunk.first == 90_000) for chunk in chunks)


def test_text_that_is_not_utf8_far_down_a_file_is_named(tmp_path):
    lines = [b"x" * 60] * 40_000 + [b"\xe9"]
    (tmp_path / "t.csv").write_bytes(b"word\n" + b"\n".join(lines))
    with pytest.raises(InputError, match=r"'word' should hold UTF-8 text, but has an invalid value"):
        TableFile(tmp_path / "t.csv").sample(10, 0)


def test_a_row_with_too_few_fields_is_an_error_however_far_down(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 300_000 + "3\n")
    with pytest.raises(InputError, match="row 300,000 has 1 field, but 2 are expected: '3'"):
        TableFile(tmp_path / "t.csv").sample(10, 0)


def test_data_in_memory_streams_like_data_on_disk(tmp_path, detector):
    table().to_csv(tmp_path / "t.csv", index=False)
    found = [
        TopK.of(Stream(detector, data, chunk_rows=7), highest=3, lowest=2)
        for data in (table(), tmp_path / "t.csv", TableFile(tmp_path / "t.csv"))
    ]
    for other in found[1:]:
        np.testing.assert_allclose(found[0].scores, other.scores, rtol=1e-6)
        assert [chunk.first for chunk, _ in found[0].highest] == [chunk.first for chunk, _ in other.highest]
    assert [score for _, score in found[0].lowest] == sorted(found[0].scores)[:2]


def test_a_stream_says_what_was_unseen_and_how_far_it_is(detector):
    new = table(20)
    new.loc[:2, "kind"] = "moon"
    seen: list[tuple] = []
    stream = Stream(detector, new, chunk_rows=8)
    TopK.of(stream, highest=1, progress=lambda *facts: seen.append(facts))
    assert seen == [("scoring", done, 20) for done in (0, 8, 16, 20)]
    assert stream.notes() == ["column 'kind' has values that were not in the training data: 'moon' (3 rows)."]
    with pytest.raises(InputError, match="'moon'"):
        list(Stream(detector, new, strict=True))
    with pytest.raises(InputError, match="fitted on a table; this array is an array"):
        Stream(detector, np.ones((3, 2)))


def test_an_image_folder_streams_with_its_names_and_skips_what_it_cannot_read(pictures):
    folder = ImageFolder(pictures, size=8)
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(folder)
    (pictures / "3.png").write_bytes(b"no picture")
    stream = Stream(detector, folder, on_error="skip")
    assert [name for chunk in stream for name in chunk.names] == ["0.png", "1.png", "2.png", "4.png"]
    assert list(stream.skipped) == ["3.png"]


def test_no_import_of_torch():
    import subprocess
    import sys

    check = "import sys, anogan.sources.registry as r; r.import_formats(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert CSV.suffixes[0] == ".csv"
