"""Table columns: how each kind is read, coded as numbers, and restored; `infer` decides which kind a column is."""

from .category import CategoryColumn, check_cardinality
from .column import Column, column_from_state
from .date import DateColumn
from .infer import Learned, infer_kind, learn_category, learn_column
from .number import NumberColumn

__all__ = [
    "CategoryColumn",
    "Column",
    "DateColumn",
    "Learned",
    "NumberColumn",
    "check_cardinality",
    "column_from_state",
    "infer_kind",
    "learn_category",
    "learn_column",
]
