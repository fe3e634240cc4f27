"""Measures of synthetic rows: 0 or chance for equal distributions, and worse where they differ."""

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan.engine.row_fidelity import (
    column_distances,
    correlation_error,
    false_alarms,
    nearest_ratio,
    real_vs_synthetic,
)

CATEGORICAL = np.array([False, False, True])


def rows(seed, n=600, correlation=0.9):
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=n)
    other = correlation * cause + (1 - correlation**2) ** 0.5 * rng.normal(size=n)
    return np.column_stack([cause, other, (cause > 0) + 2.0 * (rng.random(n) < 0.1)])


def shuffled(X, seed=0):
    return np.column_stack([np.random.default_rng([seed, j]).permutation(x) for j, x in enumerate(X.T)])


def test_rows_of_the_same_distribution():
    real, fake = rows(0), rows(1)
    assert (column_distances(real, fake, CATEGORICAL) < 0.09).all()
    assert correlation_error(real, fake, CATEGORICAL) < 0.05
    assert real_vs_synthetic(real, fake) == pytest.approx(0.5, abs=0.05)
    assert false_alarms(real, fake) < 0.03
    assert nearest_ratio(rows(2), real, fake) == pytest.approx(1, abs=0.15)


def test_columns_without_their_dependencies_are_found():
    real, fake = rows(0), shuffled(rows(1))
    assert (column_distances(real, fake, CATEGORICAL) < 0.09).all()
    assert correlation_error(real, fake, CATEGORICAL) > 0.3
    assert real_vs_synthetic(real, fake) > 0.8


def test_other_columns_are_found():
    real, fake = rows(0), rows(1)
    fake[:, 0] += 1
    fake[:, 2] = 0
    fake[:300, 1] = np.nan
    distances = column_distances(real, fake, CATEGORICAL)
    assert distances[0] > 0.3
    assert distances[1] == 0.5  # the share of missing values
    assert distances[2] == pytest.approx((real[:, 2] != 0).mean())


def test_copies_are_closer_than_new_rows():
    training = rows(2)
    assert nearest_ratio(training, rows(0), training[:50]) == 0


def test_false_alarms_of_rows_that_are_too_alike():
    real = rows(0)
    assert false_alarms(real, np.tile(real.mean(0), (50, 1)) + 1e-3 * rows(1)[:50]) > 0.9


def test_edges():
    same, gone = np.ones((40, 2)), np.full((40, 2), np.nan)
    numbers = np.array([False, False])
    assert correlation_error(same, same, numbers) == 0
    assert column_distances(gone, gone, numbers).tolist() == [0, 0]
    assert column_distances(same, gone, numbers).tolist() == [1, 1]
    assert real_vs_synthetic(same, same) == 0.5
    assert real_vs_synthetic(gone, gone) == 0.5
    assert real_vs_synthetic(np.column_stack([same, gone]), np.column_stack([2 * same, gone])) == 1
    assert correlation_error(same[:, :1], same[:, :1], numbers[:1]) == 0
    assert nearest_ratio(same, same, same) == 1


def test_tables_are_compared_by_their_names():
    real, fake, training = (pd.DataFrame(rows(seed), columns=["a", "b", "c"]).astype({"c": str}) for seed in range(3))
    found = anogan.compare_rows(real, fake, training)
    assert list(found["columns"]) == ["a", "b", "c"]
    assert found["real_vs_synthetic"] == pytest.approx(0.5, abs=0.05)
    with pytest.raises(anogan.InputError, match="feature names"):
        anogan.compare_rows(real, fake.rename(columns={"a": "other"}), training)
    assert anogan.compare_rows(*(rows(seed)[:, :2] for seed in range(3)))["nearest_ratio"] == pytest.approx(1, abs=0.2)
