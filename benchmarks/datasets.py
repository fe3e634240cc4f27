"""A data set: its files below the data folder, and how its rows are split.

A split is made of row numbers, so that a test can see that no row is in both halves. Rows are taken as
published: none is added, repeated or dropped. (Published tables contain equal rows; ADBench's own loader adds
more of them before splitting, which puts test rows into the training set.) Splits of labelled tables are
`anogan.protocol.PROTOCOLS`; experiments add those that belong to one data set.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anogan import protocol

Split = protocol.Split
Rows = protocol.Rows
Labels = protocol.Labels
Limits = dict[str, int]
Generator = np.random.Generator


@dataclass(frozen=True)
class Dataset:
    """One data set: its files below the data folder, its protocol, and how to load a split.

    Parameters
    ----------
    masks : function or None
        ``masks(data_dir, split)`` yields for each test image where it is defective: bool (H, W), or None where that
        is not known.
    """

    name: str
    files: tuple[str, ...]
    protocol: str
    load: Callable[[Path, Generator, Limits], Split]
    masks: Callable[[Path, Split], Iterator[np.ndarray | None]] | None = None


def at_hand(datasets: Iterable[Dataset], data_dir: Path) -> dict[str, Dataset]:
    """Return the data sets whose files are in the data folder, by name."""
    return {d.name: d for d in datasets if all((data_dir / file).is_file() for file in d.files)}


def limited(split: Split, limits: Limits, rng: Generator) -> Split:
    """Keep at most ``max_train`` and ``max_test`` random rows of a split, in their order."""
    train = np.sort(rng.permutation(len(split.train))[: limits.get("max_train")])
    test = np.sort(rng.permutation(len(split.test))[: limits.get("max_test")])
    return Split(protocol.take(split.train, train), protocol.take(split.test, test), split.labels[test])
