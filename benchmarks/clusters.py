"""How fast Spark and Ray on one machine score a long file, beside a run without them."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import anogan

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .intrusion import NSL_KDD
from .process import peak_mb
from .report import table
from .scale import write_table

ENGINES = {"spark": "SparkEngine", "ray": "RayEngine"}
WORKERS = {"spark": "pyspark.daemon", "ray": "ray::"}
"""What the command lines of the processes that score have in them."""
FITTED_ROWS = 20_000
STEPS = 200  # scoring costs the same after more


class Clusters(Experiment):
    """Score a file on this machine, by a local run and by an engine, one after the other in one process."""

    name = "clusters"
    help = "Rows per second and memory of `score_file` with Spark or Ray on one machine, beside a local run."
    axes = (numbers("million", "1,10"), names("engine", lambda _: list(ENGINES)))
    time_limit = 3 * 3600.0

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        return [
            {"million": millions, "engine": engine} for millions in chosen["million"] for engine in chosen["engine"]
        ]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        rows = 1_000_000 * cell["million"]
        with tempfile.TemporaryDirectory() as home:
            data, few, model = (Path(home) / name for name in ("rows.parquet", "few.parquet", "model"))
            write_table(data_dir / NSL_KDD[0], data, rows)
            write_table(data_dir / NSL_KDD[0], few, FITTED_ROWS)
            anogan.GANomaly(random_state=0, steps=STEPS).fit(anogan.TableFile(few)).save(model)
            began = time.perf_counter()
            anogan.score_file(data, model, Path(home) / "local.parquet")
            local = time.perf_counter() - began
            began = time.perf_counter()
            with getattr(anogan, ENGINES[cell["engine"]])() as engine:
                anogan.score_file(few, model, Path(home) / "few-scores.parquet", engine=engine)
                started = time.perf_counter() - began
                began = time.perf_counter()
                anogan.score_file(data, model, Path(home) / "there.parquet", engine=engine)
                there = time.perf_counter() - began
                workers = [peak_mb(pid) for pid in _processes(WORKERS[cell["engine"]])]
            local_scores, scores = (
                pq.read_table(Path(home) / name, columns=["score"])["score"].to_numpy()
                for name in ("local.parquet", "there.parquet")
            )
            return {
                "local_seconds": round(local, 1),
                "start_seconds": round(started, 1),
                "seconds": round(there, 1),
                "worker_peak_mb": max(workers, default=0),
                "equal": bool(np.array_equal(local_scores, scores)),
            }

    def report(self, records: list[Record], folder: Path) -> str:
        rows = []
        for r in measured(records):
            n = 1e6 * r["million"]
            rates = [f"{n / r[key]:,.0f}" for key in ("local_seconds", "seconds")]
            ratio = f"{r['local_seconds'] / r['seconds']:.2f}"
            equal = "yes" if r["equal"] else "no"
            rest = [ratio, f"{r['start_seconds']:.0f}", f"{r['worker_peak_mb']:,}", equal]
            rows.append([r["engine"], f"{r['million']}", *rates, *rest])
        head = [
            "engine",
            "million rows",
            "local, rows/s",
            "engine, rows/s",
            "ratio",
            "start, s",
            "worker, MB",
            "bit-equal",
        ]
        return f"""\
# Clusters

{self.made_by}

`score_file` with `ganomaly` ({STEPS} steps, which do not change what scoring costs) on a Parquet file of normal NSL-KDD
rows, drawn with replacement and jittered (41 columns, 3 of them text), by a local run (`OMP_NUM_THREADS=1`) and then by
an engine on all cores of the same machine, in one process. The start is that of the engine and its workers, until
{FITTED_ROWS:,} rows are scored; it is not in the rates. The memory is the peak resident memory of the largest worker.

{table(head, rows, texts=1)}"""


def _processes(word: str) -> list[int]:
    """Return the processes of this machine with a word in their command lines."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
        except OSError:  # it has ended
            continue
    return found
