"""How many values of new rows lie beyond the range of training, counted over the parts of some data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..sources.notes import ColumnNote


class Beyond(NamedTuple):
    """Values of a column: how many there are, and how many of them lie beyond the range of training."""

    values: int
    beyond: int

    def more(self, other: Beyond) -> Beyond:
        """Return the sum of both."""
        return Beyond(self.values + other.values, self.beyond + other.beyond)


class RangeCounter:
    """Counts values beyond the range of training over the parts of some data.

    Attributes
    ----------
    counts : dict of str or int to Beyond
    """

    def __init__(
        self,
        count: Callable[[Any], Mapping[str | int, Beyond]],
        notes: Callable[[Mapping[str | int, Beyond]], list[ColumnNote]],
    ) -> None:
        self._count, self._notes = count, notes
        self.counts: dict[str | int, Beyond] = {}

    def add(self, X: Any) -> None:
        """Count the values of the next rows."""
        for name, found in self._count(X).items():
            self.counts[name] = self.counts.get(name, Beyond(0, 0)).more(found)

    def more(self, counts: Mapping[str, list[int]]) -> None:
        """Add counts of other rows that were stored as JSON."""
        for name, found in counts.items():
            self.counts[name] = self.counts.get(name, Beyond(0, 0)).more(Beyond(*found))

    def notes(self) -> list[ColumnNote]:
        """Return a note for each column with more values beyond the range than chance explains."""
        return self._notes(self.counts)
