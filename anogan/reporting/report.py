"""The results of a fitted detector on a set of data as one HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ..data.condition import Conditioned
from ..data.digests import WITHOUT
from ..errors import InputError
from ..evaluation.evaluate import measure, per_kind
from ..evaluation.metrics import Ranking, pixel_maps, resized_map
from ..sources.labels import label_text
from ..sources.notes import in_words_of
from ..sources.pictures import PictureSource
from ..sources.source import Chunk
from ..sources.writing import written_whole
from ..streams.progress import Progress, report
from ..streams.stream import Stream
from ..streams.top_k import TopK
from ..wording import counted
from .charts import Axis, curve, histogram, number, percent, points
from .html import render
from .maps import drawn
from .pictures import as_bytes, original, samples_as_bytes
from .summary import as_table, explained, file_summary, left_out, model_summary

_STEPS = 400  # positions of the slider for the threshold
_REASONS, _REASONS_KEPT = 3, 10  # columns named in a row of the table, and columns that can be unfolded at most
_LISTED = 30  # columns of samples side by side
_SIDE_BY_SIDE = 4  # real rows and synthetic rows
_NEAR = (
    0.5  # of the distance between the median of normal scores and the threshold: scores that are close to the latter
)

_REVIEWED = 24  # pictures of each group of the gallery other than the highest scores
_THUMBS = 8  # real pictures and synthetic pictures
_CURVE_POINTS = 300
_LONGEST = 512  # pixels of a picture's longer side
_PICTURE_BYTES = 2_700_000  # of all pictures on the page together; base64 adds a third
_TEXT = 120  # characters of a value

_MEASURES = {
    "critic_accuracy": "How often the critic ranks a real sample above a generated one: 0.5 is balanced, near 1 the "
    "critic has won.",
    "coverage": "Share of held-out normal samples with a generated one close by: best is that of training samples, "
    "and less than half of it is mode collapse or low fidelity.",
    "real_coverage": "Share of held-out normal samples with a training sample close by.",
    "generator_coverage": "Coverage of rows as the generator makes them, before values are drawn.",
    "generator_precision": "Precision of rows as the generator makes them, before values are drawn.",
    "precision": "Share of generated samples close to a held-out normal one: best is that of training samples, and "
    "less than half of it is low fidelity.",
    "real_precision": "Share of training samples that are close to a held-out normal one.",
    "diversity": "How far generated samples lie apart, relative to real ones: near 0 they are all the same.",
    "distinctness": "How far a generated picture lies from the nearest other one, relative to real ones: near 0 few "
    "pictures are repeated.",
    "sharpness": "How much neighbouring pixels of generated pictures differ, relative to real ones: low for blurs.",
    "feature_coverage": "Coverage, in the features of a network trained on photographs.",
    "real_feature_coverage": "Coverage of training pictures, in these features.",
    "feature_precision": "Precision, in the features of a network trained on photographs.",
    "real_feature_precision": "Precision of training pictures, in these features.",
    "frechet_distance": "Distance between real and generated pictures in those features: 0 for equal distributions.",
    "real_frechet_distance": "Distance between held-out and training pictures in those features.",
    "reconstruction_diversity": "How far reconstructions lie apart, relative to the samples: near 0 all are the same.",
    "explained_variance": "Share of the variance of held-out samples that their reconstructions explain, at most 1.",
    "real_explained_variance": "Share of it that the nearest training samples explain.",
    "probe_accuracy": "How often a synthetic anomaly scores above a held-out picture: 0.5 by chance.",
    "mean_probe_accuracy": "How often a synthetic anomaly lies farther from the mean picture: a good score is above.",
    "real_probe_accuracy": "How often it lies farther from the nearest training picture.",
    "column_distance": "Mean distance between the synthetic and the real distribution of a column, in [0, 1].",
    "correlation_error": "Mean difference between synthetic and real rank correlations of two columns: 0 is best.",
    "real_vs_synthetic": "AUROC with which gradient boosting tells synthetic rows from real ones: 0.5 is best.",
    "false_alarms_of_synthetic": "False alarms of nearest neighbours trained on synthetic rows, at a target of 1 %.",
    "nearest_ratio": "How far synthetic rows are from training rows, relative to new real rows: low for copies.",
}


@dataclass(frozen=True, repr=False)
class Report:
    """An HTML page with the results of a fitted detector on data; see `from_estimator`.

    The page is one file without external resources. It shows how many rows or pictures are flagged and how many were
    expected, the scores with a movable threshold, the most anomalous rows with reasons (pictures with heatmaps),
    generated samples beside real ones if the detector generates, and how the model was trained. With labels it also
    has ROC and precision-recall curves. Notebooks display a report as the last value of a cell.

    Attributes
    ----------
    facts : dict
        Everything on the page, such as ``facts["count"]`` and ``facts["flagged"]``.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> page = anogan.Report.from_estimator(detector, X, top=5)
    >>> page.facts["count"]
    60
    >>> page.to_html()[:15]
    '<!DOCTYPE html>'
    """

    facts: dict[str, Any]

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        y: Any = None,
        *,
        normal: str | float | None = None,
        top: int = 100,
        model_path: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Score data and collect what the page shows.

        Parameters
        ----------
        detector : fitted Detector
        X : array, DataFrame, ImageFolder, path, Source or Stream
            The data, which is read once, in chunks.
        y : (n,) array-like, optional
            Labels of data in memory: 0 or false for normal rows and 1 or true for anomalous ones, or any if `normal` is
            given. A stream with labels, and a folder of pictures whose folders are labels, need none.
        normal : str or number, optional
            The label of normal rows, or the name of the folders of normal pictures; all others are anomalous.
        top : int
            Number of most anomalous rows or pictures to show. Numbers and curves cover all of X.
        model_path : path, optional
            The detector's model file, whose name and digest the page then states.
        progress : function of (str, int, int or None), optional
            Called after each part with what is being done, how many rows are done, and how many there are.

        Raises
        ------
        InputError
            If the data does not suit the detector, or labels do not say which rows are normal.
        """
        stream, normal = Stream.of(detector, X, y), label_text(normal)
        if isinstance(stream.source, PictureSource):
            stream.source = stream.source.with_normal(normal)
        is_image = detector.preprocessor_.kind == "image"
        found = TopK.of(
            stream,
            highest=top,
            lowest=_THUMBS if is_image else _SIDE_BY_SIDE,
            reviewed=min(_REVIEWED, top) if is_image else 0,
            normal=normal,
            progress=progress,
        )
        notes = stream.notes()
        if found.labels is None and normal is not None and not isinstance(stream.source, PictureSource):
            raise InputError(
                f"{stream.source.name} was read without labels, so none can be '{normal}'; give y, or the name of the "
                "labels (on the command line with --label, which is y for a .npz)."
            )
        lower = "scores of such rows are lower than those of new ones."
        if found.known is None:
            notes.append(in_words_of(WITHOUT + lower, is_image=is_image))
        elif message := detector.fitted_state.digests.message(int(found.known.sum()), len(found.known), lower):
            notes.append(in_words_of(message, is_image=is_image))
        anomalous = _anomalous(stream, found, normal, notes)
        facts = _answer(detector, found.scores, anomalous)
        facts |= _scores(detector, found.scores, anomalous)
        facts |= _measures(detector, found, anomalous)
        facts |= _gallery(detector, found, anomalous, progress) if is_image else _table(detector, found.highest, notes)
        facts["samples"] = _pictures(detector, found.lowest) if is_image else _rows(detector, found.lowest)
        path = getattr(stream.source, "path", None)
        facts |= _training(detector, model_path) | {
            "data": stream.source.name if path is None else path.resolve().name,
            "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
            "unit": "picture" if is_image else "row",
            "notes": notes,
        }
        return cls(facts)

    def to_html(self) -> str:
        """Return the page."""
        return render(self.facts)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the page, whole or not at all; "-" is standard output.

        Returns
        -------
        int
            The size of the page in bytes.
        """
        page = self.to_html().encode("utf-8", "replace")  # a file name may hold bytes that are not text
        with written_whole(path) as file:
            file.write(page)
        return len(page)

    def __repr__(self) -> str:
        return f"Report({self.facts['data']!r}: {self.facts['flagged']} of {self.facts['count']} flagged)"

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        page = html.escape(self.to_html())
        return f'<iframe srcdoc="{page}" title="Anomaly report" width="100%" height="800" style="border:0"></iframe>'


# ---------------------------------------------------------------- the answer


def _anomalous(stream: Stream, found: TopK, normal: str | None, notes: list[str]) -> np.ndarray | None:
    """Return which rows are anomalous, if there are labels of both kinds."""
    if found.labels is None:
        return None
    if not isinstance(stream.source, PictureSource):
        return stream.anomalous(found.labels, normal)
    if outside := int((~stream.source.layout.labelled(found.labels)).sum()):
        notes.append(
            f"nothing is measured, because of {counted(outside, 'picture')} outside of the folders with labels."
        )
        return None
    try:
        return stream.anomalous(found.labels, normal)
    except InputError as error:  # a folder of one kind has a report too
        notes.append(f"nothing is measured: {error}")
        return None


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


# ---------------------------------------------------------------- the most anomalous


def _table(detector: Any, top: list[tuple[Chunk, float]], notes: list[str]) -> dict[str, Any]:
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


def _cell(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return _short(number(None if pd.isna(value) else value))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} ..."


def _gallery(detector: Any, found: TopK, anomalous: np.ndarray | None, progress: Progress | None) -> dict[str, Any]:
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
        "picture": encoded(as_bytes(picture), 2 * count),
        "overlay": encoded(as_bytes(overlay.transpose(2, 0, 1)), 2 * count),
    }


def _p_text(calibration: Any, score: float) -> str:
    """Return the p-value of a score; the smallest possible one is a bound."""
    p_value, least = float(calibration.p_value(np.array([score]))[0]), 1 + len(calibration.scores)
    return f"\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}1/{least:,}" if p_value * least < 1.5 else f"= {p_value:.3g}"


def _name(chunk: Chunk) -> str:
    return f"picture {chunk.first}" if chunk.names is None else chunk.names[0]


def encoded(pixels: np.ndarray, count: int) -> str:
    """Return a picture (C, H, W) uint8 as a data URI, small enough that `count` such pictures fit on the page."""
    grey_or_colour = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.mean(0).astype(np.uint8)
    picture = Image.fromarray(grey_or_colour)
    while True:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=80)
        if buffer.tell() <= _PICTURE_BYTES / count or min(picture.size) <= 16:
            return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        picture = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5), Image.Resampling.LANCZOS)


# ---------------------------------------------------------------- samples and training


def _rows(detector: Any, lowest: list[tuple[Chunk, float]]) -> dict[str, Any] | None:
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


def _pictures(detector: Any, lowest: list[tuple[Chunk, float]]) -> dict[str, Any] | None:
    """Return real and synthetic normal pictures."""
    made = _made(detector, _THUMBS)
    if made is None:
        return None
    made = samples_as_bytes(made.X if isinstance(made, Conditioned) else made)
    real = [as_bytes(original(chunk, 0, _LONGEST // 2)) for chunk, _ in lowest]
    return {
        "real": [
            {"name": _name(chunk), "picture": encoded(p, 200)} for (chunk, _), p in zip(lowest, real, strict=True)
        ],
        "made": [encoded(picture, 200) for picture in made],
    }


def _made(detector: Any, count: int) -> Any:
    try:
        return detector.sample(count, random_state=detector.seed_)
    except InputError:  # the method does not generate
        return None


def _training(detector: Any, model_path: str | os.PathLike[str] | None) -> dict[str, Any]:
    diagnosis = detector.diagnosis_
    stages = []
    for stage, terms in detector.history_.items():
        steps = terms.get("step", [])
        curves = [curve(steps, v, _words(name)) for name, v in terms.items() if name != "step" and len(v) == len(steps)]
        stages.append({"title": _words(stage), "steps": steps[-1] if steps else 0, "curves": [c for c in curves if c]})
    return {
        "model": model_summary(detector) | _file(model_path),
        "seed": detector.seed_,
        "health": "bad" if not diagnosis.healthy else "good" if diagnosis.verdict == "healthy" else "unknown",
        "verdict": diagnosis.verdict,
        "diagnosis": [
            {"name": _words(name), "value": value, "meaning": _MEASURES.get(name, "")}
            for name, value in diagnosis.measures.items()
        ],
        "stages": stages,
        "version": version("anogan"),
    }


def _file(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    if path is None:
        return {"file": None}
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return file_summary(path) | {"file": Path(path).name, "digest": digest}


def _words(name: str) -> str:
    return name.replace("/", ": ").replace("_", " ")
