"""`anogan columns`, the roles of columns on the command line, and what fit and score say about columns."""

import json

import numpy as np
import pandas as pd
import pytest

import anogan

N = 600
TINY = ["--steps", 3, "--width", 8, "--batch-size", 16, "--random-state", 0, "--n-members", 1, "-q"]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "rownames": np.arange(1, N + 1),
            "amount": rng.gamma(2.0, size=N).round(3),
            "plz": rng.choice(["01000", "80331", "99999"], N),
            "mcc": rng.choice([5411, 5812, 6011], N),
            "email": [f"a{i}@example.org" for i in range(N)],
            "when": [f"{day:%d.%m.%Y %H:%M}" for day in pd.date_range("2024-01-01", periods=N, freq="5h")],
        }
    )
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_each_column_is_shown_as_fit_will_read_it(run, table):
    result = run("columns", table)
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert lines["rownames"][0] == "(number)"
    assert lines["amount"][:2] == ["number", str(pd.read_csv(table)["amount"].nunique())]
    assert lines["plz"][0] == "category"
    assert lines["email"][0] == "(category)"
    assert "time of day, weekday" in " ".join(result.stdout.split())
    text = " ".join(result.stdout.split())
    assert "Column 'rownames' numbers the rows in their order (1 to 600); it is not learned. --number rownames" in text
    assert "--category mcc learns each value" in text
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[:8])


def test_the_shell_and_python_show_the_same(run, table):
    shell = json.loads(run("columns", table, "--json", "--category", "mcc").stdout)
    python = anogan.preview_columns(table, columns={"mcc": "category"})
    assert [c["name"] for c in shell["columns"]] == [c.name for c in python]
    assert [c["kind"] for c in shell["columns"]] == [c.kind for c in python]
    assert shell["columns"][3]["examples"] == python[3].examples
    frame = anogan.preview_columns(pd.read_csv(table, dtype={"plz": str}), {"mcc": "category"})
    assert [(c.name, c.kind, c.learned) for c in frame] == [(c.name, c.kind, c.learned) for c in python]


def test_a_column_that_stops_a_fit_is_shown_with_its_reason(run, table, tmp_path):
    pd.read_csv(table).assign(far=np.where(np.arange(N) == 3, np.inf, 1.0)).to_parquet(tmp_path / "bad.parquet")
    (far,) = [c for c in anogan.preview_columns(tmp_path / "bad.parquet") if c.name == "far"]
    assert (far.kind, far.learned) == ("unusable", False)
    assert "contains infinity in 1 row" in far.notes[0].seen


def test_roles_of_fit_are_kept_and_what_was_left_out_is_left_out_again(run, table, tmp_path):
    model = tmp_path / "model.anogan"
    roles = ["--category", "plz", "--category", "mcc", "--id", "rownames", "--drop", "email"]
    result = run("fit", table, "-m", model, *roles, "--date", "when:%d.%m.%Y %H:%M", *TINY)
    assert "Column" not in result.stderr
    assert anogan.load(model).columns["when"] == "date:%d.%m.%Y %H:%M"
    run("score", table, "-m", model, "-o", tmp_path / "scores.csv")
    pd.read_csv(table, dtype=str).drop(columns=["email", "rownames"]).to_csv(tmp_path / "less.csv", index=False)
    run("score", tmp_path / "less.csv", "-m", model, "-o", tmp_path / "again.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["rownames"].tolist() == list(range(1, N + 1))
    pd.testing.assert_frame_equal(scores.drop(columns="rownames"), pd.read_csv(tmp_path / "again.csv"))
    explained = run("explain", table, "-m", model, "--json").stdout
    assert "email" not in explained


def test_the_label_of_fit_needs_no_option_at_scoring(run, table, tmp_path):
    labelled = pd.read_csv(table, dtype=str).assign(kind=["ok"] * (N - 1) + ["bad"])
    labelled.to_csv(tmp_path / "labelled.csv", index=False)
    model = tmp_path / "model.anogan"
    result = run("fit", tmp_path / "labelled.csv", "-m", model, "--label", "kind", "--normal", "ok", *TINY)
    assert "Column 'email' has 599 distinct texts" in result.stderr
    assert "--number rownames learns it" in result.stderr
    assert "columns={" not in result.stderr
    run("score", tmp_path / "labelled.csv", "-m", model, "-o", tmp_path / "scores.csv")
    run("score", table, "-m", model, "-o", tmp_path / "scores.csv")


def test_only_leaves_the_others_out(run, table, tmp_path):
    run("fit", table, "-m", tmp_path / "m", "--only", "amount", "--category", "mcc", *TINY)
    assert [column.name for column in anogan.load(tmp_path / "m").preprocessor_.columns_] == ["amount", "mcc"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--category", "pltz"], "--category pltz: there is no such column. Did you mean 'plz'?"),
        (["--only", "amuont"], "Did you mean 'amount'?"),
        (["--category", "plz", "--id", "plz"], "--id plz: the column has another role by --category; give it one."),
        (["--date", "amount"], "in no known format of dates"),
        (["--date", "when:%d.%m."], "'%d.%m.', but has '01.01.2024 00:00'"),
    ],
)
def test_a_wrong_role_is_one_line(run, table, tmp_path, options, message):
    result = run("fit", table, "-m", tmp_path / "m", *options, *TINY, code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_later_period_is_said_once(run, table, tmp_path):
    model = tmp_path / "model.anogan"
    run("fit", table, "-m", model, "--only", "amount", "--date", "when", *TINY)
    later = pd.read_csv(table, dtype=str)
    later["when"] = [f"{day:%d.%m.%Y %H:%M}" for day in pd.date_range("2025-01-01", periods=N, freq="5h")]
    later.to_csv(tmp_path / "later.csv", index=False)
    result = run("score", tmp_path / "later.csv", "-m", model, "-o", tmp_path / "s.csv", "--chunk-rows", 50)
    assert result.stderr.count("lies beyond the range of training") == 1
    assert "Column 'when' lies beyond the range of training (2024-01-01 00:00 to" in result.stderr
    assert "in all 600 rows" in result.stderr


def test_if_all_columns_are_left_out_the_error_says_so(run, table, tmp_path):
    left_out = [part for name in pd.read_csv(table) for part in ("--drop", name)]
    result = run("fit", table, "-m", tmp_path / "m.anogan", *TINY, *left_out, code=2)
    assert "all columns are left out; at least one is needed" in result.stderr
