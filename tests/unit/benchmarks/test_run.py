"""Runs go on where they stopped, failures are recorded, and pages are made of the records."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmarks.command import EXPERIMENTS, RESULTS, main
from benchmarks.datasets import Dataset
from benchmarks.experiment import Cell
from benchmarks.quality import quality
from benchmarks.records import RUNS, append_record, current, key, page, path_of, read_records, register_run, unfinished
from benchmarks.report import IDENTITY, label
from benchmarks.tabular import Tabular

LIMITS = {"max_rows": 1000}
TABULAR = Tabular()


def cell_of(dataset: str, detector: str, seed: int = 0, params: dict | None = None, limits: dict | None = None) -> Cell:
    """Return a cell of the tabular experiment."""
    data = Dataset(dataset, (), "semi", lambda *_: pytest.fail("nothing is loaded"))
    return TABULAR.cell(data, detector, seed, params or {}, limits or {})


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Two tables: one that can be learnt, and one with a missing value."""
    folder = tmp_path / "data"
    (folder / "adbench").mkdir(parents=True)
    rng = np.random.default_rng(0)
    y = np.arange(80) < 10
    X = rng.normal(size=(80, 3)) + 4 * y[:, None]
    np.savez(folder / "adbench/1_good.npz", X=X, y=y)
    np.savez(folder / "adbench/2_broken.npz", X=np.where(X > 2, np.nan, X), y=y)
    return folder


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_a_run_records_failures_goes_on_and_repeats_no_cell(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--detectors"]
    of_gan = [*arguments, "ganomaly", "--set", "steps=2"]
    path = tmp_path / "tabular.jsonl"

    assert invoke(*of_gan).exit_code == 0
    assert invoke(*arguments, "iforest", "--datasets", "good").exit_code == 0
    records = {(r["dataset"], r["detector"]): r for r in read_records(path)}
    assert len(records) == 3
    assert "NaN" in records["broken", "ganomaly"]["error"]
    forest, gan = records["good", "iforest"], records["good", "ganomaly"]
    assert forest["auroc"] > 0.95
    assert gan["params"] == {"steps": 2}
    assert (gan["n_train"], gan["n_test"]) == (35, 45)
    assert gan["peak_mb"] > 50
    assert str(tmp_path) not in path.read_text()

    before = path.read_text()
    assert "2 have a record already" in invoke(*of_gan).output
    assert path.read_text() == before

    assert invoke("report", "tabular", "--results", tmp_path).exit_code == 0
    text = (tmp_path / "tabular.md").read_text()
    assert "1 failed" in text
    assert "ganomaly (steps=2)" in text
    assert "## semi (max_rows = 50000" in text
    assert "Versions: anogan" in text


def test_only_cells_without_a_record_are_left(tmp_path: Path) -> None:
    path = tmp_path / "tabular.jsonl"
    cells = [cell_of("toy", "iforest", seed, limits=LIMITS) for seed in range(3)]
    append_record(path, cells[0] | {"auroc": 1.0})
    append_record(path, cells[1] | {"error": "no"})
    assert unfinished(TABULAR, cells, path, retry_failed=False) == cells[2:]
    assert unfinished(TABULAR, cells, path, retry_failed=True) == cells[1:]


def test_a_changed_parameter_or_limit_is_another_cell() -> None:
    cells = [
        cell_of("toy", "ganomaly", 0, limits=LIMITS),
        cell_of("toy", "ganomaly", 0, {"steps": 5}, LIMITS),
        cell_of("toy", "ganomaly", 0),
        cell_of("toy", "knn", 0, limits=LIMITS),
        cell_of("toy", "knn", 0, {"scaling": "quantile"}, LIMITS),
    ]
    assert len({key(cell, IDENTITY) for cell in cells}) == len(cells)


def test_a_line_cut_short_by_a_kill_is_skipped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "tabular.jsonl"
    append_record(path, {"a": 1})
    path.write_text(path.read_text() + '{"b":')
    append_record(path, {"c": 3})
    assert read_records(path) == [{"a": 1}, {"c": 3}]


def test_records_of_another_default_are_left_out() -> None:
    old = {"protocol": "semi", "dataset": "a", "detector": "x", "seed": 0, "limits": {}}
    old |= {"params": {}, "config": "1"}
    new = old | {"config": "2", "dataset": "b"}
    assert current([old, new], IDENTITY) == ([new], 1)
    assert label(new | {"params": {"n_members": 4, "steps": 9}}) == "x x4 (steps=9)"


def test_a_repeated_cell_is_equal(data_dir: Path) -> None:
    cell = cell_of("good", "ganomaly", 3, {"steps": 2}, LIMITS)
    first, second = TABULAR.measure(cell, data_dir), TABULAR.measure(cell, data_dir)
    assert first["auroc"] == second["auroc"]


def test_a_missing_table_is_flagged_in_the_means(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "tabular.jsonl"
    cell = cell_of("good", "knn", 0, {}, LIMITS)
    record = cell | TABULAR.measure(cell, data_dir)
    for seed, auroc in ((0, 0.7), (1, 0.9)):
        append_record(path, record | {"seed": seed, "auroc": auroc})
        append_record(path, record | {"seed": seed, "dataset": "other", "constant": True})
    append_record(path, record | {"detector": "ecod"})
    text = page(TABULAR, tmp_path)
    assert "| 80.0 ± 14.1 |" in text
    assert "CONSTANT" in text
    assert "1 (!)" in text


def test_constant_scores_are_seen() -> None:
    labels = np.array([True, False, False, False, False])
    assert quality(labels, np.ones(5), "semi")["constant"]
    assert not quality(labels, np.arange(5.0), "semi")["constant"]


def test_the_gan_papers_threshold_flags_a_fifth() -> None:
    labels = np.arange(100) < 20
    scores = np.where(np.arange(100) < 15, 200.0, 0.0) - np.arange(100)  # 15 on top, five in the middle of nowhere
    found = quality(labels, scores - 100 * (labels & (np.arange(100) >= 15)), "gan-papers")
    assert (found["precision"], found["recall"], found["f1"]) == (0.75, 0.75, 0.75)
    assert "f1" not in quality(labels, scores, "semi")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "stesp=3"],
        ["--set", "steps=many"],
        ["--set", "steps=-1"],
        ["--seeds", "a"],
        ["--seeds", "3-1"],
        ["--datasets", ","],
        ["--detectors", "sklearn.cluster.DBSCAN"],
        ["--set", "max_train=5"],
        ["--detectors", "nobody"],
        ["--datasets", "nothing"],
        ["--max-train", "10"],
    ],
)
def test_a_wrong_option_stops_before_anything_runs(arguments: list[str], data_dir: Path, tmp_path: Path) -> None:
    result = invoke("run", "tabular", "--data-dir", data_dir, "--results", tmp_path, *arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "tabular.jsonl").exists()


