"""Spark's scores are those of a local run, bit for bit, however the rows are spread."""

import numpy as np
import pandas as pd
import pytest

import anogan

pytest.importorskip("pyspark", reason="pyspark is not installed; make test-cluster installs it")
import anogan.spark

from .sessions import ALL, assert_equal, in_order, session

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def spark():
    found = session("local[2]")
    found.sparkContext.setLogLevel("OFF")
    yield found
    found.stop()


@pytest.mark.parametrize("partitions", [1, 7, 64])
def test_scores_are_bit_equal_to_a_local_run(spark, data, local, partitions):
    from pyspark.sql import functions

    df = spark.read.parquet(str(data / "new.parquet")).orderBy(functions.rand(1)).repartition(partitions)
    scored = anogan.spark.score(df, data / "m.anogan", output=ALL, reasons=2)
    assert scored.columns[:6] == ["id", "amount", "shop", "items", "known", "day"]
    found = in_order(scored)
    assert len(found) == len(local)
    assert_equal(found, local.drop(columns=["id"], errors="ignore"))
    assert found["status"].iloc[5] == "infinite value in 'amount'"


def test_empty_partitions_and_empty_data(spark, data):
    df = spark.read.parquet(str(data / "new.parquet"))
    few = df.where("id < 14").repartition(8)
    assert anogan.spark.score(few, data / "m.anogan").count() == 2
    assert anogan.spark.score(df.where("id < 0"), data / "m.anogan").toPandas().shape == (0, 10)


def test_kept_columns_and_other_types_of_numbers(spark, data, local):
    df = spark.read.parquet(str(data / "new.parquet"))
    more, fixed = df["items"].cast("string"), df["items"].cast("decimal(10,2)")
    df = df.withColumns({"more": more, "items": fixed})
    scored = anogan.spark.score(df, anogan.load(data / "m.anogan"), output=("score",), keep=["id", "more"])
    assert scored.columns == ["id", "more", "score"]
    assert_equal(in_order(scored), local[["score"]])


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        (lambda df: df.drop("shop"), {}, "no column 'shop'"),
        (lambda df: df.withColumn("amount", df["amount"].cast("string")), {}, "'amount' should hold numbers"),
        (lambda df: df.withColumn("score", df["amount"]), {}, "column 'score' already"),
        (lambda df: df, {"output": ("scores",)}, "output must be of score, p_value, flag, unseen, status"),
        (lambda df: df, {"keep": ["idd"]}, "no column 'idd'"),
        (lambda df: df, {"on_gap": "no"}, "on_gap must be"),
    ],
)
def test_what_does_not_suit_is_said_before_anything_runs(spark, data, change, given, said):
    df = change(spark.read.parquet(str(data / "new.parquet")))
    with pytest.raises(anogan.InputError, match=said):
        anogan.spark.score(df, data / "m.anogan", **given)


@pytest.mark.parametrize("binary", [False, True])
def test_pictures_by_path_or_content(spark, pictures, binary):
    df = spark.read.format("binaryFile").load(str(pictures / "new"))
    scored = anogan.spark.score_images(
        df.repartition(3),
        pictures / "m.anogan",
        "content" if binary else "path",
        keep=["path"],
        output=("score", "status"),
    )
    found = scored.toPandas()
    found = found.sort_values("path", ignore_index=True)
    assert found["status"].str.contains("not a picture").tolist() == [i == 3 for i in range(12)]
    local = pd.read_parquet(pictures / "local.parquet")
    np.testing.assert_allclose(found["score"].dropna(), local["score"], rtol=1e-6)  # rounded by how many lie together


def test_names_of_columns_may_have_dots_and_backticks(spark, tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x.y": rng.normal(size=60), "n`m": rng.integers(0, 9, 60), "g.h": rng.choice(["u", "v"], 60)})
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(rows.drop(columns="g.h"))
    scored = anogan.spark.score(spark.createDataFrame(rows), detector).toPandas()
    assert list(scored.columns) == ["x.y", "n`m", "g.h", *("score", "p_value", "flag", "status")]
    np.testing.assert_array_equal(scored["score"], detector.anomaly_score(rows.drop(columns="g.h")))
    assert list(anogan.spark.sample(spark.createDataFrame(rows), rows=50).frame) == list(rows)
    tiny = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0)
    groups = anogan.spark.fit_per_group(spark.createDataFrame(rows), "g.h", tiny, tmp_path / "models")
    assert list(groups.index) == ["u", "v"]
