"""One bad cell does not stop a file: rows that cannot be scored are marked, named and counted."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from .conftest import TINY, mixed_table

STATUS = ["ok"] * 2 + ["infinite value in 'amount'", "'abc' in 'items' is not a number"] + ["ok"] * 4
UNSEEN = [None] * 4 + ["items", "shop", "items, shop", None]


@pytest.fixture
def bad(tmp_path):
    """Eight rows: an infinity, a text in a number column, a gap, an unknown category, both, and others."""
    table = mixed_table(8).astype({"items": object, "amount": object})
    table.loc[2, "amount"], table.loc[3, "items"], table.loc[4, "items"] = "inf", "abc", None
    table.loc[5, "shop"], table.loc[6, "shop"], table.loc[6, "items"] = "moon", "moon", None
    table.to_csv(tmp_path / "bad.csv", index=False)
    return tmp_path / "bad.csv"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_every_row_has_a_status_and_its_unseen_columns(run, table_model, bad, tmp_path, suffix):
    result = run("score", bad, "-m", table_model, "-o", tmp_path / f"s.{suffix}", "--json")
    facts = json.loads(result.stdout)
    assert facts["rows"] == 8
    assert facts["unscored"]["rows"] == 2
    assert facts["unscored"]["first"] == {"2": STATUS[2], "3": STATUS[3]}
    assert f"Warning: 2 rows cannot be scored: {STATUS[2]} (row 2), {STATUS[3]} (row 3)." in result.stderr.splitlines()
    if suffix == "parquet":
        scores = pq.read_table(tmp_path / "s.parquet").to_pandas()
    else:
        scores = pd.read_csv(tmp_path / f"s.{suffix}", sep="\t" if suffix == "tsv" else ",")
    assert scores.columns.tolist() == ["row", "score", "p_value", "flag", "unseen", "status"]
    assert scores["status"].tolist() == STATUS
    assert scores["unseen"].astype(object).where(scores["unseen"].notna(), None).tolist() == UNSEEN
    for column in ("score", "p_value", "flag"):
        assert scores[column].isna().tolist() == [status != "ok" for status in STATUS]


def test_one_bad_cell_among_many_numbers_does_not_stop_a_file(run, table_model, tmp_path):
    table = mixed_table(120).astype({"amount": object})
    table.loc[6, "amount"] = "abc"
    table.to_csv(tmp_path / "bad.csv", index=False)
    for options in ([], ["--keep", "shop"], ["--keep", "amount", "--keep", "items"], ["--top", "200"]):
        result = run("score", tmp_path / "bad.csv", "-m", table_model, "-o", tmp_path / "s.csv", "-q", *options)
        assert "1 row cannot be scored: 'abc' in 'amount' is not a number (row 6)" in result.stderr, options
        scores = pd.read_csv(tmp_path / "s.csv").sort_values("row", ignore_index=True)
        assert scores["score"].isna().sum() == 1, options
        if "amount" in options:
            assert scores["amount"].tolist() == table["amount"].astype(str).tolist()
            assert scores["items"].dtype == int


def test_a_first_time_gap_is_skipped_by_choice(run, table_model, bad, tmp_path):
    run("score", bad, "-m", table_model, "-o", tmp_path / "s.csv", "--on-gap", "skip")
    scores = pd.read_csv(tmp_path / "s.csv")
    assert scores["status"].tolist()[4:] == ["missing value in 'items'", "ok", "missing value in 'items'", "ok"]
    assert scores["unseen"].tolist()[5] == "shop"


def test_stop_ends_the_run_at_the_first_bad_row_and_writes_nothing(run, table_model, bad, tmp_path):
    result = run("score", bad, "-m", table_model, "-o", tmp_path / "s.csv", "--on-error", "stop", code=2)
    assert result.stderr.count("\n") == 1
    assert "row 2 cannot be scored: infinite value in 'amount'" in result.stderr
    assert "--on-error skip" in result.stderr
    assert not list(tmp_path.glob("s.csv*"))


def test_a_file_without_a_usable_row_is_an_error(run, table_model, tmp_path):
    mixed_table(7).assign(amount=np.inf).to_csv(tmp_path / "bad.csv", index=False)
    result = run("score", tmp_path / "bad.csv", "-m", table_model, "-o", tmp_path / "s.csv", code=2)
    words = (
        "has no row that can be scored. 7 rows cannot be scored: infinite value in 'amount' (rows 0, 1, 2, 3, 4) and 2"
    )
    assert words in result.stderr
    assert not list(tmp_path.glob("s.csv*"))


def test_other_rows_score_as_without_the_bad_ones(run, table_model, bad, tmp_path):
    run("score", bad, "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", 1)
    good = pd.read_csv(bad, dtype=str).drop(index=[2, 3])
    good.to_csv(tmp_path / "good.csv", index=False)
    run("score", tmp_path / "good.csv", "-m", table_model, "-o", tmp_path / "g.csv", "--chunk-rows", 1)
    scores, without = pd.read_csv(tmp_path / "s.csv").drop(index=[2, 3]), pd.read_csv(tmp_path / "g.csv")
    assert scores["score"].tolist() == without["score"].tolist()


@pytest.mark.parametrize("options", [("--sort",), ("--top", 7), ("--fdr", 0.5), ("--reasons", 1), ("--keep", "shop")])
def test_rows_without_a_score_come_last_and_are_never_flagged(run, table_model, bad, tmp_path, options):
    run("score", bad, "-m", table_model, "-o", tmp_path / "s.csv", *options)
    scores = pd.read_csv(tmp_path / "s.csv")
    assert (scores["score"].isna() == (scores["status"] != "ok")).all()
    assert (scores["flag"].isna() == scores["score"].isna()).all()
    if options[0] in ("--sort", "--top"):
        assert scores["score"].isna().tolist() == [False] * 6 + [True] * (len(scores) - 6)


def test_an_interrupted_run_resumes_to_the_same_file(run, table_model, bad, tmp_path, monkeypatch):
    import anogan

    args = ("score", bad, "-m", table_model, "--chunk-rows", 3, "--json")
    whole = json.loads(run(*args, "-o", tmp_path / "whole.csv").stdout)
    score, calls = anogan.Detector.score_part, []

    def fail_at_the_third(self, X):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(5, "the disk is gone")
        return score(self, X)

    monkeypatch.setattr(anogan.Detector, "score_part", fail_at_the_third)
    run(*args, "-o", tmp_path / "s.csv", code=1)
    monkeypatch.undo()
    resumed = json.loads(run(*args, "-o", tmp_path / "s.csv", "--resume").stdout)
    assert (tmp_path / "s.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert resumed | {"output": ""} == whole | {"output": ""}


@pytest.mark.parametrize("command", ["evaluate", "explain", "inspect", "recalibrate", "report"])
def test_other_commands_leave_such_rows_out_and_say_so(run, table_model, bad, tmp_path, command):
    table = pd.read_csv(bad, dtype=str)
    args = {
        "evaluate": ["--label", "y"],
        "explain": ["--rows", 2],
        "recalibrate": ["-o", tmp_path / "m2"],
        "report": ["-o", tmp_path / "r.html"],
    }
    if command == "evaluate":
        table["y"] = [0, 1] * 4
        table.to_csv(bad, index=False)
    if command == "inspect":
        result = run("inspect", table_model, "--against", bad, "--json")
        assert json.loads(result.stdout)["drift"]["rows"] == 6
    else:
        result = run(command, bad, "-m", table_model, *args[command])
    assert "Warning: 2 rows cannot be scored: infinite value in 'amount' (row 2), " in result.stderr


def test_an_array_with_a_missing_value(run, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    np.save(tmp_path / "X.npy", X)
    run("fit", tmp_path / "X.npy", "-m", tmp_path / "m", *TINY)
    X[5, 1], X[7, 2] = np.nan, np.inf
    np.save(tmp_path / "new.npy", X)
    run("score", tmp_path / "new.npy", "-m", tmp_path / "m", "-o", tmp_path / "s.csv")
    scores = pd.read_csv(tmp_path / "s.csv")
    assert scores["status"][5] == "missing value in column 1"
    assert scores["status"][7] == "infinite value in column 2"
    assert scores["score"].isna().sum() == 2
