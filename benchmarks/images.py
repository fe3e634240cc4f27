"""Detectors on images: digits of MNIST, classes of CIFAR-10, and folders in the layout of MVTec AD."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

import anogan
from anogan import protocol

from .comparison import Comparison, changes_option, detectors, limit_options
from .datasets import Dataset, Generator, Limits, Split, at_hand, limited
from .experiment import names, numbers

MNIST = "images/mnist.npz"
CIFAR10 = ("images/cifar10_train_1.npz", "images/cifar10_test.npz")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ERASED = 9  # pixels of the side of the square that is erased
NOISE = 20  # standard deviation of faint noise, where white is 255
SIZE = 64  # pixels of images in folders that are read as arrays


def _load_digit(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        train = content["X_train"][content["y_train"] == digit]
        test, labels = content["X_test"], content["y_test"] != digit
    return limited(Split(train[:, None], test[:, None], labels), limits, rng)  # (n, 1, 28, 28)


def _load_negative(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    split = _load_digit(digit, data_dir, rng, limits)
    return Split(255 - split.train, 255 - split.test, split.labels)


def _load_erased(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    """Return images of one digit; half of the test images lack the strokes within a square around one of their own."""
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        train, test = (content[f"X_{part}"][content[f"y_{part}"] == digit] for part in ("train", "test"))
    labels = np.arange(len(test)) % 2 == 1
    for image in (test[i] for i in np.flatnonzero(labels)):  # views
        y, x = rng.choice(np.argwhere(image > 127)) - ERASED // 2
        image[max(y, 0) : y + ERASED, max(x, 0) : x + ERASED] = 0
    return limited(Split(train[:, None], test[:, None], labels), limits, rng)


def _load_class(number: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    with np.load(data_dir / CIFAR10[0], allow_pickle=False) as content:
        train = content["X_train"][content["y_train"] == number]
    with np.load(data_dir / CIFAR10[1], allow_pickle=False) as content:
        test, labels = content["X_test"], content["y_test"] != number
    return limited(Split(train.transpose(0, 3, 1, 2), test.transpose(0, 3, 1, 2), labels), limits, rng)


def _load_mvtec(folder: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    layout = anogan.LabelledFolder(data_dir / folder)
    labels = np.array([layout.kind_of(file) != "good" for file in layout.test.files])
    whole = Split(np.array(layout.train.files), np.array(layout.test.files), labels)
    part = limited(whole, limits, rng)
    return Split(anogan.ImageFolder(part.train), anogan.ImageFolder(part.test), part.labels)


def grey_pictures(files: Sequence[Path], size: int) -> np.ndarray:
    """Return image files in grey at one size: uint8 (n, 1, size, size)."""
    return np.stack([np.asarray(Image.open(file).convert("L").resize((size, size))) for file in files])[:, None]


def _load_noisy(load: Callable[..., Split], data_dir: Path, rng: Generator, limits: Limits) -> Split:
    """Return only the normal images of a split; every second test image is under faint noise."""
    split = load(data_dir, rng, {})
    train, test = split.train, protocol.take(split.test, np.flatnonzero(~split.labels))
    if isinstance(train, anogan.ImageFolder):
        train, test = (grey_pictures(part.files, SIZE) for part in (train, test))
    labels = np.arange(len(test)) % 2 == 1
    noise = rng.normal(0, NOISE, test.shape) * labels[:, None, None, None]
    return limited(Split(train, np.clip(np.rint(test + noise), 0, 255).astype(np.uint8), labels), limits, rng)


def _masks(folder: str, data_dir: Path, split: Split) -> Iterator[np.ndarray | None]:
    return map(anogan.LabelledFolder(data_dir / folder).mask_of, split.test.files)


DIGITS = tuple(Dataset(f"mnist-{n}", (MNIST,), "one-versus-rest", partial(_load_digit, n)) for n in range(10))
NEGATIVES = tuple(Dataset(f"mnist-negative-{n}", (MNIST,), "negatives", partial(_load_negative, n)) for n in range(10))
ERASED_DIGITS = tuple(Dataset(f"mnist-erased-{n}", (MNIST,), "erased", partial(_load_erased, n)) for n in range(10))
CIFAR10_CLASSES = tuple(
    Dataset(f"cifar10-{name}", CIFAR10, "cifar10", partial(_load_class, n)) for n, name in enumerate(CLASSES)
)
NOISY_CLASSES = tuple(
    Dataset(f"cifar10-noisy-{name}", CIFAR10, "noisy", partial(_load_noisy, partial(_load_class, n)))
    for n, name in enumerate(CLASSES)
)


def mvtec_folders(data_dir: Path) -> dict[str, Path]:
    """Return every folder below ``images`` in MVTec layout, by its name."""
    return {path.parents[1].name: path.parents[1] for path in sorted(data_dir.glob("images/*/train/good"))}


def datasets(data_dir: Path) -> dict[str, Dataset]:
    """Return the digits, the classes, and every folder in MVTec layout, by name."""
    folders = []
    for name, folder in mvtec_folders(data_dir).items():
        files = tuple(
            file.relative_to(data_dir).as_posix()
            for part in ("train", "test", "ground_truth")
            for file in sorted((folder / part).rglob("*.*"))
            if file.is_file()
        )
        place = f"images/{name}"
        load = partial(_load_mvtec, place)
        folders.append(Dataset(name, files, "mvtec", load, partial(_masks, place)))
        folders.append(Dataset(f"{name}-noisy", files, "noisy", partial(_load_noisy, load)))
    return at_hand([*DIGITS, *NEGATIVES, *ERASED_DIGITS, *CIFAR10_CLASSES, *NOISY_CLASSES, *folders], data_dir)


class Images(Comparison):
    """Small images of one kind."""

    name = "images"
    help = "Detectors on images: digits of MNIST, classes of CIFAR-10, and folders in the layout of MVTec AD."
    axes = (numbers("seed", "0"), names("dataset", lambda data: list(datasets(data))), detectors())
    options = (changes_option, *limit_options())
    limits = ("max_train", "max_test")
    protocols: ClassVar = {
        "one-versus-rest": """\
Training uses the training images of one digit; the test set has test images of all digits, mixed as they
come; at most `max_train` and `max_test` random ones, drawn per seed. Published mean AUROC, with other
budgets and splits: AnoGAN 0.937, OCGAN 0.975.""",
        "negatives": """\
As one-versus-rest, with dark digits on a bright background.""",
        "erased": """\
Training uses the training images of one digit; half of the digit's test images lack the strokes within a square of
9x9 pixels around one of their own: less ink is the defect.""",
        "cifar10": """\
As one-versus-rest, with classes of CIFAR-10 at 32x32 pixels, 1,000 training images each. Published AUROC of AnoGAN,
with five times as many: 0.671 (airplane), 0.547 (automobile), 0.545 (cat), 0.618 in the mean over ten classes.""",
        "noisy": f"""\
As the others with photographs, but all test images are normal ones; half of them are under normal noise with a standard
deviation of {NOISE} (white is 255). Folders are read in grey at {SIZE}x{SIZE} pixels.""",
        "mvtec": """\
Training uses `train/good`, the test set is all of `test`, at 64x64 pixels. Pixel metrics: maps resized to
the size of the masks, which are those of the original images; AUPRO up to a false-positive rate of 0.3. The
seed is the detector's alone.""",
    }

    def datasets(self, data_dir: Path, protocol: str = "") -> dict[str, Dataset]:
        return datasets(data_dir)
