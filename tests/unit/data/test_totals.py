"""Rows of totals among the rows of a table are said."""

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan.data.columns.totals import total_rows

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
        f"Column 'region' has '{text}' in row 60, where 'sales' is the sum of rows above; it is learned like other "
        "rows. Leave it out: X.drop(X.index[[60]])."
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(anogan.ColumnWarning, match="in row 60, where 'sales' is the sum"):
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
    assert "has 'Total a', 'Total b', 'Total c', 'Total', 'Mean' in 5 rows (20, 41, 62, 63, 64)" in note.text()


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
