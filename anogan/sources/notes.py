"""Notes about files and their columns, for their users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


class Note(Protocol):
    """Something about a file or a column that its user should know."""

    def text(self, *, shell: bool = False) -> str:
        """Return the note in words, with the advice for Python or for the command line."""


@dataclass(frozen=True)
class FileNote:
    """A note about a whole file.

    Attributes
    ----------
    seen : str
        What was seen, as a whole sentence.
    python, shell : str
        What to do about it in Python, and on the command line: a whole sentence, or "".
    """

    seen: str
    python: str = ""
    shell: str = ""

    def text(self, *, shell: bool = False) -> str:
        """Return the note in words, with the advice for Python or for the command line."""
        return f"{self.seen} {self.shell if shell else self.python}".rstrip()


def in_words_of(text: str, *, is_image: bool) -> str:
    """Return a message about rows, with "pictures" in their place if the samples are pictures."""
    return (
        re.sub(r"\b([Rr])ow(s?)\b", lambda m: ("P" if m[1] == "R" else "p") + f"icture{m[2]}", text)
        if is_image
        else text
    )


def column_note(name: str, seen: str, role: str = "", effect: str = "") -> Note:
    """Return a `ColumnNote`, with a role as its advice if one is given."""
    from ..data.columns.notes import ColumnNote, role_note  # loads scikit-learn

    return role_note(name, seen, role, effect) if role else ColumnNote(name, seen)
