"""How fast, and in how much memory, the command line fits on a long file and scores it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

VARIANTS: dict[str, tuple[str, ...]] = {
    "default": (),
    "light": ("--n-members", "1", "--memory-bank-size", "512"),
}
"""Options of `anogan fit` beside the defaults (denoising_gan)."""
ROWS_AT_ONCE = 250_000
JITTER = 0.05  # relative standard deviation of what is multiplied to each number


def write_table(source: Path, target: Path, rows: int) -> None:
    """Normal rows of NSL-KDD (a CSV file), drawn with replacement and jittered, as Parquet."""
    table = pd.read_csv(source)
    normal = table[table["label"] == "normal"].drop(columns="label")
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


def run(source: Path, sizes: Sequence[int], variants: Sequence[str], folder: Path | None) -> Iterator[dict[str, Any]]:
    """Fit on a file of each size and score the same file, each in a process of its own; one record for each."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        for rows in sizes:
            data = Path(home) / "rows.parquet"
            write_table(source, data, rows)
            decoded = sum(batch.nbytes for batch in pq.ParquetFile(data).iter_batches())
            for variant in variants:
                model, scores = Path(home) / "model", Path(home) / "scores.csv"
                commands = {
                    "fit": ["fit", data, "-m", model, "--random-state", "0", *VARIANTS[variant]],
                    "score": ["score", data, "-m", model, "-o", scores],
                }
                for command, words in commands.items():
                    cost = measured([*map(str, words), "--quiet"])
                    facts = {"command": command, "variant": variant, "rows": rows, "file_mb": _mb(data.stat().st_size)}
                    yield facts | {"decoded_mb": _mb(decoded)} | cost


def measured(words: list[str]) -> dict[str, float]:
    """Run `anogan` with one thread: seconds on the clock, of the processor, and the peak of its resident memory."""
    began = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([str(Path(sys.executable).with_name("anogan")), *words], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"anogan {' '.join(words)} ended with exit code {process.returncode}.")
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": _mb(usage.ru_maxrss * 1024),
    }


def report(records: list[dict[str, Any]]) -> str:
    """Records as a Markdown table."""
    lines = [
        "# Scale",
        "",
        "`anogan fit` and `anogan score` with `denoising_gan` on a Parquet file of normal NSL-KDD rows, drawn with "
        "replacement and jittered (41 columns, 3 of them text; `python -m benchmarks scale`). One thread; `light` is "
        f"`{' '.join(VARIANTS['light'])}`. Seconds hold the start of the process; "
        "processor seconds depend little on what else the machine did. Peak memory (resident, 400 MB of it imports) is "
        "an upper bound: the system counts in the peak of the benchmark that started the process.",
        "",
        "| command | fit | rows | decoded, MB | peak, MB | seconds | processor seconds | rows per processor second |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in records:
        lines.append(
            f"| {r['command']} | {r['variant']} | {r['rows']:,} | {r['decoded_mb']:,} | {r['peak_mb']:,} | "
            f"{r['seconds']:,.0f} | {r['cpu_seconds']:,.0f} | {r['rows'] / r['cpu_seconds']:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def _mb(size: int) -> int:
    return round(size / 2**20)
