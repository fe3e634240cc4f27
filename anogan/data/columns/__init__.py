"""Table columns: how each kind is read, coded as numbers, and restored; `infer` decides which kind a column is."""

from .category import MAX_CATEGORIES, CategoryColumn, check_cardinality
from .column import Column, column_from_state
from .date import DateColumn
from .infer import Learned, infer_kind, learn_category, learn_column
from .notes import ColumnNote
from .number import NumberColumn
from .roles import Role, roles_of

__all__ = [
    "MAX_CATEGORIES",
    "CategoryColumn",
    "Column",
    "ColumnNote",
    "DateColumn",
    "Learned",
    "NumberColumn",
    "Role",
    "check_cardinality",
    "column_from_state",
    "infer_kind",
    "learn_category",
    "learn_column",
    "roles_of",
]
