"""What a fit needs of a Ray Dataset of any size: a sample of its rows, or a fit in the workers for each group."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..batch.drawing import drawn_part, key_limit, row_sample
from ..batch.group_models import Groups, group_texts
from ..batch.groups import fit_group, group_arguments, warn_of_gaps, write_groups
from ..detectors.base import Detector
from ..detectors.preparing import SAMPLED_ROWS
from ..sources.sampling import RowSample
from .scoring import schema_of

if TYPE_CHECKING:
    from ray.data import Dataset


def sample(ds: Dataset, *, rows: int = SAMPLED_ROWS, seed: int = 0) -> RowSample:
    """Draw rows of a Dataset of any size for `Detector.fit`, which then runs here; see `anogan.spark.sample`.

    Parameters
    ----------
    ds : ray.data.Dataset
    rows : int
    seed : int
        The sample depends on it and on the blocks.

    Returns
    -------
    RowSample

    Raises
    ------
    InputError
        There are no rows, or a column is of a type that cannot be learned.
    """
    limit = key_limit(rows, ds.count())

    def drawn(block: pa.Table) -> pa.Table:
        # A block has no number; its content stands for it.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, block.schema) as stream:
            stream.write_table(block)
        rng = np.random.default_rng([seed, zlib.crc32(sink.getvalue())])
        part = drawn_part([block], rng, rows, limit)
        return pa.table({"part": pa.array([] if part is None else [part], pa.binary())})

    parts = ds.map_batches(drawn, batch_format="pyarrow", batch_size=None)
    return row_sample((row["part"] for row in parts.iter_rows()), rows)


def fit_per_group(ds: Dataset, by: str, detector: Detector, folder: str | os.PathLike[str]) -> Groups:
    """Fit a model for each group of rows in tasks, and write all of them to a folder on the driver.

    A group must fit into the memory of a task. Two passes are made: one counts the rows without a value.

    Parameters
    ----------
    ds : ray.data.Dataset
    by, detector, folder
        See `anogan.fit_per_group`.

    Returns
    -------
    Groups

    Raises
    ------
    InputError
        There is no such column, the folder exists, or no group can be fitted.
    """
    arguments = group_arguments(detector, by, folder, schema_of(ds))

    def counts(block: pa.Table) -> pa.Table:
        return pa.table({"gaps": [group_texts(block, by).null_count], "total": [block.num_rows]})

    def with_value(block: pa.Table) -> pa.Table:
        return block.filter(group_texts(block, by).is_valid())

    def fitted(group: pa.Table) -> pa.Table:
        return fit_group(group, arguments)

    counted = (
        ds.select_columns([by]).map_batches(counts, batch_format="pyarrow", batch_size=None).sum(["gaps", "total"])
    )
    warn_of_gaps(int(counted["sum(gaps)"] or 0), int(counted["sum(total)"] or 0), by)
    valid = ds.map_batches(with_value, batch_format="pyarrow", batch_size=None)
    models = valid.groupby(by).map_groups(fitted, batch_format="pyarrow")
    return write_groups(folder, by, models.iter_rows())
