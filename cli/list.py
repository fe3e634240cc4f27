"""`anogan list`: list the detectors."""

import click
from rich.console import Console
from rich.table import Table

import anogan

from . import options
from .output import to_json


@click.command(epilog=options.examples("anogan list", "anogan list --baselines", "anogan list --json"))
@options.json_option
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--baselines", "of_baselines", is_flag=True, help="List the baselines of `anogan compare` instead.")
def command(as_json: bool, markdown: bool, of_baselines: bool) -> None:
    """List the detectors."""
    if of_baselines:
        found = {name: vars(entry) for name, entry in anogan.baselines.BASELINES.items()}
        if as_json:
            click.echo(to_json(found))
            return
        for name, entry in found.items():
            click.echo(f"{name:20}{entry['kind']:11}{entry['path']}")
        return
    rows = [
        {"name": name, "class": found.class_name, "summary": found.summary}
        for name, found in anogan.describe_detectors().items()
    ]
    if as_json:
        click.echo(to_json(rows))
    elif markdown:
        click.echo("| name | class | what it does |\n|---|---|---|")
        for row in rows:
            click.echo(f"| `{row['name']}` | `{row['class']}` | {row['summary']} |")
    else:
        table = Table("name", "what it does", box=None, pad_edge=False)
        for row in rows:
            table.add_row(row["name"], row["summary"])
        Console(highlight=False, markup=False).print(table)
