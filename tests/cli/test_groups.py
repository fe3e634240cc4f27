"""Figures of each group of rows, and of each period."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import anogan
from anogan import InputError, metrics, periods

from .conftest import mixed_table


@pytest.fixture
def labelled(tmp_path):
    frame = mixed_table(90, seed=4)
    frame["kind"] = np.where(np.arange(90) % 5 == 0, "bad", "ok")
    frame.loc[frame["shop"] == "web", "kind"] = "ok"
    frame["seen"] = (pd.Timestamp("2024-01-29") + pd.to_timedelta(np.arange(90), unit="D")).strftime("%d.%m.%Y")
    frame.to_csv(tmp_path / "t.csv", index=False)
    return frame


def test_figures_of_each_value_of_a_column_the_model_knows_or_not(run, labelled, table_model, tmp_path):
    args = ("evaluate", tmp_path / "t.csv", "-m", table_model, "--label", "kind", "--normal", "ok", "--drop", "seen")
    groups = json.loads(run(*args, "--by", "shop", "--json").stdout)["groups"]
    assert [group["group"] for group in groups] == ["north", "south", "web"]
    assert sum(group["rows"] for group in groups) == 90
    assert groups[2]["auroc"] is None
    detector = anogan.load(table_model)
    scores = detector.anomaly_score(labelled[["amount", "items", "shop", "member", "day"]])
    some = (labelled["shop"] == "north").to_numpy()
    bad = (labelled["kind"] == "bad").to_numpy()
    assert groups[0]["auroc"] == pytest.approx(metrics.auroc(bad[some], scores[some]))
    assert groups[0]["flagged"] == (scores[some] > detector.calibration_.threshold).sum()
    X = labelled.drop(columns=["kind", "seen"])
    assert anogan.evaluate(detector, X, bad, by=labelled["shop"])["groups"][0] == pytest.approx(groups[0])
    assert "south" in run(*args, "--by", "shop").stdout


@pytest.mark.parametrize(("period", "first", "count"), [("month", "2024-01", 4), ("week", "2024-01-29", 13)])
def test_figures_of_each_period_of_dates_in_any_format(run, labelled, table_model, tmp_path, period, first, count):
    args = ("evaluate", tmp_path / "t.csv", "-m", table_model, "--label", "kind", "--normal", "ok")
    groups = json.loads(run(*args, "--by", f"seen:{period}", "--json").stdout)["groups"]
    assert (groups[0]["group"], len(groups)) == (first, count)


@pytest.mark.parametrize(
    ("by", "words"),
    [("sho", "Did you mean 'shop'"), ("day:mont", "Did you mean 'month'"), ("shop:month", "holds no dates")],
)
def test_a_column_that_makes_no_groups_is_refused_before_scoring(run, labelled, table_model, tmp_path, by, words):
    args = ("evaluate", tmp_path / "t.csv", "-m", table_model, "--label", "kind", "--normal", "ok", "--drop", "seen")
    assert words in run(*args, "--by", by, code=2).stderr


def test_groups_from_python_are_those_of_the_rows(table_model, labelled):
    detector = anogan.load(table_model)
    X, y = labelled.drop(columns=["kind", "seen"]), labelled["kind"] == "bad"
    with pytest.raises(InputError, match="group of each of 90 rows"):
        anogan.evaluate(detector, X, y, by=["a"])
    with pytest.raises(InputError, match="column of a table file"):
        anogan.evaluate(detector, X, y, by="shop")


def test_gaps_are_a_group_and_a_column_may_have_a_colon():
    assert periods.split_period("a:month", ["a:month"]) == ("a:month", None)
    column = pa.chunked_array([["2024-03-01", None]])
    assert periods.group_names(column, "month", "x").tolist() == ["2024-03", "(missing)"]
    assert periods.group_names(column, None, "x").tolist() == ["2024-03-01", "(missing)"]


def test_periods_of_dates_whose_day_may_be_the_month_are_said():
    column = pa.chunked_array([["03/04/2024", "05/06/2024"]])
    with pytest.warns(anogan.ColumnWarning, match="read as %m/%d/%Y, but may be %d/%m/%Y too. If"):
        assert periods.group_names(column, "month", "x").tolist() == ["2024-03", "2024-05"]
    assert periods.group_names(pa.chunked_array([[20240314, 20250101]]), "year", "x").tolist() == ["2024", "2025"]
