"""Protocols of comparisons: splits of the rows, preprocessing for the baselines, and metrics.

A split consists of row numbers, so that a test can check that no row is in both halves. No row is added, repeated,
dropped or changed.
"""

import contextlib
import io
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..data.choose import preprocessor_for
from ..errors import CalibrationWarning, InputError, TrainingHealthWarning
from . import baselines, metrics

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.bool_]  # True: anomalous
Generator = np.random.Generator

CONTAMINATION = 0.05
_ONE_RUN = threading.Lock()  # global seeds, warnings and standard output cannot be set for one thread alone


@dataclass(frozen=True)
class Split:
    """Rows to fit on, rows to score, and whether each scored row is anomalous."""

    train: Any
    test: Any
    labels: Labels


@dataclass(frozen=True)
class Protocol:
    """A way to split labelled rows: ``split(labels, rng) -> (train, test)`` row numbers, and its description."""

    split: Callable[[Labels, Generator], tuple[Rows, Rows]]
    text: str

    def apply(self, X: Any, labels: Labels, rng: Generator, max_rows: int | None = None) -> Split:
        """Split an array or DataFrame X (n, ...) after sampling at most `max_rows` of its rows.

        Raises
        ------
        InputError
            If there are fewer than four normal rows or no anomalous one.
        """
        rows = sample_rows(labels, max_rows or len(labels), rng)
        kept = labels[rows]
        if int((~kept).sum()) < 4 or not kept.any():
            raise InputError(
                f"{int((~kept).sum())} normal and {int(kept.sum())} anomalous rows; needed are at least 4 and 1."
            )
        train, test = (rows[part] for part in self.split(kept, rng))
        return Split(take(X, train), take(X, test), labels[test])


def semi(labels: Labels, rng: Generator) -> tuple[Rows, Rows]:
    """Return row numbers (train, test): half of the normal rows, and all other rows."""
    normal = rng.permutation(np.flatnonzero(~labels))
    train = normal[: len(normal) // 2]
    return np.sort(train), np.setdiff1d(np.arange(len(labels)), train)


def contaminated(labels: Labels, rng: Generator) -> tuple[Rows, Rows]:
    """Return row numbers (train, test) as `semi`, with anomalies among the training rows; see `PROTOCOLS`."""
    train, _ = semi(labels, rng)
    anomalous = rng.permutation(np.flatnonzero(labels))
    wanted = round(CONTAMINATION / (1 - CONTAMINATION) * len(train))
    train = np.concatenate([train, anomalous[: min(wanted, len(anomalous) // 2)]])
    return np.sort(train), np.setdiff1d(np.arange(len(labels)), train)


PROTOCOLS = {
    "semi": Protocol(
        semi,
        """\
Per seed, a random half of the normal rows trains; the other half and all anomalies are the test set. A
table with more than `max_rows` rows is first reduced to a random sample of that many, which keeps the
share of anomalies.""",
    ),
    "contaminated": Protocol(
        contaminated,
        """\
As `semi`, with anomalies that nobody noticed among the training rows: 5 % of them, but at most half of
all anomalies of the table. Those are not in the test set.""",
    ),
}


def sample_rows(labels: Labels, max_rows: int, rng: Generator) -> Rows:
    """Return at most `max_rows` row numbers with the same share of anomalies (and at least one anomaly)."""
    if len(labels) <= max_rows:
        return np.arange(len(labels))
    anomalies = max(1, round(max_rows * float(labels.mean())))
    anomalous, normal = (rng.permutation(np.flatnonzero(mask)) for mask in (labels, ~labels))
    return np.sort(np.concatenate([anomalous[:anomalies], normal[: max_rows - anomalies]]))


def take(X: Any, rows: Rows) -> Any:
    """Return rows of a DataFrame, or of anything else that can be indexed by an array of numbers."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def encoded(train: Any, test: Any, scaling: str = "standard") -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows as float64 (n, d), for detectors that accept only numbers.

    Parameters
    ----------
    train, test : DataFrame, (n, d) array, (n, C, H, W) array or ImageFolder
    scaling : {"standard", "quantile", "asinh", "soft"}
        Scaling of numeric columns, fitted on the training rows alone. As in the GAN detectors, categories are
        one-hot encoded, and missing values are filled and marked.
    """
    preprocessor = preprocessor_for(train, scaling=scaling).fit(train)

    def numbers(X: Any) -> np.ndarray:
        samples = preprocessor.transform(X, torch.float64)
        return samples.batch(np.arange(len(samples))).flatten(1).numpy()

    return numbers(train), numbers(test)


@dataclass(frozen=True)
class Outcome:
    """Scores of the test rows (n,) by one detector, and the seconds that fitting and scoring took."""

    scores: npt.NDArray[np.float64]
    fit_s: float
    score_s: float


def run(detector: Any, train: Any, test: Any, seed: int) -> Outcome:
    """Fit a detector and score the test rows.

    Parameters
    ----------
    detector : has ``fit(X)`` and ``anomaly_score(X)``; see `baselines.build`
    train, test : rows in the form that the detector accepts
    seed : int
        Seed of the global random states, for detectors that draw from those; they are restored afterwards. Runs in
        several threads take turns, since they share these states.

    Raises
    ------
    ValueError
        If a score is not finite.
    """
    with _ONE_RUN, _seeded(seed), _silent():
        began = time.perf_counter()
        detector.fit(train)
        fitted = time.perf_counter()
        scores = np.asarray(detector.anomaly_score(test), dtype=np.float64)
        scored = time.perf_counter()
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite")
    return Outcome(scores, round(fitted - began, 3), round(scored - fitted, 3))


def warm_up(names: list[str]) -> None:
    """Fit baselines on a few rows, so that measured times include no import or compilation.

    Parameters
    ----------
    names : list of str
        Each classical baseline is fitted. For PyOD's networks its auto-encoder is fitted, which imports what they need.
    """
    kinds = {name: baselines.BASELINES[name].kind for name in names if name in baselines.BASELINES}
    fitted = [name for name, kind in kinds.items() if kind == "classical"]
    fitted += ["auto_encoder"] * (len(fitted) < len(kinds))
    toy = np.random.default_rng(0).normal(size=(64, 3))
    for name in fitted:
        # A process that has used CUDA cannot be forked into one that uses it.
        params = {"device": "cpu"} if name == "auto_encoder" else {}
        run(baselines.build(name, params, n_features=3, seed=0), toy, toy, 0)


def quality(labels: Labels, scores: np.ndarray) -> dict[str, float]:
    """Return AUROC, AUPR, F1 with as many rows flagged as there are anomalies, and FPR at 95 % recall."""
    return {
        "auroc": metrics.auroc(labels, scores),
        "aupr": metrics.aupr(labels, scores),
        "f1_at_count": metrics.precision_at(labels, scores),
        "fpr95": metrics.fpr_at_recall(labels, scores, 0.95),
    }


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global states of torch and numpy, from which PyOD's networks draw, and restore them afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Suppress the progress that PyOD's networks print, and warnings that the comparison reports itself."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", TrainingHealthWarning)
        warnings.simplefilter("ignore", CalibrationWarning)
        warnings.filterwarnings("ignore", module="pyod|sklearn|torch")
        yield
