"""Rows that fit leaves out and evaluate measures by themselves."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan

from .conftest import TINY, mixed_table


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A table of 200 rows of which 40 are anomalous, with a date for each row in random order."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    frame = mixed_table(200).drop(columns="day")
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(200), unit="D")
    frame["kind"] = np.where(rng.permutation(200) < 40, "bad", "ok")
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    frame.assign(when=frame["when"].dt.strftime("%d.%m.%Y")).to_csv(folder / "german.csv", index=False)
    return folder, frame


def expected(rule, frame):
    if rule[0] == "--holdout":
        return np.random.default_rng(0).random(200) < 0.3
    if len(rule) == 2:
        return np.arange(200) >= 140
    return (frame["when"] >= frame["when"].sort_values().iloc[140]).to_numpy()


@pytest.mark.parametrize("file", ["t.csv", "t.parquet", "german.csv"])
@pytest.mark.parametrize(
    "rule", [("--holdout", 0.3), ("--holdout-last", 0.3), ("--holdout-last", 0.3, "--holdout-by", "when")]
)
def test_held_out_rows_are_not_learned_and_measured_by_themselves(run, labelled, tmp_path, rule, file):
    folder, frame = labelled
    args = (folder / file, "-m", tmp_path / "m", "--label", "kind", "--normal", "ok")
    normal, held_out = (frame["kind"] == "ok").to_numpy(), expected(rule, frame)
    facts = json.loads(run("fit", *args, *rule, "--drop", "when", *TINY, "--json").stdout)
    assert facts["rows"] == (normal & ~held_out).sum()
    found = json.loads(run("evaluate", *args, "--json").stdout)
    assert found["fitted_on"] == {"rows": facts["rows"], "normal": facts["rows"], "estimated": False}
    assert found["held_out"]["rows"] == (held_out | ~normal).sum()
    assert found["held_out"]["anomalous"] == 40
    shown = run("evaluate", *args).stdout
    assert f"{facts['rows']} of 200 rows were trained on" in shown
    assert "new rows" in shown


def test_without_labels_anomalous_rows_that_were_learned_are_not_measured(run, labelled, tmp_path):
    folder, frame = labelled
    run("fit", folder / "t.csv", "-m", tmp_path / "m", "--holdout-last", 0.3, "--drop", "kind", "--drop", "when", *TINY)
    args = ("--label", "kind", "--normal", "ok", "--json")
    found = json.loads(run("evaluate", folder / "t.csv", "-m", tmp_path / "m", *args).stdout)
    assert found["fitted_on"]["rows"] == 140
    assert found["held_out"]["anomalous"] == (frame["kind"][140:] == "bad").sum()


def test_another_file_is_judged_by_its_rows_alone(run, labelled, tmp_path):
    folder, frame = labelled
    run("fit", folder / "t.csv", "-m", tmp_path / "m", "--holdout", 0.3, "--label", "kind", "--normal", "ok", *TINY)
    mixed = frame.sample(frac=1, random_state=0)
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    args = ("--label", "kind", "--normal", "ok", "--json")
    model = anogan.load(tmp_path / "m")
    found = json.loads(run("evaluate", tmp_path / "mixed.csv", "-m", tmp_path / "m", *args).stdout)
    assert found["fitted_on"]["rows"] == pytest.approx(model.fitted_on_["samples"], abs=3)
    assert found["held_out"]["rows"] == pytest.approx(200 - model.fitted_on_["samples"], abs=3)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (["--holdout", 0.3, "--holdout-last", 0.3], "one of"),
        (["--holdout-by", "when"], "--holdout-last"),
        (["--holdout-last", 0.3, "--holdout-by", "whn"], "'when'"),
        (["--holdout-last", 0.3, "--holdout-by", "shop"], "no dates"),
        (["--holdout-last", 0.3, "--holdout-by", "amount"], "missing values"),
        (["--holdout-last", 0.001], "are left to learn from"),
        (["--holdout", 1], "0<x<1"),
    ],
)
def test_a_rule_that_holds_out_nothing_sensible_is_refused(run, labelled, tmp_path, rule, words):
    assert words in run("fit", labelled[0] / "t.csv", "-m", tmp_path / "m", *rule, *TINY, code=2).stderr
    assert not list(tmp_path.iterdir())


def test_pictures_and_arrays_are_held_out_by_hand(run, data, tmp_path):
    for path in (data / "parts", tmp_path / "x.npy"):
        np.save(tmp_path / "x.npy", np.zeros((9, 2)))
        assert "of their own" in run("fit", path, "-m", tmp_path / "m", "--holdout", 0.3, *TINY, code=2).stderr


def test_the_same_from_python(labelled):
    folder, frame = labelled
    file = anogan.TableFile(folder / "t.csv", drop=["kind", "when"]).holding_out(0.3, by="when")
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(file)
    assert detector.fitted_on_["holdout"]["first"].startswith("2024-05")
    known = detector.was_fitted_on(frame.drop(columns=["kind", "when"]))
    held_out = expected(("--holdout-last", 0.3, "by"), frame)
    assert known[~held_out].all()
    assert known[held_out].mean() < 0.2  # some equal rows of the fit by chance
