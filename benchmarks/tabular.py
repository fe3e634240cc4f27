"""Detectors on ADBench's tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import click

from anogan import protocol

from . import adbench
from .comparison import Comparison, changes_option, detectors
from .datasets import Dataset
from .differences import differences
from .experiment import Axis, Cell, Record, measured, names, numbers

DEFAULT_MAX_ROWS = 50_000
PROTOCOLS = {name: entry.text for name, entry in protocol.PROTOCOLS.items()}


def _protocols() -> Axis:
    known = names("protocol", lambda _: list(PROTOCOLS))
    help = f"Comma-separated: {', '.join(PROTOCOLS)}.  [default: semi]"
    return Axis("protocol", lambda text, data_dir: known.parse(text or "semi", data_dir), help)


class Tabular(Comparison):
    """Random splits of labelled tables."""

    name = "tabular"
    help = "Detectors on ADBench's tables."
    axes: ClassVar[tuple[Axis, ...]] = (
        _protocols(),
        numbers("seed", "0"),
        names("dataset", lambda data: list(adbench.tables(data))),
        detectors(),
    )
    options: ClassVar[tuple[click.Option, ...]] = (
        changes_option,
        click.Option(["--max-rows"], type=click.IntRange(10), default=DEFAULT_MAX_ROWS, show_default=True,
                     help="Rows of a table, at most."),
    )  # fmt: skip
    limits = ("max_rows",)
    protocols = PROTOCOLS
    testable = True

    def datasets(self, data_dir: Path, protocol: str = "semi") -> dict[str, Dataset]:
        return adbench.tables(data_dir, protocol)

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        found = adbench.tables(data_dir)
        for dataset in chosen["dataset"]:
            if adbench.differs(data_dir / found[dataset].files[0]):
                click.echo(f"{dataset}: this file is not the one of the committed records (SHA-256 differs)", err=True)
        return super().cells(data_dir, chosen)

    def report(self, records: list[Record], folder: Path) -> str:
        return f"{super().report(records, folder)}\n\n{differences(measured(records), PROTOCOLS)}"
