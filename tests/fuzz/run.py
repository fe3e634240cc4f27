"""Cases in worker processes, which are replaced after many cases, or when one hangs or crashes."""

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cases import Outcome, attempt, limit_memory, mutated
from .corpus import Corpus, Seed

RECYCLED_AFTER = 2000  # cases of a worker
HANGS_AFTER = 30.0  # seconds of wall time, after which a worker is killed; the machine may be busy
SMALLER_SECONDS = 20.0  # spent on making one input smaller

_processes: Any = multiprocessing.get_context("fork")  # a child has the imports and the corpus at once


@dataclass
class Fault:
    """A cause of faults: how often it came up, and its smallest input."""

    outcome: Outcome
    seed: Seed
    data: bytes
    count: int = 1


@dataclass
class Tally:
    """Everything that a run found."""

    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    slowest: Outcome | None = None
    largest: Outcome | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    cases: int = 0
    seconds: float = 0.0

    def add(self, corpus: Corpus, outcome: Outcome, salt: int) -> None:
        """Count an outcome, and keep its input if it is a fault whose cause has no smaller one."""
        self.cases += 1
        by_result = self.outcomes.setdefault(outcome.kind, {})
        name = "fault" if outcome.is_fault else outcome.result
        by_result[name] = by_result.get(name, 0) + 1
        self.slowest = max((self.slowest or outcome, outcome), key=lambda o: o.seconds)
        self.largest = max((self.largest or outcome, outcome), key=lambda o: o.megabytes)
        if not outcome.is_fault:
            return
        known = self.faults.get(outcome.where)
        if known is None or outcome.size < known.outcome.size:
            seed, data = mutated(corpus, outcome.case, salt)
            self.faults[outcome.where] = Fault(outcome, seed, data, known.count if known else 0)
        self.faults[outcome.where].count += 1


def run(
    corpus: Corpus,
    *,
    cases: int,
    salt: int,
    jobs: int,
    seconds: float = float("inf"),
    show: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Try many cases.

    Parameters
    ----------
    corpus : Corpus
    cases : int
    salt : int
        Another one gives other cases.
    jobs : int
        Worker processes.
    seconds : float
        Stop after this time.
    show : function of Tally
        Called about every ten seconds.
    """
    tally, began = Tally(), time.monotonic()
    workers = [_Worker(corpus, range(job, cases, jobs), salt) for job in range(jobs)]
    shown = began
    try:
        while workers:
            for outcome in _ready(workers):
                tally.add(corpus, outcome, salt)
            now = time.monotonic()
            if now - shown > 10:
                shown, tally.seconds = now, now - began
                show(tally)
            if now - began > seconds:
                break
            workers = [worker for worker in workers if worker.goes_on()]
    finally:
        for worker in workers:
            worker.stop()
    tally.seconds = time.monotonic() - began
    return tally


def _ready(workers: "list[_Worker]") -> Iterator[Outcome]:
    """Yield the outcomes that have arrived; wait up to a second for the first one."""
    ready = multiprocessing.connection.wait([worker.connection for worker in workers], timeout=1.0)
    for worker in workers:
        if worker.connection in ready:
            yield from worker.arrived()
        elif worker.hangs():
            yield worker.lost("hangs")


class _Worker:
    """Cases in processes, one after the other."""

    def __init__(self, corpus: Corpus, cases: range, salt: int) -> None:
        self.corpus, self.cases, self.salt = corpus, cases, salt
        self._start()

    def _start(self) -> None:
        self.connection, theirs = _processes.Pipe(duplex=False)
        self.process = _processes.Process(target=_work, args=(theirs, self.corpus, self.cases, self.salt), daemon=True)
        self.process.start()
        theirs.close()
        self.since, self.current = time.monotonic(), self.cases[0] if self.cases else -1

    def arrived(self) -> Iterator[Outcome]:
        """Yield what the process has sent; a process that died without a word crashed in its current case."""
        try:
            while self.connection.poll():
                self.since = time.monotonic()
                sent = self.connection.recv()
                self.cases = self.cases[1:]
                self.current = self.cases[0] if self.cases else -1
                yield Outcome(**sent)
        except EOFError:
            self.process.join()
            if self.process.exitcode:
                yield self.lost(f"crash, exit code {self.process.exitcode}")
            elif self.cases:
                self._start()

    def hangs(self) -> bool:
        """Return whether the current case takes too long."""
        return bool(self.cases) and time.monotonic() - self.since > HANGS_AFTER

    def lost(self, word: str) -> Outcome:
        """Give up the current case, go on with the next one, and return its outcome."""
        self.stop()
        case = self.current
        seed, data = mutated(self.corpus, case, self.salt)
        self.cases = self.cases[1:]
        self._start()
        return Outcome(case, seed.kind, word, f"{seed.kind}: {word}", "", HANGS_AFTER, 0.0, len(data))

    def goes_on(self) -> bool:
        """Return whether there are cases left; otherwise end the process."""
        if not self.cases:
            self.stop()
        return bool(self.cases)

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Any, corpus: Corpus, cases: range, salt: int) -> None:
    with quiet_process() as folder:
        for case in cases[:RECYCLED_AFTER]:
            seed, data = mutated(corpus, case, salt)
            connection.send(vars(attempt(corpus, seed, data, folder, case)))
    connection.close()
    os._exit(0)


@contextlib.contextmanager
def quiet_process() -> Iterator[Path]:
    """Limit this process's memory, send what C libraries print nowhere, and yield a folder in memory if possible."""
    limit_memory()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    warnings.simplefilter("ignore")
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=shared if os.access(shared, os.W_OK) else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- smaller inputs


def smaller(corpus: Corpus, fault: Fault) -> bytes:
    """Leave out parts of an input as long as the same fault comes up, in a process of its own."""
    ours, theirs = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_shrink, args=(theirs, corpus, fault), daemon=True)
    process.start()
    theirs.close()
    best, deadline = fault.data, time.monotonic() + SMALLER_SECONDS
    with contextlib.suppress(EOFError):
        while ours.poll(max(deadline - time.monotonic(), 0)):
            best = ours.recv_bytes()
    process.kill()
    process.join()
    return best


def _shrink(connection: Any, corpus: Corpus, fault: Fault) -> None:
    data, width = fault.data, max(len(fault.data) // 2, 1)
    with quiet_process() as folder:
        while width:
            at = 0
            while at < len(data):
                shorter = data[:at] + data[at + width :]
                if attempt(corpus, fault.seed, shorter, folder).where == fault.outcome.where:
                    data = shorter
                    connection.send_bytes(data)
                else:
                    at += width
            width //= 2
    connection.close()


def kept(fault: Fault, folder: Path) -> Path:
    """Write the input of a fault, and what is known about it, and return the path of the input."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in fault.outcome.where)[:80]
    path = folder / f"{name}.{fault.seed.suffix}"
    path.write_bytes(fault.data)
    about = {**vars(fault.outcome), "count": fault.count, "size": len(fault.data)}
    path.with_name(f"{name}.json").write_text(json.dumps(about, indent=1))
    return path
