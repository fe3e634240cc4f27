"""How the columns of a table will be read, before a detector is fitted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns import DateColumn, infer_kind, learn_column
from ..data.columns.totals import total_rows
from ..detectors.preparing import SAMPLED_ROWS, SAMPLED_VALUES
from ..errors import InputError
from ..sources.column_roles import roles_of
from ..sources.notes import ColumnNote
from ..sources.registry import open_source
from ..sources.table import TableFile
from ..sources.text_dates import has_day

EXAMPLES = 3
_PERIODS = {"day": "time of day", "week": "weekday", "year": "season"}


@dataclass(frozen=True)
class ColumnPreview:
    """How a column will be read.

    Attributes
    ----------
    name : str or int
    kind : str
        "number", "category", "boolean", "date", or "unusable" for a column that stops a fit.
    learned : bool
        Whether a detector learns from it.
    how : str
        For dates, their format and the periods that are learned.
    rows : int
        Number of rows that were looked at.
    distinct : int
        Distinct values, without missing ones.
    missing : int
        Missing values.
    low, high : float, str or None
        The least and the greatest number, or the first and the last date.
    examples : list of str
        The most frequent values of other columns.
    notes : list of ColumnNote
        What is doubtful, why, and what to do about it.
    """

    name: str | int
    kind: str
    learned: bool
    how: str
    rows: int
    distinct: int
    missing: int
    low: Any = None
    high: Any = None
    examples: list[str] = field(default_factory=list)
    notes: list[ColumnNote] = field(default_factory=list)


def preview_columns(data: Any, columns: Mapping[Any, str] | None = None) -> list[ColumnPreview]:
    """Return how a detector with these roles will read each column of a table; of a long file, a sample is read.

    Parameters
    ----------
    data : path, TableFile or DataFrame
    columns : dict, optional
        Column name -> role, as the parameter `columns` of detectors.

    Raises
    ------
    InputError
        If the data are no table or cannot be read, or there is no such column or role. A column that cannot be used is
        no error; it is of the kind "unusable".

    Examples
    --------
    >>> import pandas, anogan
    >>> X = pandas.DataFrame({"nr": range(50), "amount": [1.5, 2.5] * 25})
    >>> for column in anogan.preview_columns(X):
    ...     print(column.name, column.kind, column.learned, *(note.seen for note in column.notes))
    nr number False numbers the rows in their order (0 to 49); it is not learned
    amount number True
    """
    if isinstance(data, str | os.PathLike):
        data = open_source(data)
    sampled, of_file = None, []
    if isinstance(data, TableFile):
        file = data.in_roles(columns)
        drawn = file.sample(min(SAMPLED_ROWS, SAMPLED_VALUES // len(data.columns)), 0)
        data, sampled, of_file = drawn.known, len(drawn.frame), [n for n in file.notes if isinstance(n, ColumnNote)]
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"The columns of a table can be shown; this is {type(data).__name__}. Give a DataFrame.")
    roles = roles_of(columns, data.columns.tolist())
    found = [_preview(name, data[name], roles.get(name), sampled) for name in data.columns]
    totals = total_rows(data[:sampled])
    return [
        replace(
            c,
            notes=[
                *(note for note in of_file if note.column == c.name),
                *c.notes,
                *(note for note in totals if note.column == c.name),
            ],
        )
        for c in found
    ]


def _preview(name: str | int, known: pd.Series, role: Any, sampled: int | None) -> ColumnPreview:
    series = known[:sampled]
    facts: dict[str, Any] = {
        "name": name,
        "how": "",
        "rows": len(series),
        "missing": int(series.isna().sum()),
    }
    try:
        kind: str = infer_kind(name, series)
        learned = learn_column(name, known, None, role=role, sampled=sampled)
    except InputError as error:
        note = ColumnNote(name, f"cannot be used: {str(error).removeprefix(f'Column {name!r} ')}")
        return ColumnPreview(**facts, kind="unusable", learned=False, distinct=0, notes=[note])
    facts |= {"distinct": int(series.nunique()), "notes": learned.notes, "learned": learned.column is not None}
    column = learned.column
    if column is not None:
        kind = column.kind
    if isinstance(column, DateColumn):
        periods = ", ".join(_PERIODS[part] for part in column.parts)
        facts["how"] = " ".join(filter(None, [column.format, periods, "and the time itself" * column.trend]))
    if kind in ("number", "date") and len(series.dropna()):
        values = column.values(series) if column is not None and kind == "number" else None
        low, high = (series.dropna().min(), series.dropna().max()) if values is None else _ends(values)
        if isinstance(column, DateColumn):
            low, high = (str(np.datetime64(round(seconds), "s")).replace("T", " ") for seconds in _ends_of(column))
            if column.format and not has_day(column.format):
                low, high = low.split()[1], high.split()[1]
        facts |= {"low": _plain(low), "high": _plain(high)}
    else:
        facts["examples"] = [str(value) for value in series.value_counts().index[:EXAMPLES]]
    return ColumnPreview(kind=kind, **facts)


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(values)), float(np.nanmax(values))


def _ends_of(column: DateColumn) -> tuple[float, float]:
    return column.low, column.high


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, int | float | str) else str(value)
