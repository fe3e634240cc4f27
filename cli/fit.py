"""`anogan fit`: fit a detector on normal data, save the model and print a summary of the training."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np

import anogan
from anogan import ArrayFile, InputError, PictureSource, TableFile, labels, pictures, writing

from . import options
from .config import config_option
from .output import reserve, save, to_json, warn
from .progress import Reporter


class ImageSize(click.ParamType):
    """``64`` or ``64x96`` (height x width)."""

    name = "N|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, int]:
        sides = str(value).lower().split("x")
        if not 1 <= len(sides) <= 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
            self.fail(f"'{value}' is not a size; give one number for a square, or HxW such as 64x96", param, ctx)
        return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


@click.command(
    cls=options.DetectorCommand,
    epilog=options.examples(
        "anogan fit normal.csv -m model.anogan",
        "anogan fit data.parquet -m model.anogan --label kind --normal ok --random-state 0",
        "anogan fit pictures/ -m model.anogan --normal OK",
    ),
)
@options.data_argument
@options.new_model_option
@click.option(
    "--detector",
    "name",
    shell_complete=options.complete_detectors,
    help="A name from `anogan list`.  [default: feature_gan for pictures, denoising_gan for other data]",
)
@config_option
@click.option("--label", metavar="COLUMN", help="Column with the label of each row; the detector does not see it.")
@click.option(
    "--normal",
    metavar="VALUE",
    help="Fit only on rows with this label (in --label, or in y of a .npz file), or on the pictures in folders of this "
    "name.",
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Leave out this share of the rows of a table, at random. `anogan evaluate` on the same file then measures "
    "them by themselves.",
)
@click.option(
    "--holdout-last",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Leave out the last rows instead, in the order of the file or of --holdout-by.",
)
@click.option(
    "--holdout-by",
    metavar="COLUMN[:FORMAT]",
    help="A column of dates or numbers, for --holdout-last; FORMAT is that of dates, such as %d%m%Y.",
)
@options.engine_option("Where the rows to learn from are drawn, of a Parquet file or a folder of them")
@options.role_options
@options.dialect_options
@click.option(
    "--image-size",
    type=ImageSize(),
    help="Resize pictures to this size.  [default: feature_gan 384, cycle_gan 256, others 64]",
)
@click.option(
    "--roi",
    metavar="MASK.png",
    help="A picture that is white where pictures are compared; the model ignores the rest (feature_gan).",
)
@click.option(
    "--tile",
    type=click.IntRange(1),
    metavar="PIXELS",
    help="Score pictures in overlapping tiles of so many of their own pixels, each resized to --image-size, so that "
    "small defects in large pictures count.",
)
@click.option(
    "--unlabeled",
    metavar="DATA",
    help="An unlabelled set that is mostly normal, for detectors that also learn from unlabelled data (cycle_gan).",
)
@click.option(
    "--checkpoint",
    metavar="DIR",
    help="Save the state of training in this folder; after an interruption the same command resumes from it.",
)
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Repeat the training at most N times if it diverged or collapsed, each with another seed and 0.3 times the "
    "learning rate, after a collapse that of the generator alone.",
)
@click.option(
    "--independent",
    is_flag=True,
    help="Hold out rows or pictures at random even if they repeat each other, or are like those beside them, since "
    "DATA is only sorted.",
)
@click.option(
    "--strip",
    metavar="FILE.png",
    help="Write a picture that shows how generated pictures change during training, one row per latent, if the "
    "detector generates pictures.",
)
@click.option("--log-dir", metavar="DIR", help="Write the training curves here for TensorBoard (anogan[tensorboard]).")
@options.picture_error_option
@options.json_option
@options.quiet_option
def command(
    data: options.Data,
    model_path: str,
    name: str | None,
    label: str | None,
    normal: str | None,
    holdout: float | None,
    holdout_last: float | None,
    holdout_by: str | None,
    engine: Any,
    dialect: Any,
    unlabeled: str | None,
    image_size: int | tuple[int, int] | None,
    roi: str | None,
    tile: int | None,
    checkpoint: str | None,
    restarts: int,
    independent: bool,
    strip: str | None,
    log_dir: str | None,
    on_error: str,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Fit a detector on normal DATA and save it.

    DATA is a table (.csv, .tsv or .txt, also compressed, .parquet, .feather, .jsonl or .xlsx), an array (.npy, or
    .npz with the key X) or a folder of pictures. Several files or a pattern such as 'jan*.csv' can be one table, and -
    is standard input. All of DATA must be normal, or --label and --normal must say which rows are. Of a folder with
    folders such as OK and NG, train/good and test, the normal pictures are used.
    """
    given_roles = {role: given.pop(role) for role in options.ROLES}
    if writing.is_device(model_path):
        raise InputError(f"A model cannot be written to '{model_path}'; name a file.")
    reserve(model_path, data)
    if checkpoint is not None:
        writing.check_target(checkpoint, folder=True)
    if log_dir is not None:
        writing.check_target(log_dir, folder=True)
    source = anogan.open_source(data, part="train", size=image_size, dialect=dialect)
    detector = _built(name or anogan.default_detector(source), given)
    loggers: list[Any] = [] if log_dir is None else [anogan.TensorBoardLogger(log_dir)]
    if strip is not None:
        if not strip.lower().endswith(".png"):
            raise InputError(f"--strip writes a PNG picture, but '{strip}' does not end in .png.")
        reserve(strip, [*data, model_path])
        loggers.append(_Strip(detector))
    if unlabeled is not None and not detector.uses_unlabeled:
        raise InputError(
            f"--unlabeled is for detectors that learn from an unlabelled set (cycle_gan); {detector.name} does not."
        )
    if image_size is not None and not isinstance(source, PictureSource):
        raise InputError(f"--image-size is for folders of pictures, but {data} is not one.")
    for option, value in (("--roi", roi), ("--tile", tile)):
        if value is not None and not isinstance(source, PictureSource):
            raise InputError(f"{option} is for folders of pictures, but {data} is not one.")
    if roi is not None and Path(roi).is_dir():
        raise InputError(f"--roi takes one mask for all pictures, but '{roi}' is a folder.")
    if strip is not None and not isinstance(source, PictureSource):
        raise InputError(f"--strip is for folders of pictures, but {data} is not one.")
    X = _read(source, label, normal, detector, skip=on_error == "skip")
    if roi is not None or tile is not None:
        X = X.compared_in(masks=roi, tile=tile)
    normal_rows = X.keep if isinstance(X, TableFile) else None
    if isinstance(source, TableFile):
        detector.columns = options.roles(source.names, given_roles, label) or None
    elif any(given_roles.values()):
        role = next(role for role, columns in given_roles.items() if columns)
        raise InputError(f"--{role} names a column of a table, but {data} is not a table.")
    if holdout_by is not None and holdout_last is None:
        raise InputError(f"--holdout-by {holdout_by} needs --holdout-last SHARE.")
    if share := holdout or holdout_last:
        if holdout and holdout_last:
            raise InputError("Give one of --holdout and --holdout-last.")
        if not isinstance(X, TableFile):
            raise InputError(
                f"--holdout is for rows of a table, but {data} is not one. Keep the rows or pictures to be held out in "
                "a file or folder of their own."
            )
        form = (detector.columns or {}).get(holdout_by, "").partition(":")[2]
        holdout_by = f"{holdout_by}:{form}" if form else holdout_by
        X = X.holding_out(share, seed=(detector.random_state or 0) if holdout else None, by=holdout_by)
    if engine is not None:
        if not isinstance(X, TableFile):
            raise InputError(f"--engine draws rows of a table, but {data} is not one.")
        X = X.sampled_by(engine)
    skip = on_error == "skip"
    extra = {} if unlabeled is None else {"X_unlabeled": _read_unlabeled(unlabeled, source, dialect, skip=skip)}
    began, counter = time.perf_counter(), _RowCounter()
    try:
        with Reporter(quiet=quiet) as reporter:
            callbacks = (reporter, counter, *loggers)
            detector.fit(
                X, **extra, callbacks=callbacks, checkpoint=checkpoint, restarts=restarts, independent=independent
            )
    except InputError:
        if isinstance(normal_rows, labels.NormalRows):
            normal_rows.check_any()  # its error says more
        raise
    except KeyboardInterrupt:
        if checkpoint is None:
            raise click.Abort("Nothing was written; with --checkpoint DIR training can be resumed.") from None
        if not Path(checkpoint).is_dir():
            raise click.Abort(f"No checkpoint had been written to {checkpoint} yet.") from None
        raise click.Abort(f"Run the same command again to resume from the checkpoint in {checkpoint}.") from None
    seconds = time.perf_counter() - began
    for note in X.notes if isinstance(X, TableFile) else ():
        warn(note.text(shell=True))
    save(detector, model_path)
    if strip is not None:
        loggers[-1].write(strip)
    if quiet and not as_json:
        return
    facts = _facts(detector, model_path, counter.rows or len(X), seconds)
    click.echo(to_json(facts) if as_json else _summary(facts))


