"""A value of a table that did not occur in training is evidence: it never makes a row look more normal."""

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

from ..detectors.base import Detector
from ..errors import InputError
from .case import TABLE, TRAINING_ROWS, Case, on, raises

KNOWN: dict[str, list[Any]] = {
    "shop": ["north", "south", "west"],
    "plan": ["a", "b"],
    "unit": ["EUR"],
    "member": [True, False],
    "items": [1.0, 2.0, 4.0, 9.0],
}
"""Columns without missing values, and all of their values."""
UNSEEN: dict[str, Any] = {"shop": "UNSEEN", "plan": "c", "unit": None, "member": None, "items": np.nan}
SEVERAL = (("shop", "plan"), ("unit", "items"), ("shop", "member", "items"))


def _table(rows: int, seed: int) -> pd.DataFrame:
    """Return a mixed table whose columns depend on each other; `amount` has missing values."""
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=rows)
    amount = np.exp(cause)
    amount[:: max(rows // 4, 2)] = np.nan
    at = np.arange(rows)
    values = {
        "shop": np.array(KNOWN["shop"])[at % 3],
        "plan": pd.Categorical.from_codes((cause > 0).astype(int), KNOWN["plan"]),
        "unit": ["EUR"] * rows,
        "member": pd.Series(at % 2 == 0, dtype=object),
        "items": np.array(KNOWN["items"])[(at // 2) % 4],
        "amount": amount,
    }
    return pd.DataFrame(values)


@cache
def _fitted(case: Case, precision: str) -> Detector:
    return case.fit(_table(TRAINING_ROWS, seed=1), precision=precision)


def _with(X: pd.DataFrame, values: dict[str, Any]) -> pd.DataFrame:
    """Return X with one value in all rows of each of some columns."""
    columns = {
        name: pd.Series([value] * len(X), dtype=None if name == "items" else object) for name, value in values.items()
    }
    return X.assign(**columns)


def _assert_never_nearer(case: Case, precision: str, columns: Sequence[str]) -> None:
    detector, new = _fitted(case, precision), _table(6, seed=2)
    values = [[*KNOWN[name], UNSEEN[name]] for name in columns]
    chosen = list(itertools.product(*values))  # the unseen values come last
    rows = pd.concat([_with(new, dict(zip(columns, each, strict=True))) for each in chosen], ignore_index=True)
    *others, scores = detector.anomaly_score(rows).reshape(len(chosen), len(new))
    assert np.isfinite(scores).all(), scores
    for each, nearer in zip(chosen, others, strict=False):
        assert (scores >= nearer).all(), f"{columns} {each}: {scores - nearer}"


@on(TABLE)
def check_an_unseen_value_scores_as_the_farthest_known_one(case: Case) -> None:
    """A row with an unknown category or a gap that is new never scores lower than with any known value there."""
    for column in KNOWN:
        _assert_never_nearer(case, "float64", [column])
        _assert_never_nearer(case, "float32", [column])


@on(TABLE)
def check_several_unseen_values_score_as_the_farthest_known_ones(case: Case) -> None:
    """A row with several unseen values never scores lower than with known values in place of some or all of them."""
    for columns in SEVERAL:
        _assert_never_nearer(case, "float64", columns)


@on(TABLE)
def check_unseen_values_leave_other_rows_as_they_are(case: Case) -> None:
    """Rows without unseen values score the same bit for bit, whatever values the other rows have."""
    detector, new = _fitted(case, "float32"), _table(6, seed=2)
    scores = detector.anomaly_score(new)
    changed = new.assign(shop=[*new["shop"][:3], "UNSEEN", None, "UNSEEN"])
    assert_array_equal(detector.anomaly_score(changed)[:3], scores[:3])


@on(TABLE)
def check_one_bad_cell_does_not_stop_the_others(case: Case) -> None:
    """`score_table` scores the rows that can be scored and says why others cannot; other methods raise."""
    detector, new = case.fitted, case.new
    bad = new.assign(age=new["age"].astype(object))
    bad.iloc[1, bad.columns.get_loc("age")] = "old"
    bad.iloc[2, bad.columns.get_loc("amount")] = np.inf
    table = detector.score_table(bad)
    assert table["status"].tolist()[:4] == ["ok", "'old' in 'age' is not a number", "infinite value in 'amount'", "ok"]
    assert table["score"].isna().tolist() == table["p_value"].isna().tolist() == (table["status"] != "ok").tolist()
    assert table["flag"].isna().sum() == 2
    assert_allclose(table["score"].drop(index=[1, 2]), np.delete(detector.anomaly_score(new), [1, 2]), rtol=1e-9)
    for method in (detector.anomaly_score, detector.predict, detector.p_value):
        with raises(InputError, "age|amount"):
            method(bad)


@on(TABLE)
def check_an_unseen_value_can_be_a_reason(case: Case) -> None:
    """`explain` explains the score of the row as it is scored, and the reason says that the value is new."""
    detector, new = _fitted(case, "float64"), _table(6, seed=2)
    farthest = new.assign(shop="UNSEEN", items=np.nan)
    found = detector.reasons(farthest, len(new.columns)).set_index("column")["text"]
    assert (np.asarray(detector.explain(farthest)["shop"]) >= 0).all()
    for text in found[found.index == "shop"]:
        assert text.startswith("shop 'UNSEEN' did not occur in training; similar normal rows: "), text
    for text in found[found.index == "items"]:
        assert text.startswith("items missing, which did not occur in training; similar normal rows: "), text
    assert set(found.index) & {"shop", "items"}, found
