"""Rows that cannot be scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..wording import counted

_ROWS_LISTED = 5


@dataclass
class Unscored:
    """Rows that cannot be scored.

    Attributes
    ----------
    rows : int
        How many they are.
    examined : int
        Of how many rows.
    first : dict of str to str
        Numbers of the first of them, and why they cannot be scored.
    """

    rows: int = 0
    examined: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def add(self, row: int, why: str) -> None:
        """Count a row."""
        self.rows += 1
        if len(self.first) < _ROWS_LISTED:
            self.first[str(row)] = why

    def more(self, other: dict[str, Any], first: int) -> None:
        """Add the attributes of rows that were counted from row `first` on."""
        self.rows += other["rows"]
        self.examined += other["examined"]
        numbered = [(str(int(row) + first), why) for row, why in other["first"].items()]
        self.first.update(numbered[: _ROWS_LISTED - len(self.first)])

    def __str__(self) -> str:
        by_reason: dict[str, list[str]] = {}
        for row, why in self.first.items():
            by_reason.setdefault(why, []).append(row)
        listed = [f"{why} (row{'s' * (len(rows) > 1)} {', '.join(rows)})" for why, rows in by_reason.items()]
        more = f" and {self.rows - len(self.first):,} more" if self.rows > len(self.first) else ""
        return f"{counted(self.rows, 'row')} cannot be scored: {', '.join(listed)}{more}"
