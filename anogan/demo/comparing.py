"""Detectors on one set of data, beside classical ones, with figures for people who never saw a ROC curve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ..detectors.registry import default_detector
from ..engine.callbacks import Callback
from ..evaluation import baselines, protocol
from ..evaluation.metrics import Ranking, bootstrap_interval

CLASSICAL = {"nearest neighbours": "knn", "isolation forest": "iforest"}
# 80 and 24 samples are held out of training; that suffices to promise 5 %, but not the default of 1 %.
PROMISED = 0.05
_REPLICATES = 1000
_VISIBLE = 0.0005  # a difference that shows in the first decimal of percent


@dataclass(frozen=True)
class Method:
    """What one method did on the new rows.

    Attributes
    ----------
    scores : (n,) float64
        Higher = more anomalous.
    pairs, low, high : float
        The AUROC: of pairs of an unusual and an ordinary row, the share in which the unusual one has the higher score;
        and the ends of its 95 % bootstrap interval.
    seconds : float
        For fitting and scoring.
    """

    name: str
    scores: np.ndarray
    pairs: float
    low: float
    high: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A fitted detector at its defaults, beside classical detectors on the same rows."""

    detector: Any
    unusual: np.ndarray
    methods: list[Method]

    @property
    def flags(self) -> np.ndarray:
        """Which new rows lie above the detector's threshold: (n,) bool."""
        return self.methods[0].scores > self.detector.calibration_.threshold

    def verdict(self) -> str:
        """Say how the detector's ranking compares with the best classical one, as far as so many rows can tell."""
        ours, best = self.methods[0], max(self.methods[1:], key=lambda method: method.pairs)
        low, high = _difference(self.unusual, ours.scores, best.scores)
        if min(abs(low), abs(high)) < _VISIBLE or low < 0 < high:
            return f"{ours.name} and {best.name} are level here: their difference may be chance."
        words = "better" if low > 0 else "worse"
        return f"{ours.name} ranks {words} than {best.name} here, by {100 * low:.1f} to {100 * high:.1f} pairs of 100."

    def promise(self, unit: str) -> str:
        """Compare the promised false-alarm rate with the observed one and its 95 % interval."""
        alarms, count = int(self.flags[~self.unusual].sum()), int((~self.unusual).sum())
        low, high = binomtest(alarms, count).proportion_ci(method="exact")
        kept = "The promise is kept." if alarms <= PROMISED * count else (
            "That is more, but so few rows do not contradict the promise." if low <= PROMISED else
            "The promise is not kept."
        )  # fmt: skip
        return (
            f"Promised: at most {PROMISED:.0%} of ordinary {unit}s are flagged, on average. Observed: {alarms} of "
            f"{count} ({alarms / count:.1%}; 95 % interval {low:.1%} to {high:.1%}). {kept}"
        )

    def found(self, unit: str) -> str:
        """Say how many unusual rows are flagged."""
        hits, count = int(self.flags[self.unusual].sum()), int(self.unusual.sum())
        return f"Found: {hits} of the {count} unusual {unit}s ({hits / count:.0%}) lie above the threshold."

    def table(self) -> list[tuple[str, ...]]:
        """Return a heading and one line of text for each method."""
        lines: list[tuple[str, ...]] = [("method", "of 100 pairs right", "95 % interval", "seconds")]
        for method in self.methods:
            interval = f"{100 * method.low:.1f} to {100 * method.high:.1f}"
            lines.append((method.name, f"{100 * method.pairs:.1f}", interval, f"{method.seconds:.1f}"))
        return lines


def compare(train: Any, new: Any, unusual: np.ndarray, callbacks: Sequence[Callback]) -> Comparison:
    """Fit the default detector and the classical ones on `train`, and score `new` with each."""
    name = default_detector(train)
    began = time.perf_counter()
    detector = baselines.build(name, {"target_fpr": PROMISED}, n_features=0, seed=0)
    detector.fit(train, callbacks=callbacks)
    methods = [_method(name, unusual, detector.anomaly_score(new), time.perf_counter() - began)]
    encoded = protocol.encoded(train, new)
    for title, classical in CLASSICAL.items():
        outcome = protocol.run(baselines.build(classical, {}, n_features=0, seed=0), *encoded, seed=0)
        methods.append(_method(title, unusual, outcome.scores, outcome.fit_s + outcome.score_s))
    return Comparison(detector, unusual, methods)


def _method(name: str, unusual: np.ndarray, scores: np.ndarray, seconds: float) -> Method:
    low, high = bootstrap_interval(Ranking.auroc, unusual, scores)
    return Method(name, scores, float(Ranking.of(unusual, scores).auroc()), float(low), float(high), seconds)


def _difference(unusual: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the difference of both AUROCs, over the same rows."""
    gain = _in_order(unusual, ours) - _in_order(unusual, theirs)
    rng = np.random.default_rng(0)
    drawn = [
        gain[
            np.ix_(rng.integers(0, gain.shape[0], gain.shape[0]), rng.integers(0, gain.shape[1], gain.shape[1]))
        ].mean()
        for _ in range(_REPLICATES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _in_order(unusual: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return 1 for each pair of an unusual and an ordinary row in the right order, 1/2 for equal scores, else 0."""
    first, second = scores[unusual][:, None], scores[~unusual][None]
    right: np.ndarray = (first > second) + 0.5 * (first == second)
    return right