class _RowCounter(anogan.Callback):
    """Counts the rows that were read from the training file."""

    rows = 0

    def on_stage_end(self, stage: str, steps: int) -> None:
        if stage == "reading":
            self.rows = self.rows or steps  # the unlabelled set is read after the training data


class _Strip(anogan.Callback):
    """Collects the pictures generated from the same latents at each validation check."""

    samples = 8

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.checks: list[np.ndarray] = []

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        self.checks = []

    def on_samples(self, stage: str, step: int, samples: Any) -> None:
        self.checks.append(samples.cpu().double().numpy())

    def write(self, path: str) -> None:
        """Write one picture with a row for each latent and a column for each validation check."""
        if not self.checks:
            warn(f"--strip: {self.detector.name} does not generate pictures, so there is nothing to show.")
            return
        made = [self.detector.preprocessor_.inverse(samples) for samples in self.checks]
        columns = [pictures.samples_as_bytes(m.X if isinstance(m, anogan.Conditioned) else m) for m in made]
        shown = np.stack(columns, axis=1)  # (n, checks, C, H, W)
        sheet = pictures.side_by_side(shown.reshape(-1, *shown.shape[2:]), columns=len(columns))
        pictures.save_picture(sheet, path)


def _built(name: str, given: dict[str, Any]) -> Any:
    cls = anogan.detector_class(name)
    detector = cls(**options.chosen_parameters(cls, given))
    detector.check_parameters()
    return detector


