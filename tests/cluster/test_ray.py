"""Ray's scores are those of a local run, bit for bit."""

import contextlib
import os

import numpy as np
import pandas as pd
import pytest

import anogan

ray = pytest.importorskip("ray", reason="ray is not installed; make test-cluster installs it")
pytest.importorskip("ray.data")
import anogan.ray  # noqa: E402

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=150 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize(("blocks", "actors"), [(1, 1), (7, 2), (64, 2)])
def test_scores_are_bit_equal_to_a_local_run(cluster, data, local, blocks, actors):
    ds = ray.data.read_parquet(str(data / "new.parquet")).random_shuffle(seed=0).repartition(blocks)
    scored = anogan.ray.score(
        ds, data / "m.anogan", output=("score", "p_value", "flag", "unseen", "status"), reasons=2, actors=actors
    )
    found = scored.to_pandas().sort_values("id", ignore_index=True)
    assert len(found) == len(local)
    for name in local:
        a, b = local[name], found[name]
        assert ((a == b) | (a.isna() & b.isna())).all(), name


def test_a_killed_worker_loses_and_doubles_nothing(cluster, data, local, tmp_path):
    """A task that gives the actors their rows ends its worker once; Ray repeats it."""
    mark = str(tmp_path / "died")

    def dies_once(batch):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), 9)
        return batch

    ds = ray.data.read_parquet(str(data / "new.parquet")).repartition(7).map_batches(dies_once, batch_format="pyarrow")
    found = anogan.ray.score(ds, data / "m.anogan", actors=1).to_pandas().sort_values("id", ignore_index=True)
    assert os.path.exists(mark)
    assert found["id"].is_unique
    assert len(found) == len(local)
    np.testing.assert_array_equal(found["score"].to_numpy(float, na_value=np.nan), local["score"])


def test_a_pool_that_would_leave_no_cpu_for_reading_is_refused(cluster, data):
    ds = ray.data.read_parquet(str(data / "new.parquet"))
    with pytest.raises(anogan.InputError, match="3 actors need more than 3 CPUs"):
        anogan.ray.score(ds, data / "m.anogan", actors=3)


def test_columns_that_do_not_suit_are_said_before_anything_runs(cluster, data):
    ds = ray.data.read_parquet(str(data / "new.parquet"))
    with pytest.raises(anogan.InputError, match="no column 'shop'"):
        anogan.ray.score(ds.drop_columns(["shop"]), data / "m.anogan")


def test_pictures_by_content(cluster, pictures):
    ds = ray.data.read_binary_files(str(pictures / "new"), include_paths=True)
    scored = anogan.ray.score_images(ds, pictures / "m.anogan", keep=["path"], output=("score", "status"), actors=1)
    found = scored.to_pandas()
    found = found.sort_values("path", ignore_index=True)
    assert found["status"].str.contains("not a picture").tolist() == [i == 3 for i in range(12)]
    local = pd.read_parquet(pictures / "local.parquet")
    np.testing.assert_allclose(found["score"].dropna(), local["score"], rtol=1e-6)  # rounded by how many lie together
