"""Facts about a fitted detector and its model file, ready for JSON, and some of them in words."""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.condition import Conditioned
from ..sources.labels import column_label
from ..sources.source import Chunk


def model_summary(detector: Any) -> dict[str, Any]:
    """Return parameters, columns, threshold, diagnosis and training of a fitted detector.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> anogan.summary.model_summary(detector)["columns"]
    {'number': 2}
    """
    preprocessor, calibration = detector.preprocessor_, detector.calibration_
    facts: dict[str, Any] = {
        "detector": detector.name,
        "summary": type(detector).summary(),
        "parameters": detector.get_params() | {"n_members": detector.n_members_},
        "kind": preprocessor.kind,
        "sample_shape": list(preprocessor.spec_.shape),
        "columns": column_kinds(detector),
        "threshold": calibration.threshold,
        "map_threshold": calibration.map_threshold,
        "calibration_rows": len(calibration.scores),
        "false_alarms": float(calibration.false_alarms(np.array([calibration.threshold]))[0]),
        "held_out": calibration.held_out,
        "smallest_p_value": 1 / (1 + len(calibration.scores)),
        **health(detector),
        "fitted_on": detector.fitted_on_,
        "training": {stage: _curve(terms) for stage, terms in detector.history_.items()},
    }
    if preprocessor.kind == "table":
        facts["table"] = [_column(column) for column in preprocessor.columns_]
    return facts


def file_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the size, date, parts and format version of a model file."""
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        written = datetime(*archive.getinfo("manifest.json").date_time)
        version = json.loads(archive.read("manifest.json"))["format_version"]
    return {
        "file": str(path),
        "bytes": Path(path).stat().st_size,
        "written": written.isoformat(sep=" ", timespec="minutes"),
        "parts": sizes,
        "format_version": version,
    }


def column_kinds(detector: Any) -> dict[str, int]:
    """Return how many columns of each kind a detector of tables has, or the sides of an image or a vector."""
    preprocessor = detector.preprocessor_
    if preprocessor.kind == "table":
        return dict(Counter(column.kind for column in preprocessor.columns_))
    if preprocessor.kind == "image":
        return dict(zip(("channels", "height", "width"), preprocessor.spec_.shape, strict=True))
    return {"number": preprocessor.spec_.shape[0]}


def health(detector: Any) -> dict[str, Any]:
    """Return how training went, and how each attempt at it went."""
    return {"diagnosis": vars(detector.diagnosis_), "attempts": detector.attempts_}


def health_words(facts: dict[str, Any]) -> dict[str, str]:
    """Return the advice if there is one, and the attempts if there were several, from the facts of `health`."""
    words = {"advice": facts["diagnosis"]["advice"]} if facts["diagnosis"]["advice"] else {}
    if len(facts["attempts"]) > 1:
        for number, attempt in enumerate(facts["attempts"], 1):
            how = f"seed {attempt['seed']}, learning rate {attempt['learning_rate']:g}"
            kept = ", kept" if attempt["kept"] else ""
            words[f"attempt {number}"] = f"{attempt['verdict']} ({how}{kept})"
    return words


def explained(detector: Any, top: list[tuple[Chunk, float]], columns: int) -> list[dict[str, Any]]:
    """Return row, score, p-value and the `columns` leading reasons of rows of a table or an array.

    Parameters
    ----------
    detector : fitted Detector
    top : list of (Chunk, float)
        Rows with their scores, such as `TopK.highest`.
    columns : int
        How many reasons to give for each row, at most.
    """
    parts = [chunk.X for chunk, _ in top]
    rows = pd.concat(parts) if isinstance(parts[0], pd.DataFrame) else np.concatenate(parts)
    p_values = detector.calibration_.p_value(np.array([score for _, score in top]))
    found: list[dict[str, Any]] = [
        {"row": chunk.first, "score": score, "p_value": float(p), "reasons": []}
        for (chunk, score), p in zip(top, p_values, strict=True)
    ]
    for reason in detector.reasons(rows, columns).to_dict("records") if columns else ():
        reason["column"] = column_label(reason["column"])
        found[reason.pop("row")]["reasons"].append(reason)
    return found


def as_table(samples: Any) -> pd.DataFrame:
    """Return samples of a table or an array as a table; their condition, if they have one, becomes a column."""
    if isinstance(samples, Conditioned):
        return pd.DataFrame(samples.X).assign(**{str(samples.labels.name): samples.labels})
    return pd.DataFrame(samples)


def _column(column: Any) -> dict[str, Any]:
    facts = {"name": column.name, "kind": column.kind, "missing_seen": column.missing}
    if column.kind == "category":
        facts["categories"] = len(column.categories)
    return facts


def _curve(terms: dict[str, list[float]]) -> dict[str, Any]:
    steps = terms.get("step", [])
    curve: dict[str, Any] = {"steps": steps[-1] if steps else 0}
    for name, values in terms.items():
        if name != "step" and values:
            curve[name] = {"first": values[0], "middle": values[len(values) // 2], "last": values[-1]}
    return curve
