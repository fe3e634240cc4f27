"""Views of a table's rows that need no network: distances to normal rows on several scales, and tail probabilities."""

from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from ..data.spec import SampleSpec
from ..nn.layers import product
from .counting import count_in_rows
from .feature_distance import LearnedBuffers
from .principal import LARGEST_COVARIANCE
from .search import NearestInParts

VIEWS = {
    "nearest": "distance to the nearest normal row, columns of few values as categories",
    "ranks": "distance to the nearest normal row, each column by its ranks",
    "coarse ranks": "distance to the nearest of √n normal rows, by ranks",
    "whitened ranks": "distance to the nearest normal rows by ranks, relative to how these vary together",
    "tails": "how far out each value lies in its own column, on either side",
    "low tails": "how low each value is in its own column",
    "high tails": "how high each value is in its own column",
}
"""Names of the views, and what they look at."""
DISTANCES = tuple(VIEWS)[:4]
FEW_VALUES = 20  # a column with at most so many is compared as a category
PARTS = 3  # of the rows, whose nearest ones are averaged for coarse and whitened ranks
MOST_RANKED = 4096  # rows by which values are ranked
MOST_VALUES = 2**23  # numbers in the memory bank
ROUNDED = 1e-3  # of the step from a ranked value to the next one; what is so near to it is that value, but rounded
LEAST_ROUNDED = 2.0**-20  # of 1, about the spread of a column, or of the value, if this is more
SAME = 1e-5  # of the typical distance; a nearest row at most that far is the row itself


