"""The cells of a CSV file: whether they are of a type, and their values when they are read as text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from ..errors import InputError
from .formats import UNREADABLE, cast_columns
from .text_numbers import NumberFormat, ParsedNumbers, bare_texts, is_gap

_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("0", "false", "False", "FALSE")
_DATE = r"^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,9})?)?)?"
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2})?)"


def parsed_cells(
    texts: pa.Array, kind: pa.DataType, form: NumberFormat | None, na_values: Collection[str]
) -> ParsedNumbers:
    """Return the values of texts in a type, and which of them are not of this type.

    Parameters
    ----------
    texts : (n,) string array
    kind : Arrow type
        Floating point, Boolean, timestamp or string.
    form : NumberFormat or None
        How numbers are written.
    na_values : collection of str
        Further texts that mean a missing value.
    """
    if pa.types.is_floating(kind):
        return (form or NumberFormat()).parse(texts, na_values)
    if pa.types.is_boolean(kind):
        bare = pc.utf8_trim_whitespace(texts)
        true = pc.is_in(bare, value_set=pa.array(_TRUE))
        known = pc.or_(true, pc.is_in(bare, value_set=pa.array(_FALSE)))
        values = pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    elif pa.types.is_timestamp(kind):
        values = _dates(pc.utf8_trim_whitespace(texts), kind)
    else:
        return ParsedNumbers(texts.cast(kind), pa.array(np.zeros(len(texts), dtype=bool)))
    lost = pc.and_(pc.is_null(values), pc.is_valid(texts))
    unreadable = pc.invert(is_gap(bare_texts(texts.filter(lost)), na_values))
    return ParsedNumbers(values, pc.replace_with_mask(lost, lost, unreadable))


def typed_columns(
    table: pa.Table,
    types: Mapping[str, pa.DataType],
    formats: Mapping[str, NumberFormat],
    strict: Collection[str],
    path: Path,
) -> pa.Table:
    """Return the columns of `types` in these types; texts are converted, and those that cannot be are marked.

    Parameters
    ----------
    table : Table
    types : dict of str to Arrow type
    formats : dict of str to NumberFormat
        How numbers in columns of text are written.
    strict, path
        See `cast_columns`.
    """
    marks: dict[str, pa.Array] = {}
    for name, kind in types.items():
        texts = table.column(name).combine_chunks()
        if pa.types.is_string(texts.type) and not pa.types.is_string(kind):
            found = parsed_cells(texts, kind, formats.get(name), ())
            if pc.any(found.unreadable).as_py():
                marks[UNREADABLE + name] = pc.if_else(found.unreadable, texts, pa.scalar(None, pa.string()))
            table = table.set_column(table.column_names.index(name), name, found.values)
    typed = cast_columns(table, types, strict, path)
    for name, texts in marks.items():
        typed = typed.append_column(name, texts)
    return typed


def can_hold(kind: pa.DataType, values: pa.Array, options: pv.ConvertOptions) -> bool:
    """Return whether Arrow's CSV reader converts all of these fields (bytes) to a type.

    The fields are written as a CSV file of one column and read again, so that gaps, spaces and dates count as they do
    in the file itself.
    """
    if not len(values) or pa.types.is_binary(kind):
        return True
    try:
        values = values.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8
        return False
    if pa.types.is_string(kind):
        return True
    buffer = pa.BufferOutputStream()
    quoted = pv.WriteOptions(include_header=False, quoting_style="all_valid")
    pv.write_csv(pa.table({"": values}), buffer, write_options=quoted)
    content = buffer.getvalue()
    try:
        pv.read_csv(
            pa.BufferReader(content),
            read_options=pv.ReadOptions(column_names=[""], use_threads=False, block_size=content.size + 1),
            parse_options=pv.ParseOptions(newlines_in_values=True),
            convert_options=pv.ConvertOptions(
                column_types={"": kind},
                strings_can_be_null=True,
                null_values=options.null_values,
                decimal_point=options.decimal_point,
            ),
        )
    except pa.ArrowInvalid:
        return False
    return True


def first_that_does_not_fit(kind: pa.DataType, values: pa.Array, options: pv.ConvertOptions) -> int:
    """Return the place of the first of some fields that Arrow does not convert to a type, given that there is one."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if can_hold(kind, values[low:middle], options) else (low, middle)
    return low


def check_quotes(
    name: str, texts: pa.Array, first: int, sep: str, separators: int, *, closed_at_end: Callable[[], bool] | None
) -> None:
    """Raise `InputError` if a text seems to have swallowed rows because a quotation mark is missing.

    Parameters
    ----------
    name : str
        The column.
    texts : (n,) string array
    first : int
        Number of the first text's row.
    sep : str
    separators : int
        How many of them are in a row.
    closed_at_end : function without arguments -> bool, optional
        Given if the texts end the file: returns whether it ends with a quotation mark.
    """
    several = pc.match_substring(texts, "\n")
    if not pc.any(several).as_py():
        return
    for row in np.flatnonzero(pc.fill_null(several, False).to_numpy(zero_copy_only=False)):
        text = texts[int(row)].as_py()
        swallows = text.endswith('"') and text.count('"') % 2 == 1
        if closed_at_end is not None and row == len(texts) - 1 and not swallows:
            swallows = any(line.count(sep) == separators for line in text.split("\n")[1:]) and not closed_at_end()
        if swallows:
            raise InputError(
                f"column '{name}' has a text of {text.count(chr(10)) + 1} lines that seem to be rows (row "
                f"{first + int(row):,}): {text[:40]!r}. Is a quotation mark missing, or one too many?"
            )


def _dates(bare: pa.Array, kind: pa.TimestampType) -> pa.Array:
    """Return ISO dates with or without a zone, as the type has one; null for other texts."""
    import pandas as pd

    with contextlib.suppress(pa.ArrowInvalid):
        return bare.cast(kind)  # fast, but it takes neither nanoseconds nor gaps
    pattern = rf"{_DATE}{_ZONE})$" if kind.tz else rf"{_DATE})?$"
    good = pc.fill_null(pc.match_substring_regex(bare, pattern), False)
    kept = pc.if_else(good, bare, pa.scalar(None, pa.string()))
    with contextlib.suppress(pa.ArrowInvalid):
        return kept.cast(kind)
    dates = pd.to_datetime(pd.Series(kept.to_pylist(), dtype=object), format="ISO8601", errors="coerce", utc=True)
    return pa.Array.from_pandas(dates).cast(pa.timestamp("us", "UTC"), safe=False).cast(kind)  # without nanoseconds
