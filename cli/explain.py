"""`anogan explain`: show what made the most anomalous rows or pictures anomalous."""

from typing import Any

import click
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import anogan
from anogan import InputError, Stream, writing

from . import options
from .output import reserve, to_json, warn_of
from .progress import Reporter


@click.command(
    epilog=options.examples(
        "anogan explain new.csv -m model.anogan", "anogan explain new.csv -m model.anogan --rows 5 -o reasons.csv"
    )
)
@options.data_argument
@options.model_option
@click.option(
    "--rows",
    "count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Number of rows or pictures to explain.",
)
@click.option(
    "--reasons",
    "columns",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="K",
    help="Number of columns to name per row.",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="For tables, a .csv, .tsv or .parquet file to write; for pictures, a folder (required).",
)
@options.stream_options
def command(
    data: options.Data,
    model_path: str,
    count: int,
    columns: int,
    output: str | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Show what made the N most anomalous rows of DATA anomalous.

    For tables, these are the columns whose values raise the score most, compared with the values that similar
    normal rows have there. Each is shown with its share of the increase, its value, and the usual values of the 20
    most similar of up to 1,000 training rows, which the model file holds. For pictures, these are heatmaps, written
    to the folder OUT.
    """
    detector = anogan.load(model_path)
    stream = Stream(detector, data, **reading)
    is_image = detector.preprocessor_.kind == "image"
    if is_image and output is None:
        raise InputError("Explanations of pictures are heatmaps: name a folder for them with -o DIR.")
    if output is not None:
        reserve(output, [*data, model_path], folder=is_image, table=not is_image)
    writer = anogan.MapWriter(str(output), detector.calibration_) if is_image else None
    if writer is not None:
        writer.check(stream.source)
    with Reporter(quiet=quiet) as reporter:
        top = anogan.TopK.of(stream, highest=count, progress=reporter.show).highest
    warn_of(stream)
    if writer is not None:
        with writer:
            for chunk, _ in top:
                writer.write(chunk, anogan.metrics.pixel_maps(detector.explain(chunk.X)))
        found = [{"picture": str(chunk.ids()[0]), "score": score} for chunk, score in top]
        if not quiet:
            click.echo(writer.scale_note(), err=as_json)
    else:
        found = anogan.summary.explained(detector, top, columns)
    if writer is None and output is not None:
        table = _as_table(found, columns)
        with writing.table_writer(output, table.schema) as file:
            file.write(table)
    if as_json:
        click.echo(to_json(found))
    elif not quiet and (writer is not None or output is None):
        _print(found)


def _as_table(found: list[dict[str, Any]], columns: int) -> pa.Table:
    kinds = {"reason": pa.string(), "share": pa.float64(), "value": pa.string(), "text": pa.string()}
    fields = [("row", pa.int64()), ("score", pa.float64()), ("p_value", pa.float64())]
    fields += [(f"{name}_{k}", kind) for k in range(1, columns + 1) for name, kind in kinds.items()]
    flat = []
    for entry in found:
        line = {"row": entry["row"], "score": entry["score"], "p_value": entry["p_value"]}
        for reason in entry["reasons"]:
            named = {"reason": reason["column"], "value": _text(reason["value"])}
            line |= {f"{name}_{reason['rank']}": (reason | named)[name] for name in kinds}
        flat.append(line)
    return pa.Table.from_pylist(flat, schema=pa.schema(fields))


def _print(found: list[dict[str, Any]]) -> None:
    if found and "picture" in found[0]:
        for entry in found:
            click.echo(f"{entry['score']:.6g}  {entry['picture']}")
        return
    table = Table("row", "score", "p", "share", "why", box=None, pad_edge=False)
    for entry in found:
        head = [f"{entry['row']:,}", f"{entry['score']:.4g}", f"{entry['p_value']:.3g}"]
        why = [[f"{reason['share']:.0%}", reason["text"]] for reason in entry["reasons"]]
        for line in why or [["-", "no column by itself"]]:
            table.add_row(*head, *line)
            head = ["", "", ""]
    Console(highlight=False, markup=False).print(table)


def _text(value: Any) -> str:
    if value is None:
        return "(missing)"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
