"""Detectors on OddBench's real tables, with their published splits, in two halves."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import ClassVar

import click
import numpy as np
import pandas as pd

from .comparison import Comparison, changes_option, detectors, limit_options
from .datasets import Dataset, Generator, Limits, Split, limited
from .experiment import Axis, Record, measured, numbers
from .ranking import TIE
from .report import grouped, table

HALVES = ("development", "final")
REFERENCE = "knn (n_neighbors=3)"


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
        return f"{super().report(records, folder)}\n\n{differences(measured(records))}"


def differences(records: list[Record]) -> str:
    """Return a table of each method's differences from `REFERENCE` on the same tables, for each half."""
    parts = []
    for half in HALVES:
        groups = grouped(r for r in records if r["protocol"] == half)
        if REFERENCE not in groups:
            continue
        means = pd.DataFrame(
            {
                name: {t: 100 * fmean(r["auroc"] for r in seeds) for t, seeds in of.items()}
                for name, of in groups.items()
            }
        )
        rows = []
        for name in means.columns.drop(REFERENCE):
            gains = (means[name] - means[REFERENCE]).dropna()
            error = f" ± {gains.sem():.2f}" if len(gains) > 1 else ""
            won, lost = ((sign * gains >= 100 * TIE).mean() for sign in (1, -1))
            rows.append(
                (
                    gains.mean(),
                    [
                        name,
                        str(len(gains)),
                        f"{gains.mean():+.2f}{error}",
                        f"{100 * won:.0f}",
                        f"{100 * lost:.0f}",
                        f"{gains.min():+.1f}",
                    ],
                )
            )
        rows.sort(key=lambda row: -row[0])
        head = ["detector", "tables", "points", "won %", "lost %", "worst"]
        parts += [f"### {half}", table(head, [row for _, row in rows])]
    if not parts:
        return ""
    explained = f"""\
Differences of AUROC from {REFERENCE} in points, ± their standard error over tables. Won and lost: tables on which the
difference is at least {100 * TIE:g}."""
    return "\n\n".join(["## Differences from nearest neighbours", explained, *parts])
