"""Unseen values: each is scored as the known value with which its row scores highest."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

COMBINATIONS = 1024
"""Combinations of known values of several columns that are tried for a row at once, at most."""
ROUNDS = 2  # where the columns of a row have more combinations than that
_ROWS_AT_ONCE = 2**15

Score = Callable[[np.ndarray], np.ndarray]
"""Returns the score of each row: ``(n, D)`` -> float64 ``(n,)``."""


def with_farthest_known(
    score: Score, x: np.ndarray, unseen: np.ndarray, places: Sequence[slice], known: Sequence[np.ndarray]
) -> np.ndarray:
    """Replace each unseen value by the known value, or keep its own code, so that its row scores highest.

    All combinations are tried where there are at most `COMBINATIONS` of them. Otherwise the columns are taken in groups
    of at most as many combinations (a column of more values is a group of its own), one group after the other, `ROUNDS`
    times; another combination may then give a higher score. A row costs one scoring for each combination that is tried,
    and equal rows are scored once.

    Parameters
    ----------
    score : Score
    x : (n, D)
    unseen : (n, d) bool
        The unseen values.
    places : sequence of d slices
        Where the code of each column lies.
    known : sequence of d arrays (k, width)
        The codes of the known values of each column.

    Returns
    -------
    (n, D)
        A copy; rows without unseen values are equal to those in `x`.
    """
    x, affected = x.copy(), np.flatnonzero(unseen.any(1))
    patterns, which = np.unique(unseen[affected], axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        columns = np.flatnonzero(pattern).tolist()
        members = affected[which == number]
        rows, back = np.unique(x[members], axis=0, return_inverse=True)
        # The code of an unseen value is the same in all rows.
        choices = {c: np.concatenate([rows[:1, places[c]], known[c]]) for c in columns}
        groups = list(_groups(columns, [len(choices[c]) for c in columns]))
        for group in groups * (ROUNDS if len(groups) > 1 else 1):
            options = list(itertools.product(*(choices[c] for c in group)))
            codes = [np.stack(of_column) for of_column in zip(*options, strict=True)]
            rows = _best(score, rows, [places[c] for c in group], codes)
        x[members] = rows[back.ravel()]  # NumPy 2.0 gives an inverse of two axes
    return x


def _groups(columns: list[int], sizes: list[int]) -> Iterator[list[int]]:
    """Yield consecutive columns with at most `COMBINATIONS` combinations of values, but at least one column."""
    group: list[int] = []
    combinations = 1
    for column, size in zip(columns, sizes, strict=True):
        if group and combinations * size > COMBINATIONS:
            yield group
            group, combinations = [], 1
        group.append(column)
        combinations *= size
    yield group


def _best(score: Score, rows: np.ndarray, places: list[slice], options: list[np.ndarray]) -> np.ndarray:
    """Return each row with the combination that gives the highest score.

    Parameters
    ----------
    score : Score
    rows : (n, D)
    places : list of slice
        Where the columns lie.
    options : list of (o, width)
        The code of each column in each combination.
    """
    best = rows.copy()
    tried = len(options[0])
    step = max(_ROWS_AT_ONCE // tried, 1)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        versions = part[:, None].repeat(tried, axis=1)  # (b, o, D)
        for place, codes in zip(places, options, strict=True):
            versions[:, :, place] = codes
        chosen = score(versions.reshape(-1, rows.shape[1])).reshape(len(part), tried).argmax(1)
        best[first : first + step] = versions[np.arange(len(part)), chosen]
    return best