def _read(source: Any, label: str | None, normal: str | None, detector: Any, *, skip: bool) -> Any:
    if isinstance(source, TableFile):
        return _read_table(source, label, normal)
    if isinstance(source, ArrayFile):
        return _read_array(source, label, normal)
    if label is not None:
        raise InputError(f"--label is for tables and .npz files, but {source.path} holds pictures.")
    whole = getattr(detector, "condition", None) == "folder"
    pictures, notes = source.to_learn(normal, whole=whole, skip=skip)
    for note in notes:
        warn(note)
    return pictures


def _read_unlabeled(path: str, normal: Any, dialect: Any, *, skip: bool) -> Any:
    """Read the unlabelled set, which must be of the same kind as the normal data."""
    source = anogan.open_source(path, part="test", dialect=dialect)
    if type(source) is not type(normal):
        raise InputError(f"--unlabeled: {path} is not of the same kind as {normal.path}.")
    if isinstance(source, PictureSource):
        return source.to_learn(None, whole=True, skip=skip)[0]
    return source.read() if isinstance(source, ArrayFile) else source


def _read_table(source: TableFile, label: str | None, normal: str | None) -> Any:
    if label is not None:
        source.check_column(label)
    if (label is None) != (normal is None):
        raise InputError("--label and --normal must be given together: the column, and the value of normal rows in it.")
    if label is None or normal is None:
        return source
    return source.selecting(text=(label,), keep=labels.NormalRows(source.path, label, normal))


def _read_array(source: ArrayFile, label: str | None, normal: str | None) -> np.ndarray:
    if label not in (None, "y"):
        raise InputError(f"{source.path} has no labels '{label}'; in a .npz file they are under the key y.")
    array = source.read(normal)
    if normal is None and source.labels is not None:
        kinds = ", ".join(f"'{value}' ({count:,})" for value, count in Counter(source.labels).most_common(5))
        warn(f"all rows are used as normal rows; the labels in y are {kinds}. Select one with --normal VALUE.")
    return array


def _facts(detector: Any, model_path: str, rows: int, seconds: float) -> dict[str, Any]:
    return {
        "model": model_path,
        "model_bytes": Path(model_path).stat().st_size if Path(model_path).is_file() else None,
        "detector": detector.name,
        "kind": detector.preprocessor_.kind,
        "rows": rows,
        "columns": anogan.summary.column_kinds(detector),
        "seconds": round(seconds, 3),
        "threshold": detector.calibration_.threshold,
        **anogan.summary.health(detector),
        "random_state": int(detector.seed_),
    }


def _summary(facts: dict[str, Any]) -> str:
    rows = anogan.summary.counted(facts["rows"], "picture" if facts["kind"] == "image" else "row")
    columns = ", ".join(f"{count} {kind}" for kind, count in facts["columns"].items())
    if facts["kind"] == "image":
        columns = "x".join(str(side) for side in facts["columns"].values())
    return "\n".join(
        [
            f"detector   {facts['detector']} (seed {facts['random_state']})",
            f"data       {rows}, {columns}",
            f"time       {facts['seconds']:.1f} s",
            f"threshold  {facts['threshold']:.6g}",
            f"diagnosis  {facts['diagnosis']['verdict']}",
            *(f"{name:<10} {value}" for name, value in anogan.summary.health_words(facts).items()),
            f"model      {facts['model']}",
        ]
    )
