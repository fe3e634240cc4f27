"""How much of new data lies beyond the range of training, counted over the parts of the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import RangeWarning
from ..sources.notes import Note


class Beyond(NamedTuple):
    """Values of a column, or pictures: how many there are, and how many of them lie beyond the range of training."""

    values: int
    beyond: int

    def more(self, other: Beyond) -> Beyond:
        """Return the sum of both."""
        return Beyond(self.values + other.values, self.beyond + other.beyond)


class RangeCounter:
    """Counts values or pictures beyond the range of training over the parts of some data.

    Attributes
    ----------
    counts : dict of str or int to Beyond
        By column, or by how pictures are unlike those of the fit.
    """

    def __init__(
        self,
        count: Callable[[Any], Mapping[str | int, Beyond]],
        notes: Callable[[Mapping[str | int, Beyond]], Sequence[Note]],
    ) -> None:
        self._count, self._notes = count, notes
        self.counts: dict[str | int, Beyond] = {}

    def add(self, X: Any) -> None:
        """Count the values of the next rows, or the next pictures."""
        for name, found in self._count(X).items():
            self.counts[name] = self.counts.get(name, Beyond(0, 0)).more(found)

    def more(self, counts: Mapping[str, list[int]]) -> None:
        """Add counts of other rows that were stored as JSON."""
        for name, found in counts.items():
            self.counts[name] = self.counts.get(name, Beyond(0, 0)).more(Beyond(*found))

    def notes(self) -> Sequence[Note]:
        """Return a note for each column with more values beyond the range than chance explains, or about pictures."""
        return self._notes(self.counts)

    def warn(self, stacklevel: int) -> None:
        """Give the notes as warnings, at the caller's caller for a ``stacklevel`` of 2."""
        for note in self.notes():
            warnings.warn(RangeWarning(note.text(), note.text(shell=True)), stacklevel=stacklevel + 1)
