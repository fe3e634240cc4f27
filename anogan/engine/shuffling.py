"""The order in which a training sees its rows."""

from collections.abc import Iterator

import numpy as np

from .folds import outside, rows_outside


def shuffled(
    rows: int, size: int, steps: range, *, seed: tuple[int, int], folds: int, members: int
) -> Iterator[np.ndarray]:
    """Yield the positions of each step's rows, which follow from the seed and the step: training can resume.

    The rows are an endless stream of shuffled epochs, which is cut into batches of equal size. With folds, batches hold
    the rows of one member after those of another.

    Parameters
    ----------
    rows : int
    size : int
        Rows of each member in a batch, at most.
    steps : range
        The steps that are still to be taken, counted from 0.
    seed : (int, int)
        Of the training, and the number of the stage.
    folds : int
        Folds that the rows are divided into for members that train without one each; 0 if all train on all rows.
    members : int
    """
    n = rows_outside(rows, folds) if folds else rows
    size = min(size, n)

    def order_of(epoch: int) -> np.ndarray:
        return np.random.default_rng([*seed, epoch]).permutation(n)

    epoch, start = divmod(steps.start * size, n)
    order = order_of(epoch)
    for _ in steps:
        chosen = order[start : start + size]
        start += size
        if start >= n:
            epoch, start = epoch + 1, start - n
            order = order_of(epoch)
            chosen = np.concatenate([chosen, order[:start]])
        yield np.concatenate([outside(chosen, k, folds) for k in range(members)]) if folds else chosen
