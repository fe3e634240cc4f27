"""`anogan sample`: generate synthetic normal rows or pictures."""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

import anogan
from anogan import InputError, pictures, writing

from . import options
from .output import reserve


@click.command(epilog=options.examples("anogan sample -m model.anogan -n 100 -o synthetic.csv"))
@options.model_option
@click.option("-n", "--count", type=click.IntRange(min=1), required=True, help="Number of rows or pictures.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="A .csv, .tsv, .parquet or .npy file, or - for standard output; for pictures a .npy file, a .png file with "
    "all of them, or a folder.",
)
@click.option(
    "--seed",
    "--random-state",
    "random_state",
    type=click.IntRange(min=0),
    help="Seed; the same seed gives the same samples.",
)
@options.quiet_option
def command(model_path: str, count: int, output: str, random_state: int | None, quiet: bool) -> None:
    """Write synthetic normal rows in the columns and units of the training data, or pictures.

    Tables are written to .csv, .tsv or .parquet, arrays also to .npy. Pictures are written to .npy, to one .png file
    that shows them side by side, or to a folder with one PNG file each. The detector of the model must be able to
    generate, such as wgan_gp; denoising_gan, the default of `anogan fit`, cannot. How samples of the model compare
    with real rows that its training has not seen is printed.
    """
    detector = anogan.load(model_path)
    kind = detector.preprocessor_.kind
    as_folder = _check_output(output, kind)
    samples = detector.sample(count, random_state=random_state)
    if isinstance(samples, anogan.Conditioned) and (kind == "image" or output.lower().endswith(".npy")):
        samples = samples.X  # picture and array files cannot hold a label
    if as_folder:
        _write_pictures(samples, Path(output))
    elif output.lower().endswith(".png"):
        pictures.save_picture(pictures.side_by_side(pictures.samples_as_bytes(samples)), output)
    elif output.lower().endswith(".npy"):
        with writing.written_whole(output) as file:
            np.save(file, np.asarray(samples), allow_pickle=False)
    else:
        _write_table(samples, output)
    if not quiet:
        what = anogan.summary.counted(count, "synthetic picture" if kind == "image" else "synthetic row")
        click.echo(f"{what} written to {output}", err=output == "-")
        for name, value in anogan.summary.sample_words(detector.diagnosis_).items():
            click.echo(f"{name:<13} {value}", err=output == "-")


def _check_output(output: str, kind: str) -> bool:
    """Return whether the output is a folder; raise `InputError` if the samples cannot be written there."""
    suffixes = {
        "table": writing.WRITTEN_SUFFIXES,
        "vector": (*writing.WRITTEN_SUFFIXES, ".npy"),
        "image": (".npy", ".png"),
    }[kind]
    known = output.lower().endswith(suffixes)
    as_folder = kind == "image" and not known and not writing.is_device(output) and not Path(output).suffix
    if not known and not as_folder and not (writing.is_device(output) and kind != "image"):
        words = ", ".join(suffixes) + (" or a folder" if kind == "image" else " or -")
        raise InputError(f"Samples of this model cannot be written to '{output}'; use {words}.")
    reserve(output, folder=as_folder)
    return as_folder


def _write_table(samples: Any, output: str) -> None:
    frame = anogan.summary.as_table(samples)
    frame.columns = frame.columns.map(str)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    for index, field in enumerate(table.schema):  # Arrow's CSV writer does not support dictionaries
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    with writing.table_writer(output, table.schema, formulas=True) as writer:
        writer.write(table)


def _write_pictures(samples: np.ndarray, folder: Path) -> None:
    """Write each picture to a PNG file of its own."""
    digits = len(str(len(samples) - 1))
    for index, pixels in enumerate(pictures.samples_as_bytes(samples)):
        pictures.save_picture(pixels, folder / f"sample_{index:0{digits}d}.png")
