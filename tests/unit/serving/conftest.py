"""Models to be served, and a service on a port of this machine."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")


def table(rows, seed=0):
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(3, 1, rows)
    return pd.DataFrame(
        {
            "amount": amount.round(2),
            "size": np.where(amount > 20, "large", "small"),
            "count": rng.poisson(3, rows),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) * 5, unit="h"),
        }
    )


def fit(X, cls=anogan.GANomaly, **changes):
    settings = cls.tiny | {"random_state": 0, "target_fpr": 0.2, "device": "cpu", "n_members": 1} | changes
    return cls(**settings).fit(X)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with the models rows.anogan, vector.anogan and pictures.anogan, and three pictures."""
    folder = tmp_path_factory.mktemp("served")
    fit(table(150)).save(folder / "rows.anogan")
    fit(np.random.default_rng(0).normal(size=(60, 3))).save(folder / "vector.anogan")
    (folder / "good").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(80, 160, (15, 24, 24), dtype=np.uint8)):
        Image.fromarray(pixels).save((folder / "good" if number < 12 else folder) / f"{number}.png")
    fit(anogan.ImageFolder(folder / "good", size=16)).save(folder / "pictures.anogan")
    return folder


@contextmanager
def served(*models, **options):
    """Run a service in a thread; yields a client."""
    from anogan.serving.app import create_app

    config = uvicorn.Config(create_app(models, **options), port=0, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="session")
def client(folder):
    """A client of a service of all three models."""
    with served(folder / "rows.anogan", folder / "vector.anogan", folder / "pictures.anogan") as client:
        yield client


@pytest.fixture(scope="session")
def detector(folder):
    return anogan.load(folder / "rows.anogan", device="cpu")
