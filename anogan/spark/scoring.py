"""Scoring the rows or pictures of a Spark DataFrame where they are."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..batch.journal import digest
from ..batch.worker import OUTPUT, Model, Work, loaded, model_file, opened

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def score(
    df: DataFrame,
    model: Model,
    *,
    output: Sequence[str] = OUTPUT,
    keep: Sequence[str] | None = None,
    reasons: int = 0,
    on_gap: str = "score",
) -> DataFrame:
    """Add the scores of a fitted model to the rows of a Spark DataFrame.

    The rows are scored where they are, a batch of Arrow at a time, when the result is used. Scores do not depend on
    the partitions or the order of the rows, and equal those of `anogan score` bit for bit on nodes of the same kind.
    No warning says that columns lie beyond the range of training, as `score_table` does: a batch is too small to tell.
    `anogan score --engine spark` and `anogan.score_file` count over all rows, and say it.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        With the columns of the training table, in types that hold the same kind of values.
    model : path, fitted Detector, or Groups
        A model file on the driver, or a folder of `fit_per_group`; rows without a value in its column, or of a group
        without a model, get a status that says so. Spark sends it to the workers, each of which loads it once.
    output : sequence of str
        The columns to add, of "score", "p_value", "flag", "unseen" (columns with values that were not in the training
        data) and "status" ("ok", or why the row cannot be scored; its score, p-value and flag are null).
    keep : sequence of str, optional
        The columns of `df` to keep; all by default. All kept columns pass through the workers.
    reasons : int
        Number of columns that are named as reasons of a flagged row, in ``reason_1``, ``reason_1_share`` and
        ``reason_1_text``, and so on.
    on_gap : {"score", "skip"}
        See `Detector.score_table`.

    Returns
    -------
    pyspark.sql.DataFrame

    Raises
    ------
    InputError
        The columns do not suit the model, or an argument cannot be used.
    """
    return _mapped(df, model, Work(tuple(output), keep, reasons, on_gap))


def score_images(
    df: DataFrame, model: Model, column: str, *, output: Sequence[str] = OUTPUT, keep: Sequence[str] | None = None
) -> DataFrame:
    """Add the scores of a fitted model to the pictures of a Spark DataFrame.

    They equal those of `anogan score` up to rounding, which depends on how many pictures are scored together.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    model : path or fitted Detector
        See `score`.
    column : str
        Column with the path of each picture, which all workers can read (or a URL for fsspec, such as
        ``s3://bucket/1.png``), or with the content of its file, such as ``content`` of Spark's source ``binaryFile``.
        For contents, ``spark.sql.execution.arrow.maxRecordsPerBatch`` bounds how many are in memory; 64 is enough.
    output : sequence of str
        The columns to add, of "score", "p_value", "flag" and "status" ("ok", or why the picture cannot be read).
    keep : sequence of str, optional
        The columns of `df` to keep; all by default.

    Returns
    -------
    pyspark.sql.DataFrame

    Raises
    ------
    InputError
        The model was fitted on a table, or an argument cannot be used.
    """
    return _mapped(df, model, Work(tuple(output), keep, column=column))


def _mapped(df: DataFrame, model: Model, work: Work) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StructType

    with model_file(model) as path:
        detector = opened(path)
        work = work.checked(detector, to_arrow_schema(df.schema))
        name = send(df.sparkSession, path)
    kept = work.keep or ()
    schema = StructType([*(df.schema[name] for name in kept), *from_arrow_schema(work.schema(detector))])

    def scored(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import SparkFiles

        for batch in batches:
            rows = pa.Table.from_batches([batch]).rename_columns(names)
            yield from work.scored_part(loaded(SparkFiles.get(name)), rows).to_batches()

    names = list(dict.fromkeys([*kept, *work.needed(detector)]))
    return by_position(df.select(*map(quoted, names))).mapInArrow(scored, schema)


def quoted(name: str) -> str:
    """Return the name of a column as Spark's functions resolve it, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def by_position(df: DataFrame) -> DataFrame:
    """Rename columns by their positions: PySpark's functions on Arrow take a dot in a name for a field."""
    return df.toDF(*(f"column_{position}" for position in range(len(df.columns))))


def send(spark: SparkSession, file: Path) -> str:
    """Send a file to all workers of a session; return the name by which `SparkFiles.get` finds it there."""
    # Named by its content: another file under the same name would be refused, or taken for this one by a worker.
    name = f"anogan-{digest(str(file))[:24]}{file.suffix}"
    folder = Path(tempfile.mkdtemp(prefix="anogan-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # Spark reads the file when a worker asks for it
    copy = str(shutil.copyfile(file, folder / name))
    context: Any = getattr(spark, "_sc", None)
    if context is not None:
        context.addFile(copy)
    else:  # Spark Connect
        spark.addArtifacts(copy, file=True)
    return name
