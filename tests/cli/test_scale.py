"""Files that are larger than memory, and runs that are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anogan

from .conftest import TINY, mixed_table
from .processes import start


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "many.parquet"
    mixed_table(6000, seed=3).to_parquet(path, index=False)
    return path


def killed(args: list[object], part: Path, *, least_bytes: int, by: int = signal.SIGKILL) -> tuple[int, str]:
    """Start the command, and end it as soon as the part of the output has this many bytes; return what `end` does."""

    def reached() -> bool:
        try:
            return part.stat().st_size > least_bytes
        except FileNotFoundError:  # not yet, or no longer
            return False

    def wait_there() -> None:  # so that the command does not end before the signal comes
        score = anogan.Detector.score_part

        def score_part(self: anogan.Detector, X: object) -> object:
            deadline = time.monotonic() + 10
            while reached() and time.monotonic() < deadline:
                time.sleep(0.01)
            return score(self, X)

        anogan.Detector.score_part = score_part

    code, said = start(args, part.with_name("said"), wait_there).ended_by(by, when=reached)
    part.with_name("said").unlink()
    assert code in (-by, 128 + by), said
    return code, said


@pytest.mark.parametrize(
    ("suffix", "options", "kills"),
    [
        ("csv", ("--keep", "kind"), 2),
        # The part is the same, whatever the format of the output.
        ("parquet", ("--drop", "kind", "--reasons", "2"), 1),
        ("tsv", ("--drop", "kind", "--fdr", "0.9", "--sort"), 1),
    ],
)
def test_a_killed_run_goes_on_and_ends_the_same(run, table_model, tmp_path, many, suffix, options, kills):
    source = tmp_path / "labelled.csv"
    pd.read_parquet(many).iloc[:1500].assign(kind="x").to_csv(source, index=False)
    args = ["score", source, "-m", table_model, "--chunk-rows", "20", *options]
    whole, broken = tmp_path / f"whole.{suffix}", tmp_path / f"broken.{suffix}"
    run(*args, "-o", whole)
    part = Path(f"{broken}.part")
    killed([*args, "-o", broken], part, least_bytes=20_000)
    assert not broken.exists()
    for _ in range(kills - 1):
        killed([*args, "-o", broken, "--resume"], part, least_bytes=part.stat().st_size + 20_000)
    with part.open("ab") as file:  # as if killed while writing
        file.write(b"\xff\x00\x00")
    run(*args, "-o", broken, "--resume")
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*broken*")) == [broken.name]


def test_scores_that_were_damaged_on_disk_are_computed_again(run, table_model, tmp_path, many):
    args = ["score", many, "-m", table_model, "--chunk-rows", "1000"]
    run(*args, "-o", tmp_path / "whole.csv")
    part = tmp_path / "broken.csv.part"
    killed([*args, "-o", tmp_path / "broken.csv"], part, least_bytes=30_000)
    content = part.read_bytes()
    rng = np.random.default_rng(0)
    for at in [*rng.integers(14, len(content), 6), 14, 22]:  # not the magic string
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        part.write_bytes(damaged)
        run(*args, "-o", tmp_path / "broken.csv", "--resume")
        assert (tmp_path / "broken.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        (tmp_path / "broken.csv").unlink()


def test_a_resumed_run_scores_the_rest_only(run, table_model, tmp_path, many, monkeypatch):
    args = ["score", many, "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", "40"]
    part = tmp_path / "s.csv.part"
    killed(args, part, least_bytes=60_000)
    scored = []
    score = anogan.Detector.score_part
    monkeypatch.setattr(anogan.Detector, "score_part", lambda self, X: scored.append(len(X)) or score(self, X))
    run(*args, "--resume")
    assert 0 < sum(scored) < 6000 - 100
    assert len(pd.read_csv(tmp_path / "s.csv")) == 6000


def test_ctrl_c_keeps_what_was_scored_and_says_how_to_go_on(run, table_model, tmp_path, many):
    args = ["score", many, "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", "40"]
    killed(args, tmp_path / "s.csv.part", least_bytes=40_000, by=signal.SIGINT)
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv.part"]
    refusal = run(*args, code=2).output
    assert "--resume" in refusal
    assert "delete" in refusal
    run(*args, "--resume")
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


@pytest.mark.parametrize("changed", ["model", "data", "options"])
def test_another_run_is_not_resumed(run, data, table_model, tmp_path, many, changed):
    source = tmp_path / "many.parquet"
    source.write_bytes(many.read_bytes())
    args = ["score", source, "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", "40"]
    part = tmp_path / "s.csv.part"
    killed(args, part, least_bytes=20_000)
    before = part.read_bytes()
    if changed == "model":
        run("fit", data / "normal.csv", "-m", tmp_path / "m", *TINY[:-1], "--steps", "2")
        args[3] = tmp_path / "m"
    elif changed == "data":
        os.utime(source, ns=(1, 1))
    else:
        args[-1] = "20"
    refusal = run(*args, "--resume", code=2).output
    assert f"another {'set of options' if changed == 'options' else changed}" in refusal
    assert len(refusal.strip().splitlines()) == 1
    assert part.read_bytes() == before


def test_resuming_needs_a_file(refused_resume):
    refused_resume("-o", "-")


@pytest.fixture
def refused_resume(run, table_model, data):
    def check(*options: str) -> None:
        assert "--resume" in run("score", data / "new.csv", "-m", table_model, "--resume", *options, code=2).output

    return check


LIMITED = """
import resource, sys
from anogan.cli.main import main
import anogan, torch, pandas, pyarrow.parquet, sklearn.neighbors
from anogan import DenoisingGAN, TableFile
def used():
    return int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
