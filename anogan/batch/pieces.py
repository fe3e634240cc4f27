"""The parts of some data that workers of a cluster score one by one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..files.remote import is_remote
from ..sources.source import Source
from ..streams.progress import report
from ..streams.stream import PICTURES_AT_ONCE, ROWS_AT_ONCE
from .scores import ScoreTables
from .scoring import Scoring

if TYPE_CHECKING:
    from .engine import Engine

_CHUNKS = 8  # in a piece: large enough for the cost of a task, small enough for its result in memory


@dataclass(frozen=True)
class Piece:
    """Rows or pictures of some data from `start` to before `stop`.

    Attributes
    ----------
    data : list of str
        What is opened: paths that all nodes see, or URLs.
    start, stop : int
    counted : bool
        Whether `start` counts from the first row of all data, rather than of the piece's own.
    """

    data: list[str]
    start: int = 0
    stop: int = sys.maxsize
    counted: bool = True


def pieces_of(source: Source, data: list[str], rows: int) -> list[Piece]:
    """Return the pieces of a source of `rows` rows or pictures each.

    A table whose length is not known before it is read, such as a CSV file, is one piece; several are one each.
    """
    if source.total is not None:
        return [Piece(data, first, min(first + rows, source.total)) for first in range(0, source.total, rows)]
    paths = [str(path) for path in source.paths] if source.folder is None else data
    return [Piece([path], counted=len(paths) == 1) for path in paths]


class PieceTables:
    """The scores of a stream, computed by a cluster: one table for each piece, in order.

    Parameters
    ----------
    tables : ScoreTables
        Of the whole stream; it gets the state of the pieces.
    engine : Engine
    scoring : Scoring
    data : sequence of str
    model : Path
    """

    def __init__(self, tables: ScoreTables, engine: Engine, scoring: Scoring, data: list[str], model: Path) -> None:
        self.tables, self.engine, self.scoring, self.model = tables, engine, scoring, model
        data = [path if is_remote(path) else os.path.abspath(path) for path in data]
        is_image = tables.detector.preprocessor_.kind == "image"
        rows = scoring.chunk_rows or (PICTURES_AT_ONCE if is_image else ROWS_AT_ONCE)
        self.pieces = pieces_of(tables.stream.source, data, _CHUNKS * rows)

    def __iter__(self) -> Iterator[pa.Table]:
        """Score the pieces that have not been scored."""
        tables = self.tables
        pieces = self.pieces[tables.pieces :]
        report(tables.progress, "scoring", tables.rows, tables.stream.total)
        scoring = self.scoring.to_json()
        tasks = ({"data": p.data, "start": p.start, "stop": p.stop, "scoring": scoring} for p in pieces)
        for piece, (table, state) in zip(pieces, self.engine.tables("score", tasks, self.model), strict=True):
            first = 0 if piece.counted else tables.rows
            if first and table.column_names[0] == "row":
                table = table.set_column(0, "row", pc.add(table["row"], first))
            tables.add(state, first)
            report(tables.progress, "scoring", tables.rows, tables.stream.total)
            yield table.cast(tables.scored)
        tables.stream.check_any()


def check_engine(scoring: Scoring, data: list[str]) -> None:
    """Raise `InputError` if a cluster cannot score some data."""
    if data == ["-"]:
        raise InputError("Workers of a cluster cannot read standard input; name a file that all of them see.")
    if scoring.maps is not None:
        raise InputError(
            "Workers of a cluster write no maps; score without maps, and draw those of the flagged pictures here.",
            "Workers of a cluster write no maps; score without --maps, and draw those of the flagged pictures here.",
        )
