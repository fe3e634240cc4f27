"""Data and a model for the tests of clusters, which `make test-cluster` runs."""

import os
import sys

import numpy as np
import pandas as pd
import pytest

import anogan

os.environ["PYSPARK_PYTHON"] = sys.executable


def rows(n: int, seed: int) -> pd.DataFrame:
    """Rows of every kind of column, with gaps."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.arange(n) * 7,
            "amount": np.exp(rng.normal(size=n)),
            "shop": rng.choice(list("abcde"), n),
            "items": rng.integers(1, 9, n),
            "known": rng.random(n) < 0.3,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 86400 * 300, n), unit="s"),
        }
    )
    frame.loc[::9, "amount"] = np.nan
    return frame


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a model, new rows with all that may be new in them, and their scores by `anogan.score_file`."""
    folder = tmp_path_factory.mktemp("cluster")
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, columns={"id": "id"})
    detector.fit(rows(300, 0)).save(folder / "m.anogan")
    new = rows(701, 1)
    new.loc[::7, "shop"] = "unknown"
    new.loc[6, "shop"] = None
    new.loc[::50, "amount"] *= 1000
    new.loc[5, "amount"] = np.inf
    new.to_parquet(folder / "new.parquet", index=False, coerce_timestamps="us")
    anogan.score_file(folder / "new.parquet", folder / "m.anogan", folder / "local.parquet", reasons=2)
    return folder


@pytest.fixture(scope="session")
def local(data):
    return pd.read_parquet(data / "local.parquet").drop(columns="row")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with pictures, a damaged one, a model of them, and their scores by `anogan.score_file`."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    (folder / "new").mkdir()
    for i in range(12):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "new" / f"{i:02d}.png")
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(anogan.ImageFolder(folder / "new", size=8))
    detector.save(folder / "m.anogan")
    (folder / "new" / "03.png").write_bytes(b"not a picture")
    anogan.score_file(folder / "new", folder / "m.anogan", folder / "local.parquet", on_error="skip")
    return folder
