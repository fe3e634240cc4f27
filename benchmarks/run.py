"""Cells in worker processes; one record is appended for each as it finishes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .experiment import Cell, Experiment, Record
from .process import kill_tree
from .records import append_record, path_of, register_run

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
LONGEST_ERROR = 300  # characters
GRACE = 10.0  # seconds for a process to end after its answer


@dataclass
class _Worker:
    cell: Cell
    process: BaseProcess
    answer: Connection
    began: float

    def kill(self) -> None:
        if self.process.pid is not None and self.process.is_alive():
            kill_tree(self.process.pid)


@dataclass(frozen=True)
class CellBudget:
    """What a cell may take before it is stopped and recorded as failed."""

    seconds: float
    megabytes: int

    def exceeded(self, worker: _Worker) -> str | None:
        """Return the limit that a running cell exceeds."""
        if time.monotonic() - worker.began > self.seconds:
            return f"time limit of {self.seconds:g} s"
        try:
            resident = psutil.Process(worker.process.pid).memory_info().rss
        except psutil.NoSuchProcess:  # it is just ending
            return None
        return f"memory limit of {self.megabytes} MB" if resident > self.megabytes * 2**20 else None


def run(
    experiment: Experiment,
    cells: list[Cell],
    data_dir: Path,
    folder: Path,
    *,
    jobs: int,
    budget: CellBudget,
    console: Console,
) -> int:
    """Measure each cell and append its record to the experiment's file; return the number of cells that failed.

    Parameters
    ----------
    data_dir, folder : Path
        Of the data sets; of the records.
    jobs : int
        Cells at a time; each has one thread.
    budget : CellBudget
        Of each cell.
    """
    if not cells:
        return 0
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # inherited by the workers before they import torch
    run_id = register_run(folder, jobs)
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        bar = progress.add_task(experiment.name, total=len(cells))
        for done, (cell, found, seconds) in enumerate(_finished(experiment, cells, data_dir, jobs, budget), 1):
            if "error" in found:
                found = {"error": " ".join(found["error"].split())[:LONGEST_ERROR]}
                failed += 1
                outcome = f"FAILED, {found['error']}"
            else:
                outcome = ", ".join(filter(None, (experiment.outcome(cell | found), f"{seconds:.1f} s")))
            append_record(path_of(experiment, folder), cell | found | {"run": run_id})
            left = (time.monotonic() - began) / done * (len(cells) - done)
            line = f"{done}/{len(cells)} {experiment.words(cell)}: {outcome}; {left / 60:.0f} min left"
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.advance(bar)
    return failed


def _finished(
    experiment: Experiment, cells: list[Cell], data_dir: Path, jobs: int, budget: CellBudget
) -> Iterator[tuple[Cell, Record, float]]:
    """Yield cells in the order in which they finish, each with its record or an ``error``, and its seconds."""
    context = multiprocessing.get_context("forkserver")  # imports once, then a fresh process for each cell
    context.set_forkserver_preload(["benchmarks.preload"])
    waiting = list(reversed(cells))
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                cell = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(experiment, cell, data_dir, theirs), daemon=True)
                process.start()
                theirs.close()
                workers[ours] = _Worker(cell, process, ours, time.monotonic())
            wait(list(workers), timeout=0.5)
            for worker in list(workers.values()):
                if worker.answer.poll():
                    found = _receive(worker)
                elif beyond := budget.exceeded(worker):
                    worker.kill()
                    found = {"error": beyond}
                else:
                    continue
                del workers[worker.answer]
                worker.process.join(GRACE)
                worker.kill()
                yield worker.cell, found, time.monotonic() - worker.began
    finally:
        for worker in workers.values():
            worker.kill()


def _receive(worker: _Worker) -> Record:
    try:
        found: Record = worker.answer.recv()
    except EOFError:  # the process died without an answer
        worker.process.join()
        return {"error": f"process ended with code {worker.process.exitcode} (-9: out of memory?)"}
    return found


def _work(experiment: Experiment, cell: Cell, data_dir: Path, answer: Connection) -> None:
    """Run in a worker process: send what was measured, or what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = experiment.measure(cell, data_dir)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}".replace(str(data_dir), "DATA")}
    answer.send(found)
    answer.close()


def _end_with_parent() -> None:
    """End this process and its children when the parent has been killed and could not do so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        kill_tree(os.getpid())
