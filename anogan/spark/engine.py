"""Spark as the engine of `score_file` and of samples of large tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..batch.engine import Engine, in_order, run
from ..errors import AnoganError, InputError
from .scoring import send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_QUIET = ("spark.ui.showConsoleProgress", "false")
_CONNECT_TASKS = 16  # at a time, where Spark Connect does not say how many the cluster can run


class SparkEngine(Engine):
    """Spark, as it is set up: by ``spark-submit``, ``SPARK_REMOTE``, ``SPARK_CONF_DIR``, or an active session.

    Without any of these, Spark runs on this machine. Each task is a Spark job of one task, which Spark repeats when its
    worker dies. All nodes need anogan, and must be able to read the data.

    Parameters
    ----------
    session : pyspark.sql.SparkSession, optional
        By default the active session, or a new one that ends with the work.
    """

    def __init__(self, session: SparkSession | None = None) -> None:
        try:
            import pyspark.sql.pandas.types  # noqa: F401
        except ImportError:
            raise InputError('Spark needs more packages: pip install "anogan[spark]", and Java 17 or newer.') from None
        self._given = session

    def start(self) -> None:
        from pyspark.sql import SparkSession

        self._own = self._given is None and SparkSession.getActiveSession() is None
        if self._own:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        try:
            self.session = self._given or SparkSession.builder.appName("anogan").config(*_QUIET).getOrCreate()
        except Exception as error:  # of several libraries
            reason = " ".join(str(error).split())[:200]
            raise AnoganError(f"Spark could not be started ({reason}); it needs Java 17 or newer.") from None
        self._context: Any = getattr(self.session, "_sc", None)
        if self._own and self._context is not None:
            self._context.setLogLevel("OFF")

    def end(self) -> None:
        if self._own:
            self.session.stop()

    def results(self, tasks: Iterable[str], model: Path | None) -> Iterator[bytes]:
        name = None if model is None else send(self.session, model)
        slots = _CONNECT_TASKS if self._context is None else self._context.defaultParallelism
        pool = ThreadPoolExecutor(slots + 1, thread_name_prefix="anogan-spark")
        try:
            yield from in_order(lambda task: pool.submit(self._result, task, name), tasks, slots + 1)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _result(self, task: str, model: str | None) -> bytes:
        """Run a task as a job of its own."""
        from pyspark.errors import PySparkException

        one = self.session.range(0, 1, 1, 1).mapInArrow(partial(_run, task=task, model=model), "result binary")
        try:
            return bytes(one.collect()[0]["result"])
        except PySparkException as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise AnoganError(f"Spark could not run a task: {lines[-1] if lines else 'no reason is given'}") from error


def _run(batches: Iterable[pa.RecordBatch], *, task: str, model: str | None) -> Iterator[pa.RecordBatch]:
    from pyspark import SparkFiles

    for _ in batches:
        result = run(task, None if model is None else SparkFiles.get(model))
        yield pa.RecordBatch.from_arrays([pa.array([result], pa.binary())], ["result"])
