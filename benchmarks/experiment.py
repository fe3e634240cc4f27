"""What an experiment is: a list of cells, a measurement of each one, and a page made from the records."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import click

import anogan

Record = dict[str, Any]
Cell = dict[str, Any]
"""The fields that identify one measurement; its record starts with them."""


def measured(records: list[Record]) -> list[Record]:
    """Return the records of cells that did not fail."""
    return [record for record in records if "error" not in record]


@dataclass(frozen=True)
class Axis:
    """One coordinate of the cells, and the option ``--NAMEs`` of ``run`` that chooses its values.

    Parameters
    ----------
    name : str
        Field of the cell.
    parse : function
        ``(text, data_dir) -> values``; the text is that of the option, None if it is not given. A
        `click.UsageError` says what is wrong with it.
    help : str
        Of the option.
    """

    name: str
    parse: Callable[[str | None, Path], Sequence[Any]]
    help: str

    @property
    def option(self) -> str:
        """The option's name, such as ``--datasets``."""
        return f"--{self.name}s"


def names(name: str, known: Callable[[Path], Sequence[str]]) -> Axis:
    """An axis of names, all of them by default.

    Parameters
    ----------
    known : function
        ``known(data_dir)`` returns the names that can be chosen.
    """

    def parse(text: str | None, data_dir: Path) -> Sequence[str]:
        every = known(data_dir)
        if text is None:
            return every
        chosen = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        for value in chosen:
            if value not in every:
                raise click.UsageError(f"--{name}s: {value!r} is not one of {', '.join(every)}.")
        if not chosen:
            raise click.UsageError(f"--{name}s is empty.")
        return chosen

    return Axis(name, parse, "Comma-separated names.  [default: all]")


def numbers(name: str, default: str) -> Axis:
    """An axis of whole numbers, written as ``0-4`` or ``0,3``."""

    def parse(text: str | None, _: Path) -> Sequence[int]:
        text = default if text is None else text
        try:
            ranges = [part.split("-") for part in text.split(",")]
            found = [n for first, *last in ranges for n in range(int(first), int(last[0] if last else first) + 1)]
        except ValueError:
            found = []
        if not found:
            raise click.UsageError(f"--{name}s: {text!r} is not of the form 0-4 or 0,3.")
        return list(dict.fromkeys(found))

    return Axis(name, parse, f"Whole numbers, such as 0-4 or 0,3.  [default: {default}]")


class Experiment(ABC):
    """A measurement that one command repeats.

    Attributes
    ----------
    name : str
        Of the experiment, of its file of records (``NAME.jsonl``) and of its page (``NAME.md``).
    help : str
        One sentence for the command line.
    axes : tuple of Axis
        The coordinates of its cells.
    options : tuple of click.Option
        Further options of ``run``; `cells` receives their values by name.
    identity : tuple of str
        Fields that are equal for two records of the same cell; the names of the axes by default.
    needs_data : bool
        Whether it reads the folder of data sets.
    time_limit : float
        Seconds a cell may take unless ``--time-limit`` says otherwise.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    axes: ClassVar[tuple[Axis, ...]]
    options: ClassVar[tuple[click.Option, ...]] = ()
    needs_data: ClassVar[bool] = True
    time_limit: ClassVar[float] = 1800.0

    @property
    def identity(self) -> tuple[str, ...]:
        """Fields that identify a record."""
        return tuple(axis.name for axis in self.axes)

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        """Return the cells to measure: every combination of the chosen values of the axes.

        Parameters
        ----------
        data_dir : Path
            The folder of data sets.
        chosen : mapping
            The list of values of each axis, and the value of each of `options`.
        """
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, values, strict=True)) for values in product(*(chosen[name] for name in names))]

    @abstractmethod
    def measure(self, cell: Cell, data_dir: Path) -> Record:
        """Measure one cell in this process; return what the record holds besides the cell."""

    @abstractmethod
    def report(self, records: list[Record], folder: Path) -> str:
        """Return the page in Markdown; figures are written to `folder`.

        Records of failed cells have an ``error`` in place of results.
        """

    def failures(self, records: list[Record]) -> str:
        """Return the end of the page: which cells failed, and why; empty if none did."""
        lines = [f"- {self.words(record)}: {record['error']}" for record in records if "error" in record]
        return "\n".join([f"## {anogan.summary.counted(len(lines), 'cell')} failed", "", *lines]) if lines else ""

    def words(self, cell: Cell) -> str:
        """Name a cell by its coordinates, such as ``seed 0, dataset Wilt, detector knn``."""
        words = [f"{axis.name} {cell[axis.name]}" for axis in self.axes if axis.name in cell]
        return ", ".join(words + [f"{name}={value}" for name, value in cell.get("params", {}).items()])

    def outcome(self, record: Record) -> str:
        """Return the main result of a record for the progress line; empty by default."""
        return ""

    @property
    def made_by(self) -> str:
        """The first sentence of the page."""
        return f"Made by `python -m benchmarks report {self.name}` from {self.name}.jsonl; see ../README.md."
