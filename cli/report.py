"""`anogan report`: a model's answer on a set of data as one HTML page."""

import base64
import hashlib
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

import anogan
from anogan import Chunk, InputError, Stream, TopK, writing

from . import options
from .charts import Axis, curve, histogram, number, percent, points
from .evaluate import measure, per_kind
from .explain import explained
from .inspect import model_facts
from .maps import as_bytes, colour_scale, drawn, original, pixel_maps
from .output import warn_of
from .page import render
from .progress import Reporter
from .sample import as_table, pictures_as_bytes

_STEPS = 400  # of the slider of thresholds
_REASONS, _REASONS_KEPT = 3, 10  # columns that are named in a row of the table, and all that can be unfolded
_LISTED = 30  # columns of samples side by side
_SIDE_BY_SIDE = 4  # real rows and synthetic rows
_THUMBS = 8  # real pictures and synthetic pictures
_CURVE_POINTS = 300
_LONGEST = 512  # pixels of a picture's longer side
_PICTURE_BYTES = 2_700_000  # of all pictures on the page together; base64 makes a third more of them
_TEXT = 120  # characters of a value

_MEASURES = {
    "critic_accuracy": "How often the critic ranks a real sample above a generated one: 0.5 is a fair game, near 1 it "
    "has won.",
    "coverage": "Share of held-out normal samples with a generated one close by: 1 is best, near 0 is mode collapse.",
    "density": "How many neighbourhoods of real samples a generated one falls into: about 1 for a perfect generator.",
    "diversity": "How far generated samples lie apart, relative to real ones: near 0 they are all alike.",
    "reconstruction_diversity": "How far reconstructions lie apart, relative to the samples: near 0 all are alike.",
    "feature_coverage": "Coverage, in the features of a network trained on photographs.",
    "feature_density": "Density, in the features of a network trained on photographs.",
    "frechet_distance": "Distance between real and generated pictures in those features: 0 for equal distributions.",
}