limit = used() + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
if sys.argv[1] == "read":
    pyarrow.parquet.read_table(sys.argv[2])
else:
    main()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_file_larger_than_the_memory_is_fitted_and_scored(run, tmp_path):
    """The limit is on what the process may allocate beyond its imports (RLIMIT_DATA: heap and private mappings)."""
    rng = np.random.default_rng(0)
    path, rows = tmp_path / "large.parquet", 4_000_000
    schema = pa.schema([(f"x{i}", pa.float64()) for i in range(40)])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(rows // 100_000):
            block = rng.integers(0, 100, (40, 100_000)).astype(float)  # compresses well
            writer.write_table(pa.table(list(block), schema=schema))
    allowed = 900_000_000
    assert rows * 40 * 8 > 1.4 * allowed
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}

    def limited(*args: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", LIMITED, str(allowed), *map(str, args)]
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    tiny = ["--steps", "5", "--width", "8", "--n-members", "1", "--memory-bank-size", "64", "--random-state", "0"]
    fitted = limited("fit", path, "-m", tmp_path / "m", *tiny)
    assert fitted.returncode == 0, fitted.stderr
    assert f"{rows:,} rows" in fitted.stdout
    scored = limited("score", path, "-m", tmp_path / "m", "-o", tmp_path / "s.parquet")
    assert scored.returncode == 0, scored.stderr
    assert pq.ParquetFile(tmp_path / "s.parquet").metadata.num_rows == rows
    # The limit is one: to hold the file breaks it.
    whole = limited("read", path)
    assert "ArrowMemoryError" in whole.stderr, whole.stderr


def test_a_file_of_somebody_else_is_left_alone(run, data, table_model, tmp_path):
    part = tmp_path / "s.csv.part"
    part.write_text("mine")
    refused = run("score", data / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--resume", code=2)
    assert "move or delete it" in refused.stderr
    assert part.read_text() == "mine"


def test_a_kept_column_that_clashes_is_refused_before_scoring(run, data, table_model, tmp_path):
    pd.read_csv(data / "new.csv").assign(flag="x").to_csv(tmp_path / "new.csv", index=False)
    run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--keep", "flag", code=2)
    assert [p.name for p in tmp_path.iterdir()] == ["new.csv"]
