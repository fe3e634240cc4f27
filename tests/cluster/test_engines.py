"""`score_file`, fits and models of groups by Spark and Ray are those of a local run."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anogan

from .conftest import rows
from .sessions import session

pytestmark = pytest.mark.cluster
NAMES = ("spark", "ray")


@pytest.fixture(scope="module", params=NAMES)
def cluster(request):
    """An engine, and the module with a function that makes a table of the cluster of a Parquet file."""
    pytest.importorskip("pyspark" if request.param == "spark" else "ray", reason="make test-cluster installs it")
    if request.param == "spark":
        import anogan.spark

        found = session("local[2]")
        found.sparkContext.setLogLevel("OFF")
        yield anogan.SparkEngine(found), anogan.spark, lambda path: found.read.parquet(str(path)).repartition(5)
        found.stop()
        return
    import ray

    import anogan.ray

    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=150 * 2**20, log_to_driver=False)
    yield anogan.RayEngine(), anogan.ray, lambda path: ray.data.read_parquet(str(path)).repartition(5)
    ray.shutdown()


def collected(scored) -> pd.DataFrame:
    found = scored.toPandas() if hasattr(scored, "toPandas") else scored.to_pandas()
    return found.assign(score=found["score"].to_numpy(float, na_value=np.nan))


@pytest.mark.parametrize("given", [{"reasons": 2}, {"fdr": 0.2, "top": 50}])
def test_a_file_is_scored_as_by_a_local_run(cluster, data, tmp_path, given):
    args = (data / "new.parquet", data / "m.anogan")
    local = anogan.score_file(*args, tmp_path / "local.csv", chunk_rows=20, **given)
    there = anogan.score_file(*args, tmp_path / "there.csv", chunk_rows=20, engine=cluster[0], **given)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert there.notes == local.notes


def test_an_error_of_a_worker_is_one_sentence(cluster, data, tmp_path):
    with pytest.raises(anogan.InputError, match="column 'shop' has values that were not in the training data"):
        anogan.score_file(
            data / "new.parquet", data / "m.anogan", tmp_path / "there.csv", strict=True, engine=cluster[0]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_fit_by_the_sample_of_a_cluster_is_the_local_one(cluster, data, tmp_path, monkeypatch):
    monkeypatch.setattr("anogan.detectors.preparing.SAMPLED_ROWS", 200)
    monkeypatch.setattr("anogan.batch.engine._SAMPLED_AT_ONCE", 100)
    rows(600, 3).to_parquet(tmp_path / "normal.parquet", index=False, row_group_size=90, coerce_timestamps="us")
    file = anogan.TableFile(tmp_path / "normal.parquet")
    tiny = {**anogan.DenoisingGAN.tiny, "random_state": 0, "columns": {"id": "id"}}
    one, other = (anogan.DenoisingGAN(**tiny).fit(X) for X in (file, file.sampled_by(cluster[0])))
    np.testing.assert_array_equal(one.anomaly_score(rows(50, 4)), other.anomaly_score(rows(50, 4)))


def test_a_sample_of_a_data_frame_knows_all_values(cluster, tmp_path):
    frame = rows(600, 3)
    frame.loc[77, "shop"] = "rare"
    frame.to_parquet(tmp_path / "normal.parquet", index=False, coerce_timestamps="us")
    drawn = cluster[1].sample(cluster[2](tmp_path / "normal.parquet"), rows=50)
    assert (len(drawn.frame), drawn.total) == (50, 600)
    assert set(drawn.known["shop"]) == {*"abcde", "rare"}
    assert drawn.known["amount"].isna().any()
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, columns={"id": "id"}).fit(drawn)
    assert detector.fitted_on_["samples"] == 600
    assert detector.score_table(rows(20, 4))["unseen"].isna().all()


def test_models_of_groups_are_those_of_a_local_run(cluster, tmp_path):
    frame = rows(600, 3)
    frame.loc[::40, "shop"] = None
    frame.to_parquet(tmp_path / "normal.parquet", index=False, coerce_timestamps="us")
    frame = pd.read_parquet(tmp_path / "normal.parquet")
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, columns={"id": "id"})
    with pytest.warns(
        anogan.ColumnWarning, match="15 rows of 600 have no value in 'shop', so that no model learns them"
    ):
        there = cluster[1].fit_per_group(cluster[2](tmp_path / "normal.parquet"), "shop", detector, tmp_path / "there")
    assert list(there.index) == list("abcde")
    assert sum(facts["rows"] for facts in there.index.values()) == frame["shop"].notna().sum()
    new = rows(200, 4)
    new.loc[::5, "shop"] = "other"
    new.loc[1::20, "shop"] = None
    new.to_parquet(tmp_path / "new.parquet", index=False, coerce_timestamps="us")
    scored = cluster[1].score(cluster[2](tmp_path / "new.parquet"), tmp_path / "there", keep=["id"])
    found = collected(scored).sort_values("id", ignore_index=True)
    expected = anogan.score_per_group(pd.read_parquet(tmp_path / "new.parquet"), there)
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert list(found["status"]) == list(expected["status"])
    assert (found["status"] == "no model of shop=other").sum() == 40
    assert (found["status"] == "no value in 'shop'").sum() == 10
    assert found.loc[found["status"] != "ok", "score"].isna().all()


def test_whole_numbers_with_gaps_are_groups_as_in_a_local_run(cluster, tmp_path):
    frame = rows(120, 3).assign(shop=np.resize([1.0, 2.0, np.nan], 120))
    pq.write_table(
        pa.table(
            {
                **{name: pa.array(frame[name]) for name in ("id", "amount", "items")},
                "shop": pa.array(frame["shop"].to_numpy()),
            }
        ),
        tmp_path / "normal.parquet",
    )  # NaN, not null
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, columns={"id": "id"})
    with pytest.warns(anogan.ColumnWarning, match="40 rows of 120 have no value"):
        there = cluster[1].fit_per_group(cluster[2](tmp_path / "normal.parquet"), "shop", detector, tmp_path / "there")
    assert list(there.index) == ["1", "2"]
