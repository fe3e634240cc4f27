"""The examples on the page: the most anomalous rows or pictures, and generated samples beside real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..data.condition import Conditioned
from ..errors import InputError
from ..evaluation.metrics import pixel_maps, resized_map
from ..sources.source import Chunk
from ..streams.progress import Progress, report
from ..streams.top_k import TopK
from .charts import number
from .maps import drawn
from .pictures import as_bytes, as_data_uri, original, samples_as_bytes
from .summary import as_table, explained

REVIEWED = 24  # pictures of each group of the gallery other than the highest scores
THUMBS = 8  # real pictures and synthetic pictures
SIDE_BY_SIDE = 4  # real rows and synthetic rows
_REASONS, _REASONS_KEPT = 3, 10  # columns named in a row of the table, and columns that can be unfolded at most
_LISTED = 30  # columns of samples side by side
# Of the distance between the median of normal scores and the threshold: scores that are close to the latter.
_NEAR = 0.5
_LONGEST = 512  # pixels of a picture's longer side
_TEXT = 120  # characters of a value


def row_facts(detector: Any, top: list[tuple[Chunk, float]], notes: list[str]) -> dict[str, Any]:
    """Return the most anomalous rows with reasons; a note says why there are none."""
    try:
        rows = explained(detector, top, _REASONS_KEPT)
    except InputError as error:  # the model cannot give reasons
        notes.append(str(error))
        rows = explained(detector, top, 0)
    for row, (chunk, _) in zip(rows, top, strict=True):
        row["label"] = None if chunk.labels is None else _short(str(chunk.labels[0]))
        row["p"] = _p_text(detector.calibration_, row["score"])
        for reason in row["reasons"]:
            value, _, usual = reason["text"].removeprefix(f"{reason['column']} ").rpartition("normal rows: ")
            value = value.removesuffix("similar ").removesuffix("; ")
            reason |= {"shown": _short(value), "usual": _short(usual)}
    keep_rows = detector.fitted_state.parameters["keep_rows"]
    return {"rows": rows, "shown_reasons": _REASONS, "keep_rows": keep_rows, "gallery": None}


def gallery_facts(
    detector: Any, found: TopK, anomalous: np.ndarray | None, progress: Progress | None
) -> dict[str, Any]:
    """Return pictures in groups, what needs a decision first; each picture is in one group."""
    calibration = detector.calibration_
    near = _NEAR * (calibration.threshold - float(np.median(calibration.scores)))
    groups = {"misses": found.misses, "false_alarms": found.false_alarms} if anomalous is not None else {}
    groups["borderline"] = [(c, s) for c, s in found.nearest if abs(s - calibration.threshold) <= near]
    groups["highest"] = found.highest
    count = len({chunk.first for entries in groups.values() for chunk, _ in entries})
    shown: set[int] = set()
    gallery: list[dict[str, Any]] = []
    for name, group in groups.items():
        entries = [entry for entry in group if entry[0].first not in shown]
        shown |= {chunk.first for chunk, _ in entries}
        pictures: list[dict[str, Any]] = []
        for chunk, score in entries:
            pictures.append(_entry(detector, chunk, score, count))
            report(progress, "explaining", len(pictures) + sum(len(g["pictures"]) for g in gallery), count)
        if pictures:
            gallery.append({"name": name, "pictures": pictures})
    return {"rows": None, "gallery": gallery, "map_threshold": calibration.map_threshold}


def sample_rows(detector: Any, lowest: list[tuple[Chunk, float]]) -> dict[str, Any] | None:
    """Return real and synthetic normal rows, column by column."""
    made = _made(detector, len(lowest))
    if made is None:
        return None
    parts = [as_table(chunk.X) for chunk, _ in lowest]
    real, made = pd.concat(parts), as_table(made)
    names = [str(name) if detector.preprocessor_.kind == "table" else f"column {name}" for name in real.columns]
    columns = [
        {"name": name, "real": [_cell(v) for v in real[key]], "made": [_cell(v) for v in made[key]]}
        for name, key in list(zip(names, real.columns, strict=True))[:_LISTED]
    ]
    return {"columns": columns, "left_out": len(names) - len(columns), "count": len(lowest)}


def sample_pictures(detector: Any, lowest: list[tuple[Chunk, float]]) -> dict[str, Any] | None:
    """Return real and synthetic normal pictures."""
    made = _made(detector, THUMBS)
    if made is None:
        return None
    made = samples_as_bytes(made.X if isinstance(made, Conditioned) else made)
    real = [as_bytes(original(chunk, 0, _LONGEST // 2)) for chunk, _ in lowest]
    return {
        "real": [
            {"name": _name(chunk), "picture": as_data_uri(p, 200)} for (chunk, _), p in zip(lowest, real, strict=True)
        ],
        "made": [as_data_uri(picture, 200) for picture in made],
    }


def _entry(detector: Any, chunk: Chunk, score: float, count: int) -> dict[str, Any]:
    """Return what the gallery shows of a picture, one of `count`."""
    calibration = detector.calibration_
    picture = original(chunk, 0, _LONGEST)
    values = pixel_maps(detector.explain(chunk.X))[0].astype(np.float32)
    at_size = resized_map(values, (picture.shape[1], picture.shape[2]))
    overlay = drawn(picture, at_size, calibration.map_start, calibration.map_threshold)
    return {
        "name": _name(chunk),
        "label": None if chunk.labels is None else str(chunk.labels[0]),
        "score": score,
        "p": _p_text(calibration, score),
        "picture": as_data_uri(as_bytes(picture), 2 * count),
        "overlay": as_data_uri(as_bytes(overlay.transpose(2, 0, 1)), 2 * count),
    }


def _made(detector: Any, count: int) -> Any:
    try:
        return detector.sample(count, random_state=detector.seed_)
    except InputError:  # the method does not generate
        return None


def _p_text(calibration: Any, score: float) -> str:
    """Return the p-value of a score; the smallest possible one is a bound."""
    p_value, least = float(calibration.p_value(np.array([score]))[0]), 1 + len(calibration.scores)
    return f"\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}1/{least:,}" if p_value * least < 1.5 else f"= {p_value:.3g}"


def _name(chunk: Chunk) -> str:
    return f"picture {chunk.first}" if chunk.names is None else chunk.names[0]


def _cell(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return _short(number(None if pd.isna(value) else value))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} ..."
