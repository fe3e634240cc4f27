"""What explanations compare with if a model keeps no training rows: each column's distribution by itself."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.spec import SampleSpec
from .similar import SIMILAR

AVERAGED = 5  # rows whose mean stands for them, at least


def marginals(rows: Tensor, columns: Sequence[slice], spec: SampleSpec) -> Tensor:
    """Return at most `SIMILAR` rows that have the distribution of each column: ``(n, D)`` -> ``(m, D)``.

    A number or a date is the mean of neighbouring values, of at least `AVERAGED` rows if there are so many; categories
    and missing values occur as often as in the rows. The columns of a result are ordered independently, so that it
    combines no values of one row. Because there are no more than `SIMILAR` of them, all are compared with, whatever row
    is explained.

    Parameters
    ----------
    rows : (n, D)
        In model space.
    columns : sequence of slice
        Position of the code of each of the user's columns.
    spec : SampleSpec
    """
    m = min(SIMILAR, max(len(rows) // AVERAGED, 1))
    result = torch.empty(m, rows.shape[1], dtype=rows.dtype)
    middle = ((np.arange(m) + 0.5) * len(rows) / m).astype(int)  # of each m-th part of the ordered rows
    for part in columns:
        codes = rows[:, part].cpu()
        exact = ((codes == 0) | (codes == 1)).all(0)  # categories, and the indicator of missing values
        if part.start >= spec.shape[0]:
            exact[:] = True  # the number of a class
        keys = codes if exact.all() else codes[:, : 2 if len(exact) > 1 and exact[1] else 1]  # missing values last
        order = np.lexsort(keys.numpy().T)
        means = torch.stack([codes[chosen].mean(0) for chosen in np.array_split(order, m)])
        result[:, part] = torch.where(exact, codes[order[middle]], means)
    return result
