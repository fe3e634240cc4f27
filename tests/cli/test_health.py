"""What `fit` and `inspect` say of the training."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan.engine.diagnostics import Diagnosis

from .conftest import TINY

LOUD = TINY[:-1]


@pytest.fixture
def verdicts(monkeypatch):
    """A first attempt that collapsed, and then a good one."""
    each = iter([Diagnosis.of({"mode collapse": "all rows are equal"}, {}), Diagnosis(True, "healthy")])
    monkeypatch.setattr("anogan.detectors.diagnosing.diagnose", lambda *_, **__: next(each))


@pytest.mark.usefixtures("verdicts")
def test_a_second_attempt_is_told_of_by_fit_and_by_inspect(run, data, tmp_path):
    model = tmp_path / "m.anogan"
    said = run("fit", data / "normal.csv", "-m", model, *LOUD)
    assert "Trained again with seed" in said.stderr
    for text in (said.stdout, run("inspect", model).stdout):
        words = " ".join(text.split())
        assert "diagnosis healthy" in words
        assert "attempt 1 mode collapse: all rows are equal (seed 0, learning rate 0.001)" in words
        assert "attempt 2 healthy (seed " in words
        assert "learning rate 0.001, of the generator 0.0003, kept)" in words
    attempts = json.loads(run("inspect", model, "--json").stdout)["attempts"]
    assert [attempt["kept"] for attempt in attempts] == [False, True]


@pytest.mark.usefixtures("verdicts")
def test_without_restarts_a_bad_verdict_stands_with_its_advice(run, data, tmp_path):
    model = tmp_path / "m.anogan"
    said = run("fit", data / "normal.csv", "-m", model, "--restarts", 0, *LOUD)
    assert "Lower learning_rate" in said.stderr
    for text in (said.stdout, run("inspect", model).stdout):
        words = " ".join(text.split())
        assert "diagnosis mode collapse: all rows are equal advice Lower learning_rate" in words
        assert "attempt" not in words


def test_curves_are_written_for_tensorboard(run, data, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'anogan[tensorboard]'")
    run("fit", data / "normal.csv", "-m", tmp_path / "m.anogan", "--log-dir", tmp_path / "logs", *TINY)
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name.startswith("events.out.tfevents")
    assert b"gradient_norm" in file.read_bytes()


def test_a_log_dir_that_is_a_file_is_refused(run, data, tmp_path):
    (tmp_path / "logs").touch()
    said = run("fit", data / "normal.csv", "-m", tmp_path / "m.anogan", "--log-dir", tmp_path / "logs", *TINY, code=2)
    assert "logs" in said.stderr
    assert not (tmp_path / "m.anogan").exists()


def test_sampling_says_how_like_real_rows_the_samples_are(run, tmp_path):
    X = np.random.default_rng(0).normal(size=(400, 3))
    pd.DataFrame(X, columns=["a", "b", "c"]).assign(c=X[:, 0] + X[:, 1]).to_csv(tmp_path / "X.csv", index=False)
    run("fit", tmp_path / "X.csv", "-m", tmp_path / "m", "--detector", "anogan", *TINY[2:])
    measures = anogan.load(tmp_path / "m").diagnosis_.measures
    result = run("sample", "-m", tmp_path / "m", "-n", 5, "-o", "-")
    assert len(result.stdout.splitlines()) == 6  # only rows
    lines = dict(line.split(maxsplit=1) for line in result.stderr.splitlines()[1:])
    assert list(lines) == ["likeness", "variety", "columns", "correlations", "classifier", "detector", "distance"]
    assert f"AUROC of {measures['real_vs_synthetic']:.2f};" in lines["classifier"]
    assert f"flags {measures['false_alarms_of_synthetic']:.1%} of" in lines["detector"]
    assert {name in lines["columns"] for name in "abc"} == {True}
    assert not run("sample", "-m", tmp_path / "m", "-n", 5, "-o", tmp_path / "s.csv", "-q").output
