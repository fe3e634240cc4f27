"""`anogan demo`: two sets of real data, from fitting to a report page."""

import time

import click

import anogan

from . import options
from .output import reserve
from .progress import Reporter


@click.command(epilog=options.examples("anogan demo", "anogan demo -o results"))
@click.option("-o", "--output", default="anogan-demo", show_default=True, metavar="DIR", help="Folder for the results.")
@options.quiet_option
def command(output: str, quiet: bool) -> None:
    """Fit, score, compare and explain on two sets of real data, in about two minutes.

    A table: measurements of hawks, with texts and missing values; the default detector learns from red-tailed hawks
    and finds other species, beside nearest neighbours and an isolation forest. Pictures: coins on which defects are
    painted; maps show where they are. The detectors have their default parameters, except for a false-alarm rate
    of 5 %, since 1 % needs more data. DIR gets pages, scores and models; the page to open is named at the end.
    """
    reserve(output, folder=True)
    began = time.perf_counter()
    with Reporter(quiet=quiet) as reporter:
        found = anogan.demonstrate(output, callbacks=(reporter,), progress=reporter.show)
    if not quiet:
        click.echo(f"{found}\n({time.perf_counter() - began:.0f} s)")
