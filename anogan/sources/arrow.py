"""Arrow and detectors: the Arrow types in which columns are read, and the DataFrames that detectors accept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..errors import InputError
from .damage import explained

if TYPE_CHECKING:
    import pandas as pd

_TYPES = {
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}
"""Name of a column type in `Preprocessor.column_types` -> Arrow type in which the column is read."""


def arrow_types(types: Mapping[Any, str]) -> dict[str, pa.DataType]:
    """Return the Arrow types of columns whose types are named as in `Preprocessor.column_types`."""
    return {str(name): _TYPES[kind] for name, kind in types.items()}


def detector_frame(table: pa.Table, path: os.PathLike[str]) -> pd.DataFrame:
    """Return a DataFrame that detectors accept, with dates as datetime64 and text decoded.

    Parameters
    ----------
    table : pyarrow.Table
    path : path
        The file that messages name.

    Raises
    ------
    InputError
        If a column has a type that detectors do not support; the message names it.
    """
    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_binary(kind):
            raise InputError(f"{path}: column '{field.name}' is not UTF-8 text. Convert the file, or drop the column.")
        if not _is_usable(kind):
            raise InputError(
                f"{path}: column '{field.name}' is of type {kind}, which no detector takes. "
                "Turn it into numbers, dates or text, or drop the column."
            )
        if pa.types.is_decimal(kind):
            table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
    with explained(path):
        frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
    return frame


def _is_usable(kind: pa.DataType) -> bool:
    """Return whether detectors take columns of a type."""
    if pa.types.is_dictionary(kind):
        return _is_usable(kind.value_type)
    plain = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    others = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_date,
        pa.types.is_timestamp,
    )
    return any(is_kind(kind) for is_kind in (*plain, *others))
