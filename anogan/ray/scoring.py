"""Scoring the rows or pictures of a Ray Dataset in a pool of actors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..batch.worker import OUTPUT, PICTURES_AT_ONCE, ROWS_AT_ONCE, Model, Work, loaded, model_file, opened
from ..errors import InputError

if TYPE_CHECKING:
    from ray.data import Dataset


class Scorer:
    """Adds the scores of a fitted model to batches of Arrow; a class for ``Dataset.map_batches``.

    `score` uses it with a pool of the right size. By hand: ``ds.map_batches(anogan.ray.Scorer, batch_format="pyarrow",
    fn_constructor_args=(path,), concurrency=4)``.

    Parameters
    ----------
    model : path, or content of a model file
        A path that all nodes see.
    **work
        The arguments `output`, `keep`, `reasons` and `on_gap` of `score`, or `column` of `score_images`.
    """

    def __init__(self, model: str | os.PathLike[str] | bytes, **work: Any) -> None:
        self.work = Work(**work)
        if not isinstance(model, bytes):
            self.detector = loaded(os.fspath(model))
            return
        with tempfile.NamedTemporaryFile(prefix="anogan-", suffix=".anogan") as file:
            file.write(model)
            file.flush()
            self.detector = loaded(file.name)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the kept columns of a batch and its scores."""
        return self.work.checked(self.detector, batch.schema).scored_part(self.detector, batch)


def score(
    ds: Dataset,
    model: Model,
    *,
    output: Sequence[str] = OUTPUT,
    keep: Sequence[str] | None = None,
    reasons: int = 0,
    on_gap: str = "score",
    actors: int | None = None,
) -> Dataset:
    """Add the scores of a fitted model to the rows of a Ray Dataset.

    Scores do not depend on the blocks or the order of the rows, and equal those of `anogan score` bit for bit on nodes
    of the same kind. No warning says that columns lie beyond the range of training; see `anogan.spark.score`.

    Parameters
    ----------
    ds : ray.data.Dataset
        With the columns of the training table, in types that hold the same kind of values.
    model : path, fitted Detector, or Groups
        A model file on the driver, or a folder of `fit_per_group`; Ray sends its content to the actors, each of which
        loads it once.
    output, keep, reasons, on_gap
        See `anogan.spark.score`.
    actors : int, optional
        Number of actors, each with one CPU; by default one fewer than the cluster has CPUs.

    Returns
    -------
    ray.data.Dataset

    Raises
    ------
    InputError
        The columns do not suit the model, an argument cannot be used, or the actors would take all CPUs, so that no
        task could read data for them and the run would never end.
    """
    return _mapped(ds, model, Work(tuple(output), keep, reasons, on_gap), actors, batch_size=ROWS_AT_ONCE)


def score_images(
    ds: Dataset,
    model: Model,
    column: str = "bytes",
    *,
    output: Sequence[str] = OUTPUT,
    keep: Sequence[str] | None = None,
    actors: int | None = None,
) -> Dataset:
    """Add the scores of a fitted model to the pictures of a Ray Dataset.

    They equal those of `anogan score` up to rounding, which depends on how many pictures are scored together.

    Parameters
    ----------
    ds : ray.data.Dataset
        Such as ``ray.data.read_binary_files(folder, include_paths=True)``. `ray.data.read_images` decodes pictures
        itself, and not as they were read in training.
    model : path or fitted Detector
    column : str
        Column with the content of each file, or with its path, which all nodes can read.
    output, keep, actors
        See `score`. The contents need not be kept: ``keep=["path"]``.

    Returns
    -------
    ray.data.Dataset

    Raises
    ------
    InputError
        The model was fitted on a table, or an argument cannot be used.
    """
    return _mapped(ds, model, Work(tuple(output), keep, column=column), actors, batch_size=PICTURES_AT_ONCE)


def schema_of(ds: Dataset) -> pa.Schema:
    """Return the columns of a Dataset.

    Raises
    ------
    InputError
        There are none.
    """
    schema: Any = ds.schema()
    if schema is None:
        raise InputError("The data has no rows and no columns.")
    return pa.schema(list(zip(schema.names, schema.types, strict=True)))


def _mapped(ds: Dataset, model: Model, work: Work, actors: int | None, *, batch_size: int) -> Dataset:
    import ray

    with model_file(model) as path:
        work = work.checked(opened(path), schema_of(ds))
        content = path.read_bytes()
    cpus = int(ray.cluster_resources().get("CPU", 0))
    number = max(cpus - 1, 1) if actors is None else actors
    if not 1 <= number < cpus:
        raise InputError(
            f"{number} actors need more than {number} CPUs, since tasks that read the data need one too, but Ray has "
            f"{cpus}. Give fewer actors, or start Ray with more CPUs."
        )
    return ds.map_batches(
        Scorer,
        fn_constructor_args=(content,),
        fn_constructor_kwargs=vars(work),
        batch_format="pyarrow",
        batch_size=batch_size,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=number),
    )
