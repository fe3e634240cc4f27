"""What was said of the file of a fit and other files do not show: a model keeps it for the files that it scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .dialect import CSVDialect
from .holdout import KeptRows
from .labels import NormalRows
from .table import TableFile

NOTHING_SAID: Mapping[str, Any] = {"na_values": [], "header": True, "label": None, "normal": None}


def said_of(file: TableFile) -> dict[str, Any]:
    """Return what was said of a file: texts for missing values, whether it has a header, and its normal label."""
    dialect = file.dialect or CSVDialect()
    rule = file.keep.keep if isinstance(file.keep, KeptRows) else file.keep
    label, normal = (rule.label, rule.normal) if isinstance(rule, NormalRows) else (None, None)
    return {"na_values": list(dialect.na_values), "header": dialect.header, "label": label, "normal": normal}


def read_as_said(file: TableFile, said: Mapping[str, Any]) -> TableFile:
    """Return a file as `said_of` the file of the fit has it, as far as nothing else was said of this one."""
    if file.dialect is None:  # the format has none
        return file
    dialect = replace(
        file.dialect,
        na_values=file.dialect.na_values or tuple(said["na_values"]),
        header=file.dialect.header and said["header"],
    )
    return file if dialect == file.dialect else file.reopened(dialect)
