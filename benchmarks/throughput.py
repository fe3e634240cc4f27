"""How long DenoisingGAN fits and how many rows it scores per second, beside scikit-learn's detectors in one process."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

import anogan

from .experiment import Axis, Cell, Experiment, Record, measured, names, numbers
from .process import peak_mb
from .report import table
from .speed import random_rows, rows_of_a_pass, seconds_of

SIZES = {"5000 x 30": (5_000, 30), "50000 x 30": (50_000, 30), "1000 x 1500": (1_000, 1_500)}
SCORED = {30: 100_000, 1_500: 20_000}  # rows, by the number of columns
PASSES = 5
NETWORK = "distance"  # the view of the critics' features

Score = Callable[[np.ndarray], object]


class Throughput(Experiment):
    """One cell is one size: all detectors one after the other in the same process, so that the load is the same."""

    name = "throughput"
    help = "Time of fitting and rows per second of DenoisingGAN, isolation forest and nearest neighbours."
    axes: ClassVar[tuple[Axis, ...]] = (names("size", lambda _: list(SIZES)), numbers("thread", "2"))
    needs_data = False

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        threads = cell["thread"]
        torch.set_num_threads(threads)
        n, columns = SIZES[cell["size"]]
        X = random_rows(n + SCORED[columns], columns)
        known, new = X[:n], X[n:]
        found: Record = {}
        with threadpool_limits(threads):
            for name, (fit, score) in methods(threads).items():
                began = time.perf_counter()
                model = fit(known)
                found[name] = {"fit_s": round(time.perf_counter() - began, 2)} | _speed(score(model), new)
                if name == "denoising_gan":
                    found["the network's view alone"] = _alone(model, new)
        return found | {"peak_mb": peak_mb()}

    def outcome(self, record: Record) -> str:
        return ", ".join(f"{name} {value['rows_per_s']:,}/s" for name, value in _methods_of(record).items())

    def report(self, records: list[Record], folder: Path) -> str:
        rows = [
            [record["size"], str(record["thread"]), name, f"{value['fit_s']:.2f}" if "fit_s" in value else "",
             f"{value['rows']:,}", f"{value['rows_per_s']:,}", str(record["peak_mb"])]
            for record in measured(records)
            for name, value in _methods_of(record).items()
        ]  # fmt: skip
        head = ["training rows", "threads", "detector", "fit s", "rows", "rows/s", "peak MB"]
        return f"# throughput\n\n{self.made_by}\n\n{DESCRIPTION}\n\n{table(head, rows, texts=3)}"


def methods(threads: int) -> dict[str, tuple[Callable[[np.ndarray], Any], Callable[[Any], Score]]]:
    """Return how each detector is fitted on rows, and how its scoring function is had from the fitted one."""
    return {
        "denoising_gan": (lambda X: anogan.DenoisingGAN(random_state=0).fit(X), lambda model: model.anomaly_score),
        "isolation forest": (
            lambda X: IsolationForest(random_state=0, n_jobs=threads).fit(X),
            lambda model: model.score_samples,
        ),
        "nearest neighbours (k=3, brute)": (
            lambda X: NearestNeighbors(n_neighbors=3, algorithm="brute", n_jobs=threads).fit(X),
            lambda model: model.kneighbors,
        ),
    }


def _speed(score: Score, X: np.ndarray) -> dict[str, int]:
    rows = rows_of_a_pass(score, X)
    score(X[:rows])
    seconds = median(seconds_of(score, X[:rows]) for _ in range(PASSES))
    return {"rows": rows, "rows_per_s": round(rows / seconds)}


def _alone(model: Any, X: np.ndarray) -> dict[str, int]:
    """Score with the critics' distance as the only view, as a table would that gives the others no weight."""
    fusion = model.module_.fusion
    weights = fusion.weights
    alone = torch.tensor([float(name == NETWORK) for name in model.components_["view"]]).to(weights)
    fusion.weights = alone
    try:
        return _speed(model.anomaly_score, X)
    finally:
        fusion.weights = weights


def _methods_of(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if isinstance(value, dict) and "rows_per_s" in value}


DESCRIPTION = f"""\
Random rows of rank 10 plus noise, float64. *Fit*: from array to detector, threshold included, at the defaults.
*Rows/s*: `anomaly_score` (for scikit-learn `score_samples` and `kneighbors`) from array to scores, median of {PASSES}
passes after a warm-up. All detectors of a size run one after the other in the same process, on the same number of
threads."""
