"""Detectors on OddBench's real tables, with their published splits, in two halves."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

import click
import numpy as np

from .comparison import Comparison, changes_option, detectors, limit_options
from .datasets import Dataset, Generator, Limits, Split, limited
from .differences import differences
from .experiment import Axis, Record, measured, numbers

HALVES = ("development", "final")


def half_of(name: str) -> str:
    """Return the half that a table belongs to: ``development`` if the SHA-256 of its name is even, else ``final``."""
    return HALVES[int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2]


def tables(data_dir: Path) -> dict[str, Dataset]:
    """Return the tables in the data folder; the protocol of each is its half."""
    names = sorted((path.stem for path in data_dir.glob("oddbench/*.npz")), key=str.lower)
    return {
        name: Dataset(name, (file,), half_of(name), partial(load, file))
        for name in names
        if (file := f"oddbench/{name}.npz")
    }


def load(file: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
    """Return the published split: normal rows for training, and labelled test rows."""
    with np.load(data_dir / file, allow_pickle=False) as content:
        train, test = (content[name].astype(np.float64) for name in ("X_train", "X_test"))
        labels = content["y_test"] == 1
    return limited(Split(train, test, labels), limits, rng)


def tables_axis(known: Callable[[Path], dict[str, Dataset]], groups: tuple[str, ...]) -> Axis:
    """Return an axis of tables, which can be chosen by name or by protocol.

    Parameters
    ----------
    known : function
        ``known(data_dir)`` returns the tables.
    groups : tuple of str
        Their protocols.
    """

    def parse(text: str | None, data_dir: Path) -> list[str]:
        every = known(data_dir)
        chosen: list[str] = []
        for part in filter(None, (part.strip() for part in (text or ",".join(groups)).split(","))):
            named = [name for name, dataset in every.items() if part in (name, dataset.protocol)]
            if not named and part not in groups:
                raise click.UsageError(f"--datasets: {part!r} is not one of {', '.join([*groups, *every])}.")
            chosen += named
        return list(dict.fromkeys(chosen))

    return Axis("dataset", parse, f"Comma-separated: {', '.join(groups)}, or names of tables.  [default: all]")


class OddBench(Comparison):
    """Tables with fixed splits."""

    name = "oddbench"
    help = "Detectors on OddBench's tables, with their published splits, in two halves."
    axes: ClassVar[tuple[Axis, ...]] = (numbers("seed", "0"), tables_axis(tables, HALVES), detectors())
    options: ClassVar[tuple[click.Option, ...]] = (changes_option, *limit_options())
    limits = ("max_train", "max_test")
    protocols: ClassVar = {
        "development": """\
The published split of each table: normal rows for training, and labelled test rows. These are the tables
whose name has an even SHA-256. Methods were developed on them.""",
        "final": """\
The published split of each table. These are the tables whose name has an odd SHA-256. Nothing was chosen
on them.""",
    }
    testable = True

    def datasets(self, data_dir: Path, protocol: str = "") -> dict[str, Dataset]:
        return tables(data_dir)

    def report(self, records: list[Record], folder: Path) -> str:
        return f"{super().report(records, folder)}\n\n{differences(measured(records), HALVES)}"
