"""Reasons say what the value was and what is usual."""

import numpy as np
import pandas as pd
import pytest

from anogan import WGANGP
from anogan.data.tabular import TablePreprocessor
from anogan.explain.reasons import describe, leading, number_text

NORMAL = pd.DataFrame(
    {
        "amount": [float(n) for n in range(14, 34)],
        "service": ["smtp"] * 12 + ["domain_u"] * 6 + ["http"] * 2,
        "day": pd.date_range("2024-03-01", periods=20),
        "gap": [np.nan] * 5 + [2.5] * 15,
    }
)
COLUMNS = TablePreprocessor(columns={"day": "trend"}).fit(NORMAL).columns_


def described(X, order, shares=None):
    order = np.asarray(order)
    nearest = np.broadcast_to(np.arange(20), (*order.shape, 20))
    shares = np.full(order.shape, 0.5) if shares is None else np.asarray(shares)
    return describe(COLUMNS, pd.DataFrame(X), NORMAL, order, shares, nearest)


ROW = {"amount": [9120.0], "service": ["http"], "day": [pd.Timestamp("2025-01-02 03:04:05")], "gap": [np.nan]}


def test_every_kind_of_column_in_words():
    found = described(ROW, [[0, 1, 2, 3]])
    assert found["text"].tolist() == [
        "amount 9,120; similar normal rows: 15 to 32",
        "service http; similar normal rows: smtp (60%), domain_u (30%), http (10%)",
        "day 2025-01-02 03:04; similar normal rows: 2024-03-02 to 2024-03-19",
        "gap missing; similar normal rows: 2.5, missing (25%)",
    ]
    assert found["value"].tolist() == [9120.0, "http", pd.Timestamp("2025-01-02 03:04:05"), None]
    assert found["low"].tolist() == [15.0, None, np.datetime64("2024-03-02T00:00:00"), 2.5]
    assert found["frequent"].tolist()[1] == [("smtp", 0.6), ("domain_u", 0.3), ("http", 0.1)]
    assert found["frequent"].tolist()[3] == [(None, 0.25)]


def test_an_unseen_category_and_a_column_that_all_similar_rows_miss():
    missing = np.broadcast_to(np.arange(5), (1, 2, 5))
    X = pd.DataFrame(ROW | {"service": ["gopher"]})
    found = describe(COLUMNS, X, NORMAL, np.array([[3, 1]]), np.array([[0.6, 0.4]]), missing)
    assert found["text"].tolist() == [
        "gap missing; similar normal rows: missing (100%)",
        "service 'gopher' did not occur in training; similar normal rows: smtp (100%)",
    ]
    assert found["low"].tolist() == [None, None]


def test_of_a_date_the_periods_that_were_learned_are_described():
    hours = pd.date_range("2024-03-04", periods=14 * 24, freq="h")
    working = pd.DataFrame({"when": hours[(hours.hour >= 9) & (hours.hour < 17) & (hours.dayofweek < 5)]})
    columns = TablePreprocessor().fit(working).columns_
    night = pd.DataFrame({"when": [pd.Timestamp("2025-06-01 03:07")]})
    nearest = np.arange(len(working))[None, None]
    found = describe(columns, night, working, np.array([[0]]), np.array([[1.0]]), nearest)
    assert found["text"][0] == (
        "when Sunday 2025-06-01 03:07; similar normal rows: 09:00 to 16:00, Thursday (20%), Friday (20%), Monday (20%)"
    )


def test_lines_are_ordered_and_columns_without_a_share_left_out():
    X = pd.concat([pd.DataFrame(ROW)] * 2, ignore_index=True)
    found = described(X, [[3, 0], [0, 1]], [[0.9, 0.1], [1.0, 0.0]])
    assert found[["row", "rank"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1]]
    assert found["column"].tolist() == ["gap", "amount", "amount"]
    assert len(described(X, [[0], [1]], [[0.0], [0.0]])) == 0


def test_leading_columns_and_their_shares():
    order, shares = leading(np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]), 2)
    assert order[0].tolist() == [1, 0]
    assert shares.tolist() == [[0.75, 0.25], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(9120.0004, "9,120"), (14.0, "14"), (0.5, "0.5"), (1.23456, "1.235"), (-2e6, "-2,000,000"), (1e20, "1e+20")],
)
def test_numbers_are_written_for_people(value, text):
    assert number_text(value) == text


def test_the_answer_is_known_where_one_column_follows_another():
    rng = np.random.default_rng(0)
    kind = rng.choice(["small", "large"], 600)
    table = pd.DataFrame({"kind": kind, "amount": np.where(kind == "small", 10, 1000) * rng.uniform(0.9, 1.1, 600)})
    table["other"] = rng.normal(size=600)
    detector = WGANGP(steps=30, width=32, random_state=0).fit(table)
    new = pd.DataFrame({"kind": ["small", "small"], "amount": [1e5, 10.0], "other": [0.0, 9.0]})
    found = detector.reasons(new, 1)
    assert found["column"].tolist() == ["amount", "other"]
    assert 8.9 < found["low"][0] < found["high"][0] < 11.1  # of the small ones, not of all
