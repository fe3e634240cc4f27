"""The account of a table's rows: every kind of bad cell is named, and the other rows are usable."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

import anogan
from anogan import InputError
from anogan.data.choose import preprocessor_for
from anogan.data.tabular import TablePreprocessor


@pytest.fixture(scope="module")
def training():
    return pd.DataFrame(
        {
            "amount": np.arange(6) + 0.5,
            "shop": ["north", "south"] * 3,
            "member": [True, False] * 3,
            "day": pd.date_range("2025-01-01", periods=6, freq="90D"),
            "gaps": [1.0, np.nan] * 3,
        }
    )


@pytest.fixture(scope="module")
def preprocessor(training):
    return TablePreprocessor().fit(training)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("amount", "abc", "'abc' in 'amount' is not a number"),
        ("amount", np.inf, "infinite value in 'amount'"),
        ("amount", -np.inf, "infinite value in 'amount'"),
        ("amount", 10**400, "a value in 'amount' is out of range"),
        ("amount", True, "'True' in 'amount' is not a number"),
        ("amount", pd.Timestamp("2026-01-01"), "'2026-01-01 00:00:00' in 'amount' is not a number"),
        ("amount", "x" * 50, f"'{'x' * 40}...' in 'amount' is not a number"),
        ("shop", 5, "'5' in 'shop' is not text"),
        ("shop", [1], "'[1]' in 'shop' is not text"),
        ("member", "maybe", "'maybe' in 'member' is not true or false"),
        ("member", 2, "'2' in 'member' is not true or false"),
        ("day", "2026-13-45", "'2026-13-45' in 'day' is not a date as in training (ISO 8601 without a time zone)"),
        ("day", 7, "'7' in 'day' is not a date as in training (ISO 8601 without a time zone)"),
        ("day", pd.Timestamp("2026-01-01", tz="UTC"), "the date in 'day' has a time zone, unlike in training"),
    ],
)
def test_a_bad_cell_refuses_its_row_alone(training, preprocessor, column, value, why):
    X = training.astype({column: object})
    X.at[4, column] = value
    account = preprocessor.account(X)
    assert account.refused == {4: why}
    assert not account.unseen.any()
    preprocessor.transform(X.drop(index=4), torch.float32)


def test_gaps_and_unknown_categories_are_unseen(training, preprocessor):
    X = training.astype(object)
    X.at[0, "shop"], X.at[1, "shop"], X.at[1, "amount"] = "moon", None, None
    X.at[2, "member"], X.at[3, "day"], X.at[4, "gaps"] = None, pd.NaT, None
    account = preprocessor.account(X)
    assert account.refused == {}
    assert account.unseen_columns().tolist() == ["shop", "amount, shop", "member", "day", None, None]
    skipped = account.without_gaps()
    assert skipped.unseen_columns().tolist() == ["shop", None, None, None, None, None]
    assert skipped.status().tolist() == [
        "ok",
        "missing value in 'amount'",
        "missing value in 'member'",
        "missing value in 'day'",
        "ok",
        "ok",
    ]


@pytest.mark.parametrize("dtype", ["float32", "Float64", "double[pyarrow]"])
def test_every_type_of_number_has_its_infinities_named(training, preprocessor, dtype):
    X = training.assign(amount=pd.Series([1.0, np.inf, 3.0, 4.0, 5.0, 6.0]).astype(dtype))
    assert preprocessor.account(X).refused == {1: "infinite value in 'amount'"}


def test_a_float_column_with_many_infinities_is_refused_row_by_row(preprocessor, training):
    X = pd.concat([training] * 500, ignore_index=True).assign(amount=np.inf)
    assert len(preprocessor.account(X).refused) == 3000


def test_a_column_of_another_type_is_one_fault(preprocessor, training):
    X = pd.concat([training] * 500, ignore_index=True)
    with pytest.raises(InputError, match="'amount' changed type"):
        preprocessor.account(X.assign(amount="many"))


def test_dates_without_a_time_of_an_object_column():
    days = [datetime.date(2025, 1, 1) + datetime.timedelta(90 * i) for i in range(6)]
    X = pd.DataFrame({"day": days, "x": range(6)})
    preprocessor = TablePreprocessor().fit(X)
    (why,) = preprocessor.account(X.assign(day=[*days[:5], "soon"])).refused.values()
    assert why.startswith("'soon' in 'day' is not a date as in training (")


def test_a_date_in_the_other_order_of_day_and_month_is_told():
    days = pd.date_range("2025-01-01", periods=200)
    X = pd.DataFrame({"day": days.strftime("%m/%d/%Y"), "x": np.arange(200.0)})
    preprocessor = TablePreprocessor().fit(X)
    refused = preprocessor.account(X.assign(day=days.strftime("%d/%m/%Y"))).refused
    assert len(refused) == 200 - 7 * 12  # the first twelve days of seven months are read
    assert refused[12] == (
        "'13/01/2025' in 'day' is not a date as in training (%m/%d/%Y); if the column is written as %d/%m/%Y, other "
        "rows are read with day and month exchanged"
    )


def test_rows_with_an_unknown_condition_are_refused():
    X = pd.DataFrame({"x": np.arange(6.0), "kind": ["a", "b"] * 3, "shop": ["n", "s"] * 3})
    preprocessor = preprocessor_for(X, condition="kind").fit(X)
    account = preprocessor.account(
        X.assign(kind=["a", "c", None, "b", "a", "b"], shop=["n", "s", "n", "moon", "n", "s"])
    )
    assert account.refused == {1: "'c' in 'kind' is not a known condition", 2: "missing value in 'kind'"}
    assert account.unseen_columns()[3] == "shop"
    assert list(account.columns) == ["x", "kind", "shop"]


def test_an_array_has_no_missing_values():
    X = np.arange(12.0).reshape(4, 3)
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(
        np.random.default_rng(0).normal(size=(20, 3))
    )
    X[1, 2], X[3, 0] = np.nan, np.inf
    assert detector.preprocessor_.account(X).refused == {
        1: "missing value in column 2",
        3: "infinite value in column 0",
    }
    table = detector.score_table(X)
    assert table["score"].isna().tolist() == [False, True, False, True]
    assert table["flag"].isna().tolist() == [False, True, False, True]
    assert np.array_equal(detector.anomaly_score(X[[0, 2]]), table["score"].dropna())
    with pytest.raises(InputError, match="NaN"):
        detector.anomaly_score(X)
