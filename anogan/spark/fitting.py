"""What a fit needs of a Spark DataFrame of any size: a sample of its rows, or a fit in the workers for each group."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..batch.drawing import drawn_part, key_limit, row_sample
from ..batch.group_models import Groups
from ..batch.groups import fit_group, group_arguments, warn_of_gaps, write_groups
from ..detectors.base import Detector
from ..detectors.preparing import SAMPLED_ROWS
from ..sources.sampling import RowSample
from .scoring import by_position

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sample(df: DataFrame, *, rows: int = SAMPLED_ROWS, seed: int = 0) -> RowSample:
    """Draw rows of a DataFrame of any size for `Detector.fit`, which then runs here.

    Each partition draws a random number for each of its rows and sends those with the smallest, and the first row of
    each value of a text column and of a gap, so that the model knows all categories. Two passes are made: one counts.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Normal rows. Columns that are not to be learned can be dropped, or get a role in the detector's `columns`.
    rows : int
        Rows that are drawn at most.
    seed : int
        The sample depends on it and on the partitions.

    Returns
    -------
    RowSample
        ``detector.fit(anogan.spark.sample(df))``.

    Raises
    ------
    InputError
        There are no rows, or a column is of a type that cannot be learned.
    """
    limit, names = key_limit(rows, df.count()), df.columns

    def drawn(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        rng = np.random.default_rng([seed, 0 if context is None else context.partitionId()])
        tables = (pa.Table.from_batches([batch]).rename_columns(names) for batch in batches)
        part = drawn_part(tables, rng, rows, limit)
        if part is not None:
            yield pa.RecordBatch.from_arrays([pa.array([part], pa.binary())], ["part"])

    return row_sample((bytes(row["part"]) for row in by_position(df).mapInArrow(drawn, "part binary").collect()), rows)


def fit_per_group(df: DataFrame, by: str, detector: Detector, folder: str | os.PathLike[str]) -> Groups:
    """Fit a model for each group of rows in the workers, and write all of them to a folder on the driver.

    A group must fit into the memory of a worker. Rows are brought together by group, which moves them once. Two passes
    are made: one counts the rows without a value.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    by, detector, folder
        See `anogan.fit_per_group`.

    Returns
    -------
    Groups
        For `score`, which takes the folder too.

    Raises
    ------
    InputError
        There is no such column, the folder exists, or no group can be fitted.
    """
    from pyspark.sql import functions
    from pyspark.sql.pandas.types import to_arrow_schema

    arguments = group_arguments(detector, by, folder, to_arrow_schema(df.schema))

    def fitted(rows: pa.Table) -> pa.Table:
        return fit_group(rows.rename_columns(names), arguments)

    names, df = df.columns, by_position(df)
    column = df[df.columns[names.index(by)]]
    valid = column.isNotNull()
    if df.select(column).dtypes[0][1] in ("float", "double"):  # how pandas keeps whole numbers with gaps
        valid &= ~functions.isnan(column)
    total, known = df.select(functions.count("*"), functions.count(functions.when(valid, 1))).head()
    warn_of_gaps(total - known, total, by)
    groups = df.where(valid).groupBy(column).applyInArrow(fitted, "facts string, model binary")
    return write_groups(folder, by, groups.toLocalIterator())