@click.command(epilog=options.examples("anogan report new.csv -m model.anogan -o report.html"))
@click.argument("data")
@options.model_option
@click.option("-o", "--output", required=True, metavar="FILE", help="The page: .html, or - for standard output.")
@click.option("--label", metavar="COLUMN", help="Column with the labels; y in a .npz; not needed for MVTec folders.")
@click.option(
    "--normal",
    metavar="VALUE",
    help="The label of normal rows; others are anomalous.  [default: 0 or false, others 1 or true]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1, max=1000),
    default=100,
    show_default=True,
    metavar="N",
    help="How many of the most anomalous rows or pictures to show; figures and curves are of all.",
)
@options.stream_options
def command(
    data: str,
    model_path: str,
    output: str,
    label: str | None,
    normal: str | None,
    top: int,
    drop: tuple[str, ...],
    strict: bool,
    on_error: str,
    chunk_rows: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one HTML page on what a fitted model finds in DATA.

    It says how many rows or pictures are flagged and what was promised, shows the scores with a threshold to
    play with, the most anomalous rows with reasons (pictures with heatmaps), synthetic samples beside real
    ones where the method generates, and how the model was trained. With labels, or in an MVTec folder, it also
    measures.

    The page is one file that loads nothing from anywhere; it can be mailed, printed and kept.
    """
    writing.check_target(output, [data, model_path])
    if not writing.is_device(output) and not output.lower().endswith((".html", ".htm")):
        raise InputError(f"The report is an HTML page; '{output}' does not end in .html.")
    detector = anogan.load(model_path)
    stream = Stream(detector, data, drop, label, chunk_rows, on_error == "skip", strict)
    normal = stream.normal_label(normal)
    if normal is not None and stream.total is None and label is None:
        raise InputError("--normal is a value of the column with the labels; name it with --label COLUMN.")
    is_image = detector.preprocessor_.kind == "image"
    with Reporter(quiet=quiet) as reporter:
        found = TopK.of(stream, highest=top, lowest=_THUMBS if is_image else _SIDE_BY_SIDE, progress=reporter.show)
        notes = stream.notes()
        anomalous = _anomalous(found, normal, data, notes)
        facts = _answer(detector, found.scores, anomalous)
        facts |= _scores(detector, found.scores, anomalous)
        facts |= _measures(detector, found, anomalous)
        reporter.begin("explaining", len(found.highest))
        facts |= _gallery(detector, found.highest, reporter) if is_image else _table(detector, found.highest, notes)
        facts["samples"] = _pictures(detector, found.lowest) if is_image else _rows(detector, found.lowest)
    facts |= _training(detector, model_path) | {
        "data": Path(data).resolve().name,
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "unit": "picture" if is_image else "row",
        "notes": notes,
    }
    page = render(facts).encode("utf-8", "replace")  # a file name may hold bytes that are no text
    with writing.written_whole(output) as file:
        file.write(page)
    warn_of(stream)
    if quiet and not as_json:
        return
    summary = {"output": output, "bytes": len(page), "rows": facts["count"], "flagged": facts["flagged"]}
    summary |= {"threshold": detector.calibration_.threshold, "skipped": stream.skipped}
    click.echo(json.dumps(summary) if as_json else _summary(summary, facts["unit"]), err=output == "-")


def _summary(summary: dict[str, Any], unit: str) -> str:
    what = f"{summary['rows']:,} {unit}s scored, {summary['flagged']:,} flagged"
    return f"{what}; report of {summary['bytes'] / 1e6:.1f} MB written to {summary['output']}"


# ---------------------------------------------------------------- the answer


def _anomalous(found: TopK, normal: str | None, data: str, notes: list[str]) -> np.ndarray | None:
    """Which rows are anomalous, if that is known of both kinds."""
    if found.labels is None:
        return None
    if normal == "good" and len(set((found.labels == normal).tolist())) == 1:
        notes.append("the folders name only one kind of picture, so nothing can be measured.")
        return None
    return anogan.labels.anomalous_rows(found.labels, normal, data)


def _answer(detector: Any, scores: np.ndarray, anomalous: np.ndarray | None) -> dict[str, Any]:
    """How many are flagged, and how many that would be if all were normal."""
    calibration = detector.calibration_
    flags = scores > calibration.threshold
    rate = calibration.false_alarms(np.array([calibration.threshold]))[0]
    promised = detector.contamination == "auto" and rate <= detector.target_fpr
    answer = {
        "count": len(scores),
        "flagged": int(flags.sum()),
        "rate": float(rate),
        "promised": promised,
        "target": detector.target_fpr,
        "held_out": calibration.held_out,
        "contamination": None if detector.contamination == "auto" else detector.contamination,
        "expected": rate * len(scores),
        "calibration_rows": len(calibration.scores),
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
    """Histograms on one axis, and what each place of the slider does, counted over all rows."""
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
    """How many scores lie above each threshold: (k,) int."""
    counts: np.ndarray = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")
    return counts


def _places(across: np.ndarray, up: np.ndarray) -> list[list[float]]:
    return np.column_stack([100 * across, 100 * (1 - up)]).round(2).tolist()


def _measures(detector: Any, found: TopK, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Curves and figures with their intervals, where labels exist."""
    if anomalous is None or found.labels is None:
        return {"measures": None}
    ranking = anogan.metrics.Ranking.of(anomalous, found.scores).compressed(_CURVE_POINTS)
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
    except InputError as error:  # a file from before reasons
        notes.append(str(error))
        rows = explained(detector, top, 0)
    for row, (chunk, _) in zip(rows, top, strict=True):
        row["label"] = None if chunk.labels is None else _short(str(chunk.labels[0]))
        for reason in row["reasons"]:
            value, _, usual = reason["text"].removeprefix(f"{reason['column']} ").rpartition("; similar normal rows: ")
            reason |= {"shown": _short(value), "usual": _short(usual)}
    return {"rows": rows, "shown_reasons": _REASONS, "gallery": None}


def _cell(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    import pandas as pd

    return _short(number(None if pd.isna(value) else value))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} ..."


def _gallery(detector: Any, top: list[tuple[Chunk, float]], reporter: Reporter) -> dict[str, Any]:
    calibration = detector.calibration_
    maps = []
    for chunk, _ in top:
        maps.append(pixel_maps(detector.explain(chunk.X))[0].astype(np.float32))
        reporter.advance()
    scale = colour_scale(np.stack(maps))
    p_values = calibration.p_value(np.array([score for _, score in top]))
    gallery = []
    for (chunk, score), values, p_value in zip(top, maps, p_values, strict=True):
        picture = original(chunk, 0, _LONGEST)
        at_size = anogan.metrics.resized_map(values, (picture.shape[1], picture.shape[2]))
        overlay = drawn(picture, at_size, scale, calibration.map_threshold)
        gallery.append(
            {
                "name": _name(chunk),
                "label": None if chunk.labels is None else str(chunk.labels[0]),
                "score": score,
                "p_value": float(p_value),
                "picture": _encoded(as_bytes(picture), 2 * len(top)),
                "overlay": _encoded(as_bytes(overlay.transpose(2, 0, 1)), 2 * len(top)),
            }
        )
    return {"rows": None, "gallery": gallery, "map_threshold": calibration.map_threshold}


def _name(chunk: Chunk) -> str:
    return f"picture {chunk.first}" if chunk.names is None else chunk.names[0]


def _encoded(pixels: np.ndarray, count: int) -> str:
    """A picture (C, H, W) uint8 as a data URI, small enough that `count` of its like fit on the page."""
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
    """Real and synthetic normal rows, column by column."""
    made = _made(detector, len(lowest))
    if made is None:
        return None
    parts = [as_table(chunk.X) for chunk, _ in lowest]
    import pandas as pd

    real, made = pd.concat(parts), as_table(made)
    names = [str(name) if detector.preprocessor_.kind == "table" else f"column {name}" for name in real.columns]
    columns = [
        {"name": name, "real": [_cell(v) for v in real[key]], "made": [_cell(v) for v in made[key]]}
        for name, key in list(zip(names, real.columns, strict=True))[:_LISTED]
    ]
    return {"columns": columns, "left_out": len(names) - len(columns), "count": len(lowest)}


def _pictures(detector: Any, lowest: list[tuple[Chunk, float]]) -> dict[str, Any] | None:
    """Real and synthetic normal pictures."""
    made = _made(detector, _THUMBS)
    if made is None:
        return None
    made = pictures_as_bytes(made.X if isinstance(made, anogan.Conditioned) else made)
    real = [as_bytes(original(chunk, 0, _LONGEST // 2)) for chunk, _ in lowest]
    return {
        "real": [
            {"name": _name(chunk), "picture": _encoded(p, 200)} for (chunk, _), p in zip(lowest, real, strict=True)
        ],
        "made": [_encoded(picture, 200) for picture in made],
    }


def _made(detector: Any, count: int) -> Any:
    try:
        return detector.sample(count, random_state=detector.seed_)
    except InputError:  # the method does not generate
        return None


def _training(detector: Any, model_path: str) -> dict[str, Any]:
    diagnosis = detector.diagnosis_
    stages = []
    for stage, terms in detector.history_.items():
        steps = terms.get("step", [])
        curves = [curve(steps, v, _words(name)) for name, v in terms.items() if name != "step" and len(v) == len(steps)]
        stages.append({"title": _words(stage), "steps": steps[-1] if steps else 0, "curves": [c for c in curves if c]})
    return {
        "model": model_facts(detector, model_path)
        | {
            "file": Path(model_path).name,
            "digest": hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
        },
        "seed": detector.seed_,
        "health": "bad" if not diagnosis.healthy else "good" if diagnosis.verdict == "healthy" else "unknown",
        "verdict": diagnosis.verdict,
        "diagnosis": [
            {"name": _words(name), "value": value, "meaning": _MEASURES.get(name, "")}
            for name, value in diagnosis.measures.items()
        ],
        "stages": stages,
        "version": anogan.__version__,
    }


def _words(name: str) -> str:
    return name.replace("/", ": ").replace("_", " ")
