"""Roles: what the user says about how a column is to be read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

LEARNED_ROLES = ("number", "category", "date", "trend")
LEFT_OUT_ROLES = ("id", "drop")
DATED_ROLES = ("date", "trend")
"""Roles that may be followed by a colon and the format of the dates."""
LISTED = 10  # columns in a message, at most


@dataclass(frozen=True)
class Role:
    """How a column is to be read.

    Attributes
    ----------
    kind : {"number", "category", "date", "trend", "id", "drop"}
    format : str
        The format of dates, as `datetime.strptime` has it; "" to recognise it.
    """

    kind: str
    format: str = ""

    @classmethod
    def of(cls, name: str | int, text: Any) -> Role:
        """Return the role of a text such as ``"category"`` or ``"date:%d.%m.%Y"``; `InputError` for another."""
        kind, colon, form = str(text).partition(":")
        known = (*LEARNED_ROLES, *LEFT_OUT_ROLES)
        if not isinstance(text, str) or kind not in known or (colon and not (form and kind in DATED_ROLES)):
            close = difflib.get_close_matches(kind, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close and close[0] != kind else ""
            raise InputError(
                f"The role of column {name!r} is {text!r}; needed is one of {', '.join(map(repr, known))}, or "
                f"'date:FORMAT' such as 'date:%d.%m.%Y'.{hint}"
            )
        return cls(kind, form)


def roles_of(columns: Mapping[Any, str] | None, names: Sequence[str | int]) -> dict[str | int, Role]:
    """Return the role of each named column that has one.

    Parameters
    ----------
    columns : dict or None
        Column name -> role. A name that is not a text may be given by its text, as in a model file.
    names : sequence of str or int
        The columns of the data.

    Raises
    ------
    InputError
        If there is no such column or no such role; the message has the closest name.
    """
    by_text = {str(name): name for name in names}
    roles = {}
    for name, text in (columns or {}).items():
        if str(name) not in by_text:
            close = difflib.get_close_matches(str(name), by_text, n=3)
            found = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Columns: {_listed(by_text)}."
            raise InputError(f"There is no column {name!r}, which has the role {text!r}. {found}")
        roles[by_text[str(name)]] = Role.of(name, text)
    return roles


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, list(names)[:LISTED])) + (", ..." if len(names) > LISTED else "")
