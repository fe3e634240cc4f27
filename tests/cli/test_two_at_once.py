"""Two runs that write the same output at the same time: one of them is refused, and the output is that of the other."""

import os
import threading
from pathlib import Path

import pandas as pd
import pytest

import anogan
from anogan import writing

from .conftest import TINY, mixed_table
from .processes import start

REFUSAL = "Another run is writing"


def at_once(folder: Path, *commands: list[object]) -> list[tuple[int, str]]:
    """Start the commands in processes of their own at the same moment; return their exit codes and what they said."""
    gate, opener = os.pipe()

    def wait() -> None:
        os.close(opener)
        os.read(gate, 1)

    processes = [start(args, folder / f"said-{number}", wait) for number, args in enumerate(commands)]
    os.close(gate)
    os.close(opener)
    return [process.end() for process in processes]


def one_writes(ends: list[tuple[int, str]], target: Path) -> bool:
    """Check that every command succeeded or was refused by name; return whether they met."""
    for code, err in ends:
        assert code in (0, 2), err
        refusals = [line for line in err.splitlines() if line.startswith("Error")]
        assert len(refusals) == (code == 2), err
        assert all(f"{REFUSAL} {target};" in line for line in refusals), err
    assert any(code == 0 for code, _ in ends), ends
    return any(code == 2 for code, _ in ends)


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    mixed_table(600, seed=5).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("suffix", "options"), [("csv", ()), ("parquet", ("--resume",))])
def test_score_to_one_output(run, table_model, rows, tmp_path, suffix, options):
    args = ["score", rows, "-m", table_model, "--chunk-rows", "20", "-q"]
    run(*args, "-o", tmp_path / f"alone.{suffix}")
    expected = (tmp_path / f"alone.{suffix}").read_bytes()
    output, met = tmp_path / f"scores.{suffix}", 0
    for _ in range(5):
        command = [*args, "-o", output, *options]
        met += one_writes(at_once(tmp_path, command, command, command), output)
        assert output.read_bytes() == expected
        output.unlink()
    assert met
    assert not list(tmp_path.glob("*scores*"))


def test_fit_to_one_model_and_to_one_checkpoint(data, tmp_path):
    def fit(model: str) -> list[object]:
        return ["fit", data / "normal.csv", "-m", tmp_path / model, *TINY, "--checkpoint", tmp_path / "state"]

    one = fit("m")[:-2]
    assert one_writes(at_once(tmp_path, one, one), tmp_path / "m")
    anogan.load(tmp_path / "m")
    assert one_writes(at_once(tmp_path, fit("a"), fit("b")), tmp_path / "state")
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["checkpoint.zip"]


def test_maps_to_one_folder(data, picture_model, tmp_path):
    def score(name: str) -> list[object]:
        return ["score", data / "parts", "-m", picture_model, "-o", tmp_path / name, "--maps", tmp_path / "maps"]

    explain = ["explain", data / "parts", "-m", picture_model, "-o", tmp_path / "maps"]
    for commands in ((score("a.csv"), score("b.csv")), (score("c.csv"), explain)):
        # One may have ended before the other begins.
        assert any(one_writes(at_once(tmp_path, *commands), tmp_path / "maps") for _ in range(5))
    assert not list((tmp_path / "maps").rglob(".*"))


@pytest.mark.parametrize(
    ("command", "name"), [("report", "page.html"), ("recalibrate", "new.anogan"), ("explain", "why.csv")]
)
def test_other_outputs(rows, table_model, tmp_path, command, name):
    args = [command, rows, "-m", table_model, "-o", tmp_path / name]
    one_writes(at_once(tmp_path, args, args), tmp_path / name)
    assert (tmp_path / name).stat().st_size
    assert not list(tmp_path.glob(".*"))


def test_a_second_fit_with_the_same_checkpoint_is_refused_in_python(data, tmp_path):
    X = pd.read_csv(data / "normal.csv")[["items"]]

    class Second(anogan.Callback):
        refused = ""

        def on_stage_begin(self, stage, total_steps):
            def fit():
                try:
                    anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny).fit(X, checkpoint=tmp_path)
                except anogan.InputError as error:
                    self.refused = str(error)

            thread = threading.Thread(target=fit)
            thread.start()
            thread.join()

    second = Second()
    anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny).fit(X, checkpoint=tmp_path, callbacks=[second])
    assert second.refused.startswith(f"{REFUSAL} {tmp_path};")


def test_saves_from_many_threads_wait_for_each_other(table_model, tmp_path):
    detector, failures = anogan.load(table_model), []

    def save():
        try:
            detector.save(tmp_path / "m")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    anogan.load(tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_lock_that_a_killed_run_left_is_taken_over(tmp_path):
    (tmp_path / ".s.csv.lock").touch()
    with writing.locked(tmp_path / "s.csv"), writing.locked(tmp_path / "s.csv"):
        assert (tmp_path / ".s.csv.lock").exists()
    assert not list(tmp_path.iterdir())


def test_one_output_by_two_names(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    refusals = []

    def other():
        try:
            with writing.locked(tmp_path / "link" / "s.csv"):
                pass
        except anogan.InputError as error:
            refusals.append(error)

    with writing.locked(tmp_path / "folder" / "s.csv"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refusals


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("anogan.files.locks.lock_descriptor", missing)
    with pytest.warns(UserWarning, match="has no locks"), writing.written_whole(tmp_path / "s.csv") as file:
        file.write(b"x")
    assert (tmp_path / "s.csv").read_bytes() == b"x"


def test_rows_that_something_else_added_to_the_journal_are_noticed(run, table_model, rows, tmp_path, monkeypatch):
    from anogan.batch import journal

    tables = journal.Journal.tables
    monkeypatch.setattr(journal.Journal, "tables", lambda self: [*tables(self), next(iter(tables(self)))])
    failed = run("score", rows, "-m", table_model, "-o", tmp_path / "s.csv", code=1)
    assert "600 rows were scored, but 1,200 were read back" in failed.stderr
    assert not (tmp_path / "s.csv").exists()
