"""Detectors on images: digits of MNIST, and folders in the layout of MVTec AD."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

import anogan

from .comparison import Comparison, changes_option, detectors, limit_options
from .datasets import Dataset, Generator, Limits, Split, at_hand, limited
from .experiment import names, numbers

MNIST = "images/mnist.npz"


def _load_digit(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        train = content["X_train"][content["y_train"] == digit]
        test, labels = content["X_test"], content["y_test"] != digit
    return limited(Split(train[:, None], test[:, None], labels), limits, rng)  # (n, 1, 28, 28)


def _load_mvtec(folder: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    layout = anogan.LabelledFolder(data_dir / folder)
    labels = np.array([layout.kind_of(file) != "good" for file in layout.test.files])
    whole = Split(np.array(layout.train.files), np.array(layout.test.files), labels)
    part = limited(whole, limits, rng)
    return Split(anogan.ImageFolder(part.train), anogan.ImageFolder(part.test), part.labels)


def _masks(folder: str, data_dir: Path, split: Split) -> Iterator[np.ndarray | None]:
    return map(anogan.LabelledFolder(data_dir / folder).mask_of, split.test.files)


DIGITS = tuple(Dataset(f"mnist-{n}", (MNIST,), "one-versus-rest", partial(_load_digit, n)) for n in range(10))


def mvtec_folders(data_dir: Path) -> dict[str, Path]:
    """Return every folder below ``images`` in MVTec layout, by its name."""
    return {path.parents[1].name: path.parents[1] for path in sorted(data_dir.glob("images/*/train/good"))}


def datasets(data_dir: Path) -> dict[str, Dataset]:
    """Return the digits, and every folder in MVTec layout, by name."""
    folders = []
    for name, folder in mvtec_folders(data_dir).items():
        files = tuple(
            file.relative_to(data_dir).as_posix()
            for part in ("train", "test", "ground_truth")
            for file in sorted((folder / part).rglob("*.*"))
            if file.is_file()
        )
        place = f"images/{name}"
        folders.append(Dataset(name, files, "mvtec", partial(_load_mvtec, place), partial(_masks, place)))
    return at_hand([*DIGITS, *folders], data_dir)


class Images(Comparison):
    """Small images of one kind."""

    name = "images"
    help = "Detectors on images: digits of MNIST, and folders in the layout of MVTec AD."
    axes = (numbers("seed", "0"), names("dataset", lambda data: list(datasets(data))), detectors())
    options = (changes_option, *limit_options())
    limits = ("max_train", "max_test")
    protocols: ClassVar = {
        "one-versus-rest": """\
Training uses the training images of one digit; the test set has test images of all digits, mixed as they
come; at most `max_train` and `max_test` random ones, drawn per seed. Published mean AUROC, with other
budgets and splits: AnoGAN 0.937, OCGAN 0.975.""",
        "mvtec": """\
Training uses `train/good`, the test set is all of `test`, at 64x64 pixels. Pixel metrics: maps resized to
the size of the masks, which are those of the original images; AUPRO up to a false-positive rate of 0.3. The
seed is the detector's alone.""",
    }

    def datasets(self, data_dir: Path, protocol: str = "") -> dict[str, Dataset]:
        return datasets(data_dir)
