"""Normal rows that are like a given one but for one column: what its value there is compared with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.spec import SampleSpec

SIMILAR = 20  # rows that are compared with
MOST_APART = 9.0  # squared distance in one column, at most: what is far off there is so however far


class SimilarRows:
    """Some normal rows in model space, searched for those nearest in all columns but one.

    Parameters
    ----------
    rows : (m, D)
    columns : sequence of slice
        Where the code of each of the user's columns lies.
    spec : SampleSpec
        If it has classes, a row of another class counts as farther than any of its own.
    """

    def __init__(self, rows: Tensor, columns: Sequence[slice], spec: SampleSpec) -> None:
        self.rows = rows
        self.columns = columns
        self.width = spec.shape[0]  # of what is judged; a class's number comes after it
        self._one_hot = set(spec.spans)
        self._conditioned = bool(spec.classes)

    @property
    def judged(self) -> list[int]:
        """Numbers of the columns that are not given as the condition."""
        return [number for number, part in enumerate(self.columns) if part.stop <= self.width]

    def distances(self, x: Tensor) -> Tensor:
        """Squared distances over all columns, each counted up to `MOST_APART`: ``(B, D)`` -> ``(B, m)``."""
        total = x.new_zeros(len(x), len(self.rows))
        for number in self.judged:
            total += self._apart(x, number)
        if self._conditioned:
            farther = MOST_APART * (1 + len(self.columns))
            total += farther * (x[:, -1:] != self.rows[:, -1].to(x))
        return total

    def nearest(self, x: Tensor, number: int, distances: Tensor) -> Tensor:
        """The rows nearest to x ``(B, D)`` in all columns but one, given `distances` of x: int64 ``(B, R)``."""
        rest = distances - self._apart(x, number)
        return rest.topk(min(SIMILAR, len(self.rows)), largest=False).indices

    def typical(self, nearest: Tensor, number: int) -> Tensor:
        """The median code of one column in rows `nearest` ``(B, R)``, of categories the most frequent: ``(B, w)``."""
        part = self.columns[number]
        codes = self.rows[:, part][nearest]  # (B, R, w)
        if (part.start, part.stop) in self._one_hot:
            return torch.nn.functional.one_hot(codes.sum(1).argmax(-1), part.stop - part.start).to(codes)
        return codes.median(1).values

    def _apart(self, x: Tensor, number: int) -> Tensor:
        part = self.columns[number]
        # Products of matrices would round differently for each size of batch.
        distance = torch.cdist(x[:, part], self.rows[:, part].to(x), compute_mode="donot_use_mm_for_euclid_dist")
        return distance.square().clamp(max=MOST_APART)
