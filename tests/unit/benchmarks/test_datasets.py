"""Splits: no row on both sides, none repeated, the share of anomalies as promised."""

from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from anogan.evaluation.protocol import Split
from benchmarks import adbench, images, oddbench
from benchmarks.datasets import limited
from benchmarks.intrusion import gan_papers


def labels_of(n: int, share: float) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.arange(n) < round(n * share))


@pytest.mark.parametrize("seed", range(5))
def test_no_training_row_is_a_test_row(seed: int) -> None:
    labels = labels_of(1000, 0.3)
    train, test = gan_papers(labels, np.random.default_rng(seed))
    assert len(np.unique(np.concatenate([train, test]))) == len(train) + len(test)
    assert not labels[train].any()


@pytest.mark.parametrize("share", [0.05, 0.197, 0.4])
def test_the_gan_papers_test_set_has_a_fifth_of_anomalies(share: float) -> None:
    labels = labels_of(4000, share)
    _, test = gan_papers(labels, np.random.default_rng(0))
    assert labels[test].mean() == pytest.approx(0.2, abs=0.001)


def test_limits_keep_labels_with_their_rows() -> None:
    X = np.arange(100)[:, None]
    split = limited(Split(X, X, np.arange(100) % 3 == 0), {"max_test": 20}, np.random.default_rng(0))
    assert len(split.train) == 100
    assert len(split.test) == 20
    assert np.array_equal(split.test[:, 0] % 3 == 0, split.labels)


def test_tables_are_found_and_loaded_without_repeating_rows(tmp_path: Path) -> None:
    (tmp_path / "adbench").mkdir()
    X = np.arange(60, dtype=np.uint8).reshape(30, 2)
    np.savez(tmp_path / "adbench/7_toy.sub.npz", X=X, y=np.arange(30) < 5)
    (dataset,) = adbench.tables(tmp_path).values()
    split = dataset.load(tmp_path, np.random.default_rng(0), {"max_rows": 1000})
    assert dataset.name == "toy.sub"
    assert np.array_equal(np.sort(np.concatenate([split.train, split.test]), axis=0), X)
    assert np.array_equal(split.test[:, 0] < 10, split.labels)


def test_oddbench_keeps_the_published_split_and_has_two_halves(tmp_path: Path) -> None:
    (tmp_path / "oddbench").mkdir()
    train, test, labels = np.arange(40.0).reshape(20, 2), np.arange(100.0, 120.0).reshape(10, 2), np.arange(10) % 3 == 0
    for name in ("AdPerformance", "ALLPatientData", "CometAnomaly"):
        np.savez(tmp_path / f"oddbench/{name}.npz", X_train=train, X_test=test, y_test=labels.astype(np.int8))
    found = oddbench.tables(tmp_path)
    assert {name: dataset.protocol for name, dataset in found.items()} == {
        "AdPerformance": "final",
        "ALLPatientData": "development",
        "CometAnomaly": "development",
    }
    split = found["AdPerformance"].load(tmp_path, np.random.default_rng(0), {})
    assert np.array_equal(split.train, train)
    assert np.array_equal(split.test, test)
    assert np.array_equal(split.labels, labels)
    (chosen,) = [axis for axis in oddbench.OddBench.axes if axis.name == "dataset"]
    assert chosen.parse("final, CometAnomaly", tmp_path) == ["AdPerformance", "CometAnomaly"]
    assert set(chosen.parse(None, tmp_path)) == set(found)
    with pytest.raises(click.UsageError, match="'Nothing' is not one of development, final"):
        chosen.parse("Nothing", tmp_path)


def test_images_have_negatives_and_images_that_lack_strokes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    X = np.zeros((40, 28, 28), dtype=np.uint8)
    X[:, 4:24, 12:16] = 200
    y = np.arange(40) % 2
    np.savez(tmp_path / "images/mnist.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    found = images.datasets(tmp_path)
    plain, negative, erased = (
        found[name].load(tmp_path, np.random.default_rng(0), {})
        for name in ("mnist-1", "mnist-negative-1", "mnist-erased-1")
    )
    assert np.array_equal(negative.test, 255 - plain.test)
    assert np.array_equal(negative.labels, plain.labels)
    assert plain.labels.mean() == 0.5
    ink = erased.test.astype(int).sum((1, 2, 3))
    assert len(ink) == 20  # digits of the one kind
    assert (ink[~erased.labels] == X[0].astype(int).sum()).all()
    assert (ink[erased.labels] < X[0].astype(int).sum()).all()


def test_half_of_the_normal_pictures_of_a_class_or_a_folder_are_under_noise(tmp_path: Path) -> None:
    X, y = np.full((40, 8, 8, 3), 100, dtype=np.uint8), np.arange(40) % 4
    (tmp_path / "images").mkdir()
    np.savez(tmp_path / "images/cifar10_train_1.npz", X_train=X, y_train=y)
    np.savez(tmp_path / "images/cifar10_test.npz", X_test=X, y_test=y)
    for kind in ("train/good", "test/good", "test/crack", "ground_truth/crack"):
        (tmp_path / "images/tiles" / kind).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (9, 9), 100).save(tmp_path / "images/tiles" / kind / f"{i}.png")
    found = images.datasets(tmp_path)
    for name, shape in (("cifar10-noisy-bird", (10, 3, 8, 8)), ("tiles-noisy", (6, 1, images.SIZE, images.SIZE))):
        split = found[name].load(tmp_path, np.random.default_rng(0), {})
        assert split.test.shape == shape
        assert split.labels.sum() == len(split.test) // 2
        assert (split.test[~split.labels] == 100).all()
        assert split.test[split.labels].std() == pytest.approx(images.NOISE, rel=0.1)
