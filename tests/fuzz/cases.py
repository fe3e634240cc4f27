"""One case: a mutated file is read, and what happens is judged."""

import contextlib
import resource
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import anogan

from .corpus import Corpus, Seed

SECONDS, MEGABYTES = 2.0, 300.0  # limits of a case: CPU time, and memory beyond what the process had before
ROOM = 2 * 2**30  # bytes of address space beyond which allocations fail, so that the machine survives


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes
    ----------
    case : int
    kind : str
    result : str
        "refused", "read", or the kind of fault.
    where : str
        For faults: what identifies the cause, so that one cause is reported once.
    message : str
    seconds, megabytes : float
    size : int
        Bytes of the file.
    """

    case: int
    kind: str
    result: str
    where: str
    message: str
    seconds: float
    megabytes: float
    size: int

    @property
    def is_fault(self) -> bool:
        """Whether this must not happen."""
        return self.result not in ("refused", "read")


def mutated(corpus: Corpus, case: int, salt: int) -> tuple[Seed, bytes]:
    """Return the seed and the content of a case, which follow from its number."""
    rng = Random(f"{salt}-{case}")
    kinds = sorted({seed.kind for seed in corpus.seeds})
    kind = rng.choice(kinds)
    seed = rng.choice([seed for seed in corpus.seeds if seed.kind == kind])
    data = seed.data
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(Exception):  # a file that an earlier mutation broke too far to be changed further
            data = seed.mutator(rng, data)
    return seed, data


def attempt(corpus: Corpus, seed: Seed, data: bytes, folder: Path, case: int = -1) -> Outcome:
    """Read the file as the command line would, and judge the result."""
    path = folder / f"case.{seed.suffix}"
    path.write_bytes(data)
    began, before = time.process_time(), _reset_peak()
    result, where, message = "read", "", ""
    try:
        fault = _model(corpus, seed, path, data) if seed.suffix == "anogan" else _data(corpus, seed, path)
        if fault:
            result, where = fault, fault
    except (anogan.InputError, anogan.FormatError) as error:
        result, message = "refused", str(error)
    except (Exception, RecursionError) as error:
        result, where, message = type(error).__name__, _site(error), str(error)
    seconds, megabytes = time.process_time() - began, _peak() - before
    if result in ("refused", "read") and seconds > SECONDS:
        result, where = "too slow", f"too slow: {message[:40]}"
    if result in ("refused", "read") and megabytes > MEGABYTES:
        result, where = "too large", f"too large: {message[:40]}"
    return Outcome(case, seed.kind, result, f"{seed.kind}: {where}", message, seconds, megabytes, len(data))


def _model(corpus: Corpus, seed: Seed, path: Path, data: bytes) -> str:
    """Load a model and use it; return a fault, if it shows in the results."""
    detector = anogan.load(path, device="cpu")
    X = corpus.X[seed.scorer]
    scores = detector.anomaly_score(X)
    if not np.isfinite(scores).all():
        return "scores are not finite"
    p_values, flags = detector.p_value(X), detector.predict(X)
    if not ((p_values > 0) & (p_values <= 1)).all() or not np.isin(flags, (-1, 1)).all():
        return "p-values or flags out of their range"
    if seed.kind == "model, sealed" and data != seed.data:
        path.write_bytes(seed.data)
        if not np.array_equal(scores, anogan.load(path, device="cpu").anomaly_score(X)):
            return "a silent change: a sealed model was altered and scores differently"
    return ""


def _data(corpus: Corpus, seed: Seed, path: Path) -> str:
    """Read data as `fit` does, then score it; return a fault, if it shows in the results."""
    detector = corpus.models[seed.scorer]
    source = anogan.open_source(path, size=8)
    if isinstance(source, anogan.TableFile):
        frame = source.sample(1000, seed=0).frame
        detector.make_preprocessor(frame).fit(frame)
    stream = anogan.Stream(detector, source)
    rows = 0
    for chunk in stream:
        scores = detector.anomaly_score(chunk.X)
        rows += len(scores)
        if not np.isfinite(scores).all():
            return "scores are not finite"
    return "" if rows else "no rows, and no word about it"


def _site(error: BaseException) -> str:
    """Return the type of an error, and the innermost place in anogan that raised or passed it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/anogan/" in f.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
    return f"{type(error).__name__} in {place}"


def limit_memory() -> None:
    """Let allocations fail that would take this process far beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _reset_peak() -> float:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is used now
    return _peak()


def _peak() -> float:
    """Return the most memory that this process has used since the last reset, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def facts(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values."""
    return dict(vars(outcome))
