"""`anogan evaluate`: measure how well a model ranks labelled data, with confidence intervals."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import anogan
from anogan import InputError, PictureSource, Stream, TableFile

from . import options
from .config import ConfiguredCommand, config_option
from .output import to_json, warn, warn_of
from .progress import Reporter


@click.command(
    cls=ConfiguredCommand,
    epilog=options.examples(
        "anogan evaluate labelled.csv -m model.anogan --label kind --normal ok",
        "anogan evaluate bottle/ -m model.anogan",
    ),
)
@options.data_argument
@options.model_option
@options.label_option
@options.normal_option
@click.option(
    "--by",
    metavar="COLUMN[:PERIOD]",
    help="Also measure each group of rows: those with the same value of this column, or whose dates there lie in the "
    "same year, month, week, day or hour.",
)
@config_option
@options.stream_options
def command(
    data: options.Data,
    model_path: str,
    label: str | None,
    normal: str | None,
    by: str | None,
    dialect: Any,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Measure a fitted model on labelled DATA.

    The metrics are AUROC, AUPR, precision at k (k = number of anomalies, 10, 100) and FPR at 95 % recall, each
    with a 95 % bootstrap interval (rows are drawn within each class, the model stays fixed), and recall and
    false-alarm rate at the model's own threshold.

    DATA is a table with a --label column, a .npz file with X and y, or a folder of pictures in folders such as OK and
    NG, or good and kinds of defects, also in a folder test. If there are masks, such as in ground_truth, the pixel
    AUROC and AUPRO (up to an FPR of 0.3) are measured too.
    """
    detector = anogan.load(model_path)
    if label is None and str(data).lower().endswith(".npz"):
        label = "y"
    if label is None and TableFile.reads(Path(data[0])):
        raise InputError(f"--label COLUMN is needed: it says which rows of {data} are anomalous.")
    source = anogan.open_source(data, part="test", dialect=dialect)
    keep = []
    if by is not None and isinstance(source, TableFile):
        keep = [anogan.periods.split_period(by, source.names)[0]]
    stream = Stream(detector, source, label=label, keep=keep, **reading)
    normal = stream.normal_label(normal)
    if label is None and not isinstance(stream.source, PictureSource):
        raise InputError(f"{data} has no labels; evaluate needs a table, a .npz file with y, or pictures in folders.")
    with Reporter(quiet=quiet) as reporter:
        facts = anogan.evaluate(detector, stream, normal=normal, by=by, progress=reporter.show)
    facts |= {"skipped": stream.skipped, "unscored": vars(stream.unscored)}
    facts["unseen_values"] = {column: dict(counts) for column, counts in stream.unseen.items()}
    warn_of(stream)
    if facts["reversed"]:
        unit = facts["unit"]
        warn(f"AUROC is below 0.5: {unit}s labelled normal score higher than others. Does --normal name their label?")
    if as_json:
        click.echo(to_json(facts))
    else:
        _print(facts)


def _print(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    units = f"{facts['unit']}s"
    console.print(f"{anogan.summary.counted(facts['rows'], facts['unit'])}, {facts['anomalous']:,} anomalous")
    if facts["fitted_on"]:
        console.print(_optimism(facts), soft_wrap=True)
    new = facts.get("held_out", {"metrics": {}})["metrics"]
    titles = [f"all {units}", "95 % interval", f"new {units}", "95 % interval"] if new else ["value", "95 % interval"]
    table = Table("metric", *titles, box=None, pad_edge=False)
    for name, entry in facts["metrics"].items():
        table.add_row(_words(name), *_cells(entry), *(_cells(new.get(name)) if new else ()))
    for name, value in facts.get("pixels", {}).items():
        if name != "regions":
            table.add_row(_words(f"pixel {name}"), f"{value:.4f}", "")
    console.print(table)
    for what, at in {"": facts["at_threshold"], f"new {units} ": facts.get("held_out", {}).get("at_threshold")}.items():
        if at:
            console.print(
                f"{what}at the model's threshold {at['threshold']:.6g}: {at['flagged']:,} flagged, "
                f"recall {at['recall']:.4f}, false alarms {at['fpr']:.4f}"
            )
    if "groups" in facts:
        if facts["fitted_on"]:
            console.print(f"groups of all {units}, those of the fit included:")
        groups = Table("group", "rows", "anomalous", "flagged", "recall", "false alarms", "AUROC", "AUPR", box=None)
        for entry in facts["groups"]:
            counts = [f"{entry[name]:,}" for name in ("rows", "anomalous", "flagged")]
            rates = [entry[name] for name in ("recall", "fpr", "auroc", "aupr")]
            groups.add_row(entry["group"], *counts, *("" if rate is None else f"{rate:.4f}" for rate in rates))
        console.print(groups)
    if facts["kinds"]:
        localised = any("pixel_auroc" in entry for entry in facts["kinds"].values())
        kinds = Table("kind", "count", "AUROC", *["pixel AUROC"] * localised, box=None, pad_edge=False)
        for name, entry in facts["kinds"].items():
            pixel = [f"{entry['pixel_auroc']:.4f}"] if "pixel_auroc" in entry else []
            kinds.add_row(name, f"{entry['anomalous']:,}", f"{entry['auroc']:.4f}", *pixel)
        console.print(kinds)


def _optimism(facts: dict[str, Any]) -> str:
    fitted_on = facts["fitted_on"]
    units = f"{facts['unit']}s"
    every = anogan.summary.counted(facts["rows"], facts["unit"])
    known = f"{'about ' * fitted_on['estimated']}{fitted_on['rows']:,} of {every} were trained on"
    if "held_out" in facts:
        return f"{known}: the figures of all {units} are optimistic, those of new {units} are not."
    way = "Fit with --holdout 0.3 to keep rows" if facts["unit"] == "row" else "Keep other pictures"
    return f"{known}: these figures are optimistic. {way} for evaluation."


def _cells(entry: dict[str, float] | None) -> tuple[str, str]:
    if entry is None:  # a precision among more rows than there are
        return "", ""
    return f"{entry['value']:.4f}", f"{entry['low']:.4f} - {entry['high']:.4f}"


def _words(name: str) -> str:
    return (
        name.replace("_", " ")
        .replace("auroc", "AUROC")
        .replace("aupro", "AUPRO")
        .replace("aupr", "AUPR")
        .replace("fpr", "FPR")
        .replace("AUPRo", "AUPRO")
    )
