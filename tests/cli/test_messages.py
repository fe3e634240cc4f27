"""What the command line says about mistakes, and in which form."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan

from .conftest import TINY, mixed_table


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["score", "nowhere.csv", "-m", "{model}", "-o", "{out}"], 2, "no file or folder"),
        (["score", "{new}", "-m", "{new}", "-o", "{out}"], 2, "not a model"),
        (["score", "{new}", "-m", "{model}"], 2, "Missing option '-o'"),
        (["score", "{new}", "-m", "{model}", "-o", "{out}", "--typo"], 2, "No such option"),
        (["scor", "{new}"], 2, "Did you mean 'score'"),
        (["fit", "{new}", "-m", "{out}", "--steps", "none"], 2, "--steps must be"),
    ],
)
def test_an_error_under_json_is_one_object_with_the_same_exit_code(run, data, table_model, tmp_path, args, code, words):
    places = {"model": table_model, "new": data / "new.csv", "out": tmp_path / "s.csv"}
    args = [word.format(**places) for word in args]
    plain = run(*args, code=code)
    assert not plain.stdout
    failed = run(*args, "--json", code=code)
    assert not failed.stderr
    found = json.loads(failed.stdout)
    assert found["exit_code"] == code
    assert words in found["error"]
    assert plain.stderr.startswith(f"Error: {found['error']}")


def test_an_error_under_json_leaves_a_table_on_standard_output_alone(run, data, table_model):
    failed = run("score", data / "new.csv", "-m", table_model, "-o", "-", "--drop", "typo", "--json", code=2)
    assert not failed.stdout
    assert "typo" in json.loads(failed.stderr)["error"]


def test_all_columns_to_be_dropped_are_named_at_once_and_quoted(run, data, table_model, tmp_path):
    frame = pd.read_csv(data / "new.csv").assign(**{"tail num": 1, "b": 2})
    frame.to_csv(tmp_path / "new.csv", index=False)
    failed = run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", code=2)
    assert "--drop 'tail num' --drop b" in failed.stderr


def test_a_missing_column_without_another_one_has_no_empty_hint(run, data, table_model, tmp_path):
    pd.read_csv(data / "new.csv")[["items"]].to_csv(tmp_path / "new.csv", index=False)
    failed = run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", code=2)
    assert "There are" not in failed.stderr


@pytest.mark.parametrize("far", [0, 1])
def test_an_fdr_that_can_flag_nothing_says_so_on_every_file(run, table_model, tmp_path, far):
    frame = mixed_table(400, seed=3)
    if far:
        frame.loc[0, "amount"] = 1e9
    frame.to_csv(tmp_path / "new.csv", index=False)
    done = run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--fdr", 0.001)
    assert "no row is flagged" in done.stderr
    with pytest.warns(anogan.CalibrationWarning, match="No row is flagged"):
        anogan.load(table_model).flag(pd.read_csv(tmp_path / "new.csv", parse_dates=["day"]), fdr=0.001)


def test_exchanged_labels_are_noticed(run, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": np.append(rng.normal(size=150), np.full(30, 60.0)), "kind": "ok"})
    frame.loc[150:, "kind"] = "bad"
    frame.to_csv(tmp_path / "t.csv", index=False)
    args = (tmp_path / "t.csv", "-m", tmp_path / "m", "--label", "kind", "--normal")
    run("fit", *args, "ok", *TINY)
    assert "AUROC is below 0.5" in run("evaluate", *args, "bad").stderr
    assert "AUROC" not in run("evaluate", *args, "ok").stderr
