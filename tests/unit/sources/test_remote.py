"""Data, models and scores at URLs, by the file system of fsspec that is in memory."""

import io
import shutil

import fsspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import anogan
from anogan.cli.main import cli


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a table in several formats, a model, and its scores."""
    folder = tmp_path_factory.mktemp("saved")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"id": range(300), "amount": rng.normal(size=300), "shop": rng.choice(["a", "b"], 300)})
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, columns={"id": "id"}).fit(rows[:99])
    detector.save(folder / "m.anogan")
    rows.to_csv(folder / "rows.csv", index=False)
    rows.to_parquet(folder / "rows.parquet", index=False, row_group_size=40)
    anogan.score_file(folder / "rows.csv", folder / "m.anogan", folder / "local.csv")
    return folder


@pytest.fixture
def bucket(saved, tmp_path):
    """A bucket with a table in several formats, and a model that was saved there; and the local scores."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    files = fsspec.filesystem("memory")
    anogan.load(tmp_path / "m.anogan").save("memory://bucket/m.anogan")
    files.put(str(tmp_path / "rows.csv"), "/bucket/rows.csv")
    files.put(str(tmp_path / "rows.parquet"), "/bucket/rows.parquet")
    files.put(str(tmp_path / "rows.parquet"), "/bucket/many/kind=1/rows.parquet")
    yield files
    files.rm("/bucket", recursive=True)


def in_shell(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize("data", ["rows.csv", "rows.parquet", "row*.csv", "many"])
@pytest.mark.parametrize("there", [False, True])
def test_scores_of_remote_data_are_those_of_local_data(bucket, tmp_path, data, there):
    output = "memory://bucket/out.csv" if there else tmp_path / "out.csv"
    drop = ["--drop", "kind"] if data == "many" else []
    done = in_shell("score", f"memory://bucket/{data}", "-m", "memory://bucket/m.anogan", "-o", output, *drop)
    assert done.exit_code == 0, done.output
    found = bucket.cat("/bucket/out.csv") if there else (tmp_path / "out.csv").read_bytes()
    local = tmp_path / "local.csv"
    if data.endswith(".csv"):
        assert found == local.read_bytes()
    else:  # in which the keys are numbers, rather than text
        pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(found), dtype=str), pd.read_csv(local, dtype=str))
    assert "part" not in " ".join(bucket.find("/bucket"))


def test_a_fit_reads_and_writes_urls(bucket):
    done = in_shell(
        "fit", "memory://bucket/rows.parquet", "-m", "memory://bucket/new.anogan", "--steps", 3, "--id", "id"
    )
    assert done.exit_code == 0, done.output
    assert anogan.load("memory://bucket/new.anogan").fitted_on_["samples"] == 300


@pytest.mark.parametrize(
    ("data", "output", "more", "said"),
    [
        ("memory://bucket/row.csv", "out.csv", [], "Did you mean 'memory://bucket/rows.csv'?"),
        ("memory://bucket/none*.csv", "out.csv", [], "There is no file 'memory://bucket/none*.csv'"),
        ("memory://bucket/rows.csv", "memory://bucket/rows.csv", [], "would replace the input"),
        ("memory://bucket/rows.csv", "memory://bucket/many", [], "is a folder"),
        ("memory://bucket/rows.csv", "memory://bucket/out.xlsx", [], "A table cannot be written to"),
        ("memory://bucket/rows.csv", "nosuch://bucket/out.csv", [], "nosuch"),
        ("nosuch://bucket/rows.csv", "out.csv", [], "nosuch"),
        ("memory://bucket/rows.csv", "out.csv", ["--resume"], "copies of remote files"),
        ("memory://bucket/rows.parquet", "memory://bucket/out.csv", ["--resume"], "output file on this machine"),
        ("memory://bucket/rows.csv", "memory://bucket/out.csv", ["--strict", "--on-gap", "x"], "--on-gap"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_written(
    bucket, tmp_path, monkeypatch, data, output, more, said
):
    monkeypatch.chdir(tmp_path)
    before = bucket.find("/bucket")
    done = in_shell("score", data, "-m", "memory://bucket/m.anogan", "-o", output, *more)
    assert done.exit_code == 2
    assert said in done.output
    assert bucket.find("/bucket") == before
    assert not (tmp_path / "out.csv").exists()


def test_an_upload_that_fails_leaves_the_old_file(bucket, tmp_path, monkeypatch):
    bucket.pipe("/bucket/out.csv", b"old")
    monkeypatch.setattr(type(bucket), "mv", lambda *_, **__: (_ for _ in ()).throw(ValueError("no more space")))
    with pytest.raises(anogan.InputError, match="no more space"):
        anogan.score_file("memory://bucket/rows.csv", "memory://bucket/m.anogan", "memory://bucket/out.csv")
    assert bucket.cat("/bucket/out.csv") == b"old"
    assert "part" not in " ".join(bucket.find("/bucket"))
