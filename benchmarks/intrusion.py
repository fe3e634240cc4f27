"""Detectors on network connections: NSL-KDD and KDD Cup 1999."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

import anogan

from .comparison import Comparison, changes_option, detectors, limit_options
from .datasets import Dataset, Generator, Labels, Limits, Rows, Split, at_hand, limited
from .experiment import names, numbers

NSL_KDD = ("tables/nsl_kdd_train.csv", "tables/nsl_kdd_test.csv")
KDD_CUP_99 = "tables/kddcup99_10percent.csv.gz"


def gan_papers(labels: Labels, rng: Generator, share: float = 0.2) -> tuple[Rows, Rows]:
    """Return row numbers (train, test): normals of one half; the other half with exactly `share` anomalies."""
    order = rng.permutation(len(labels))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    anomalies, normal = second[labels[second]], second[~labels[second]]
    ratio = share / (1 - share)  # anomalies per normal
    anomalies = anomalies[: round(len(normal) * ratio)]
    normal = normal[: round(len(anomalies) / ratio)]
    return np.sort(first[~labels[first]]), np.sort(np.concatenate([normal, anomalies]))


def load_nsl_kdd(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    """Return the normal rows of the published training file, and all rows of the published test file."""
    train, test = (pd.read_csv(data_dir / file) for file in NSL_KDD)
    train = train[train["label"] == "normal"]
    labels = (test["label"] != "normal").to_numpy(bool)
    return limited(Split(train.drop(columns="label"), test.drop(columns="label"), labels), limits, rng)


def load_kdd_cup_99(data_dir: Path, rng: Generator, limits: Limits) -> Split:
    """Return a random split in which the label ``normal`` is the anomaly, as in the GAN papers."""
    table = pd.read_csv(data_dir / KDD_CUP_99)
    labels = table.pop("label").str.rstrip(".").eq("normal").to_numpy(bool)  # UCI's file writes "normal."
    train, test = gan_papers(labels, rng)
    return limited(Split(table.iloc[train], table.iloc[test], labels[test]), limits, rng)


DATASETS = (
    Dataset("nsl-kdd", NSL_KDD, "published-split", load_nsl_kdd),
    Dataset("kddcup99", (KDD_CUP_99,), "gan-papers", load_kdd_cup_99),
)


class Intrusion(Comparison):
    """Tables with mixed columns."""

    name = "intrusion"
    help = "Detectors on network connections: NSL-KDD and KDD Cup 1999."
    axes = (numbers("seed", "0"), names("dataset", lambda data: list(at_hand(DATASETS, data))), detectors())
    options = (changes_option, *limit_options())
    limits = ("max_train", "max_test")
    protocols: ClassVar = {
        "published-split": """\
Training uses the `normal` rows of the published training file; the test set is the published test file.
The seed is the detector's alone. Baselines get the rows in the detectors' own encoding.""",
        "gan-papers": """\
As in Zenati 2018 (arXiv:1802.06222, arXiv:1812.02288): attacks, the majority, count as normal, the
label `normal` as the anomaly. Per seed, a random half of all rows is for training, and only the
majority's rows in it are used; the other half is the test set, with so many of the majority left out
that 20 % are anomalies. Precision, recall and F1 flag what reaches the 80th percentile of the *test
scores*, which uses the known share of anomalies: **for this comparison only**. Published F1: EGBAD
0.937, ALAD 0.950.""",
    }

    @property
    def default_scaling(self) -> str:
        return str(anogan.Detector.parameters()["scaling"].default)

    def datasets(self, data_dir: Path, protocol: str = "") -> dict[str, Dataset]:
        return at_hand(DATASETS, data_dir)
