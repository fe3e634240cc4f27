"""The rows with the highest scores, in order, of more rows than fit in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

BLOCK_ROWS = 2**18
"""Rows that are brought into order at a time."""


def highest(parts: Iterable[np.ndarray], count: int | None = None) -> np.ndarray:
    """Return the positions of the highest scores, the highest first; the earlier one wins a tie, and NaN comes last.

    Parameters
    ----------
    parts : iterable of (m,) float64
        The scores, in consecutive parts.
    count : int or None
        How many positions to return; all if None. Memory does not grow with the scores if it is given.

    Returns
    -------
    (k,) int64
    """
    scores, positions = np.empty(0), np.empty(0, dtype=np.int64)
    kept, first = [scores], 0
    for part in parts:
        first += len(part)
        kept.append(part)
        if count is not None and sum(map(len, kept)) > count + BLOCK_ROWS:
            scores, positions = _highest(kept, positions, first, count)
            kept = [scores]
    return _highest(kept, positions, first, count)[1]


def _highest(
    kept: list[np.ndarray], positions: np.ndarray, end: int, count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest scores and their positions, of some whose positions are given and of those up to `end`."""
    scores = np.concatenate(kept)
    positions = np.concatenate([positions, np.arange(end - len(scores) + len(positions), end)])
    order = np.lexsort((positions, -scores))[:count]
    return scores[order], positions[order]


def rows_at(tables: Iterable[pa.Table], positions: np.ndarray) -> pa.Table:
    """Return the rows at these positions (k,) of consecutive tables, in the given order; each position at most once."""
    order = np.argsort(positions)
    wanted, found, first = positions[order], [], 0
    for table in tables:
        low, high = np.searchsorted(wanted, [first, first + table.num_rows])
        found.append(table.take(pa.array(wanted[low:high] - first)))
        first += table.num_rows
    return pa.concat_tables(found).take(pa.array(np.argsort(order)))
