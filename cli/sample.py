"""`anogan sample`: synthetic normal rows or pictures."""

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from PIL import Image

import anogan
from anogan import InputError, writing

from . import options


@click.command(epilog=options.examples("anogan sample -m model.anogan -n 100 -o synthetic.csv"))
@options.model_option
@click.option("-n", "--count", type=click.IntRange(min=1), required=True, help="How many.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help=".csv, .tsv, .parquet, .npy, - for standard output; for pictures a .png with all of them, or a folder.",
)
@click.option("--random-state", type=click.IntRange(min=0), help="Seed; the same seed gives the same samples.")
@options.quiet_option
def command(model_path: str, count: int, output: str, random_state: int | None, quiet: bool) -> None:
    """Write synthetic normal rows in the training data's own columns and units, or pictures.

    Tables go to .csv, .tsv or .parquet, arrays also to .npy, pictures to .npy, to one .png that shows them
    side by side, or each to a PNG in a folder. The model must
    be one that generates, such as wgan_gp; denoising_gan, the default of `anogan fit`, does not.
    """
    detector = anogan.load(model_path)
    kind = detector.preprocessor_.kind
    as_folder = _check_output(output, kind)
    samples = detector.sample(count, random_state=random_state)
    if isinstance(samples, anogan.Conditioned) and (kind == "image" or output.lower().endswith(".npy")):
        samples = samples.X  # pictures and arrays have no place for a label
    if as_folder:
        _write_pictures(samples, Path(output))
    elif output.lower().endswith(".png"):
        save_picture(side_by_side(pictures_as_bytes(samples)), output)
    elif output.lower().endswith(".npy"):
        with writing.written_whole(output) as file:
            np.save(file, np.asarray(samples), allow_pickle=False)
    else:
        _write_table(samples, output)
    if not quiet:
        what = "pictures" if kind == "image" else "rows"
        click.echo(f"{count:,} synthetic {what} written to {output}", err=output == "-")


def as_table(samples: Any) -> Any:
    """Samples of a table or an array as a table; a condition they may have becomes a column."""
    import pandas as pd

    if isinstance(samples, anogan.Conditioned):
        return pd.DataFrame(samples.X).assign(**{str(samples.labels.name): samples.labels})
    return pd.DataFrame(samples)


def _check_output(output: str, kind: str) -> bool:
    """Whether the output is a folder; `InputError` if it suits neither the samples nor the disk."""
    suffixes = {
        "table": writing.WRITTEN_SUFFIXES,
        "vector": (*writing.WRITTEN_SUFFIXES, ".npy"),
        "image": (".npy", ".png"),
    }[kind]
    known = output.lower().endswith(suffixes)
    as_folder = kind == "image" and not known and not writing.is_device(output) and not Path(output).suffix
    if not known and not as_folder and not (writing.is_device(output) and kind != "image"):
        words = ", ".join(suffixes) + (" or a folder" if kind == "image" else " or -")
        raise InputError(f"Samples of this model cannot be written to '{output}'; name {words}.")
    writing.check_target(output, folder=as_folder)
    return as_folder


def _write_table(samples: Any, output: str) -> None:
    frame = as_table(samples)
    frame.columns = frame.columns.map(str)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    for index, field in enumerate(table.schema):  # Arrow's CSV writer knows no dictionaries
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    with writing.table_writer(output, table.schema) as writer:
        writer.write(table)


def _write_pictures(samples: np.ndarray, folder: Path) -> None:
    """One PNG each."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(samples) - 1))
    for index, pixels in enumerate(pictures_as_bytes(samples)):
        save_picture(pixels, folder / f"sample_{index:0{digits}d}.png")


def pictures_as_bytes(samples: np.ndarray) -> np.ndarray:
    """Pictures ``(n, C, H, W)`` as uint8: as they are, or from [0, 1] or their common range."""
    if samples.dtype == np.uint8:
        return samples
    low, high = float(samples.min()), float(samples.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((samples.astype(np.float64) - low) / (high - low or 1.0) * 255).astype(np.uint8)


def side_by_side(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """``(n, C, H, W)`` -> one picture ``(C, rows * H, columns * W)``, by default about as many rows as columns."""
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.zeros((rows * columns, *pictures.shape[1:]), dtype=np.uint8)
    sheet[: len(pictures)] = pictures
    grid = sheet.reshape(rows, columns, *pictures.shape[1:]).transpose(2, 0, 3, 1, 4)
    return grid.reshape(pictures.shape[1], rows * pictures.shape[2], columns * pictures.shape[3])


def save_picture(pixels: np.ndarray, path: str | Path) -> None:
    """Write pixels (C, H, W) uint8 as a PNG; whole or not at all."""
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    with writing.written_whole(path) as file:
        picture.save(file, "PNG")
