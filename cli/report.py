"""`anogan report`: write the results of a model on a set of data as one HTML page."""

from typing import Any

import click

import anogan
from anogan import InputError, Stream, writing

from . import options
from .output import reserve, to_json, warn
from .progress import Reporter


@click.command(epilog=options.examples("anogan report new.csv -m model.anogan -o report.html"))
@options.data_argument
@options.model_option
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The page to write: a .html file, or - for standard output."
)
@options.label_option
@options.normal_option
@click.option(
    "--top",
    type=click.IntRange(min=1, max=1000),
    default=100,
    show_default=True,
    metavar="N",
    help="Number of most anomalous rows or pictures to show. Numbers and curves cover all of DATA.",
)
@options.stream_options
def command(
    data: options.Data,
    model_path: str,
    output: str,
    label: str | None,
    normal: str | None,
    top: int,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Write an HTML page with the results of a fitted model on DATA.

    It shows how many rows or pictures are flagged and how many were expected, the scores with a movable threshold,
    the most anomalous rows with reasons (pictures with heatmaps), generated samples beside real ones if the
    detector generates, and how the model was trained. With labels, or for pictures in folders such as OK and NG, it
    also has ROC and precision-recall curves.

    The page is one file without external resources, so it can be mailed, printed and archived.
    """
    reserve(output, [*data, model_path])
    if not writing.is_device(output) and not output.lower().endswith((".html", ".htm")):
        raise InputError(f"The report is an HTML page, but '{output}' does not end in .html.")
    detector = anogan.load(model_path)
    stream = Stream(detector, data, label=label, **reading)
    normal = stream.normal_label(normal)
    if normal is not None and stream.source.kind == "table" and label is None:
        raise InputError("--normal is a value of the column with the labels; name this column with --label COLUMN.")
    with Reporter(quiet=quiet) as reporter:
        report = anogan.Report.from_estimator(
            detector, stream, normal=normal, top=top, model_path=model_path, progress=reporter.show
        )
    size = report.save(output)
    for note in report.facts["notes"]:
        warn(note)
    if quiet and not as_json:
        return
    facts = report.facts
    summary = {"output": output, "bytes": size, "rows": facts["count"], "flagged": facts["flagged"]}
    summary |= {
        "threshold": detector.calibration_.threshold,
        "skipped": stream.skipped,
        "unscored": vars(stream.unscored),
    }
    click.echo(to_json(summary) if as_json else _summary(summary, facts["unit"]), err=output == "-")


def _summary(summary: dict[str, Any], unit: str) -> str:
    what = f"{anogan.summary.counted(summary['rows'], unit)} scored, {summary['flagged']:,} flagged"
    return f"{what}; report of {summary['bytes'] / 1e6:.1f} MB written to {summary['output']}"
