"""Synthetic anomalies near the normal rows, by which views of a table are weighted."""

import torch
from torch import Tensor

from ..data.spec import SampleSpec

SHARES = (0.3, 0.7)  # of one row in a mixture of two
QUANTILE = 0.01  # a value beyond this one, or one minus it, is unusual
BEYOND = 0.15  # share of the values that are moved there
STEP = 0.25  # how far beyond at most, in interquartile ranges


def row_probes(rows: Tensor, spec: SampleSpec, generator: torch.Generator) -> list[Tensor]:
    """Return synthetic anomalies made of encoded rows ``(n, d)``, by three recipes: each ``(n, d)``.

    *Between*: a mixture of two rows. *One swapped*: a row with one column of another row. *Beyond*: a row with some
    values just beyond their usual range, at least one. A column that is encoded by several values, such as a category,
    is swapped as a whole, never mixed and never moved.

    Parameters
    ----------
    rows : (n, d)
    spec : SampleSpec
        Of the rows.
    generator : torch.Generator
        On the CPU.
    """
    n, d = rows.shape
    columns = spec.columns or tuple((j, j + 1) for j in range(d))
    column = torch.tensor([number for number, (start, stop) in enumerate(columns) for _ in range(start, stop)])
    single = torch.bincount(column)[column] == 1  # (d,)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    def choice(count: int) -> Tensor:
        return (drawn(n) * count).long().clamp(max=count - 1)

    own = rows.cpu().double()
    other = own[choice(n)]
    share = SHARES[0] + (SHARES[1] - SHARES[0]) * drawn(n, 1)
    whole = (drawn(n, len(columns)) < share)[:, column]
    one = column == choice(len(columns))[:, None]
    made = [
        torch.where(single, share * own + (1 - share) * other, torch.where(whole, own, other)),
        torch.where(one, other, own),
    ]
    places = single.nonzero().flatten()
    if len(places):
        moved = drawn(n, d) < BEYOND
        moved[torch.arange(n), places[choice(len(places))]] = True
        made.append(torch.where(moved & single, _beyond(own, drawn(n, d), drawn(n, d)), own))
    return [probe.to(rows) for probe in made]


def _beyond(rows: Tensor, side: Tensor, step: Tensor) -> Tensor:
    """Return values just below or above most of each column: all ``(n, d)``."""
    ordered, last = rows.sort(dim=0).values, len(rows) - 1
    low, first, third, high = (ordered[int(q * last)] for q in (QUANTILE, 0.25, 0.75, 1 - QUANTILE))
    spread = torch.where(third > first, third - first, rows.std(0, unbiased=False))
    away = STEP * spread * step
    return torch.where(side < 0.5, low - away, high + away)
