"""Small data on disk, and the command line called as a user calls it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import anogan
from anogan.cli.main import cli

TINY = ["--detector", "ganomaly", "--steps", "3", "--width", "8", "--batch-size", "16", "--random-state", "0", "-q"]


@pytest.fixture(scope="session")
def run() -> Callable[..., Result]:
    """Call the command line; with `code`, check how it ended, and that it never shows a traceback."""

    def call(*args: object, code: int | None = 0) -> Result:
        result = CliRunner().invoke(cli, [str(a) for a in args])
        assert "Traceback" not in result.output, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if code is not None:
            assert result.exit_code == code, result.output
        return result

    return call


def mixed_table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Numbers (one column with gaps), whole numbers, a category, true/false and dates."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(size=rows)
    amount[::7] = np.nan
    return pd.DataFrame(
        {
            "amount": amount,
            "items": rng.integers(1, 9, rows),
            "shop": rng.choice(["north", "south", "web"], rows),
            "member": rng.random(rows) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
        }
    )


def save_picture(path: Path, seed: int, *, colour: bool = False, size: tuple[int, int] = (20, 24)) -> None:
    """Grey noise of (height, width), or coloured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*size, 3) if colour else size, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same table as CSV, Parquet and labelled CSV, and pictures in MVTec layout."""
    folder = tmp_path_factory.mktemp("data")
    table = mixed_table(60)
    table.to_csv(folder / "normal.csv", index=False)
    table.to_parquet(folder / "normal.parquet")
    new = mixed_table(30, seed=1)
    new.to_csv(folder / "new.csv", index=False)
    new.to_parquet(folder / "new.parquet")
    new.assign(kind=np.where(np.arange(30) % 3, "fine", "fraud")).to_csv(folder / "labelled.csv", index=False)
    for i in range(12):
        save_picture(folder / "parts" / "train" / "good" / f"{i:02d}.png", i)
    for i in range(4):
        save_picture(folder / "parts" / "test" / "good" / f"{i}.png", 100 + i, size=(22, 30))
        save_picture(folder / "parts" / "test" / "scratch" / f"{i}.png", 200 + i)
        mask = np.zeros((20, 24), np.uint8)
        mask[3:9, 4:8] = 255
        file = folder / "parts" / "ground_truth" / "scratch" / f"{i}_mask.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(file)
    return folder


@pytest.fixture(scope="session")
def table_model(data: Path, run: Callable[..., Result]) -> Path:
    """A model of the mixed table."""
    run("fit", data / "normal.csv", "-m", data / "table.anogan", "--detector", "ganomaly", *TINY)
    return data / "table.anogan"


@pytest.fixture(scope="session")
def picture_model(data: Path, run: Callable[..., Result]) -> Path:
    """A model of the pictures at 8x8."""
    run(
        "fit",
        data / "parts",
        "-m",
        data / "parts.anogan",
        "--detector",
        "ganomaly",
        "--image-size",
        "8",
        *TINY,
    )
    return data / "parts.anogan"


@pytest.fixture(params=sorted(anogan.list_detectors()))
def detector_name(request: pytest.FixtureRequest) -> str:
    """Each detector by discovery."""
    return str(request.param)
