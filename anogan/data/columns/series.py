"""Values of a pandas column as plain Python objects, and the messages about them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ...errors import InputError
from ...sources.notes import ColumnNote, role_option

_HALF = re.compile("[\ud800-\udfff]")  # half of a character in UTF-16


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python object; other values as they are."""
    return value.item() if isinstance(value, np.generic) else value


def first_value(series: pd.Series) -> Any:
    """The first value that is not missing."""
    return plain(series.dropna().iloc[0])


def inferred_type(series: pd.Series) -> str:
    """What the values of a column are according to pandas, such as "string", "integer" or "date"."""
    return str(types.infer_dtype(series, skipna=True))


def type_changed(name: Any, expected: str, value: Any) -> InputError:
    """The error for a column that had another type when the model was fitted."""
    return InputError(
        f"Column {name!r} changed type: the model was fitted on {expected}, but X has {value!r} "
        f"({type(value).__name__}). Convert the column, or fit again."
    )


def check_whole_characters(what: str, values: Iterable[Any]) -> None:
    """Raise `InputError` for a text with half of a UTF-16 character, which no model file can hold."""
    for value in values:
        if isinstance(value, str) and _HALF.search(value):
            raise InputError(
                f"{what} has the text {value!r}, which is not Unicode and cannot be saved. It was probably decoded "
                "with errors='surrogateescape'; decode it with its own encoding."
            )


def column_error(name: str | int, seen: str, python: str = "", shell: str = "", *, drop: bool = False) -> InputError:
    """The error for a column that cannot be used.

    Parameters
    ----------
    name, seen, python, shell
        As in `ColumnNote`: what was seen, and the advice for Python and for the command line.
    drop : bool
        Whether the advice ends with how to drop the column.
    """
    if drop:
        python = f"{python} Drop the column: X.drop(columns={name!r}).".lstrip()
        shell = f"{shell} Drop the column: {role_option(name, 'drop')}.".lstrip()
    note = ColumnNote(name, seen, python, shell)
    return InputError(note.text(), note.text(shell=True))
