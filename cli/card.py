"""`anogan card`: a model card."""

import click

import anogan

from . import options
from .output import reserve


@click.command(epilog=options.examples("anogan card model.anogan", "anogan card model.anogan -o card.md"))
@click.argument("model")
@click.option("-o", "--output", metavar="FILE.md", help="File to write instead of standard output.")
def command(model: str, output: str | None) -> None:
    """Write a model card of MODEL in Markdown: data, columns, figures, promises and limits, as the file knows them."""
    if output is None:
        click.echo(anogan.model_card(model), nl=False)
        return
    reserve(output, [model])
    card = anogan.model_card(model)
    with anogan.writing.written_whole(output) as file:
        file.write(card.encode())
