"""Names of pandas dtypes: which ones a column can have, and the dtype of a name.

A fitted column stores its dtype by name. The patterns below are the only names that are written and read, so that a
model file cannot make pandas look up anything else.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from pandas.api import types

_ZONE = r"(?!dateutil/)(?:[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*|(?:UTC)?[+-]\d\d:\d\d(?::\d\d)?)"
_UNIT = r"(?:s|ms|us|ns)"
_INT = r"u?int(?:8|16|32|64)"

NUMBER = "|".join(
    [
        rf"{_INT}|float(?:16|32|64|128)|[<>][iuf][248]",  # numpy's
        r"U?Int(?:8|16|32|64)|Float(?:32|64)",  # pandas' with missing values
        rf"(?:{_INT}|halffloat|float|double)\[pyarrow\]",
        rf"Sparse\[(?:{_INT}, 0|float(?:32|64), nan)\]",
    ]
)
BOOLEAN = r"bool|boolean|bool\[pyarrow\]|Sparse\[bool, False\]"
TEXT = r"str|string|(?:large_)?string\[pyarrow\]|null\[pyarrow\]"
DATE = "|".join(
    [
        rf"datetime64\[{_UNIT}(?:, {_ZONE})?\]",
        rf"timestamp\[{_UNIT}(?:, tz={_ZONE})?\]\[pyarrow\]",
        r"date32\[day\]\[pyarrow\]|date64\[ms\]\[pyarrow\]",
    ]
)
OBJECT = "object"
ZONE = f"(?:{_ZONE})?"
"""The name of a time zone, or nothing for dates without one."""

CATEGORY = f"category|{NUMBER}|{BOOLEAN}|{TEXT}|{OBJECT}"
"""Categories can be of any type but dates: a condition may be given by numbers."""


def dtype_name(dtype: Any, pattern: str, otherwise: str) -> str:
    """The name of `dtype` if `dtype_of` gives it back, else the dtype `otherwise` in which values are restored.

    A decimal column, for example, has no such name and comes back as float64.
    """
    name = str(dtype)
    return name if re.fullmatch(f"{pattern}|{OBJECT}", name) else otherwise


def dtype_of(name: str) -> Any:
    """The pandas dtype of this name; pandas itself takes Arrow's text for its own."""
    if name in ("string[pyarrow]", "large_string[pyarrow]"):
        import pyarrow as pa  # only for the few columns of this type

        return pd.ArrowDtype(pa.type_for_alias(name.removesuffix("[pyarrow]")))
    return types.pandas_dtype(name)
