"""Numbers that a column of a DataFrame holds as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ...sources.column_texts import NumberTexts
from ...sources.notes import role_option
from ...sources.number_formats import UnclearNumbersError, number_formats
from ...sources.text_numbers import CODE, NumberFormat
from .series import column_error, type_changed

_FIRST = 1000  # rows that show for most columns of text that they hold no numbers


def number_format(name: str | int, series: pd.Series, *, certain: bool = False) -> NumberFormat | None:
    """Return how the numbers in a column of text are written, None if it holds none or only a few different ones.

    Parameters
    ----------
    name : str or int
    series : (n,) Series of text
    certain : bool
        Whether the column is to be read as numbers, even if they are few.

    Raises
    ------
    InputError
        If the column is ambiguous, writes numbers in several ways, or holds numbers but for a few texts.
    """
    texts = NumberTexts(certain=certain)
    for part in (series[:_FIRST], series[_FIRST:]):
        if not texts.hopeless:
            texts.offer(_arrow(part))
    try:
        found = number_formats({str(name): texts}).get(str(name))
    except UnclearNumbersError as error:
        raise column_error(
            name,
            error.seen,
            f"Convert it, or give it a role, such as columns={{{name!r}: 'category'}}.",
            f"Convert it, or give it a role, such as {role_option(name, 'category')}.",
        ) from None
    if certain and found is None and texts.rows:
        raise InputError(f"Column {name!r} has the role 'number', but holds other texts, such as {_example(series)!r}.")
    if found is None or certain:
        return found
    return None if texts.few or _has_codes(series) else found


def read_numbers(series: pd.Series, form: NumberFormat) -> np.ndarray:
    """(n,) float64 of numbers written in a format, NaN = missing; `InputError` for another text."""
    parsed = form.parse(_arrow(series))
    wrong = np.flatnonzero(parsed.unreadable.to_numpy(zero_copy_only=False))
    if len(wrong):
        raise type_changed(series.name, form.words(), series.iloc[wrong[0]])
    return np.asarray(parsed.values.to_numpy(zero_copy_only=False), dtype=np.float64)


def _has_codes(series: pd.Series) -> bool:
    """Whether some texts are codes, such as postcodes or phone numbers."""
    return bool(pc.any(pc.match_substring_regex(pc.utf8_trim_whitespace(_arrow(series)), CODE)).as_py())


def _arrow(series: pd.Series) -> pa.Array:
    return pa.array(series.astype(object).where(series.notna(), None), pa.string())


def _example(series: pd.Series) -> object:
    return series.dropna().iloc[0]