class RowViews(LearnedBuffers):
    """Scores of encoded rows by `VIEWS`, from normal rows. A row does not count as its own neighbour.

    *Ranks* are normal scores, and beyond the training range they keep growing with the value; *whitened ranks* are
    divided by the root of their Ledoit-Wolf covariance. Theirs is the mean of the distances to the nearest row in each
    third of the rows (Pang 2015), which varies less than that to the third nearest. For *coarse ranks* it is the mean
    over three parts of √n of the n rows, which a few anomalies among them hardly change. *Tails* is the sum over
    columns of -log of the value's two-sided tail probability; *low tails* and *high tails* have one side alone.

    References
    ----------
    Pang, Ting, Albrecht: LeSiNN: Detecting anomalies by identifying least similar nearest neighbours. ICDM Workshops
    2015.

    A value that a column often has and one that differs from it by rounding are the same one: tables pass through
    single precision and decimals of text, and the rank of a frequent value would change by all who share it.

    Parameters
    ----------
    size : int
        Largest number of rows that are compared with.
    spec : SampleSpec
        Of the rows.
    keeps_rows : bool
        Without rows there are tails alone, and the values by which they rank are blurred.
    """

    learned: ClassVar = {
        "rows": ("m", "d"),
        "ordered": ("d", "n"),
        "few": ("q",),
        "values": ("q",),
        "others": ("o",),
        "centre": ("d",),
        "whitening": ("d", "d"),
        "same": (len(DISTANCES),),
    }
    rows: Tensor
    ordered: Tensor  # ascending
    few: Tensor  # int64, columns of few values, once for each value
    values: Tensor  # that value
    others: Tensor  # int64, the other columns
    centre: Tensor
    whitening: Tensor
    same: Tensor  # the distance of each view at which a row is the same row

    def __init__(self, size: int, spec: SampleSpec, *, keeps_rows: bool) -> None:
        super().__init__()
        self.few, self.others = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        self.size = size
        self.most = size  # of rows as wide as those of `fit`
        self.one_hot = {j for start, stop in spec.spans for j in range(start, stop)}
        self.keeps_rows = keeps_rows
        self._searches: dict[str, tuple[Tensor, NearestInParts]] = {}  # with the rows that each one is made of
        self._ties: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # `ordered`, with what `_ties_of` returns

    def available(self) -> list[bool]:
        """Return which of `VIEWS` can be computed."""
        kept = len(self.rows) > 0
        return [kept and (name != "whitened ranks" or len(self.whitening) > 0) for name in DISTANCES] + [True] * 3

    def fit(self, rows: Tensor) -> None:
        """Learn from normal rows ``(n, d)`` in random order."""
        some = rows[: min(MOST_RANKED, max(MOST_VALUES // rows.shape[1], 2))]
        ordered = some.T.contiguous().sort(dim=1).values
        if not self.keeps_rows:
            self.ordered = _blurred(ordered)
            return
        self.ordered = ordered
        few = {j: own for j, column in enumerate(ordered) if len(own := column.unique()) <= FEW_VALUES}
        few = {j: own for j, own in few.items() if j not in self.one_hot}
        self.few = torch.tensor([j for j, own in few.items() for _ in own], dtype=torch.int64, device=rows.device)
        self.values = torch.cat([*few.values(), rows.new_zeros(0)])
        others = [j for j in range(rows.shape[1]) if j not in few]
        self.others = torch.tensor(others, dtype=torch.int64, device=rows.device)
        self.most = min(self.size, max(MOST_VALUES // (len(self.few) + len(others)), 2))
        self.rows = rows[: self.most].clone()
        if rows.shape[1] <= LARGEST_COVARIANCE:
            self._whiten(self._space("ranks", some))
        sizes = [self._space(name, self.rows).var(0, unbiased=False).sum().sqrt() for name in DISTANCES]
        self.same = SAME * torch.stack(sizes) + torch.finfo(rows.dtype).tiny

    def extend(self, rows: Tensor) -> None:
        """Add normal rows ``(n, d)`` if there is room. No score rises through it: ranks and tails are as in `fit`."""
        if self.keeps_rows:
            self.rows = torch.cat([self.rows, rows[: max(self.most - len(self.rows), 0)]])

    def forward(self, x: Tensor, wanted: list[bool], own: Tensor | None = None) -> Tensor:
        """``(B, d)`` -> ``(len(VIEWS), B)``; views that are not wanted are zero.

        ``own (B,)`` tells the rows from which `fit` learned; tails compare each with the others alone.
        """
        scores = x.new_zeros(len(VIEWS), x.shape[0])
        x, below, at_most = self._placed(x)
        ranks = self._ranks(x, below, at_most) if any(wanted[1 : len(DISTANCES)]) else None
        for number, name in enumerate(DISTANCES):
            if wanted[number]:
                scores[number] = self._distance(name, self._space(name, x, ranks))
        n: Tensor | int = self.ordered.shape[1]
        if own is not None:
            itself = (own & (at_most > below)).to(x)
            at_most, n = at_most - itself, n - itself
        low, high = (at_most + 0.5) / (n + 1), (n - below + 0.5) / (n + 1)
        for number, tail in enumerate((2 * torch.minimum(low, high), low, high), len(DISTANCES)):
            if wanted[number]:
                scores[number] = -tail.clamp_max(1).log().sum(0)
        return scores

    def _placed(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Place rows ``(B, d)`` among the ranked values.

        Returns the rows, with ranked values in place of those that differ from them by rounding, and of each value how
        many ranked ones are below it and how many are at most as large, ``(d, B)`` each.
        """
        if not torch.compiler.is_exporting() and (self._ties is None or self._ties[0] is not self.ordered):
            self._ties = self.ordered, *_ties_of(self.ordered)
        assert self._ties is not None
        ordered, starts, ends, outer_steps = self._ties
        columns, n = x.T.contiguous(), ordered.shape[1]
        below = count_in_rows(ordered, columns, strictly=True)
        places = below.clamp_max(n - 1), (below - 1).clamp_min(0)
        next_one, previous = (ordered.gather(1, place) for place in places)
        step = torch.where(
            below == 0, outer_steps[:, :1], torch.where(below == n, outer_steps[:, 1:], next_one - previous)
        )
        rounding = torch.maximum(ROUNDED * step, LEAST_ROUNDED * columns.abs().clamp_min(1))
        is_next, is_previous = ((columns - value).abs() <= rounding for value in (next_one, previous))
        place, known = torch.where(is_next, *places), is_next | is_previous
        at_most = torch.where(known, ends.gather(1, place), below)
        below = torch.where(known, starts.gather(1, place), below)
        columns = torch.where(known, torch.where(is_next, next_one, previous), columns)
        return columns.T, below.to(x), at_most.to(x)

    def _ranks(self, x: Tensor, below: Tensor, at_most: Tensor) -> Tensor:
        """Map each column to normal scores, given what `_placed` counts: ``(B, d)`` -> same.

        Equal values share the middle of their ranks.
        """
        n = self.ordered.shape[1]
        middle = _normal_scores(n, x.dtype, x.device)[(below + at_most).long()]
        beyond = (x.T - self.ordered[:, -1:]).clamp_min(0) - (self.ordered[:, :1] - x.T).clamp_min(0)
        return (middle + beyond).T

    def _whiten(self, ranks: Tensor) -> None:
        from sklearn.covariance import ledoit_wolf  # imported here, since it loads a large part of scikit-learn

        rows = torch.cat([ranks, ranks])[: max(len(ranks), 2)].cpu().double()
        values, vectors = torch.linalg.eigh(torch.as_tensor(ledoit_wolf(rows.numpy())[0]))  # ascending
        least = values[-1].abs() * len(values) * torch.finfo(values.dtype).eps  # smaller ones are zero but for rounding
        scale = torch.where(values > least, values.clamp_min(least).rsqrt(), 0.0)
        self.centre = rows.mean(0).to(ranks)
        self.whitening = (vectors * scale).to(ranks).contiguous()  # as in a model file

    def _space(self, name: str, x: Tensor, ranks: Tensor | None = None) -> Tensor:
        """Return rows ``(B, d)`` as a view of distances compares them, given their `_ranks` or not."""
        if name == "nearest":
            if not len(self.few):
                return x
            return torch.cat([x[:, self.others], (x[:, self.few] == self.values).to(x)], dim=1)
        if ranks is None:
            ranks = self._ranks(*self._placed(x))
        if name != "whitened ranks" or not len(self.whitening):
            return ranks
        return product((ranks - self.centre).contiguous(), self.whitening)

    def _distance(self, name: str, x: Tensor) -> Tensor:
        """Return a view's distance, given rows in its space: ``(B, q)`` -> ``(B,)``."""
        own, search = self._searches.get(name, (None, None))
        # A graph keeps the searches of the last call.
        if search is None or (own is not self.rows and not torch.compiler.is_exporting()):
            rows = self.rows
            if name == "coarse ranks":
                rows = rows[: round(PARTS * self.ordered.shape[1] ** 0.5)]
            parts = PARTS if name in ("coarse ranks", "whitened ranks") and len(rows) > PARTS else 1
            search = NearestInParts(self._space(name, rows), parts)
            self._searches[name] = self.rows, search
        return search(x, self.same[DISTANCES.index(name)]).mean(0)


def _ties_of(ordered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the values equal to each of ascending ones ``(d, n)`` start and end, int64 ``(d, n)`` each.

    Also the steps from the least one to the next and from the one before the greatest to that: ``(d, 2)``.
    """
    starts, ends = (torch.searchsorted(ordered, ordered, side=side) for side in ("left", "right"))
    inner = torch.stack([ends[:, 0].clamp_max(ordered.shape[1] - 1), (starts[:, -1] - 1).clamp_min(0)], dim=1)
    return starts, ends, (ordered.gather(1, inner) - ordered[:, [0, -1]]).abs()


@lru_cache(maxsize=4)
def _normal_scores(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the normal scores of the ranks 0, 1/2, 1, ..., n among n values: ``(2 n + 1,)``."""
    ranks = torch.arange(2 * n + 1, dtype=dtype, device=device) / 2
    return torch.special.ndtri(ranks.clamp(0.5, n - 0.5) / n)


def _blurred(ordered: Tensor) -> Tensor:
    """Return the middles of successive values, in place of these: ``(d, n)`` -> ``(d, max(n - 1, 1))``."""
    return (ordered[:, 1:] + ordered[:, :-1]) / 2 if ordered.shape[1] > 1 else ordered
