"""Cross-fitting of an ensemble: member k trains without fold k of the rows, which then are new to it."""

import numpy as np

FEWEST_ROWS = 5  # in a fold


def number_of_folds(rows: int, members: int) -> int:
    """Return how many folds the rows are divided into: one for each of several members, or 0 if they are too few."""
    return members if members > 1 and rows >= FEWEST_ROWS * members else 0


def rows_outside(rows: int, folds: int) -> int:
    """Return how many rows every member trains on. Fold k has the rows k, k + folds, k + 2 folds, ..."""
    return rows - -(-rows // folds)


def outside(positions: np.ndarray, fold: int, folds: int) -> np.ndarray:
    """Return the rows at some positions among those outside a fold: int ``(B,)`` -> int ``(B,)``."""
    group, place = np.divmod(positions, folds - 1)
    return group * folds + place + (place >= fold)
