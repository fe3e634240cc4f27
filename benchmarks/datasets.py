"""What is measured on: where each data set lies in the data folder, and how its rows are split.

A split is made of row numbers, so that a test can see that no row is in both halves. Rows are taken as
published: none is added, repeated or dropped. (Published tables contain equal rows; ADBench's own loader adds
more of them before splitting, which puts test rows into the training set.) Splits of labelled tables are
`anogan.protocol.PROTOCOLS`; this file adds those that belong to one data set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import anogan
from anogan import protocol

from . import adbench

Split = protocol.Split
Rows = protocol.Rows
Labels = protocol.Labels
Limits = dict[str, int]
Generator = np.random.Generator

SUITES = ("tabular", "intrusion", "images", "speed")
DESCRIPTIONS = {name: entry.text for name, entry in protocol.PROTOCOLS.items()} | {
    "published-split": """\
Trains on the `normal` rows of the published training file, tested on all rows of the published test
file. The seed is the detector's alone. Baselines see the rows in the detectors' own encoding.""",
    "gan-papers": """\
As in Zenati 2018 (arXiv:1802.06222, arXiv:1812.02288): attacks, the majority, count as normal, the
label `normal` as the anomaly. Per seed, a random half of all rows is for training, and of it only the
majority's rows are used; the other half tests, with so many of the majority left out that 20 % are
anomalies. Precision, recall and F1 flag what reaches the 80th percentile of the *test scores*, which
uses the known share of anomalies: **for this comparison only**. Published F1: EGBAD 0.937, ALAD 0.950.""",
    "one-versus-rest": """\
Trains on the training pictures of one digit, tested on the test pictures of all digits, mixed as they
come; at most `max_train` and `max_test` random ones, drawn per seed. Published mean AUROC, with other
budgets and splits: AnoGAN 0.937, OCGAN 0.975.""",
    "mvtec": """\
Trains on `train/good`, tested on all of `test`, at 64x64 pixels. Pixel metrics: maps resized to the size
of the masks, which are those of the original pictures; AUPRO up to a false-positive rate of 0.3. The seed
is the detector's alone.""",
    "speed": """\
Random rows (100,000, 30) of rank 10 plus noise. *Scoring*: rows per second of `anomaly_score`, from
array to scores, median of three passes after a warm-up; where a pass would take more than about ten
seconds it gets fewer rows (see rows). *Training*: time of a step in each stage, median over blocks of
20 steps. *Share*: time of the bare matrix products of the same shapes and strides, forward and
backward, each alone into a preallocated output and on as many threads, divided by the real time; 1
would mean that nothing but the products costs anything.""",
}


@dataclass(frozen=True)
class Dataset:
    """One data set: its files below the data folder, its protocol, and how to load a split."""

    name: str
    files: tuple[str, ...]
    protocol: str
    load: Callable[[Path, Generator, Limits], Split]
    masks: Callable[[Path, Split], Iterator[np.ndarray | None]] | None = None
    """Of the test pictures, where they are defective: bool (H, W), or None where that is not known."""


def datasets_of(suite: str, data_dir: Path, name: str = "semi") -> dict[str, Dataset]:
    """The data sets of a suite whose files are in the data folder, by name.

    Parameters
    ----------
    name : str
        The protocol of the tabular suite; in the others each data set has its own.
    """
    known = {
        "tabular": _adbench(data_dir, name),
        "intrusion": INTRUSION,
        "images": [*MNIST_DIGITS, *_mvtec(data_dir)],
        "speed": SPEED,
    }[suite]
    return {d.name: d for d in known if all((data_dir / file).is_file() for file in d.files)}


def gan_papers(labels: Labels, rng: Generator, share: float = 0.2) -> tuple[Rows, Rows]:
    """Row numbers (train, test): normals of one half; the other half with exactly `share` anomalies."""
    order = rng.permutation(len(labels))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    anomalies, normal = second[labels[second]], second[~labels[second]]
    ratio = share / (1 - share)  # anomalies per normal
    anomalies = anomalies[: round(len(normal) * ratio)]
    normal = normal[: round(len(anomalies) / ratio)]
    return np.sort(first[~labels[first]]), np.sort(np.concatenate([normal, anomalies]))


