"""Rows that fit leaves out and evaluate measures by themselves."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
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
    number = frame["when"].dt.strftime("%d%m%Y").astype(int)  # 1022024 is the first of February
    frame.assign(when=number).to_parquet(folder / "numbers.parquet")
    frame.assign(when=frame["when"].dt.strftime("%d%m%Y")).to_csv(folder / "digits.csv", index=False)
    return folder, frame


def expected(rule, frame):
    if rule[0] == "--holdout":
        return np.random.default_rng(0).random(200) < 0.3
    if len(rule) == 2:
        return np.arange(200) >= 140
    return (frame["when"] >= frame["when"].sort_values().iloc[140]).to_numpy()


@pytest.mark.parametrize("file", ["t.csv", "t.parquet", "german.csv", "numbers.parquet", "digits.csv"])
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


@pytest.mark.parametrize("as_number", [False, True])
def test_dates_whose_day_may_be_the_month_are_said_and_read_as_asked(run, tmp_path, as_number):
    """Days and months up to the 12th: months come first unless a format is given, here or by a role."""
    days = pd.DatetimeIndex([f"2024-{month:02}-{day:02}" for day in range(1, 13) for month in range(1, 13)])
    form = "%d%m%Y" if as_number else "%d/%m/%Y"
    frame = mixed_table(144).drop(columns="day").assign(when=days.strftime(form))
    frame["when"] = frame["when"].astype(int) if as_number else frame["when"]
    path = tmp_path / ("t.parquet" if as_number else "t.csv")
    frame.to_parquet(path) if as_number else frame.to_csv(path, index=False)
    args = ("fit", path, "-m", tmp_path / "m", *TINY, "--holdout-last", 0.25, "--holdout-by")
    said = run(*args, "when" if as_number else f"when:{form}", "--drop", "when").stderr
    if as_number:
        assert "may be %m%d%Y too. If they are %m%d%Y, give --holdout-by 'when:%m%d%Y'." in said
        said = run(*args, f"when:{form}", "--drop", "when").stderr
    assert "may be" not in said
    assert anogan.load(tmp_path / "m").fitted_on_["holdout"] | {"first": None} == {
        "share": 0.25, "rows": 144, "seed": None, "by": "when", "first": None, "format": form,
    }  # fmt: skip
    assert anogan.load(tmp_path / "m").fitted_on_["holdout"]["first"].startswith("2024-10-01")
    run(*args, "when", "--date", f"when:{form}")
    assert anogan.load(tmp_path / "m").fitted_on_["holdout"]["first"].startswith("2024-10-01")
    assert "no dates in the format '%Y'" in run(*args, "when:%Y", code=2).stderr


def test_gaps_among_numbers_are_refused(labelled, tmp_path):
    frame = labelled[1].assign(when=np.r_[np.nan, np.arange(199)])
    pq.write_table(pa.table({"x": frame["amount"].fillna(0), "when": frame["when"].to_numpy()}), tmp_path / "t.parquet")
    with pytest.raises(anogan.InputError, match="'when' has gaps"):
        anogan.TableFile(tmp_path / "t.parquet").holding_out(0.3, by="when")


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
