"""What is measured on: where each data set lies in the data folder, and how its rows are split.

A split is made of row numbers, so that a test can see that no row is in both halves. Rows are taken as
published: none is added, repeated or dropped. (Published tables contain equal rows; ADBench's own loader adds
more of them before splitting, which puts test rows into the training set.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.bool_]  # True: anomalous
Limits = dict[str, int]
Generator = np.random.Generator

SUITES = ("tabular", "intrusion", "images", "speed")
PROTOCOLS = {
    "semi": """\
Per seed, a random half of the normal rows trains; the other half and all anomalies are the test set. A
table with more than `max_rows` rows is first reduced to a random sample of that many, which keeps the
share of anomalies.""",
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
    "speed": """\
Random rows (100,000, 30) of rank 10 plus noise. *Scoring*: rows per second of `anomaly_score`, from
array to scores, median of three passes after a warm-up; where a pass would take more than about ten
seconds it gets fewer rows (see rows). *Training*: time of a step in each stage, median over blocks of
20 steps. *Share*: time of the bare matrix products of the same shapes and strides, forward and
backward, each alone into a preallocated output and on as many threads, divided by the real time; 1
would mean that nothing but the products costs anything.""",
}


@dataclass(frozen=True)
class Split:
    """Rows to fit on, rows to score, and whether each scored row is anomalous."""

    train: Any
    test: Any
    labels: Labels

    def limited(self, limits: Limits, rng: Generator) -> "Split":
        """At most ``max_train`` and ``max_test`` random rows, in their order."""
        train = np.sort(rng.permutation(len(self.train))[: limits.get("max_train")])
        test = np.sort(rng.permutation(len(self.test))[: limits.get("max_test")])
        return Split(_take(self.train, train), _take(self.test, test), self.labels[test])


@dataclass(frozen=True)
class Dataset:
    """One data set: its files below the data folder, its protocol, and how to load a split."""

    name: str
    files: tuple[str, ...]
    protocol: str
    load: Callable[[Path, Generator, Limits], Split]


def datasets_of(suite: str, data_dir: Path) -> dict[str, Dataset]:
    """The data sets of a suite whose files are in the data folder, by name."""
    known = {"tabular": _adbench(data_dir), "intrusion": INTRUSION, "images": IMAGES, "speed": SPEED}[suite]
    return {d.name: d for d in known if all((data_dir / file).is_file() for file in d.files)}


def semi(labels: Labels, rng: Generator) -> tuple[Rows, Rows]:
    """Row numbers (train, test): half of the normals; the rest."""
    normal = rng.permutation(np.flatnonzero(~labels))
    train = normal[: len(normal) // 2]
    return np.sort(train), np.setdiff1d(np.arange(len(labels)), train)


def gan_papers(labels: Labels, rng: Generator, share: float = 0.2) -> tuple[Rows, Rows]:
    """Row numbers (train, test): normals of one half; the other half with exactly `share` anomalies."""
    order = rng.permutation(len(labels))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    anomalies, normal = second[labels[second]], second[~labels[second]]
    ratio = share / (1 - share)  # anomalies per normal
    anomalies = anomalies[: round(len(normal) * ratio)]
    normal = normal[: round(len(anomalies) / ratio)]
    return np.sort(first[~labels[first]]), np.sort(np.concatenate([normal, anomalies]))


def sample_rows(labels: Labels, max_rows: int, rng: Generator) -> Rows:
    """At most `max_rows` row numbers with the same share of anomalies (and at least one anomaly)."""
    if len(labels) <= max_rows:
        return np.arange(len(labels))
    anomalies = max(1, round(max_rows * float(labels.mean())))
    anomalous, normal = (rng.permutation(np.flatnonzero(mask)) for mask in (labels, ~labels))
    return np.sort(np.concatenate([anomalous[:anomalies], normal[: max_rows - anomalies]]))


def _adbench(data_dir: Path) -> list[Dataset]:
    def load(file: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
        with np.load(data_dir / file, allow_pickle=False) as content:
            X, labels = content["X"].astype(np.float64), content["y"] == 1
        rows = sample_rows(labels, limits["max_rows"], rng)
        X, labels = X[rows], labels[rows]
        train, test = semi(labels, rng)
        return Split(X[train], X[test], labels[test])

    tables = {path.stem.partition("_")[2]: f"adbench/{path.name}" for path in data_dir.glob("adbench/*.npz")}
    names = sorted(tables, key=str.lower)
    return [Dataset(name, (tables[name],), "semi", partial(load, tables[name])) for name in names]


NSL_KDD = ("tables/nsl_kdd_train.csv", "tables/nsl_kdd_test.csv")
KDD_CUP_99 = "tables/kddcup99_10percent.csv.gz"
MNIST = "images/mnist.npz"


def _load_nsl_kdd(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    train, test = (pd.read_csv(data_dir / file) for file in NSL_KDD)
    train = train[train["label"] == "normal"]
    labels = (test["label"] != "normal").to_numpy(bool)
    return Split(train.drop(columns="label"), test.drop(columns="label"), labels).limited(limits, rng)


def _load_kdd_cup_99(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    table = pd.read_csv(data_dir / KDD_CUP_99)
    labels = table.pop("label").str.rstrip(".").eq("normal").to_numpy(bool)  # UCI's file writes "normal."
    train, test = gan_papers(labels, rng)
    return Split(table.iloc[train], table.iloc[test], labels[test]).limited(limits, rng)


def _load_digit(digit: int, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        train = content["X_train"][content["y_train"] == digit]
        test, labels = content["X_test"], content["y_test"] != digit
    return Split(train[:, None], test[:, None], labels).limited(limits, rng)  # (n, 1, 28, 28)


def _load_nothing(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    raise NotImplementedError("The speed suite makes its own rows.")


INTRUSION = [
    Dataset("nsl-kdd", NSL_KDD, "published-split", _load_nsl_kdd),
    Dataset("kddcup99", (KDD_CUP_99,), "gan-papers", _load_kdd_cup_99),
]
IMAGES = [Dataset(f"mnist-{n}", (MNIST,), "one-versus-rest", partial(_load_digit, n)) for n in range(10)]
SPEED = [Dataset(name, (), "speed", _load_nothing) for name in ("1-thread", "2-threads")]


def _take(rows: Any, chosen: Rows) -> Any:
    return rows.iloc[chosen] if hasattr(rows, "iloc") else rows[chosen]
