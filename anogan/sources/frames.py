"""Tables of other libraries as DataFrames of pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError


def as_frame(X: Any) -> Any:
    """Return a table of polars, Arrow or another library that speaks Arrow as a DataFrame; other data as they are.

    Raises
    ------
    InputError
        If X is a sparse matrix, a lazy table, an iterator, a dict or a tensor that NumPy cannot read; the message
        says what to give instead.
    """
    if hasattr(X, "iloc"):
        return X
    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    name = f"{type(X).__module__.partition('.')[0]}'s {type(X).__name__}"
    if hasattr(X, "tocsr"):
        raise InputError(f"X is {name}, which is sparse; dense data is required: X.toarray().")
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        raise InputError(f"X is {name}, whose rows are not in memory; give X.collect().")
    if isinstance(X, Iterator):
        raise InputError(f"X is {name}, which can be read only once; give list(X).")
    if hasattr(X, "detach"):
        try:
            np.asarray(X)
        except (RuntimeError, TypeError) as error:  # it has gradients, is on a GPU, or of a type that NumPy lacks
            ways = "give X.detach().cpu().double().numpy()"
            raise InputError(f"X is {name}, which cannot be read as an array ({error}); {ways}.") from None
    if isinstance(X, dict):
        raise InputError("X is a dict; give pandas.DataFrame(X).")
    if not hasattr(X, "columns") or not (isinstance(X, pa.Table) or hasattr(X, "__arrow_c_stream__")):
        return X
    table = pa.table(X)
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
    try:
        return table.to_pandas(date_as_object=False, ignore_metadata=not isinstance(X, pa.Table))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(f"X is {name}, which cannot be turned into a DataFrame of pandas: {error}") from None


def is_folder(X: Any) -> bool:
    """Return whether X is an `ImageFolder`, without Pillow, and not a table with a column of one of its names."""
    return hasattr(type(X), "original_size")
