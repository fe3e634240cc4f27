"""How fast, and in how much memory, the command line fits on a long file and scores it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .intrusion import NSL_KDD
from .process import peak_mb
from .report import table

VARIANTS: dict[str, tuple[str, ...]] = {
    "default": (),
    "light": ("--n-members", "1", "--memory-bank-size", "512"),
}
"""Options of `anogan fit` beside the defaults (denoising_gan)."""
ANOGAN = str(Path(sys.executable).with_name("anogan"))
ROWS_AT_ONCE = 250_000
JITTER = 0.05  # relative standard deviation of the factor of each number
POLL = 0.02  # seconds between readings of the peak memory


def write_table(source: Path, target: Path, rows: int) -> None:
    """Write normal rows of NSL-KDD (a CSV file), drawn with replacement and jittered, as Parquet."""
    rows_of_file = pd.read_csv(source)
    normal = rows_of_file[rows_of_file["label"] == "normal"].drop(columns="label")
    rng = np.random.default_rng(0)
    writer = None
    for first in range(0, rows, ROWS_AT_ONCE):
        n = min(ROWS_AT_ONCE, rows - first)
        drawn = normal.iloc[rng.integers(0, len(normal), n)].reset_index(drop=True)
        for name in drawn.select_dtypes("number"):
            jittered = drawn[name].to_numpy(np.float64) * np.exp(JITTER * rng.standard_normal(n))
            whole = drawn[name].dtype.kind == "i"
            drawn[name] = np.rint(jittered).astype(np.int64) if whole else jittered.round(4)
        part = pa.Table.from_pandas(drawn, preserve_index=False)
        writer = writer or pq.ParquetWriter(target, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()


class Scale(Experiment):
    """Fit on a long file and score the same file."""

    name = "scale"
    help = "Time and peak memory of `anogan fit` and `anogan score` on Parquet files of millions of rows."
    axes = (numbers("million", "1,3,10"), names("variant", lambda _: list(VARIANTS)))
    time_limit = 3 * 3600.0

    @property
    def identity(self) -> tuple[str, ...]:
        return ("rows", "variant")

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        return [
            {"rows": 1_000_000 * millions, "variant": variant}
            for millions in chosen["million"]
            for variant in chosen["variant"]
        ]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        with tempfile.TemporaryDirectory() as home:
            data, model, scores = (Path(home) / name for name in ("rows.parquet", "model", "scores.csv"))
            write_table(data_dir / NSL_KDD[0], data, cell["rows"])
            decoded = sum(batch.nbytes for batch in pq.ParquetFile(data).iter_batches())
            fit = ["fit", data, "-m", model, "--random-state", "0", *VARIANTS[cell["variant"]], "--quiet"]
            score = ["score", data, "-m", model, "-o", scores, "--quiet"]
            return {
                "file_mb": round(data.stat().st_size / 2**20),
                "decoded_mb": round(decoded / 2**20),
                "fit": cost_of([ANOGAN, *map(str, fit)]),
                "score": cost_of([ANOGAN, *map(str, score)]),
            }

    def report(self, records: list[Record], folder: Path) -> str:
        rows = []
        for r in measured(records):
            for command in ("fit", "score"):
                cost = r[command]
                peak = f"{cost['peak_mb']:,}" if "peak_mb" in cost else f"≤ {cost['peak_bound_mb']:,}"
                sizes = [f"{r['rows']:,}", f"{r['decoded_mb']:,}", peak]
                seconds = [f"{cost['seconds']:,.0f}", f"{cost['cpu_seconds']:,.0f}"]
                rows.append([command, r["variant"], *sizes, *seconds, f"{r['rows'] / cost['cpu_seconds']:,.0f}"])
        head = ["command", "fit", "rows", "decoded, MB", "peak, MB", "seconds", "processor seconds"]
        return f"""\
# Scale

{self.made_by}

`anogan fit` and `anogan score` with `denoising_gan` on a Parquet file of normal NSL-KDD rows, drawn with replacement
and jittered (41 columns, 3 of them text). One thread; `light` is `{" ".join(VARIANTS["light"])}`.
Seconds include the start of the process; processor seconds depend little on the other load of the machine. Peak memory
is resident memory, of which imports take about 400 MB. A peak with ≤ is an upper bound: it was measured before the
experiment read the peak of the process alone (`VmHWM`), and may include that of the benchmark that started it.

{table([*head, "rows per processor second"], rows, texts=2)}"""


def cost_of(words: list[str]) -> dict[str, float]:
    """Run a command with one thread; return its seconds, those of the processor, and its peak resident memory."""
    began = time.perf_counter()
    process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"})
    peak = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, peak_mb(process.pid))  # only ever grows, so the last reading is enough
        time.sleep(POLL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with exit code {process.returncode}.")
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": peak,
    }
