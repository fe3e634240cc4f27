"""Cells in worker processes, one record appended for each as it finishes."""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .cell import Cell, Record, key, provenance, run_in_worker

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
LONGEST_ERROR = 300  # characters
GRACE = 10.0  # seconds for a process to end after its answer


def read_records(path: Path) -> list[Record]:
    """The records of a file, without a line that a killed run left unfinished."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append_record(path: Path, record: Record) -> None:
    """Add one line in one write, after an unfinished one if there is such."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.read_bytes() if path.is_file() else b"\n"
    line = "\n" * (not written.endswith(b"\n")) + json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def unfinished(cells: list[Cell], path: Path, *, retry_failed: bool) -> list[Cell]:
    """The cells that the file has no record of; failed ones are in it too and count unless retried."""
    last = {key(record): record for record in read_records(path)}
    done = {k for k, record in last.items() if not (retry_failed and "error" in record)}
    return [cell for cell in cells if key(cell.identity()) not in done]


@dataclass
class _Worker:
    cell: Cell
    process: BaseProcess
    answer: Connection
    began: float


@dataclass(frozen=True)
class CellBudget:
    """What a cell may take before it is stopped and recorded as failed."""

    seconds: float
    megabytes: int

    def exceeded(self, worker: _Worker) -> str | None:
        """Which limit a running cell is beyond."""
        if time.monotonic() - worker.began > self.seconds:
            return f"time limit of {self.seconds:g} s"
        try:
            resident = psutil.Process(worker.process.pid).memory_info().rss
        except psutil.NoSuchProcess:  # it ends just now
            return None
        return f"memory limit of {self.megabytes} MB" if resident > self.megabytes * 2**20 else None


def run(cells: list[Cell], data_dir: Path, path: Path, *, jobs: int, budget: CellBudget, console: Console) -> int:
    """Measure each cell and append its record to the file; the number of cells that failed.

    Parameters
    ----------
    jobs : int
        Cells at a time; each has one thread.
    budget : CellBudget
        Of each cell.
    """
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # inherited by the workers before they import torch
    facts = provenance(jobs)
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        bar = progress.add_task(path.stem, total=len(cells))
        for done, (cell, record) in enumerate(_finished(cells, data_dir, jobs, budget), 1):
            if "error" in record:
                record = cell.identity() | {"error": " ".join(record["error"].split())[:LONGEST_ERROR]}
                failed += 1
            append_record(path, record | facts)
            left = (time.monotonic() - began) / done * (len(cells) - done)
            line = f"{done}/{len(cells)} {_line(cell, record)}; {left / 60:.0f} min left"
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.advance(bar)
    return failed


def _finished(cells: list[Cell], data_dir: Path, jobs: int, budget: CellBudget) -> Iterator[tuple[Cell, Record]]:
    """Cells in the order in which they finish, each with its record or an ``error``."""
    context = multiprocessing.get_context("forkserver")  # imports once, then a fresh process for each cell
    context.set_forkserver_preload(["benchmarks.preload"])
    waiting = list(reversed(cells))
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                cell = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=run_in_worker, args=(cell, data_dir, theirs), daemon=True)
                process.start()
                theirs.close()
                workers[ours] = _Worker(cell, process, ours, time.monotonic())
            wait(list(workers), timeout=0.5)
            for worker in list(workers.values()):
                if worker.answer.poll():
                    record = _receive(worker)
                elif beyond := budget.exceeded(worker):
                    worker.process.kill()
                    record = {"error": beyond}
                else:
                    continue
                del workers[worker.answer]
                worker.process.join(GRACE)
                worker.process.kill()
                yield worker.cell, record
    finally:
        for worker in workers.values():
            worker.process.kill()


def _receive(worker: _Worker) -> Record:
    try:
        record: Record = worker.answer.recv()
    except EOFError:  # died without a word
        worker.process.join()
        return {"error": f"process ended with code {worker.process.exitcode} (-9: out of memory?)"}
    return record


def _line(cell: Cell, record: Record) -> str:
    changed = "".join(f" {name}={value}" for name, value in cell.params.items())
    name = f"{cell.detector}{changed} on {cell.dataset}, seed {cell.seed}"
    if "error" in record:
        return f"{name}: FAILED, {record['error']}"
    if "rows_per_s" in record:
        return f"{name}: {record['rows_per_s']} rows/s, steps {record['step_ms']} ms"
    seconds = record["fit_s"] + record["score_s"]
    return f"{name}: AUROC {record['auroc']:.4f}{' CONSTANT' * record['constant']}, {seconds:.1f} s"
