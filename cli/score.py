"""`anogan score`: score a stream of data and write a table of scores."""

from typing import Any

import click

import anogan

from . import options
from .config import ConfiguredCommand, config_option
from .output import to_json, warn
from .progress import Reporter


@click.command(
    cls=ConfiguredCommand,
    epilog=options.examples(
        "anogan score new.csv -m model.anogan -o scores.csv",
        "anogan score pictures/ -m model.anogan -o scores.csv --maps maps",
    ),
)
@options.data_argument
@options.model_option
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="File for the scores: .csv, .tsv or .parquet, or - for standard output. In .csv and .tsv an apostrophe is put "
    "before a text that a spreadsheet would run as a formula.",
)
@click.option(
    "--fdr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="Q",
    help="Flag by false discovery rate instead of the model's threshold: at most this share of the flagged rows is "
    "expected to be normal (Benjamini-Hochberg over all of DATA).",
)
@click.option(
    "--tail",
    type=click.Choice(["empirical", "fitted"]),
    default="empirical",
    show_default=True,
    help="With --fdr: empirical p-values keep the promise, but need many calibration rows; fitted ones continue them "
    "by a distribution of the highest calibration scores, which is a model and not a promise.",
)
@click.option(
    "--reasons",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Add, for each flagged row, the K columns that raised its score most: the name, the share, and a text with "
    "the value and the usual values of similar normal rows. Flagged rows are scored once more for each column of DATA.",
)
@click.option(
    "--maps",
    metavar="DIR",
    help="For pictures: write the raw anomaly map of each picture to this folder, and the picture with the map as a "
    "heatmap. A contour encloses errors above those of the worst pixel of a normal picture.",
)
@click.option(
    "--map-format",
    type=click.Choice(["png", "npy"]),
    help="Format of the raw maps: png has 16 bits, npy has the exact errors.  [default: png]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the same command after it was interrupted or killed, from the scores in FILE.part.",
)
@options.engine_option("Where DATA is scored")
@options.keep_option
@config_option
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write only the N rows or pictures with the highest scores, the highest first, with all columns of DATA.",
)
@click.option("--sort", is_flag=True, help="Write the highest scores first, with all columns of DATA.")
@options.stream_options
def command(data: options.Data, model_path: str, output: str, as_json: bool, quiet: bool, **given: Any) -> None:
    """Score DATA with a fitted model.

    The output has one line per row (counted from 0, without the header) or picture: its score (higher is more
    anomalous), its p-value (the probability that a normal row has at least this score) and whether it is
    flagged. For rows it also names the columns with values that were not in the training data (unseen), and says "ok"
    or why the row cannot be scored (status); score, p-value and flag of such a row are empty. DATA is read in
    chunks, so memory does not grow with its length. If DATA is a folder with train and test, the pictures in test are
    scored. The columns named with --keep, those that were an --id in `anogan fit`, and the levels of an index that
    pandas wrote to a Parquet file are copied to the output.

    Scores are kept in FILE.part until all are computed; then FILE is written as a whole. If the run ends early for
    any reason other than an error in DATA, the same command with --resume continues from FILE.part, and FILE is the
    same as without the interruption.

    A value that was not in the training data (an unknown category, or a missing value in a column that had none) is
    evidence: its row scores as high as with the farthest known value. Such values are reported at the end; --strict
    makes them an error.
    """
    with Reporter(quiet=quiet) as reporter:
        try:
            scored = anogan.score_file(data, model_path, output, progress=reporter.show, **given)
        except anogan.Interrupted as error:
            raise click.Abort(error.shell[0].upper() + error.shell[1:]) from error
    for note in scored.notes:
        warn(note)
    if not quiet or as_json:
        click.echo(to_json(scored.facts()) if as_json else str(scored), err=output == "-")
