"""A session of Spark Connect, which is a client without a SparkContext."""

import os

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed; make test-cluster installs it")
pytest.importorskip("grpc_status", reason="Spark Connect needs grpcio-status; make test-cluster installs it")
import anogan.spark

from .sessions import ALL, assert_equal, in_order

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def connected():
    from pyspark.sql import SparkSession

    found = SparkSession.builder.remote("local[2]").getOrCreate()
    yield found
    found.stop()
    os.environ.pop("SPARK_REMOTE", None)
    os.environ.pop("SPARK_LOCAL_REMOTE", None)
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)


def test_scores_are_bit_equal_to_a_local_run(connected, data, local):
    df = connected.read.parquet(str(data / "new.parquet")).repartition(7)
    found = in_order(anogan.spark.score(df, data / "m.anogan", output=ALL, reasons=2))
    assert len(found) == len(local)
    assert_equal(found, local.drop(columns=["id"], errors="ignore"))


def test_a_file_is_scored_as_by_a_local_run(connected, data, tmp_path):
    args = (data / "new.parquet", data / "m.anogan")
    anogan.score_file(*args, tmp_path / "local.csv", chunk_rows=20)
    anogan.score_file(*args, tmp_path / "there.csv", chunk_rows=20, engine=anogan.SparkEngine(connected))
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
