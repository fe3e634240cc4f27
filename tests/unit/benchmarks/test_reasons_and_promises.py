"""What is corrupted is what is counted; what is expected is what calibration gives."""

import numpy as np
import pandas as pd
import pytest

from anogan import WGANGP
from benchmarks import promises, reasons

TABLE = pd.DataFrame({"a": np.arange(40.0), "kind": ["x", "y"] * 20, "constant": [3] * 40, "rare": [0] * 39 + [1]})


@pytest.mark.parametrize("kind", ["swap", "shift"])
def test_one_varied_column_of_each_row_is_changed(kind):
    rows, columns = reasons.corrupted(TABLE, TABLE[::2].reset_index(drop=True), kind, np.random.default_rng(0))
    before = TABLE[::2].reset_index(drop=True).loc[rows.index]
    assert ((rows != before).sum(axis=1) == 1).all()
    assert all(
        changed != old
        for changed, old in zip(
            (rows[c].iloc[i] for i, c in enumerate(columns)),
            (before[c].iloc[i] for i, c in enumerate(columns)),
            strict=True,
        )
    )
    assert set(columns) <= ({"a", "kind", "rare"} if kind == "swap" else {"a", "rare"})


def test_a_shift_leads_away_from_the_mean():
    rng = np.random.default_rng(0)
    assert reasons.shifted(TABLE, 30.0, "a", rng) == pytest.approx(30 + 4 * TABLE["a"].std())
    assert reasons.shifted(TABLE, 3.0, "a", rng) == pytest.approx(3 - 4 * TABLE["a"].std())


def test_a_blatant_corruption_is_counted_as_named():
    rng = np.random.default_rng(0)
    normal = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    detector = WGANGP(steps=10, width=32, random_state=0).fit(normal[:300])
    rows = normal[300:].reset_index(drop=True)
    rows["b"] = 50.0
    right = reasons.measure(detector, rows, np.array(["b"] * 100))
    wrong = reasons.measure(detector, rows, np.array(["a"] * 100))
    assert (right["first"], right["noticed"], right["first_of_noticed"]) == (1.0, 1.0, 1.0)
    assert wrong["first"] == 0.0


def test_the_interval_is_that_of_the_beta_binomial():
    found = promises.expected(99, 0.05, 10)
    assert found["expected"] == 0.05
    assert found["low"] < 0.05 < found["high"]
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(400, 10, 99 + promises.FRESH))
    thresholds = np.sort(normal[..., :99])[..., -5]
    means = (normal[..., 99:] > thresholds[..., None]).mean((1, 2))
    assert ((means >= found["low"]) & (means <= found["high"])).mean() == pytest.approx(0.99, abs=0.015)
