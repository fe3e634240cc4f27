"""Small Spark sessions, and the comparison of their scores with those of a local run."""

import pandas as pd

ALL = ("score", "p_value", "flag", "unseen", "status")


def session(master: str):
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.ansi.enabled": "true",
    }
    builder = SparkSession.builder.master(master)
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def in_order(frame):
    return frame.toPandas().sort_values("id", ignore_index=True)


def assert_equal(found: pd.DataFrame, local: pd.DataFrame) -> None:
    for name in [column for column in local if column in found]:
        a, b = local[name], found[name]
        assert ((a == b) | (a.isna() & b.isna())).all(), name
