"""Sampling the rows of a table in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 1000
"""Different texts of a column that can be learned, at most."""
KEY = "\0key"
"""Name of the column with the keys of rows in a sample of a part."""
_SLACK = 1.5  # candidate rows that are held at most, as a multiple of the sample size
_PIECES = 256  # tables with candidate rows that are held at most; each takes some kilobytes whatever its length


UNITS = "anogan units"
"""Key in the `attrs` of a sample's DataFrames: the units of columns of numbers that were written as text."""


class RowSample(NamedTuple):
    """Rows of a file for `Detector.fit`.

    Attributes
    ----------
    frame : DataFrame
        A uniform sample without replacement, in the file's order.
    known : DataFrame
        The same rows, followed by the first row of each kind of value that the sample may miss: for each column a
        missing value, an infinity, and each text.
    total : int
        Rows that the sample was drawn from.
    """

    frame: pd.DataFrame
    known: pd.DataFrame
    total: int


class ReservoirSample:
    """Keeps the rows with the smallest keys of all offered rows, in their original order.

    With keys drawn uniformly at random this is a uniform sample without replacement.

    Parameters
    ----------
    size : int
        Largest number of rows in the sample.
    limit : float
        Rows with greater keys are known not to be among the sample.

    Attributes
    ----------
    seen : int
        Rows that were offered.
    """

    def __init__(self, size: int, limit: float = np.inf) -> None:
        self.size = size
        self.seen = 0
        self._tables: list[pa.Table] = []
        self._keys: list[np.ndarray] = []
        self._waiting = 0
        self._limit = limit

    def offer(self, table: pa.Table, keys: np.ndarray) -> None:
        """Add the next rows with their keys (n,)."""
        self.seen += len(keys)
        better = keys < self._limit
        if not better.all():
            table, keys = table.filter(pa.array(better)), keys[better]
        self._tables.append(table)
        self._keys.append(keys)
        self._waiting += len(keys)
        if self._waiting > _SLACK * self.size or len(self._tables) > _PIECES:
            self._settle()

    def drawn(self) -> tuple[pa.Table, np.ndarray]:
        """Return the sample and its keys (n,)."""
        self._settle()
        return self._tables[0], self._keys[0]

    def _settle(self) -> None:
        table, keys = pa.concat_tables(self._tables), np.concatenate(self._keys)
        if len(keys) > self.size:
            self._limit = np.partition(keys, self.size - 1)[self.size - 1]
            least = keys <= self._limit
            table, keys = table.filter(pa.array(least)), keys[least]
        self._tables, self._keys, self._waiting = [table.combine_chunks()], [keys], len(keys)


class Sample:
    """A uniform sample of the rows of a table, and the first row of each kind of value that it may miss.

    A table can be sampled in parts, whose samples are merged in their order: the result is that of the whole.

    Parameters
    ----------
    size, limit
        See `ReservoirSample`.
    """

    def __init__(self, size: int, limit: float = np.inf) -> None:
        self.rows, self.rare = ReservoirSample(size, limit), RareValueRows()

    @property
    def seen(self) -> int:
        """Rows that were offered."""
        return self.rows.seen

    def offer(self, table: pa.Table, keys: np.ndarray) -> None:
        """Add the next rows with their keys (n,), drawn uniformly from [0, 1)."""
        self.rare.offer(table)
        self.rows.offer(table, keys)

    def draw(
        self,
        tables: Iterable[pa.Table],
        seed: int,
        *,
        skipped: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Add the next rows with random keys.

        Parameters
        ----------
        tables : iterable of pyarrow.Table
        seed : int
        skipped : int
            Rows before these, whose keys are not drawn here.
        progress : function of int, optional
            Called with the number of rows that were offered so far.
        """
        generator = np.random.PCG64(seed)
        generator.advance(skipped)
        rng = np.random.Generator(generator)
        for table in tables:
            self.offer(table, rng.random(table.num_rows))
            if progress is not None:
                progress(self.seen)

    def join(self, parts: Iterable[tuple[pa.Table, int]], *, progress: Callable[[int], None] | None = None) -> None:
        """Merge parts in their order, and call `progress` as `draw` does."""
        for part, seen in parts:
            self.merge(part, seen)
            if progress is not None:
                progress(self.seen)

    def known(self) -> tuple[int, pa.Table]:
        """Return how many rows were drawn, and these rows followed by those that only show further values."""
        drawn, _ = self.rows.drawn()
        return len(drawn), pa.concat_tables([drawn, *self.rare.rows])

    def to_table(self) -> pa.Table:
        """Return the rows with their keys, and those that only show further values without."""
        drawn, keys = self.rows.drawn()
        rare = pa.concat_tables([drawn.slice(0, 0), *self.rare.rows])
        return pa.concat_tables(
            [drawn.append_column(KEY, pa.array(keys)), rare.append_column(KEY, pa.nulls(len(rare), pa.float64()))]
        )

    def merge(self, table: pa.Table, seen: int) -> None:
        """Add the next part of the table: what `to_table` returned there, and how many rows it was offered."""
        is_rare = pc.is_null(table[KEY])
        self.rare.offer(table.filter(is_rare).drop_columns(KEY))
        drawn = table.filter(pc.invert(is_rare))
        self.rows.offer(drawn.drop_columns(KEY), drawn[KEY].to_numpy())
        self.rows.seen += seen - len(drawn)


class RareValueRows:
    """Keeps the first row of each kind of value that a sample may miss: a missing value, an infinity, and each text.

    Of a column with more than `MAX_CATEGORIES` texts, which no model learns, further texts are not kept.

    Attributes
    ----------
    rows : list of pyarrow.Table
    """

    def __init__(self) -> None:
        self.rows: list[pa.Table] = []
        self._known: dict[str, set[Any]] = {}

    def offer(self, table: pa.Table) -> None:
        """Keep those of the next rows that have a new kind of value."""
        first: set[int] = set()
        for name in table.column_names:
            column = table.column(name)
            known = self._known.setdefault(name, set())
            for value, row in _first_rows(column, known, texts=MAX_CATEGORIES):
                known.add(value)
                first.add(row)
        if first:
            self.rows.append(table.take(pa.array(sorted(first))))


def _first_rows(column: pa.ChunkedArray, known: set[Any], *, texts: int) -> Iterator[tuple[Any, int]]:
    """Yield each kind of value that is not known yet (None is missing), and its first row; up to `texts` + 1 texts."""
    if None not in known:
        missing = pc.is_null(column, nan_is_null=True)
        if pc.any(missing).as_py():
            yield None, pc.index(missing, True).as_py()
    if pa.types.is_floating(column.type) and np.inf not in known:
        infinite = pc.is_inf(column)
        if pc.any(infinite).as_py():
            yield np.inf, pc.index(infinite, True).as_py()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for value in pc.unique(column):
            if len(known) > texts + 1:  # one more than can be learned, beside the missing value
                return
            if value.is_valid and value.as_py() not in known:
                yield value.as_py(), pc.index(column, value).as_py()