def limited(split: Split, limits: Limits, rng: Generator) -> Split:
    """At most ``max_train`` and ``max_test`` random rows of a split, in their order."""
    train = np.sort(rng.permutation(len(split.train))[: limits.get("max_train")])
    test = np.sort(rng.permutation(len(split.test))[: limits.get("max_test")])
    return Split(protocol.take(split.train, train), protocol.take(split.test, test), split.labels[test])


def _adbench(data_dir: Path, name: str) -> list[Dataset]:
    def load(file: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
        with np.load(data_dir / file, allow_pickle=False) as content:
            X, labels = content["X"].astype(np.float64), content["y"] == 1
        return protocol.PROTOCOLS[name].apply(X, labels, rng, limits["max_rows"])

    tables = {adbench.name_of(path.name): f"adbench/{path.name}" for path in data_dir.glob("adbench/*.npz")}
    return [Dataset(t, (tables[t],), name, partial(load, tables[t])) for t in sorted(tables, key=str.lower)]


NSL_KDD = ("tables/nsl_kdd_train.csv", "tables/nsl_kdd_test.csv")
KDD_CUP_99 = "tables/kddcup99_10percent.csv.gz"
MNIST = "images/mnist.npz"


def _load_nsl_kdd(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    train, test = (pd.read_csv(data_dir / file) for file in NSL_KDD)
    train = train[train["label"] == "normal"]
    labels = (test["label"] != "normal").to_numpy(bool)
    return limited(Split(train.drop(columns="label"), test.drop(columns="label"), labels), limits, rng)


def _load_kdd_cup_99(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    table = pd.read_csv(data_dir / KDD_CUP_99)
    labels = table.pop("label").str.rstrip(".").eq("normal").to_numpy(bool)  # UCI's file writes "normal."
    train, test = gan_papers(labels, rng)
    return limited(Split(table.iloc[train], table.iloc[test], labels[test]), limits, rng)


def _load_digit(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        train = content["X_train"][content["y_train"] == digit]
        test, labels = content["X_test"], content["y_test"] != digit
    return limited(Split(train[:, None], test[:, None], labels), limits, rng)  # (n, 1, 28, 28)


def _mvtec(data_dir: Path) -> list[Dataset]:
    """Every folder below ``images`` in MVTec layout."""

    def load(folder: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
        layout = anogan.MVTecFolder(data_dir / folder)
        labels = np.array([layout.kind_of(file) != "good" for file in layout.test.files])
        whole = Split(np.array(layout.train.files), np.array(layout.test.files), labels)
        part = limited(whole, limits, rng)
        return Split(anogan.ImageFolder(part.train), anogan.ImageFolder(part.test), part.labels)

    def masks(folder: str, data_dir: Path, split: Split) -> Iterator[np.ndarray | None]:
        return map(anogan.MVTecFolder(data_dir / folder).mask_of, split.test.files)

    found = []
    for path in sorted(data_dir.glob("images/*/train/good")):
        folder = path.parents[1]
        files = tuple(
            file.relative_to(data_dir).as_posix()
            for part in ("train", "test", "ground_truth")
            for file in sorted((folder / part).rglob("*.*"))
            if file.is_file()
        )
        name = f"images/{folder.name}"
        found.append(Dataset(folder.name, files, "mvtec", partial(load, name), partial(masks, name)))
    return found


def _load_nothing(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    raise NotImplementedError("The speed suite makes its own rows.")


INTRUSION = [
    Dataset("nsl-kdd", NSL_KDD, "published-split", _load_nsl_kdd),
    Dataset("kddcup99", (KDD_CUP_99,), "gan-papers", _load_kdd_cup_99),
]
MNIST_DIGITS = [Dataset(f"mnist-{n}", (MNIST,), "one-versus-rest", partial(_load_digit, n)) for n in range(10)]
SPEED = [Dataset(name, (), "speed", _load_nothing) for name in ("1-thread", "2-threads")]
