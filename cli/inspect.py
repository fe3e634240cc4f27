"""`anogan inspect`: show what a model file holds."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table

import anogan
from anogan import Stream

from . import options
from .output import to_json, warn_of
from .progress import Reporter

_LISTED = 30


@click.command(epilog=options.examples("anogan inspect model.anogan", "anogan inspect model.anogan --against new.csv"))
@click.argument("model_path", metavar="MODEL")
@click.option(
    "--against",
    "data",
    metavar="DATA",
    help="Compare the scores of DATA with those of the calibration rows, to see whether the model still fits.",
)
@options.stream_options
def command(
    model_path: str,
    data: str | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Show what the file MODEL holds: parameters, columns, threshold, diagnosis, training.

    With --against DATA it also shows whether DATA score like the normal rows from which the threshold was computed,
    and if they score higher, which columns cause it. --drop, --strict, --on-error and --chunk-rows apply to DATA.
    """
    detector = anogan.load(model_path)
    facts = anogan.summary.file_summary(model_path) | anogan.summary.model_summary(detector)
    if data is not None:
        stream = Stream(detector, data, **reading)
        with Reporter(quiet=quiet) as reporter:
            facts["drift"] = vars(detector.drift(stream.samples(reporter.show)))
        warn_of(stream)
        facts["drift"]["columns"] = [
            (anogan.labels.column_label(name), share) for name, share in facts["drift"]["columns"]
        ]
    if as_json:
        click.echo(to_json(facts))
    else:
        _print(facts)


def _drift_words(drift: dict[str, Any], unit: str) -> dict[str, str]:
    words = {
        "new data": f"{drift['verdict']} ({anogan.summary.counted(drift['rows'], unit)})",
        "their scores": f"above those of calibration {unit}s with probability {drift['superiority']:.3f}, 0.5 if "
        f"nothing has changed (p = {drift['p_value']:.2g})",
        "flagged": f"{drift['flagged']:.2%}, expected of normal {unit}s {drift['expected']:.2%} "
        f"(p = {drift['flagged_p_value']:.2g})",
    }
    if drift["columns"]:
        words["because of"] = ", ".join(f"{name} ({share:.0%})" for name, share in drift["columns"])
    return words


def _print(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    columns = ", ".join(f"{count} {kind}" for kind, count in facts["columns"].items())
    fitted = facts["fitted_on"]
    unit = "picture" if facts["kind"] == "image" else "row"
    measures = ", ".join(f"{name} {value:.3f}" for name, value in facts["diagnosis"]["measures"].items())
    for name, value in {
        "file": f"{facts['file']} ({facts['bytes']:,} bytes, format {facts['format_version']}, of {facts['written']})",
        "detector": f"{facts['detector']}: {facts['summary']}",
        "data": f"{facts['kind']}: {columns}; samples of shape {tuple(facts['sample_shape'])}",
        "fitted on": f"{anogan.summary.counted(fitted['samples'], unit)}, {fitted['training']:,} of them for training"
        + (f"; recalibrated with {fitted['recalibrated']:,}" if "recalibrated" in fitted else "")
        if fitted
        else "not recorded",
        "versions": ", ".join(f"{name} {version}" for name, version in fitted.get("versions", {}).items())
        or "not recorded",
        "threshold": f"{facts['threshold']:.6g}, from {anogan.summary.counted(facts['calibration_rows'], unit)}; "
        + (
            f"a normal {unit} exceeds it with probability {facts['false_alarms']:.3g}"
            + (
                f", approximately: {facts['left_out']:,} were trained on and scored as if new"
                if facts["left_out"]
                else ""
            )
            + (
                f", roughly: {unit}s that follow each other are alike, so blocks were held out"
                if facts["in_blocks"]
                else ""
            )
            if facts["held_out"]
            else "they were also used for training, so there is no guarantee for new rows"
        ),
        "holds of the data": anogan.summary.kept_words(facts["kept"], is_image=unit == "picture"),
        "smallest p-value": f"{facts['smallest_p_value']:.3g}",
        "diagnosis": facts["diagnosis"]["verdict"] + (f" ({measures})" if measures else ""),
        **anogan.summary.health_words(facts),
    }.items():
        table.add_row(name, value)
    if "drift" in facts:
        for name, value in _drift_words(facts["drift"], unit).items():
            table.add_row(name, value)
    console.print(table)
    console.print()
    parameters = Table("parameter", "value", box=None, pad_edge=False)
    for name, value in facts["parameters"].items():
        parameters.add_row(name, str(value))
    console.print(parameters)
    if "views" in facts:
        console.print()
        views = Table("view", "weight", "AUROC*", "looks at", box=None, pad_edge=False)
        for view in facts["views"]:
            views.add_row(view["view"], f"{view['weight']:.0%}", f"{view['probe_auroc']:.2f}", view["looks_at"])
        console.print(views)
        console.print("* of synthetic anomalies against normal rows; distance and level start with half of the weight")
    for stage, curve in facts["training"].items():
        console.print()
        loss = Table(
            f"{stage}: {anogan.summary.counted(curve['steps'], 'step')}",
            "first",
            "middle",
            "last",
            box=None,
            pad_edge=False,
        )
        for name, points in curve.items():
            if name != "steps":
                loss.add_row(name, *(f"{points[at]:.4g}" for at in ("first", "middle", "last")))
        console.print(loss)
    if "table" in facts:
        console.print()
        listed = Table("column", "kind", "values", box=None, pad_edge=False)
        for column in facts["table"][:_LISTED]:
            notes = [f"{column['categories']} categories"] if "categories" in column else []
            notes += ["missing allowed"] if column["missing_seen"] else []
            listed.add_row(str(column["name"]), column["kind"], ", ".join(notes))
        console.print(listed)
        if len(facts["table"]) > _LISTED:
            console.print(f"and {len(facts['table']) - _LISTED} more columns (all of them with --json)")
