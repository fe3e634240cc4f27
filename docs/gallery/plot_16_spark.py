"""
Scores in Spark
===============

A fitted model scores a Spark DataFrame where it is. The scores are those of a local run, however the rows are spread.
Spark needs Java; without it this example only says so.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np

import anogan

hawks = anogan.load_hawks()
detector = anogan.DenoisingGAN(steps=200, target_fpr=0.05, random_state=0).fit(hawks.train)
model = Path(tempfile.mkdtemp()) / "hawks.anogan"
detector.save(model)
new = hawks.new[~hawks.unusual].reset_index(drop=True)

# %%
# Two partitions on this machine stand for a cluster.
if shutil.which("java"):
    from pyspark.sql import SparkSession

    import anogan.spark

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    frame = spark.createDataFrame(new.reset_index(names="row")).repartition(2)
    scored = anogan.spark.score(frame, model).toPandas().sort_values("row")
    spark.stop()
    print(scored[["row", "Wing", "score", "p_value", "flag"]].head())
    print("equal to local scores:", np.array_equal(scored["score"], detector.anomaly_score(new)))
else:
    print("There is no Java on this machine.")
