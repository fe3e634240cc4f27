"""What `fit` was told about its file holds for the files that the model scores."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

TINY = ("--steps", 10, "--n-members", 1, "--random-state", 0, "-q")
N = 200


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    amount = rng.lognormal(3, 1, N).round(2)
    amount[[4, 40]] = -999
    kind = np.where(np.arange(N) % 10 == 9, "bad", "good")
    return pd.DataFrame({"amount": amount, "items": rng.integers(1, 9, N), "kind": kind})


def test_texts_for_missing_values_are_kept(run, table, tmp_path):
    table.drop(columns="kind").to_csv(tmp_path / "t.csv", index=False)
    run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", "--na-values=-999", "--na-values=-999.0", *TINY)
    run("score", tmp_path / "t.csv", "-m", tmp_path / "m", "-o", tmp_path / "kept.csv")
    run("score", tmp_path / "t.csv", "-m", tmp_path / "m", "-o", tmp_path / "said.csv", "--na-values=-999.0")
    assert (tmp_path / "kept.csv").read_bytes() == (tmp_path / "said.csv").read_bytes()
    table["amount"] = table["amount"].mask(table["amount"] == -999)
    table.drop(columns="kind").to_csv(tmp_path / "gaps.csv", index=False)
    run("score", tmp_path / "gaps.csv", "-m", tmp_path / "m", "-o", tmp_path / "gaps_scored.csv")
    assert (tmp_path / "kept.csv").read_bytes() == (tmp_path / "gaps_scored.csv").read_bytes()
    table.drop(columns="kind").to_parquet(tmp_path / "t.parquet")  # this format has no dialect
    run("score", tmp_path / "t.parquet", "-m", tmp_path / "m", "-o", tmp_path / "parquet.csv")


def test_a_missing_header_is_kept(run, table, tmp_path):
    table.drop(columns="kind").to_csv(tmp_path / "t.csv", index=False, header=False)
    run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", "--no-header", *TINY)
    run("score", tmp_path / "t.csv", "-m", tmp_path / "m", "-o", tmp_path / "scores.csv")
    assert len(pd.read_csv(tmp_path / "scores.csv")) == N


def test_the_normal_label_is_kept(run, table, tmp_path):
    table.to_csv(tmp_path / "t.csv", index=False)
    run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", "--label", "kind", "--normal", "good", *TINY)
    kept = run("evaluate", tmp_path / "t.csv", "-m", tmp_path / "m", "--label", "kind", "--json").stdout
    said = run("evaluate", tmp_path / "t.csv", "-m", tmp_path / "m", "--label", "kind", "--normal", "good", "--json")
    assert kept == said.stdout
    table.rename(columns={"kind": "other"}).to_csv(tmp_path / "t.csv", index=False)
    error = run("evaluate", tmp_path / "t.csv", "-m", tmp_path / "m", "--label", "other", code=2).stderr
    assert "--normal" in error


def test_the_name_of_the_folder_of_normal_pictures_is_kept(run, tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("A", "B"):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "p" / kind / f"{number}.png")
    fit = ("--detector", "ganomaly", "--image-size", 8, "--width", 8, *TINY)
    run("fit", tmp_path / "p", "-m", tmp_path / "m", "--normal", "A", *fit)
    kept = run("evaluate", tmp_path / "p", "-m", tmp_path / "m", "--json").stdout
    assert kept == run("evaluate", tmp_path / "p", "-m", tmp_path / "m", "--json", "--normal", "A").stdout
    assert kept != run("evaluate", tmp_path / "p", "-m", tmp_path / "m", "--json", "--normal", "B").stdout
    (tmp_path / "p" / "A").rename(tmp_path / "p" / "good")  # whose name says it
    run("evaluate", tmp_path / "p", "-m", tmp_path / "m", "--json")


@pytest.mark.parametrize("role", ["category", "date"])
def test_errors_about_roles_name_options(run, table, tmp_path, role):
    table.assign(key=[f"key {i}" for i in range(N)]).to_csv(tmp_path / "t.csv", index=False)
    error = run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", f"--{role}", "key", *TINY, code=2).stderr
    assert "X." not in error
    assert "columns={" not in error
    assert "--drop key" in error or "--date key:" in error
