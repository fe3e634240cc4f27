"""Notes about files and their columns, for their users."""

from __future__ import annotations

import re
import shlex
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
    in_scores : bool
        Whether it concerns the rows of scores too, so that it is said when the file is scored.
    """

    seen: str
    python: str = ""
    shell: str = ""
    in_scores: bool = False

    def text(self, *, shell: bool = False) -> str:
        """Return the note in words, with the advice for Python or for the command line."""
        return f"{self.seen} {self.shell if shell else self.python}".rstrip()


@dataclass(frozen=True)
class ColumnNote:
    """Something about a column that its user should know.

    Attributes
    ----------
    column : str or int
        The column's name.
    seen : str
        What was seen and what was made of it, as the rest of a sentence that starts with the column's name and without
        a full stop, such as ``"numbers the rows and is not learned"``.
    python : str
        What to do about it in Python: a whole sentence, or "".
    shell : str
        The same for the command line.
    """

    column: str | int
    seen: str
    python: str = ""
    shell: str = ""

    def text(self, *, shell: bool = False) -> str:
        """Return the note in words, with the advice for Python or for the command line."""
        return f"Column {self.column!r} {self.seen}. {self.shell if shell else self.python}".rstrip()


def role_note(column: str | int, seen: str, role: str, effect: str) -> ColumnNote:
    """Return a note whose advice is a role.

    Parameters
    ----------
    column : str or int
    seen : str
    role : str
        The role that changes how the column is read, such as ``"number"``.
    effect : str
        What the role does, as the rest of a sentence, such as ``"learns it"``.
    """
    return ColumnNote(
        column,
        seen,
        python=f"columns={{{column!r}: {role!r}}} {effect}.",
        shell=f"{role_option(column, role)} {effect}.",
    )


def role_option(column: str | int, role: str) -> str:
    """Return the option of the command line that gives a column a role."""
    kind, _, form = role.partition(":")
    target = f"{column}:{form}" if form else str(column)
    return f"--{kind} {shlex.quote(target)}"


def in_words_of(text: str, *, is_image: bool) -> str:
    """Return a message about rows, with "pictures" in their place if the samples are pictures."""
    return (
        re.sub(r"\b([Rr])ow(s?)\b", lambda m: ("P" if m[1] == "R" else "p") + f"icture{m[2]}", text)
        if is_image
        else text
    )