def test_set_reaches_those_that_have_the_parameter(data_dir: Path, tmp_path: Path) -> None:
    arguments = [
        "run",
        "tabular",
        "--data-dir",
        data_dir,
        "--results",
        tmp_path,
        "--datasets",
        "good",
        "--set",
        "steps=2",
    ]
    arguments += ["--detectors", "ganomaly,knn,iforest", "--set", "n_members=2", "--set", "n_neighbors=5"]
    assert invoke(*arguments, "--set", "max_samples=16").exit_code == 0
    found = {r["detector"]: r for r in read_records(tmp_path / "tabular.jsonl")}
    assert found["ganomaly"]["params"] == {"steps": 2, "n_members": 2}
    assert found["ganomaly"]["members"] == 2
    assert found["knn"]["params"] == {}  # 5 is the default
    assert found["iforest"]["params"] == {"max_samples": 16}


def test_a_killed_run_goes_on_where_it_stopped(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["-m", "benchmarks", "run", "tabular", "--data-dir", str(data_dir), "--results", str(tmp_path)]
    arguments += [
        "--datasets",
        "good",
        "--detectors",
        "iforest,ganomaly",
        "--set",
        "patience=0",
        "--set",
        "steps=100000",
    ]
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, *arguments], cwd=root, stderr=subprocess.DEVNULL)
    path = tmp_path / "tabular.jsonl"
    while not read_records(path):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    (record,) = read_records(path)
    assert record["detector"] == "iforest"
    output = invoke(*arguments[2:], "--time-limit", 0.5).output
    assert "2 cells, 1 have a record already" in output
    assert [r["detector"] for r in read_records(path)] == ["iforest", "ganomaly"]


