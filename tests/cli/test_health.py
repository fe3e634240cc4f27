"""What `fit` and `inspect` say of the training."""

import json

import pytest

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
    assert "Try another random_state" in said.stderr
    for text in (said.stdout, run("inspect", model).stdout):
        words = " ".join(text.split())
        assert "diagnosis mode collapse: all rows are equal advice Try another random_state" in words
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
