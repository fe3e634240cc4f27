"""Rows of a table that hold totals of the rows above them, as spreadsheets and reports have them."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api import types

from ...sources.notes import ColumnNote
from ...wording import counted
from .doubts import words_of
from .series import inferred_type

_SUMS = r"(?:sub|grand)?totals?|totale|sums?|suma|somme|summe|\w+summe|gesamt|insgesamt|all|Σ"
_MEANS = r"average|avg|mean|mittel|mittelwert|durchschnitt|moyenne|media"
_SUM, _MEAN = (re.compile(rf"(?:.* )?(?:{words})(?: .*)?", re.I) for words in (_SUMS, _MEANS))
_CASES = (r"([a-z])([A-Z])", r"([A-Z])([A-Z][a-z])")  # where `words_of` starts a word
_LETTER = r"\pL\pN"
_ANY = rf"(?i)(?:^|[^{_LETTER}#])(?:{_SUMS}|{_MEANS})(?:$|[^{_LETTER}#])".replace(r"\w", f"[{_LETTER}]")  # for Arrow
_LARGEST_SHARE = 0.34  # of the rows; more rows with such a word are data
_LISTED = 5
_CONVINCING = 5  # numbers of which a sum or mean is no chance; of fewer, those of two columns must agree


def total_rows(X: pd.DataFrame) -> list[ColumnNote]:
    """Return a note for each column of texts that names rows of totals, such as "Total" below the rows of a group.

    Such a row counts only if a number in it is the sum, or in a row of means the mean, of the numbers above it: of
    those since the row of totals before it, or of all that are no totals. These are at least five, or two numbers in it
    agree. A text counts if this is so in half of its rows.

    Parameters
    ----------
    X : DataFrame
        All rows in their order.
    """
    is_number = [types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype) for dtype in X.dtypes]
    numbers = X.loc[:, is_number]
    notes: list[ColumnNote] = []
    for name in X.columns[[not number for number in is_number]] if any(is_number) else ():
        texts = X[name]
        if inferred_type(texts) not in ("string", "categorical"):
            continue
        distinct = pa.array([text for text in texts.unique() if isinstance(text, str)], pa.string())
        few = distinct.filter(_may_be_named(distinct))
        if len(few) > _LARGEST_SHARE * len(X):
            continue
        named = [text for text in few.to_pylist() if _word(text)]
        rows = np.flatnonzero(texts.isin(named)) if named else np.empty(0, dtype=int)
        if 0 < len(rows) <= _LARGEST_SHARE * len(X):
            said = {row: str(texts.iloc[row]) for row in rows.tolist()}
            checked = _checked(said, numbers)
            often, right = Counter(said.values()), Counter(said[row] for row in checked)
            found = {row: seen for row, seen in checked.items() if 2 * right[said[row]] >= often[said[row]]}
            notes += [_note(name, said, found)] if found else []
    return notes


def _may_be_named(texts: pa.Array) -> pa.Array:
    """Return for each text whether `_word` can find a word in it; of many texts this is much faster."""
    for case in _CASES:
        texts = pc.replace_substring_regex(texts, case, r"\1 \2")
    return pc.match_substring_regex(texts, _ANY)


def _word(text: str) -> str:
    """Return "sum" or "mean" if a text names a row of sums or means, otherwise ""."""
    words = words_of(text)
    return "sum" if _SUM.fullmatch(words) else "mean" if _MEAN.fullmatch(words) else ""


def _checked(said: dict[int, str], numbers: pd.DataFrame) -> dict[int, tuple[str, str | int]]:
    """Return those of some rows with a text whose numbers are totals: "sum" or "mean", and the column that shows it."""
    rows = list(said)
    x = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    there = np.isfinite(x)
    there[rows] = False
    sums, counts, filled = (
        np.vstack([np.zeros(x.shape[1]), np.cumsum(part, axis=0)])
        for part in (np.where(there, x, 0.0), there, there & (x != 0))
    )
    found: dict[int, tuple[str, str | int]] = {}
    before = 0
    for row, text in said.items():
        word = _word(text)
        for start in dict.fromkeys((before, 0)):
            total, count = sums[row] - sums[start], counts[row] - counts[start]
            if word == "mean":
                total = total / np.maximum(count, 1)
            slack = 1e-12 * np.abs(sums).max(axis=0)
            equal = np.abs(x[row] - total) <= 1e-6 * np.abs(total) + slack
            added = filled[row] - filled[start]
            places = np.flatnonzero(equal & (added >= 2) & (x[row] != 0))
            if len(places) > 1 or (len(places) and added[places[0]] >= _CONVINCING):
                found.setdefault(row, (word, numbers.columns[places[0]]))
        before = row + 1
    return found


def _note(name: str | int, said: dict[int, str], found: dict[int, tuple[str, str | int]]) -> ColumnNote:
    """Return a note that names the rows by their texts: places in X may be none in the user's file."""
    texts = list(dict.fromkeys(said[row] for row in found))
    listed = ", ".join(map(repr, texts[:_LISTED])) + ", ..." * (len(texts) > _LISTED)
    word, column = next(iter(found.values()))
    they_are, them = ("it is", "it") if len(found) == 1 else ("they are", "them")
    has_others = sum(text in texts for text in said.values()) > len(found)
    code = "" if has_others or len(texts) > _LISTED else f": X[~X[{name!r}].isin({texts})]"
    return ColumnNote(
        name,
        f"has {listed} in {counted(len(found), 'row')}, where {column!r} is the {word} of rows above; {they_are} "
        "learned like other rows",
        python=f"Leave {them} out{code}.",
        shell=f"Remove {them} from the file.",
    )
