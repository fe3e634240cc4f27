"""Normal rows that resemble a given row in all columns but one; the value in that column is compared with theirs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.spec import SampleSpec

SIMILAR = 20  # rows that are compared with
LARGEST_DISTANCE = 9.0  # squared, in one column: one extreme column must not outweigh all others


class SimilarRows:
    """Normal rows in model space, searched for those that are nearest in all columns but one.

    Parameters
    ----------
    rows : (m, D)
    columns : sequence of slice
        Position of the code of each of the user's columns.
    spec : SampleSpec
        If it has classes, a row of another class counts as farther away than any row of the same class.
    """

    def __init__(self, rows: Tensor, columns: Sequence[slice], spec: SampleSpec) -> None:
        self.rows = rows
        self.columns = columns
        self._width = spec.shape[0]  # without the class number that may follow
        self._one_hot = set(spec.spans)
        self._conditioned = bool(spec.classes)

    @property
    def scored(self) -> list[int]:
        """Numbers of the columns that are scored: all but the condition."""
        return [number for number, part in enumerate(self.columns) if part.stop <= self._width]

    def distances(self, x: Tensor) -> Tensor:
        """Return squared distances over all columns, at most `LARGEST_DISTANCE` each: ``(B, D)`` -> ``(B, m)``."""
        total = x.new_zeros(len(x), len(self.rows))
        for number in self.scored:
            total += self._column_distances(x, number)
        if self._conditioned:
            farther = LARGEST_DISTANCE * (1 + len(self.columns))
            total += farther * (x[:, -1:] != self.rows[:, -1].to(x))
        return total

    def nearest(self, x: Tensor, number: int, distances: Tensor) -> Tensor:
        """Return the rows nearest to x ``(B, D)`` in all columns but one, given x's `distances`: int64 ``(B, R)``."""
        rest = distances - self._column_distances(x, number)
        return rest.topk(min(SIMILAR, len(self.rows)), largest=False).indices

    def typical(self, nearest: Tensor, number: int) -> Tensor:
        """Return the typical code of one column in rows `nearest` ``(B, R)``: ``(B, w)``.

        This is the median of numbers and the most frequent category.
        """
        part = self.columns[number]
        codes = self.rows[:, part][nearest]  # (B, R, w)
        if (part.start, part.stop) in self._one_hot:
            return torch.nn.functional.one_hot(codes.sum(1).argmax(-1), part.stop - part.start).to(codes)
        return codes.median(1).values

    def _column_distances(self, x: Tensor, number: int) -> Tensor:
        part = self.columns[number]
        # Matrix products would round differently for each batch size.
        distance = torch.cdist(x[:, part], self.rows[:, part].to(x), compute_mode="donot_use_mm_for_euclid_dist")
        return distance.square().clamp(max=LARGEST_DISTANCE)
