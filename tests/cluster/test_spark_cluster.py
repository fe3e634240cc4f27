"""Two executors in processes of their own, one of whose workers dies."""

import os

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed; make test-cluster installs it")
import anogan.spark

from .sessions import ALL, assert_equal, in_order, session

pytestmark = pytest.mark.cluster


def test_a_killed_worker_loses_and_doubles_nothing(data, local, tmp_path):
    """Each worker ends itself at its first batch, once; Spark repeats its tasks."""
    spark = session("local-cluster[2,1,1024]")
    try:
        spark.sparkContext.setLogLevel("OFF")
        df = spark.read.parquet(str(data / "new.parquet")).repartition(7)
        mark = str(tmp_path / "died")

        def dies_once(batches):
            for batch in batches:
                try:
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    yield batch
                else:
                    os.kill(os.getpid(), 9)

        df = df.mapInArrow(dies_once, df.schema)
        found = in_order(anogan.spark.score(df, data / "m.anogan", output=ALL))
    finally:
        spark.stop()
    assert os.path.exists(mark)
    assert found["id"].is_unique
    assert len(found) == len(local)
    assert_equal(found, local.drop(columns=["id"], errors="ignore"))
