"""`anogan columns`: show how each column of a table will be read, before fitting."""

import dataclasses
import json
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

import anogan
from anogan import InputError, TableFile

from . import options


@click.command(
    epilog=options.examples("anogan columns data.csv", "anogan columns data.csv --category plz --date when:%d.%m.%Y")
)
@click.argument("data")
@options.role_options
@options.dialect_options
@options.json_option
def command(data: str, dialect: Any, as_json: bool, **given: Any) -> None:
    """Show how each column of the table DATA will be read by `anogan fit`: its kind, distinct values, gaps and range.

    What is doubtful is said below, with the reason and the option that changes it. Of a long file, a sample is read.
    """
    source = anogan.open_source(data, dialect=dialect)
    if not isinstance(source, TableFile):
        raise InputError(f"{data} is not a table; columns shows those of a table.")
    columns = anogan.preview_columns(source, options.roles(source.names, given))
    notes = [note.text(shell=True) for note in source.notes if not hasattr(note, "column")]
    if as_json:
        click.echo(json.dumps({"columns": [dataclasses.asdict(column) for column in columns], "notes": notes}))
        return
    table = Table(Column("column", overflow="fold"), "kind", "distinct", "gaps", "values", box=None, pad_edge=False)
    for column in columns:
        kind = column.kind if column.learned or column.kind == "unusable" else f"({column.kind})"
        values = ", ".join(column.examples) if column.low is None else f"{_text(column.low)} to {_text(column.high)}"
        how = f"; {column.how}" if column.how else ""
        gaps = f"{column.missing:,}" if column.missing else ""
        table.add_row(str(column.name), kind, f"{column.distinct:,}", gaps, values + how)
    console = Console(highlight=False, markup=False)
    console.print(table)
    notes += [note.text(shell=True) for column in columns for note in column.notes]
    left_out = " Columns in parentheses are not learned." * any(not column.learned for column in columns)
    console.print(f"\n{anogan.summary.counted(columns[0].rows, 'row')}.{left_out}")
    for note in notes:
        console.print(f"- {note}", soft_wrap=True)


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)
