"""Splits: no row on both sides, none repeated, the share of anomalies as promised; runs leave no trace."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from anogan import InputError
from anogan.evaluation import baselines, protocol
from anogan.evaluation.protocol import PROTOCOLS, encoded, sample_rows


def labels_of(n: int, share: float) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.arange(n) < round(n * share))


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "share"), [(10, 0.1), (101, 0.3), (1000, 0.5)])
def test_no_training_row_is_a_test_row_and_each_row_is_used_once(n: int, share: float, seed: int, name: str) -> None:
    labels = labels_of(n, share)
    train, test = PROTOCOLS[name].split(labels, np.random.default_rng(seed))
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
    assert labels[test].any()
    assert not labels[test].all()


def test_semi_trains_on_half_of_the_normals() -> None:
    labels = labels_of(101, 0.3)
    train, _ = PROTOCOLS["semi"].split(labels, np.random.default_rng(0))
    assert len(train) == (~labels).sum() // 2
    assert not labels[train].any()


@pytest.mark.parametrize(("share", "expected"), [(0.3, 0.05), (0.01, 5 / 500)])
def test_contaminated_adds_anomalies_to_the_same_normals(share: float, expected: float) -> None:
    labels = labels_of(1000, share)
    clean, _ = PROTOCOLS["semi"].split(labels, np.random.default_rng(0))
    train, test = PROTOCOLS["contaminated"].split(labels, np.random.default_rng(0))
    assert np.array_equal(train[~labels[train]], clean)
    assert labels[train].mean() == pytest.approx(expected, abs=0.002)
    assert labels[test].sum() >= labels.sum() / 2


def test_seeds_differ_and_a_seed_repeats() -> None:
    labels = labels_of(200, 0.2)
    first, again, other = (PROTOCOLS["semi"].split(labels, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_sample_keeps_the_share_and_repeats_no_row() -> None:
    labels = labels_of(5000, 0.03)
    rows = sample_rows(labels, 1000, np.random.default_rng(0))
    assert len(np.unique(rows)) == len(rows) == 1000
    assert labels[rows].sum() == 30
    assert np.array_equal(sample_rows(labels, 5000, np.random.default_rng(0)), np.arange(5000))


def test_rows_stay_with_their_labels_in_arrays_and_tables() -> None:
    labels = labels_of(200, 0.2)
    table = pd.DataFrame({"row": np.arange(200)}, index=np.arange(200)[::-1])
    for X in (table, table.to_numpy()):
        split = PROTOCOLS["semi"].apply(X, labels, np.random.default_rng(0), max_rows=100)
        assert len(split.train) + len(split.test) == 100
        assert np.array_equal(labels[np.asarray(split.test)[:, 0]], split.labels)
        assert not labels[np.asarray(split.train)[:, 0]].any()


def test_too_few_rows_of_a_kind_are_refused() -> None:
    for labels in (np.zeros(50, bool), np.arange(10) > 2):
        with pytest.raises(InputError, match="at least 4 and 1"):
            PROTOCOLS["semi"].apply(np.zeros((len(labels), 1)), labels, np.random.default_rng(0))


def test_the_encoding_of_plain_numbers_is_standardisation_fitted_on_the_training_rows() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 7, size=(50, 4)), rng.normal(size=(20, 4))
    scaler = StandardScaler().fit(train)
    for rows, expected in zip(encoded(train, test), (train, test), strict=True):
        np.testing.assert_allclose(rows, scaler.transform(expected), atol=1e-12)


def test_mixed_tables_become_finite_numbers() -> None:
    train = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0], "b": ["x", "y", "x", "y"]})
    test = pd.DataFrame({"a": [9.0], "b": ["new"]})
    for rows in encoded(train, test):
        assert np.isfinite(rows).all()


def test_a_run_repeats_with_its_seed_and_leaves_the_global_states_alone() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002

    def scores(seed: int) -> np.ndarray:
        detector = baselines.build("pyod_so_gaal", {}, n_features=3, seed=seed)
        return protocol.run(detector, X[:40], X[40:], seed).scores

    assert np.array_equal(scores(0), scores(0))
    assert not np.array_equal(scores(0), scores(1))
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_scores_that_are_not_finite_are_an_error() -> None:
    class Broken:
        def fit(self, X: np.ndarray) -> None:
            pass

        def anomaly_score(self, X: np.ndarray) -> np.ndarray:
            return np.array([1.0, np.inf, np.nan])

    with pytest.raises(ValueError, match="2 of 3"):
        protocol.run(Broken(), np.zeros((3, 1)), np.zeros((3, 1)), 0)
