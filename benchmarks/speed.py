"""How fast a detector scores and trains, beside the bare matrix products that it consists of."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import anogan

from .comparison import changes_option, config, detectors, variants
from .experiment import Cell, Experiment, Record, numbers
from .process import peak_mb
from .report import label, table

ROWS, COLUMNS = 100_000, 30
BLOCK = 20  # steps; a multiple of the usual numbers of critic steps to a generator step
PASS_SECONDS = 10.0  # of scoring, at most about
FIT = {"steps": 400, "patience": 0, "calibration_fraction": 0.01}
"""A short training that only measures: no early stopping, few rows to score for the threshold."""

DESCRIPTION = """\
Random rows (100,000, 30) of rank 10 plus noise. *Scoring*: rows per second of `anomaly_score`, from
array to scores, median of three passes after a warm-up; where a pass would take more than about ten
seconds it gets fewer rows (see rows). *Training*: time of a step in each stage, median over blocks of
20 steps. *Share*: time of the bare matrix products of the same shapes and strides, forward and
backward, each alone into a preallocated output and on as many threads, divided by the real time; 1
would mean that only the products take time. The search for nearest rows (denoising_gan) is no product
of torch and not counted."""

aten = torch.ops.aten


class ProductRecorder(TorchDispatchMode):
    """Count the matrix products and convolutions that run inside it, backward passes included.

    Attributes
    ----------
    products : Counter
        How often each product ran: keys are ``(operator, arguments)``, with ``(shape, strides, dtype)`` in
        place of each tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[tuple[Any, tuple[Any, ...]]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        product = _bare(func, args)
        if product is not None:
            self.products[product] += 1
        return func(*args, **(kwargs or {}))

    def bare_seconds(self) -> float:
        """Return the time of all recorded products alone, at torch's present number of threads."""
        return sum(count * _seconds(func, args) for (func, args), count in self.products.items())


def _bare(func: Any, args: Any) -> tuple[Any, tuple[Any, ...]] | None:
    """Return the bare product that an operator call contains, if any; an added bias is not part of it."""
    if func in (aten.mm.default, aten.bmm.default):
        return func.overloadpacket.out, tuple(map(_layout, args))
    if func in (aten.addmm.default, aten.baddbmm.default):
        plain = aten.mm.out if func is aten.addmm.default else aten.bmm.out
        return plain, tuple(map(_layout, args[1:3]))
    if func is aten._euclidean_dist.default:  # torch.cdist: |a - b|^2 = |a|^2 - 2 ab + |b|^2, a product inside
        return aten.matmul.out, (_layout(args[0]), _layout(args[1].mT))
    if func in (aten.convolution.default, aten.convolution_backward.default):
        return func, tuple(map(_layout, args))
    return None


def _layout(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype
    return tuple(value) if isinstance(value, list) else value


def _tensor(layout: Any) -> Any:
    """Return a random tensor of this layout; other arguments as they are."""
    if not (isinstance(layout, tuple) and len(layout) == 3 and isinstance(layout[2], torch.dtype)):
        return layout
    shape, strides, dtype = layout
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    size = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    return torch.randn(size, dtype=dtype).as_strided(shape, strides)


def _seconds(func: Any, layouts: tuple[Any, ...]) -> float:
    """Return the median time of one call, over at least 5 of them and up to a tenth of a second."""
    args = [_tensor(layout) for layout in layouts]
    keywords = {}
    if func._overloadname == "out":
        keywords["out"] = torch.empty((*args[0].shape[:-1], args[1].shape[-1]), dtype=args[0].dtype)
    times: list[float] = []
    with torch.no_grad():
        func(*args, **keywords)
        while len(times) < 5 or (sum(times) < 0.1 and len(times) < 200):
            began = time.perf_counter()
            func(*args, **keywords)
            times.append(time.perf_counter() - began)
    return median(times)


class StepClock(anogan.Callback):
    """Time blocks of training steps; the first block warms up, the products of the second are recorded."""

    def __init__(self) -> None:
        self.block_seconds: dict[str, list[float]] = {}
        self.recorders: dict[str, ProductRecorder] = {}
        self._began = 0.0

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        self.block_seconds[stage] = []
        self.recorders[stage] = ProductRecorder()

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        if step % BLOCK:
            return
        now = time.perf_counter()
        if step > 2 * BLOCK:
            self.block_seconds[stage].append(now - self._began)
        if step == BLOCK:
            self.recorders[stage].__enter__()
        if step == 2 * BLOCK:
            self.recorders[stage].__exit__(None, None, None)
        self._began = time.perf_counter()


class Speed(Experiment):
    """Throughput on random rows."""

    name = "speed"
    help = "Time of scoring and of training steps, beside that of the bare matrix products."
    axes = (numbers("thread", "1-2"), detectors("gans", ours=True))
    options = (changes_option,)
    needs_data = False

    @property
    def identity(self) -> tuple[str, ...]:
        return ("threads", "detector", "params", "config")

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        return [
            {"threads": threads, "detector": name, "params": params, "config": config(name, params, None)}
            for threads in chosen["thread"]
            for name, params in variants(chosen["detector"], chosen["changes"])
        ]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        return measure(cell["detector"], cell["params"], cell["threads"]) | {"peak_mb": peak_mb()}

    def outcome(self, record: Record) -> str:
        return f"{record['rows_per_s']} rows/s, steps {record['step_ms']} ms"

    def report(self, records: list[Record], folder: Path) -> str:
        def listed(values: dict[str, float], shown: Callable[[float], str]) -> str:
            return ", ".join(f"{stage} {shown(value)}" for stage, value in values.items())

        rows = [
            [
                label(r),
                str(r["threads"]),
                f"{r['rows']:,}",
                f"{r['rows_per_s']:,}",
                f"{r['score_share']:.2f}",
                listed(r["step_ms"], "{:.2f}".format),
                listed(r["step_share"], "{:.2f}".format),
            ]
            for r in sorted(records, key=lambda r: (label(r), r["threads"]))
            if "error" not in r
        ]
        head = ["detector", "threads", "rows", "rows/s", "share", "step ms", "share of a step"]
        return f"# speed\n\n{self.made_by}\n\n{DESCRIPTION}\n\n{table(head, rows)}"


def measure(name: str, params: dict[str, Any], threads: int) -> dict[str, Any]:
    """Measure the throughput of scoring and the time of a training step of one detector.

    Parameters
    ----------
    name : str
        Name of the detector.
    params : dict
        Its parameters where they differ from the defaults; `FIT` is added.
    threads : int
        Threads of torch, for the detector and for the bare products.

    Returns
    -------
    dict
        ``rows_per_s``, ``score_share``, ``rows`` scored a pass; ``step_ms`` and ``step_share`` per stage.
    """
    torch.set_num_threads(threads)
    X = random_rows(ROWS, COLUMNS)
    clock = StepClock()
    detector = anogan.detector_class(name)(**FIT | params, random_state=0).fit(X, callbacks=[clock])
    steps = {stage: median(blocks) / BLOCK for stage, blocks in clock.block_seconds.items()}
    products = {stage: recorder.bare_seconds() / BLOCK for stage, recorder in clock.recorders.items()}

    rows = rows_of_a_pass(detector.anomaly_score, X)
    torch.set_num_threads(1)  # the recorder sees no other threads
    with ProductRecorder() as recorder:
        detector.anomaly_score(X[:rows])
    torch.set_num_threads(threads)
    detector.anomaly_score(X[:rows])
    seconds = median(seconds_of(detector.anomaly_score, X[:rows]) for _ in range(3))
    return {
        "threads": threads,
        "rows": rows,
        "rows_per_s": round(rows / seconds),
        "score_share": round(recorder.bare_seconds() / seconds, 3),
        "step_ms": {stage: round(1000 * value, 3) for stage, value in steps.items()},
        "step_share": {stage: round(products[stage] / value, 3) for stage, value in steps.items()},
    }


def random_rows(n: int, columns: int) -> np.ndarray:
    """Return rows (n, columns) of rank 10 plus noise."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 10)) @ rng.normal(size=(10, columns)) + 0.3 * rng.normal(size=(n, columns))


def rows_of_a_pass(score: Callable[[np.ndarray], object], X: np.ndarray) -> int:
    """Return how many rows of X are scored in about `PASS_SECONDS`, at least 1,000; the first 1,000 are, twice."""
    score(X[:1000])
    return int(np.clip(PASS_SECONDS / seconds_of(score, X[:1000]) * 1000, 1000, len(X)))


def seconds_of(score: Callable[[np.ndarray], object], X: np.ndarray) -> float:
    """Return the time of scoring rows X."""
    began = time.perf_counter()
    score(X)
    return time.perf_counter() - began
