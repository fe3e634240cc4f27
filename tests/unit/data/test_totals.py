"""Rows of totals among the rows of a table are said."""

import re

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan.data.columns.totals import total_rows
from anogan.sources.labels import NormalRows

RNG = np.random.default_rng(0)
SALES = pd.DataFrame(
    {"region": np.repeat(list("abc"), 20), "sales": RNG.gamma(2, 9, 60).round(2), "units": RNG.integers(1, 9, 60)}
)


def with_row(text, frame=SALES, **numbers):
    return pd.concat([frame, pd.DataFrame([{"region": text, **numbers}])], ignore_index=True)


@pytest.mark.parametrize("text", ["Total", "GRAND TOTAL:", "Sum", "Summe", "Gesamtsumme", "gesamt", "Σ", "All"])
def test_a_total_in_the_last_row_is_said_at_fit_and_in_the_preview(text, tmp_path):
    table = with_row(text, sales=round(SALES["sales"].sum(), 2))
    (note,) = total_rows(table)
    assert note.text() == (
        f"Column 'region' has '{text}' in 1 row, where 'sales' is the sum of rows above; it is learned like other "
        f"rows. Leave it out: X[~X['region'].isin(['{text}'])]."
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(anogan.ColumnWarning, match="in 1 row, where 'sales' is the sum"):
        anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(anogan.TableFile(tmp_path / "t.csv"))
    assert anogan.preview_columns(tmp_path / "t.csv")[0].notes[-1].text(shell=True).endswith("Remove it from the file.")


def test_totals_after_each_group_and_means_are_said():
    parts = []
    for name, part in SALES.groupby("region"):
        parts.append(with_row(f"Total {name}", part, sales=part["sales"].sum(), units=part["units"].sum()))
    table = pd.concat(parts, ignore_index=True)
    table = with_row("Total", table, sales=SALES["sales"].sum())
    table = with_row("Mean", table, sales=SALES["sales"].mean())
    (note,) = total_rows(table)
    assert "has 'Total a', 'Total b', 'Total c', 'Total', 'Mean' in 5 rows, where" in note.text()
    advice = re.search(r"Leave them out: (X\[.*\])\.$", note.text())[1]
    kept = eval(advice, {"X": table})
    assert kept["sales"].tolist() == SALES["sales"].tolist()


def test_a_text_that_also_stands_in_other_rows_gets_no_code_that_would_drop_them():
    table = with_row("All", with_row("All", sales=7.5, units=3), sales=round(SALES["sales"].sum(), 2))
    (note,) = total_rows(table)
    assert "has 'All' in 1 row, where" in note.text()
    assert note.text().endswith("Leave it out.")


@pytest.mark.parametrize("chosen", ["label", "holdout"])
def test_a_total_is_said_without_a_row_if_rows_of_the_file_are_left_out(tmp_path, chosen):
    """Three rows above the total are not learned, so that its place among the learned rows is none in the file."""
    table = with_row("Total", sales=round(SALES["sales"].sum(), 2)).assign(y="normal", t=range(61))
    others = pd.DataFrame({"region": "a", "sales": 0.0, "units": 1.0, "y": "bad", "t": range(100, 103)})
    pd.concat([others, table]).to_csv(tmp_path / "t.csv", index=False)
    file = anogan.TableFile(tmp_path / "t.csv")
    if chosen == "label":
        file = file.selecting(text=("y",), keep=NormalRows(file.path, "y", "normal"))
    else:
        file = file.holding_out(3 / 64, by="t")
    (note,) = [n for p in anogan.preview_columns(file) for n in p.notes if "sum of rows" in n.seen]
    assert note.text(shell=True) == (
        "Column 'region' has 'Total' in 1 row, where 'sales' is the sum of rows above; it is learned like other rows. "
        "Remove it from the file."
    )


@pytest.mark.parametrize(
    "table",
    [
        SALES,
        with_row("Total", sales=7.5, units=3),  # not the sum
        with_row("x", sales=SALES["sales"].sum()),  # no word
        with_row("Total", SALES[:3], sales=SALES["sales"][:3].sum()),  # too few rows for one column to show it
        with_row("Total", SALES.assign(units=0, sales=0.0), sales=0.0, units=0),
        SALES.assign(region=["total", "half", "none"] * 20),
    ],
    ids=["none", "another number", "no word", "few rows", "zeros", "a kind"],
)
def test_other_rows_are_not_said(table):
    assert total_rows(table) == []


@pytest.mark.parametrize("text", ["region_total", "SalesTotal", "XMLTotal", "Größensumme", "TOTAL_A", "the mean (a)"])
def test_a_word_of_totals_is_seen_wherever_a_word_starts(text):
    (note,) = total_rows(with_row(text, sales=SALES["sales"].mean() if "mean" in text else SALES["sales"].sum()))
    assert f"has {text!r} in 1 row" in note.text()


@pytest.mark.parametrize(
    "form", ["parallel small installation {}", "PARALLEL SMALL {}", "ZusammenInTotalität{}", "all {}"]
)
def test_no_text_is_looked_at_by_itself_if_it_has_no_such_word_or_most_have(form, monkeypatch):
    """262,144 texts with "all" in other words took 2 seconds more than texts without."""
    monkeypatch.setattr("anogan.data.columns.totals._word", None)
    table = pd.DataFrame({"text": [form.format(i) for i in range(60)], "sales": SALES["sales"]})
    assert total_rows(table) == []


def test_words_among_small_whole_numbers_are_hardly_ever_taken_for_totals():
    """Of 300 random tables of whole numbers, in which a tenth of the rows each is "total" and "all", one at most."""
    said = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        rows, most = int(rng.integers(5, 60)), rng.choice([3, 10, 100])
        numbers = {f"x{i}": rng.integers(0, most, rows) for i in range(rng.integers(1, 8))}
        kind = rng.choice(["total", "all", "some", "none"], rows, p=[0.1, 0.1, 0.4, 0.4])
        said += len(total_rows(pd.DataFrame({"kind": kind, **numbers})))
    assert said <= 1
