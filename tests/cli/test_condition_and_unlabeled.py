"""`--condition` and `--unlabeled`, from files to scores."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan

from .conftest import mixed_table, save_picture

TINY = ["--steps", 3, "--width", 8, "--batch-size", 16, "--random-state", 0, "--n-members", 1, "-q"]


@pytest.fixture(scope="module")
def conditioned(data, run):
    model = data / "conditioned.anogan"
    run("fit", data / "normal.csv", "-m", model, "--detector", "conditional_gan", "--condition", "shop", *TINY)
    return model


def test_a_conditioned_model_scores_a_stream(run, data, conditioned, tmp_path):
    found = []
    for number, (source, options) in enumerate([("new.csv", []), ("new.parquet", ["--chunk-rows", 7])]):
        output = tmp_path / f"{number}.csv"
        run("score", data / source, "-m", conditioned, "-o", output, "--reasons", 5, *options)
        found.append(pd.read_csv(output))
    for column in found[0].columns[1:3]:
        np.testing.assert_allclose(*(scores[column] for scores in found), rtol=1e-5, atol=1e-6)
    expected = anogan.load(conditioned).anomaly_score(pd.read_parquet(data / "new.parquet"))
    np.testing.assert_allclose(found[0]["score"], expected, rtol=1e-5, atol=1e-6)
    assert (found[0].loc[found[0]["reason_5"] == "shop", "reason_5_share"] == 0).all()
    assert run("sample", "-m", conditioned, "-n", 5, "-o", tmp_path / "made.csv").exit_code == 0
    assert list(pd.read_csv(tmp_path / "made.csv").columns) == list(mixed_table(1).columns)
    facts = json.loads(run("inspect", conditioned, "--json").stdout)
    assert [column["name"] for column in facts["table"]] == list(mixed_table(1).columns)


def test_an_unknown_or_missing_condition_is_one_clear_line(run, data, conditioned, tmp_path):
    new = mixed_table(20, seed=2)
    new.assign(shop="wep").to_csv(tmp_path / "unknown.csv", index=False)
    new.drop(columns="shop").to_csv(tmp_path / "missing.csv", index=False)
    output = ["-m", conditioned, "-o", tmp_path / "scores.csv"]
    result = run("score", tmp_path / "unknown.csv", *output, code=2)
    assert "'wep' in 'shop' is not a known condition; did you mean 'web'? (rows 0, 1, 2, 3, 4)" in result.output
    assert "lacks column 'shop'" in run("score", tmp_path / "missing.csv", *output, code=2).output
    assert not (tmp_path / "scores.csv").exists()
    arguments = ["-m", tmp_path / "m.anogan", "--detector", "conditional_gan", "--condition", "shopp"]
    assert "Closest: 'shop'" in run("fit", data / "normal.csv", *arguments, code=2).output
    assert "no option --condition" in run(
        "fit", data / "normal.csv", "-m", tmp_path / "m", "--detector", "ganomaly", "--condition", "shop", code=2
    ).output  # fmt: skip


def test_pictures_have_the_name_of_their_folder_as_condition(run, tmp_path):
    for variant in ("left", "right"):
        for i in range(6):
            save_picture(tmp_path / "normal" / variant / f"{i}.png", i)
    model = tmp_path / "m.anogan"
    options = ["--detector", "conditional_gan", "--condition", "folder", "--image-size", 8]
    run("fit", tmp_path / "normal", "-m", model, *options, *TINY)
    run("score", tmp_path / "normal", "-m", model, "-o", tmp_path / "scores.csv", "--maps", tmp_path / "maps")
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 12
    (tmp_path / "normal" / "left").rename(tmp_path / "normal" / "lefft")
    result = run("score", tmp_path / "normal", "-m", model, "-o", tmp_path / "scores.csv", code=2)
    assert "Did you mean 'left'" in result.output


def test_an_unlabelled_set_changes_what_is_learned(run, data, tmp_path):
    scores = []
    source = tmp_path / "normal.csv"
    pd.read_csv(data / "normal.csv").assign(kind="fine").to_csv(source, index=False)
    for number, unlabeled in enumerate([[], ["--unlabeled", data / "labelled.csv"]]):
        model = tmp_path / f"{number}.anogan"
        run("fit", source, "-m", model, "--detector", "cycle_gan", "--drop", "kind", *unlabeled, *TINY)
        scores.append(anogan.load(model).anomaly_score(pd.read_parquet(data / "new.parquet")))
    assert not np.array_equal(*scores)


def test_an_unlabelled_set_of_pictures_is_read_too(run, data, tmp_path):
    options = ["--detector", "cycle_gan", "--image-size", 8, *TINY]
    run("fit", data / "parts", "-m", tmp_path / "m.anogan", "--unlabeled", data / "parts", *options)
    run("score", data / "parts", "-m", tmp_path / "m.anogan", "-o", tmp_path / "scores.csv")
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 8


def test_an_unlabelled_set_of_another_kind_or_for_another_detector_is_refused(run, data, tmp_path):
    model = ["-m", tmp_path / "m.anogan"]
    assert "not of the same kind" in run(
        "fit", data / "normal.csv", *model, "--detector", "cycle_gan", "--unlabeled", data / "parts", code=2
    ).output  # fmt: skip
    assert "--unlabeled is for detectors that learn from an unlabelled set" in run(
        "fit", data / "normal.csv", *model, "--detector", "ganomaly", "--unlabeled", data / "new.csv", code=2
    ).output  # fmt: skip
