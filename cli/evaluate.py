"""`anogan evaluate`: how well a model ranks labelled data, with intervals."""

import json
import operator
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import anogan
from anogan import InputError, PictureSource, Stream, TableFile

from . import options
from .maps import pixel_maps
from .output import warn_of
from .progress import Reporter

_KINDS_LISTED = 50
_FIRST_K = (10, 100)


@click.command(
    epilog=options.examples(
        "anogan evaluate labelled.csv -m model.anogan --label kind --normal ok",
        "anogan evaluate bottle/ -m model.anogan",
    )
)
@click.argument("data")
@options.model_option
@click.option("--label", metavar="COLUMN", help="Column with the labels; y in a .npz; not needed for MVTec folders.")
@click.option(
    "--normal",
    metavar="VALUE",
    help="The label of normal rows; others are anomalous.  [default: 0 or false, others 1 or true]",
)
@options.stream_options
def command(
    data: str,
    model_path: str,
    label: str | None,
    normal: str | None,
    drop: tuple[str, ...],
    strict: bool,
    on_error: str,
    chunk_rows: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a fitted model on labelled DATA.

    AUROC, AUPR, precision at k (k = number of anomalies, 10, 100) and FPR at 95 % recall with 95 % bootstrap
    intervals (rows drawn within each class, the model kept fixed), and recall and false-alarm rate at the
    model's own threshold.

    DATA is a table with a --label column, a .npz with X and y, or a folder in MVTec layout: test/good is
    normal, the other folders in test are anomalous. Masks in ground_truth give the pixel AUROC and AUPRO (up
    to an FPR of 0.3).
    """
    detector = anogan.load(model_path)
    if label is None and data.lower().endswith(".npz"):
        label = "y"
    if label is None and TableFile.reads(Path(data)):
        raise InputError(f"--label COLUMN is needed: it says which rows of {data} are anomalous.")
    stream = Stream(detector, data, drop, label, chunk_rows, on_error == "skip", strict)
    normal = stream.normal_label(normal)
    pixels = None
    if isinstance(stream.source, PictureSource):
        pixels = _Pixels(stream.source.layout or anogan.MVTecFolder(data))  # which says what is missing
    elif label is None:
        raise InputError(f"{data} has no labels; evaluate needs a table, a .npz with y, or an MVTec folder.")
    with Reporter(quiet=quiet) as reporter:
        scores, labels = _scored(detector, stream, pixels, reporter)
        anomalous = anogan.labels.anomalous_rows(labels, normal, data)
        facts = measure(detector, scores, anomalous)
    facts["kinds"] = per_kind(scores, labels, anomalous)
    if pixels is not None:
        facts |= pixels.facts()
        for kind, entry in facts["kinds"].items():
            entry |= pixels.facts_of(kind)
    facts["skipped"] = stream.skipped
    facts["unseen_categories"] = {column: dict(counts) for column, counts in stream.unseen.items()}
    warn_of(stream)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _print(facts)


def _scored(
    detector: Any, stream: Stream, pixels: "_Pixels | None", reporter: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    scores: list[np.ndarray] = []
    labels: list[Any] = []
    reporter.begin("scoring", stream.total)
    for chunk in stream:
        scores.append(detector.anomaly_score(chunk.X))
        labels.append(chunk.labels)
        if pixels is not None and pixels.has_masks:
            pixels.add(chunk, pixel_maps(detector.explain(chunk.X)))
        reporter.advance(len(chunk))
    return np.concatenate(scores), np.concatenate(labels)


def measure(detector: Any, scores: np.ndarray, anomalous: np.ndarray) -> dict[str, Any]:
    """Every metric of a ranking with its interval, and what the model's threshold does."""
    metrics = anogan.metrics
    count = int(anomalous.sum())
    ranked: dict[str, Callable[[Any], Any]] = {"auroc": metrics.Ranking.auroc, "aupr": metrics.Ranking.aupr}
    for k in dict.fromkeys((count, *(k for k in _FIRST_K if k <= len(scores)))):
        ranked[f"precision_at_{k}"] = operator.methodcaller("precision_at", k)
    ranked["fpr_at_95_recall"] = operator.methodcaller("fpr_at_recall", 0.95)
    ranking = metrics.Ranking.of(anomalous, scores)
    intervals = metrics.bootstrap_interval(list(ranked.values()), anomalous, scores)
    threshold = detector.calibration_.threshold
    flags = scores > threshold
    return {
        "rows": len(scores),
        "anomalous": count,
        "metrics": {
            name: {"value": float(metric(ranking)), "low": float(low), "high": float(high)}
            for (name, metric), (low, high) in zip(ranked.items(), intervals, strict=True)
        },
        "at_threshold": {
            "threshold": threshold,
            "flagged": int(flags.sum()),
            "recall": float(flags[anomalous].mean()),
            "fpr": float(flags[~anomalous].mean()),
            "precision": float(anomalous[flags].mean()) if flags.any() else None,
        },
    }


def per_kind(scores: np.ndarray, labels: np.ndarray, anomalous: np.ndarray) -> dict[str, dict[str, Any]]:
    """AUROC of each kind of anomaly against all normal rows, if there are several kinds."""
    kinds, counts = np.unique(labels[anomalous], return_counts=True)
    if len(kinds) < 2:
        return {}
    found = {}
    for index in np.argsort(-counts, kind="stable")[:_KINDS_LISTED]:
        rows = ~anomalous | (labels == kinds[index])
        auroc = anogan.metrics.auroc(anomalous[rows], scores[rows])
        found[str(kinds[index])] = {"anomalous": int(counts[index]), "auroc": auroc}
    return found


class _Pixels:
    """Maps against masks, picture by picture at the masks' own size."""

    def __init__(self, layout: Any) -> None:
        self.layout = layout
        self.has_masks = (layout.path / "ground_truth").is_dir()
        self.curves: dict[str, Any] = defaultdict(anogan.metrics.PixelCurve)  # by kind of picture, good ones too

    def add(self, chunk: Any, maps: np.ndarray) -> None:
        """Count a chunk's pictures; a defective one without a folder of masks for its kind is left out."""
        for file, values in zip(chunk.X.files, maps, strict=True):
            mask = self.layout.mask_of(file)
            if mask is not None:
                self.curves[self.layout.kind_of(file)].add(mask, anogan.metrics.resized_map(values, mask.shape))

    def facts(self) -> dict[str, Any]:
        """Pixel metrics over all pictures, none if no mask marks anything."""
        curve = sum(self.curves.values(), anogan.metrics.PixelCurve())
        if not curve.regions:
            return {}
        return {
            "pixels": {"auroc": curve.auroc(), "aupro_at_0.3": curve.aupro(0.3), "regions": curve.regions},
        }

    def facts_of(self, kind: str) -> dict[str, float]:
        """Of the pictures of one kind and the good ones."""
        if kind not in self.curves or not self.curves[kind].regions:
            return {}
        return {"pixel_auroc": (self.curves[kind] + self.curves["good"]).auroc()}


def _print(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{facts['rows']:,} rows, {facts['anomalous']:,} anomalous")
    table = Table("metric", "value", "95 % interval", box=None, pad_edge=False)
    for name, entry in facts["metrics"].items():
        table.add_row(_words(name), f"{entry['value']:.4f}", f"{entry['low']:.4f} - {entry['high']:.4f}")
    for name, value in facts.get("pixels", {}).items():
        if name != "regions":
            table.add_row(_words(f"pixel {name}"), f"{value:.4f}", "")
    console.print(table)
    at = facts["at_threshold"]
    console.print(
        f"at the model's threshold {at['threshold']:.6g}: {at['flagged']:,} flagged, "
        f"recall {at['recall']:.4f}, false alarms {at['fpr']:.4f}"
    )
    if facts["kinds"]:
        localised = any("pixel_auroc" in entry for entry in facts["kinds"].values())
        kinds = Table("kind", "count", "AUROC", *["pixel AUROC"] * localised, box=None, pad_edge=False)
        for name, entry in facts["kinds"].items():
            pixel = [f"{entry['pixel_auroc']:.4f}"] if "pixel_auroc" in entry else []
            kinds.add_row(name, f"{entry['anomalous']:,}", f"{entry['auroc']:.4f}", *pixel)
        console.print(kinds)


def _words(name: str) -> str:
    return (
        name.replace("_", " ")
        .replace("auroc", "AUROC")
        .replace("aupro", "AUPRO")
        .replace("aupr", "AUPR")
        .replace("fpr", "FPR")
        .replace("AUPRo", "AUPRO")
    )
