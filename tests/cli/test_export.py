"""`anogan export`, and scoring with the file that it writes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

import anogan
from anogan.errors import InputError

from .conftest import TINY

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """A folder with a table, new rows and a model."""
    folder = tmp_path_factory.mktemp("export")
    table = load_breast_cancer(as_frame=True).data.iloc[:, :6]
    table["size"] = np.where(table["mean radius"] > 14, "large", "small")
    table[:400].to_csv(folder / "normal.csv", index=False)
    table[400:].replace({"size": {"large": "huge"}}).to_csv(folder / "new.csv", index=False)
    run("fit", folder / "normal.csv", "-m", folder / "m.anogan", *TINY)
    return folder


@pytest.fixture(scope="module")
def exported(run, files):
    """The model as an ONNX file."""
    said = run("export", files / "m.anogan", "-o", files / "m.onnx")
    assert "ganomaly written to" in said.stdout
    return files / "m.onnx"


def test_an_exported_model_scores_a_file_like_the_model(run, files, exported):
    model = files / "m.anogan"
    outputs = {}
    for name in (model, exported):
        outputs[name] = files / f"{name.suffix[1:]}.csv"
        run("score", files / "new.csv", "-m", name, "-o", outputs[name])
    expected, got = (pd.read_csv(output) for output in outputs.values())
    assert got["unseen"].eq("size").any()
    # A p-value is a rank, and a score that rounds to the other side of a calibration score is one rank away.
    rank = 1 / (1 + len(anogan.load(model).calibration_.scores))
    assert (got["p_value"] - expected["p_value"]).abs().max() < 1.5 * rank
    assert got["p_value"].sub(expected["p_value"]).abs().gt(1e-5).mean() < 0.02
    columns = [column for column in got if column != "p_value"]
    pd.testing.assert_frame_equal(got[columns], expected[columns], rtol=1e-4, atol=1e-5)


def test_scoring_with_an_exported_model_imports_no_torch(files, exported):
    script = "import sys; from anogan.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); "
    arguments = ["score", str(files / "new.csv"), "-m", str(exported), "-o", str(files / "again.csv"), "-q"]
    ran = subprocess.run(
        [sys.executable, "-c", script + "print('torch' in sys.modules)", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["False"]


def test_what_an_exported_model_cannot_do_is_said(run, files, exported):
    asked = run("score", files / "new.csv", "-m", exported, "-o", files / "r.csv", "--reasons", "2", code=2)
    assert "gives no reasons" in asked.stderr
    assert not (files / "r.csv").exists()


def test_the_result_as_json(run, files, monkeypatch):
    monkeypatch.setattr(anogan.Detector, "to_onnx", lambda self, path, *, with_map: Path(path).write_bytes(b"graph"))
    facts = json.loads(run("export", files / "m.anogan", "-o", files / "j.onnx", "--json").stdout)
    assert facts == {"output": str(files / "j.onnx"), "detector": "ganomaly", "bytes": len(b"graph")}


def test_maps_can_be_left_out(run, files, monkeypatch):
    def stopped(state, *, with_map):
        raise InputError(f"A graph with maps: {with_map}.")

    monkeypatch.setattr("anogan.export.onnx_file.ScoringGraph", stopped)
    for options, with_map in (([], True), (["--no-maps"], False)):
        said = run("export", files / "m.anogan", "-o", files / "maps.onnx", *options, code=2).stderr
        assert f"maps: {with_map}" in said


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_file_that_is_no_model_is_refused(run, tmp_path, content):
    (tmp_path / "bad.anogan").write_bytes(content)
    refused = run("export", tmp_path / "bad.anogan", "-o", tmp_path / "bad.onnx", code=2)
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "bad.onnx").exists()


def test_a_card_is_printed_or_written_whole(run, files, tmp_path):
    printed = run("card", files / "m.anogan").stdout
    run("card", files / "m.anogan", "-o", tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == printed
    refused = run("card", files / "new.csv", "-o", tmp_path / "other.md", code=2)
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "other.md").exists()
