"""Splits: no row on both sides, none repeated, the share of anomalies as promised."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import Split, datasets_of, gan_papers, sample_rows, semi


def labels_of(n: int, share: float) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.arange(n) < round(n * share))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "share"), [(10, 0.1), (101, 0.3), (1000, 0.5)])
def test_no_training_row_is_a_test_row(n: int, share: float, seed: int) -> None:
    labels = labels_of(n, share)
    for protocol in (semi, gan_papers):
        train, test = protocol(labels, np.random.default_rng(seed))
        assert len(np.unique(np.concatenate([train, test]))) == len(train) + len(test)
        assert not labels[train].any()


def test_semi_tests_on_all_that_does_not_train() -> None:
    labels = labels_of(101, 0.3)
    train, test = semi(labels, np.random.default_rng(0))
    assert len(train) == (~labels).sum() // 2
    assert len(train) + len(test) == len(labels)
    assert labels[test].sum() == labels.sum()


@pytest.mark.parametrize("share", [0.05, 0.197, 0.4])
def test_the_gan_papers_test_set_has_a_fifth_of_anomalies(share: float) -> None:
    labels = labels_of(4000, share)
    _, test = gan_papers(labels, np.random.default_rng(0))
    assert labels[test].mean() == pytest.approx(0.2, abs=0.001)


def test_seeds_differ_and_a_seed_repeats() -> None:
    labels = labels_of(200, 0.2)
    first, again, other = (semi(labels, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_sample_keeps_the_share_and_repeats_no_row() -> None:
    labels = labels_of(5000, 0.03)
    rows = sample_rows(labels, 1000, np.random.default_rng(0))
    assert len(np.unique(rows)) == len(rows) == 1000
    assert labels[rows].sum() == 30
    assert np.array_equal(sample_rows(labels, 5000, np.random.default_rng(0)), np.arange(5000))


def test_limits_keep_labels_with_their_rows() -> None:
    X = np.arange(100)[:, None]
    split = Split(X, X, np.arange(100) % 3 == 0).limited({"max_test": 20}, np.random.default_rng(0))
    assert len(split.train) == 100
    assert len(split.test) == 20
    assert np.array_equal(split.test[:, 0] % 3 == 0, split.labels)


def test_tables_are_found_and_loaded_without_repeating_rows(tmp_path: Path) -> None:
    (tmp_path / "adbench").mkdir()
    X = np.arange(60, dtype=np.uint8).reshape(30, 2)
    np.savez(tmp_path / "adbench/7_toy.sub.npz", X=X, y=np.arange(30) < 5)
    (dataset,) = datasets_of("tabular", tmp_path).values()
    split = dataset.load(tmp_path, np.random.default_rng(0), {"max_rows": 1000})
    assert dataset.name == "toy.sub"
    assert np.array_equal(np.sort(np.concatenate([split.train, split.test]), axis=0), X)
    assert np.array_equal(split.test[:, 0] < 10, split.labels)
