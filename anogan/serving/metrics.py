"""What a service counts, for Prometheus."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ..scoring import drift
from .served import Served

P_VALUES = (0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
WORDS = {
    drift.FITS: "fits",
    drift.ROSE: "risen",
    drift.MORE_FLAGGED: "more_flagged",
    drift.FELL: "fallen",
    drift.TOO_FEW: "too_few_rows",
    drift.NOT_HELD_OUT: "unknown",
}
"""Verdict of a comparison -> its word in a label."""


class Metrics:
    """Counters of one service.

    With several workers (environment variable PROMETHEUS_MULTIPROC_DIR) counts are those of all together.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": "anogan", "registry": self.registry}
        self.requests = Counter("requests", "Requests by path and status.", ["path", "status"], **own)
        self.seconds = Histogram("request_seconds", "Time from request to answer.", ["path"], **own)
        self.rows = Counter("rows", "Rows and pictures scored.", ["model"], **own)
        self.flagged = Counter("flagged", "Rows and pictures above the threshold.", ["model"], **own)
        self.unscored = Counter(
            "unscored", "Rows and pictures that could not be scored, whether refused or not.", ["model"], **own
        )
        self.p_values = Histogram(
            "p_value",
            "p-values, which are uniform while data are like those of the calibration.",
            ["model"],
            buckets=P_VALUES,
            **own,
        )
        self.score = Gauge(
            "latest_score", "Quantiles of the latest scores.", ["model", "quantile"], multiprocess_mode="livemax", **own
        )
        self.drift = Gauge(
            "drift",
            "1 for the verdict on the latest scores against those of the calibration.",
            ["model", "verdict"],
            multiprocess_mode="livemax",
            **own,
        )
        self.loads = Counter("model_loads", "Changed model files, by outcome.", ["model", "outcome"], **own)

    def add(self, model: str, rows: list[dict[str, Any]]) -> None:
        """Count the rows of an answer."""
        scored = [row for row in rows if row["score"] is not None]
        self.rows.labels(model).inc(len(scored))
        self.flagged.labels(model).inc(sum(row["flag"] for row in scored))
        self.unscored.labels(model).inc(len(rows) - len(scored))
        observe = self.p_values.labels(model).observe
        for row in scored:
            observe(row["p_value"])

    def look(self, served: Served) -> None:
        """Set the verdict on drift and the quantiles of the latest scores."""
        found = served.drift()
        if found is None:
            return
        for verdict, word in WORDS.items():
            self.drift.labels(served.name, word).set(verdict == found.verdict)
        for quantile, value in served.quantiles().items():
            self.score.labels(served.name, str(quantile)).set(value)

    def page(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
