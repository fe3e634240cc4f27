"""`anogan score --fdr` where calibration rows are few."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fdr")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 3)), columns=["a", "b", "c"])
    settings = {"steps": 100, "width": 16, "n_members": 1, "random_state": 0, "device": "cpu"}
    anogan.WGANGP(**settings).fit(X).save(folder / "m.anogan")
    anogan.WGANGP(**settings).fit(X[:60]).save(folder / "few.anogan")
    X.iloc[-1] = 50
    X.to_csv(folder / "new.csv", index=False)
    return folder


def test_nothing_can_be_flagged_and_the_ways_out_are_named(run, folder, tmp_path):
    done = run("score", folder / "new.csv", "-m", folder / "m.anogan", "-o", tmp_path / "s.csv", "--fdr", 0.01)
    assert "no row is flagged: with 200 calibration rows" in done.stderr
    assert "--tail fitted (a model, not a promise)" in done.stderr
    assert not pd.read_csv(tmp_path / "s.csv")["flag"].any()


@pytest.mark.parametrize("options", [(), ("--chunk-rows", 170)])
def test_a_fitted_tail_flags_as_in_python_and_is_said_to_be_a_model(run, folder, tmp_path, options):
    given = ("score", folder / "new.csv", "-m", folder / "m.anogan", "-o", tmp_path / "s.csv", "--fdr", 0.01)
    done = run(*given, "--tail", "fitted", *options)
    assert "flagged at FDR 0.01 by a fitted tail (a model, not a promise)" in done.stdout
    written, detector = pd.read_csv(tmp_path / "s.csv"), anogan.load(folder / "m.anogan")
    X = pd.read_csv(folder / "new.csv")
    np.testing.assert_allclose(written["p_value"], detector.p_value(X, tail="fitted"), rtol=1e-4)
    assert written["flag"].tolist() == detector.flag(X, 0.01, tail="fitted").tolist()
    assert written["flag"].iloc[-1]
    assert json.loads(run(*given, "--tail", "fitted", "--json").stdout)["tail"] == "fitted"


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("m.anogan", ("--tail", "fitted"), "--tail is for flags by false discovery rate; give --fdr Q too"),
        ("few.anogan", ("--tail", "fitted", "--fdr", 0.1), "A tail cannot be fitted to 12 calibration scores"),
    ],
)
def test_a_tail_that_cannot_be_used_is_refused_before_scoring(run, folder, tmp_path, model, options, words):
    done = run("score", folder / "new.csv", "-m", folder / model, "-o", tmp_path / "s.csv", *options, code=2)
    assert words in done.stderr
    assert not any(tmp_path.iterdir())
