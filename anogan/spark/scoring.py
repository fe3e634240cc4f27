"""Scoring the rows or pictures of a Spark DataFrame where they are."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..batch.journal import digest
from ..batch.worker import OUTPUT, Work, loaded
from ..detectors.base import Detector
from ..errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Model = str | os.PathLike[str] | Detector


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

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        With the columns of the training table, in types that hold the same kind of values.
    model : path or fitted Detector
        A model file on the driver. Spark sends it to the workers, each of which loads it once.
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
    return _mapped(df, model, keep, Work(tuple(output), reasons, on_gap))


def score_images(
    df: DataFrame, model: Model, column: str, *, output: Sequence[str] = OUTPUT, keep: Sequence[str] | None = None
) -> DataFrame:
    """Add the scores of a fitted model to the pictures of a Spark DataFrame.

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
    return _mapped(df, model, keep, Work(tuple(output), column=column))


def _mapped(df: DataFrame, model: Model, keep: Sequence[str] | None, work: Work) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StructType

    path = _sent(df.sparkSession, model)
    detector = Detector.load(path, device="cpu")
    kept = df.columns if keep is None else list(keep)
    for name in kept:
        if name not in df.columns:
            raise InputError(f"keep: the data has no column '{name}'.")
    work.check(detector, to_arrow_schema(df.schema), kept)
    read = df.select(*(f"`{name}`" for name in dict.fromkeys([*kept, *work.needed(detector)])))
    added = work.schema(detector)
    schema = StructType([*(df.schema[name] for name in kept), *from_arrow_schema(added)])
    name = path.name

    def scored(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import SparkFiles

        for batch in batches:
            table = pa.Table.from_batches([batch])
            columns = work.added(loaded(SparkFiles.get(name)), table)
            yield pa.RecordBatch.from_arrays([*(batch.column(k) for k in kept), *columns], [*kept, *added.names])

    return read.mapInArrow(scored, schema)


def _sent(spark: SparkSession, model: Model) -> Path:
    """Send a model to all workers of a session; return its file on the driver, whose name the workers know too."""
    folder = Path(tempfile.mkdtemp(prefix="anogan-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # Spark reads the file when a worker asks for it
    copy = folder / "model.anogan"
    if isinstance(model, Detector):
        model.save(copy)
    else:
        shutil.copyfile(model, copy)
    # Named by its content: another model under the same name would be refused, or taken for this one by a worker.
    path = copy.rename(folder / f"anogan-{digest(str(copy))[:24]}.anogan")
    context: Any = getattr(spark, "_sc", None)
    if context is not None:
        context.addFile(str(path))
    else:  # Spark Connect
        spark.addArtifacts(str(path), file=True)
    return path
