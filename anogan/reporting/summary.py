"""Facts about a fitted detector and its model file, ready for JSON, and some of them in words."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.condition import Conditioned
from ..engine.diagnostics import FEWEST_ROWS, IN_FEATURES, Diagnosis
from ..engine.row_fidelity import TARGET_FPR
from ..persistence import FORMAT_VERSION, open_model
from ..sources.labels import column_label
from ..sources.notes import in_words_of
from ..sources.source import Chunk
from ..wording import counted as counted

FARTHEST_COLUMNS = 3  # columns that are named whose synthetic values differ most


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
        "left_out": left_out(detector.fitted_on_),
        "in_blocks": in_blocks(detector.fitted_on_),
        "smallest_p_value": 1 / (1 + len(calibration.scores)),
        **health(detector),
        "fitted_on": detector.fitted_on_,
        "kept": kept_data(detector),
        "training": {stage: _curve(terms) for stage, terms in detector.history_.items()},
    }
    if hasattr(detector, "components_") and len(detector.components_) > 1:
        facts["views"] = detector.components_.to_dict("records")
    if preprocessor.kind == "table":
        facts["table"] = [_column(column) for column in preprocessor.columns_]
    return facts


def left_out(fitted_on: dict[str, Any]) -> int:
    """Return how many of the calibration rows were trained on, and scored as if they had been left out."""
    return 0 if "recalibrated" in fitted_on else fitted_on.get("left_out", 0)


def in_blocks(fitted_on: dict[str, Any]) -> bool:
    """Return whether the calibration rows were held out in blocks, since rows that follow each other are alike."""
    return "recalibrated" not in fitted_on and "dependence" in fitted_on


def kept_data(detector: Any) -> dict[str, int]:
    """Return what a fitted detector, and so its model file, holds of the training data.

    ``training_rows``: rows that others are compared with; ``marginals``: numbers of each column in their place
    (``keep_rows=0``); ``compared_rows``: training rows that views of `DenoisingGAN` compare others with, none with
    ``keep_rows=0``; ``memory_bank``: training rows or patches in a network's features, from which they can be
    reconstructed approximately, and those of `FeatureGAN` on vectors exactly; ``row_digests``: digests, by which
    somebody who has a row can test whether it was trained on; ``calibration_scores``: scores of normal rows;
    ``categories``: values of category columns; ``quantiles``: values of number columns, up to 17 of each (with
    ``keep_rows=0`` the middle of two), with ``scaling="quantile"`` up to 1,000, of `DenoisingGAN` up to 4,096, and of
    detectors that draw synthetic rows those that values are drawn from (with ``keep_rows=0`` means of at least five).
    Beside these it holds the centre (median or mean), the scale and the range of each number column (with
    ``keep_rows=0`` rounded outwards), the range of pixels, and means.
    """
    state = detector.fitted_state
    rows = 0 if state.background is None else len(state.background)
    keeps = bool(state.parameters["keep_rows"])
    columns = state.preprocessor.columns_ if state.preprocessor.kind == "table" else []
    scaler = getattr(getattr(state.preprocessor, "inner", state.preprocessor), "scaler_", None)
    buffers = {"memory_bank": 0, "rows": 0, "ordered": 0}
    for name, tensor in state.module.state_dict().items():
        if (kind := name.split(".")[-1]) in buffers and tensor.dim() > 1:
            buffers[kind] += tensor.numel() if kind == "ordered" else tensor.shape[:-1].numel()
    return {
        "training_rows": rows if keeps else 0,
        "marginals": 0 if keeps else rows,
        "compared_rows": buffers["rows"],
        "memory_bank": buffers["memory_bank"],
        "row_digests": 0 if state.digests is None else len(state.digests.values),
        "calibration_scores": len(state.calibration.scores),
        "categories": sum(len(column.categories) for column in columns if column.kind == "category"),
        "quantiles": len(getattr(scaler, "knots_", ()))
        + sum(len(getattr(column, "known", ())) for column in columns)
        + buffers["ordered"]
        + (0 if state.rows is None else len(state.rows.bins.knots)),
    }


def kept_words(kept: dict[str, int], *, is_image: bool = False) -> str:
    """Return the facts of `kept_data` in words, of pictures if the samples are such."""
    parts = {
        "training_rows": "training rows",
        "marginals": "numbers of each column in place of rows",
        "compared_rows": "training rows that views compare others with",
        "memory_bank": "rows or patches as features of a network",
        "row_digests": "digests of rows",
        "calibration_scores": "scores of normal rows",
        "categories": "categories",
        "quantiles": "quantiles of number columns",
    }
    words = ", ".join(f"{kept[name]:,} {words}" for name, words in parts.items() if kept[name])
    return in_words_of(words, is_image=is_image)


def file_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the size, date, parts and format version of a model file."""
    with open_model(path) as file:
        return {
            "file": str(path),
            "bytes": Path(path).stat().st_size,
            "written": file.container.written.isoformat(sep=" ", timespec="minutes"),
            "parts": file.container.sizes,
            "format_version": FORMAT_VERSION,
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
            if attempt["generator_learning_rate"] != attempt["learning_rate"]:
                how += f", of the generator {attempt['generator_learning_rate']:g}"
            kept = ", kept" if attempt["kept"] else ""
            words[f"attempt {number}"] = f"{attempt['verdict']} ({how}{kept})"
    return words


def sample_words(diagnosis: Diagnosis) -> dict[str, str]:
    """Return how samples of a detector compare with real ones that its training has not seen, or that it is unknown."""
    known, words = diagnosis.measures, {}
    prefix = IN_FEATURES if f"{IN_FEATURES}coverage" in known else ""
    if f"{prefix}coverage" in known:
        measures = (f"{of}{prefix}{name}" for name in ("precision", "coverage") for of in ("", "real_"))
        precise, at_best, covered, at_most = (f"{known[name]:.0%}" for name in measures)
        words["likeness"] = f"{precise} lie near an unseen real one; of training ones {at_best}"
        words["variety"] = f"{covered} of unseen real ones have one nearby; with training ones {at_most}"
    if "sharpness" in known:
        words["sharpness"] = f"{known['sharpness']:.0%} of that of real ones"
    if "real_vs_synthetic" in known:
        farthest = sorted(diagnosis.columns.items(), key=lambda column: -column[1])[:FARTHEST_COLUMNS]
        named = ", ".join(f"{name} {distance:.3f}" for name, distance in farthest)
        words |= {
            "columns": f"{known['column_distance']:.3f} from the real distribution on average, of 1 (largest: {named})",
            "correlations": f"{known['correlation_error']:.3f} from those of real rows on average",
            "classifier": f"tells them from real rows with an AUROC of {known['real_vs_synthetic']:.2f}; 0.5 is best",
            "detector": f"trained on them (nearest neighbours) flags {known['false_alarms_of_synthetic']:.1%} of real "
            f"rows; {TARGET_FPR:.0%} is intended",
            "distance": f"to the nearest training row {known['nearest_ratio']:.2f} times that of a real row; far below "
            "1 they are copies",
        }
    few = f"not known: training left out fewer than {FEWEST_ROWS} different ones to compare with"
    return words or {"likeness": few}


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
