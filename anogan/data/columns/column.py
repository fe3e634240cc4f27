"""The union of the kinds of columns, and its reader."""

from __future__ import annotations

from ..state import StateReader
from .category import CategoryColumn
from .date import DateColumn
from .number import NumberColumn

Column = NumberColumn | CategoryColumn | DateColumn


def column_from_state(state: StateReader, channels: int) -> Column:
    """The column of a state, whose scaler has so many `channels`.

    Raises
    ------
    FormatError
        If the state is not one that `Column.to_state` writes.
    """
    kind = state.text("kind", choices=("number", "category", "boolean", "date"))
    column: Column
    if kind == "number":
        column = NumberColumn.from_state(state, channels)
    elif kind == "date":
        column = DateColumn.from_state(state, channels)
    else:
        column = CategoryColumn.from_state(state, kind)
    state.end()
    return column
