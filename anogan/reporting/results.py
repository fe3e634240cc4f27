"""The results on the page: what is flagged, the scores with a movable threshold, and curves where labels exist."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..evaluation.evaluate import measure, per_kind
from ..evaluation.metrics import Ranking
from ..streams.top_k import TopK
from .charts import Axis, histogram, number, percent, points
from .summary import in_blocks, left_out

_STEPS = 400  # positions of the slider for the threshold
_CURVE_POINTS = 300


def result_facts(detector: Any, found: TopK, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Return what the page says of all scores.

    Parameters
    ----------
    detector : fitted Detector
    found : TopK
    anomalous : (n,) bool or None
        Which rows are anomalous, if that is known.
    """
    return (
        _answer(detector, found.scores, anomalous)
        | _scores(detector, found.scores, anomalous)
        | _measures(detector, found, anomalous)
    )


def _answer(detector: Any, scores: np.ndarray, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Return how many rows are flagged, and how many would be expected if all were normal."""
    calibration = detector.calibration_
    flags = scores > calibration.threshold
    rate = calibration.false_alarms(np.array([calibration.threshold]))[0]
    learned = left_out(detector.fitted_on_)
    is_share = detector.contamination != "auto" and not learned  # of the training rows by their own scores
    target = detector.target_fpr if detector.contamination == "auto" else float(rate)
    answer = {
        "count": len(scores),
        "flagged": int(flags.sum()),
        "rate": float(rate),
        "promised": not is_share and rate <= target,
        "target": target,
        "held_out": calibration.held_out,
        "contamination": detector.contamination if is_share else None,
        "expected": rate * len(scores),
        "calibration_rows": len(calibration.scores),
        "left_out": learned,
        "in_blocks": in_blocks(detector.fitted_on_),
        "smallest_p": 1 / (1 + len(calibration.scores)),
        "truth": None,
    }
    if anomalous is not None:
        answer["truth"] = {
            "anomalous": int(anomalous.sum()),
            "normal": int((~anomalous).sum()),
            "hits": int((flags & anomalous).sum()),
            "alarms": int((flags & ~anomalous).sum()),
        }
    return answer


def _scores(detector: Any, scores: np.ndarray, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Return histograms on one axis, and the counts over all rows at each position of the slider."""
    calibration = detector.calibration_
    threshold, reference = calibration.threshold, calibration.scores
    middle = float(np.median(reference))
    axis = Axis.around(np.concatenate([scores, reference, [threshold]]), centre=middle, bend=threshold - middle)
    panels = [{"kind": "reference"} | histogram(reference, axis)]
    if anomalous is None:
        panels.append({"kind": "new"} | histogram(scores, axis))
    else:
        panels.append({"kind": "normal"} | histogram(scores[~anomalous], axis))
        panels.append({"kind": "anomalous"} | histogram(scores[anomalous], axis))
    places = np.linspace(0, 100, _STEPS + 1)
    chosen = int(np.argmin(np.abs(places - axis.at(threshold))))
    places[chosen] = axis.at(threshold)
    thresholds = axis.value(places)
    thresholds[chosen] = threshold
    flagged = _above(scores, thresholds)
    texts = {
        "threshold": [number(float(t)) for t in thresholds],
        "flagged": [number(int(k)) for k in flagged],
        "share": [percent(k / len(scores)) for k in flagged],
        "rate": [percent(float(rate)) for rate in calibration.false_alarms(thresholds)],
    }
    slider: dict[str, Any] = {
        "start": chosen,
        "threshold": thresholds.tolist(),
        "at": places.round(3).tolist(),
        "text": texts,
        "points": {},
    }
    if anomalous is not None:
        hits, alarms = _above(scores[anomalous], thresholds), _above(scores[~anomalous], thresholds)
        recall, fpr = hits / anomalous.sum(), alarms / (~anomalous).sum()
        precision = np.divide(hits, flagged, out=np.ones(len(hits)), where=flagged > 0)
        texts |= {
            "recall": [percent(float(r)) for r in recall],
            "hits": [number(int(k)) for k in hits],
            "precision": [
                percent(p) if k else "none flagged" for p, k in zip(precision.tolist(), flagged, strict=True)
            ],
            "fpr": [percent(float(f)) for f in fpr],
            "alarms": [number(int(k)) for k in alarms],
        }
        slider["points"] = {"roc": _places(fpr, recall), "pr": _places(recall, precision)}
    return {"panels": panels, "axis": axis.ticks(6), "bent": axis.bend is not None, "slider": slider}


def _above(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many scores lie above each threshold: (k,) int."""
    counts: np.ndarray = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")
    return counts


def _places(across: np.ndarray, up: np.ndarray) -> list[list[float]]:
    return np.column_stack([100 * across, 100 * (1 - up)]).round(2).tolist()


def _measures(detector: Any, found: TopK, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Return curves and figures with their intervals, where labels exist."""
    if anomalous is None or found.labels is None:
        return {"measures": None}
    ranking = Ranking.of(anomalous, found.scores).compressed(_CURVE_POINTS)
    hits, alarms = np.cumsum(ranking.anomalous), np.cumsum(ranking.normal)
    recall, fpr, precision = hits / hits[-1], alarms / alarms[-1], hits / (hits + alarms)
    measures = measure(detector, found.scores, anomalous)["metrics"]
    return {
        "measures": {
            "roc": points(100 * np.append(0, fpr), 100 * np.append(0, recall)),
            "pr": points(100 * np.append(0, recall), 100 * np.append(precision[0], precision)),
            "auroc": measures["auroc"],
            "aupr": measures["aupr"],
            "chance": anomalous.mean(),
            "kinds": per_kind(found.scores, found.labels, anomalous),
        }
    }
