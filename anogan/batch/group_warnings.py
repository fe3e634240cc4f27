"""What is said of many groups of rows at once, so that a warning of each group is not said again and again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import AnoganWarning
from ..wording import counted

_SAID = 10  # kinds of warnings that are said
_NUMBERS = re.compile(r"('[^']*')|\d+(?:[.,]\d+)*")  # those in quotes belong to a name


class Said(NamedTuple):
    """A warning about a group; `state` is what is true of the group, such as " without a model"."""

    group: str
    category: type[Warning]
    text: str
    state: str = ""


def warn_of_groups(said: Iterable[Said], total: int, *, stacklevel: int) -> None:
    """Give warnings that say of how many of the groups each is.

    Those that differ in nothing but numbers count as one, of which the text of the first group is given.
    """
    found: dict[tuple[str, type[Warning], str], list[Said]] = {}
    for one in said:
        text = _NUMBERS.sub(lambda match: match[1] or "#", one.text)
        found.setdefault((one.state, one.category, text), []).append(one)
    kinds = sorted(found.values(), key=lambda kind: -len(kind))
    for kind in kinds[:_SAID]:
        first, such_as = kind[0], "such as " if len(kind) > 1 else ""
        words = f"{len(kind):,} of {counted(total, 'group')}{first.state} ({such_as}{first.group!r}): {first.text}"
        warnings.warn(words, first.category, stacklevel=stacklevel + 1)
    if rest := kinds[_SAID:]:
        words = f"There are {counted(len(rest), 'other warning')}, each of {counted(len(rest[0]), 'group')} at most."
        warnings.warn(words, AnoganWarning, stacklevel=stacklevel + 1)