def test_a_worker_that_dies_without_a_word_is_recorded(data_dir: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "deadly.py").write_text(
        "import os\n"
        "class Detector:\n"
        "    def get_params(self): return {}\n"
        "    def fit(self, X): os._exit(7)\n"
        "    def score_samples(self, X): return X[:, 0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--datasets", "good"]
    assert "1 cell failed" in invoke(*arguments, "--detectors", "deadly.Detector").output
    (record,) = read_records(tmp_path / "tabular.jsonl")
    assert "process ended with code 7" in record["error"]


def test_versions_and_machine_are_stored_once_for_all_records(tmp_path: Path) -> None:
    runs = [register_run(tmp_path, jobs) for jobs in (1, 2, 1)]
    assert runs[0] == runs[2] != runs[1]
    known = {run["run"]: run for run in read_records(tmp_path / RUNS)}
    assert set(known) == set(runs)
    assert [known[run]["machine"]["jobs"] for run in runs] == [1, 2, 1]


def test_again_measures_a_cell_that_has_a_record(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--datasets", "good"]
    for extra in ((), ("--again",)):
        assert invoke(*arguments, "--detectors", "iforest", *extra).exit_code == 0
    first, second = read_records(tmp_path / "tabular.jsonl")
    assert first["auroc"] == second["auroc"]


@pytest.mark.parametrize("name", [name for name, known in EXPERIMENTS.items() if path_of(known, RESULTS).is_file()])
def test_pages_are_in_step_with_the_committed_records(name: str, tmp_path: Path) -> None:
    for file in (RUNS, f"{name}.jsonl"):
        shutil.copy(RESULTS / file, tmp_path)
    assert page(EXPERIMENTS[name], tmp_path) == (RESULTS / f"{name}.md").read_text(encoding="utf-8")


def test_no_committed_record_is_damaged() -> None:
    """A line that is no record is left out by the reader, such as one that a merge left behind."""
    for file in RESULTS.glob("*.jsonl"):
        assert len(read_records(file)) == len(file.read_text(encoding="utf-8").splitlines()), file


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_options_for_its_axes(name: str) -> None:
    text = invoke("run", name, "--help").output
    assert all(axis.option in text for axis in EXPERIMENTS[name].axes)


def test_a_repeated_seed_is_run_once(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--detectors", "iforest"]
    assert "2 cells" in invoke(*arguments, "--datasets", "good,good", "--seeds", "0-1,1").output


def test_records_are_single_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "deep/records.jsonl"
    append_record(path, {"text": "zwei\nZeilen ü"})
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"text": "zwei\nZeilen ü"}


def test_a_cell_beyond_its_time_limit_is_stopped_and_recorded(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--datasets", "good"]
    arguments += ["--detectors", "ganomaly", "--set", "steps=1000000", "--set", "patience=0"]
    assert "1 cell failed" in invoke(*arguments, "--time-limit", 0.5).output
    (record,) = read_records(tmp_path / "tabular.jsonl")
    assert record["error"] == "time limit of 0.5 s"


def test_a_cell_beyond_its_memory_limit_is_stopped_and_recorded(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--datasets", "good"]
    arguments += ["--detectors", "ganomaly", "--set", "steps=1000000", "--set", "patience=0"]
    assert "1 cell failed" in invoke(*arguments, "--memory-limit", 50).output
    (record,) = read_records(tmp_path / "tabular.jsonl")
    assert record["error"] == "memory limit of 50 MB"


def test_the_protocol_is_part_of_a_cell(data_dir: Path, tmp_path: Path) -> None:
    arguments = ["run", "tabular", "--data-dir", data_dir, "--results", tmp_path, "--datasets", "good"]
    arguments += ["--detectors", "iforest,sklearn.svm.OneClassSVM"]
    for protocol in ("semi", "contaminated"):
        assert "0 have a record already" in invoke(*arguments, "--protocols", protocol).output
    trained = {r["protocol"]: r["n_train"] for r in read_records(tmp_path / "tabular.jsonl")}
    assert trained == {"semi": 35, "contaminated": 37}
    assert invoke("report", "tabular", "--results", tmp_path).exit_code == 0
    assert "## contaminated (max_rows" in (tmp_path / "tabular.md").read_text()
