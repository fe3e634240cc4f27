"""Digests of the rows of a fit, with which a model recognises these rows without holding them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..wording import counted
from .samples import Samples

MOST_ROWS = 2**18
MOST_PICTURES = 2_000  # each of them is decoded once more
_VALUES_AT_ONCE = 2**21
_SLACK = 3  # standard deviations that chance may add
WITHOUT = (
    "the model holds no digests of the rows of its fit (keep_rows=0), so it cannot be checked whether some of these "
    "rows were part of it: "
)
"""Beginning of a warning, before what follows from such rows."""


@dataclass(frozen=True, eq=False)
class RowDigests:
    """Digests of the rows that a model was fitted on.

    A digest is a 32-bit number of an encoded row and of the model's seed, which is no secret. Somebody who has a row
    can test whether the model was fitted on an equal one, and rows of few possible values can be found by trying all.

    Attributes
    ----------
    values : (m,) int32
        Ascending; a digest occurs as often as its row.
    rows : int
        Number of the rows of the fit. If m is smaller, the digests are those of a random part of them.
    seed : int
        Seed of the fit.
    """

    values: np.ndarray
    rows: int
    seed: int

    @classmethod
    def of(cls, samples: Samples, order: np.ndarray, seed: int, *, is_image: bool) -> RowDigests:
        """Return digests of samples, or of as many as are kept.

        Parameters
        ----------
        samples : n samples
        order : (n,) int
            The positions of the samples in random order.
        seed : int
        is_image : bool
        """
        chosen = np.sort(order[: MOST_PICTURES if is_image else MOST_ROWS])
        return cls(np.sort(digests_of(samples.subset(chosen), seed)), len(samples), seed)

    def of_different(self, rows: int) -> RowDigests:
        """Return each digest once, of so many different rows: copies do not show how often rows are equal by chance."""
        return RowDigests(np.unique(self.values), rows, self.seed)

    @property
    def whole(self) -> bool:
        """Whether every row of the fit has its digest here."""
        return len(self.values) == self.rows

    @cached_property
    def repeated(self) -> float:
        """Share of the rows that equal another row of the fit, so that a new row probably equals one as often."""
        _, counts = np.unique(self.values, return_counts=True)
        return float(counts[counts > 1].sum() / len(self.values))

    def known(self, samples: Samples) -> np.ndarray:
        """Return which samples equal one whose digest is here: bool (n,)."""
        known = np.isin(digests_of(samples, self.seed), self.values)
        return known if samples.unseen is None else known & ~samples.unseen.any(1)

    def estimated(self, known: int, count: int) -> int:
        """Return how many of `count` rows were probably part of the fit, if `known` of them are known.

        New rows may equal rows of the fit too, as often as these equal each other; 0 is returned if this, and equal
        digests of different rows, explain what is known.
        """
        chance = min(self.repeated + len(self.values) / 2**32, 1.0)
        if chance == 1 or known <= count * chance + _SLACK * np.sqrt(count * chance * (1 - chance)):
            return 0
        if self.whole and not self.repeated:
            return known
        share = len(self.values) / self.rows
        return min(round((known - count * chance) / (share * (1 - chance))), count)

    def message(self, known: int, count: int, consequence: str) -> str | None:
        """Return a warning if some of `count` rows were part of the fit, otherwise None."""
        if not (rows := self.estimated(known, count)):
            return None
        about = "" if self.whole and not self.repeated else "about "
        was = "was" if rows == 1 else "were"
        return f"{about}{rows:,} of {counted(count, 'row')} {was} part of the fit: {consequence}"


def digests_of(samples: Samples, seed: int) -> np.ndarray:
    """Return int32 (n,), equal for equal samples.

    They are the upper halves of sums of the values' bits, each times a random odd number.
    """
    found: list[np.ndarray] = []
    factors = None
    for batch in samples.batches(_batches(samples)):
        bits = (batch.flatten(1).float().numpy() + np.float32(0)).view(np.uint32)  # + 0 makes -0 equal to 0
        if factors is None:
            factors = np.random.default_rng(seed).integers(0, 2**63, bits.shape[1], dtype=np.uint64) * 2 + 1
        sums = (bits.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
        found.append((sums >> np.uint64(32)).astype(np.uint32).view(np.int32))
    return np.concatenate(found) if found else np.empty(0, dtype=np.int32)


def _batches(samples: Samples) -> Iterator[np.ndarray]:
    """Yield positions, so few at a time that their values fit in memory."""
    if not len(samples):
        return
    size = max(1, _VALUES_AT_ONCE // samples.batch(np.arange(1)).numel())
    for first in range(0, len(samples), size):
        yield np.arange(first, min(first + size, len(samples)))
