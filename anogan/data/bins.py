"""Columns as tokens: frequent values by themselves, other values in ranges of equal frequency; and back to values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from ..errors import FormatError

MOST_BINS = 64  # bins of a column, where no value is rare; between frequent values there may be as many again
FEWEST_BINS = 8  # aimed at in a short column
KNOTS = 17  # values that describe a range, at most
FEWEST_TOGETHER = 5  # values whose mean is a knot if single values are not to be kept
MOST_DISTINCT = 256  # distinct values up to which a column has no others, so that ranges give their knots alone,
REPEATED = 2  # if values occur so often on average
STEPS = tuple(
    step * 10.0**power for power in range(9, -10, -1) for step in (5.0, 2.5, 2.0, 1.0)
)  # multiples of which all values of a column may be
PERIODS = (86400.0, 3600.0, 60.0)  # the like for dates, in seconds
DESCENDING = np.array(sorted({*STEPS, *PERIODS}, reverse=True))


@dataclass(frozen=True)
class ColumnBins:
    """Bins of each of D columns, learned from their values.

    Attributes
    ----------
    knots : (m,) float64
        Ascending values of each bin, one bin after the other. A frequent value is a bin of one knot.
    starts : (b + 1,) int64
        Where the knots of each bin start; one more entry is the end of the last.
    columns : (D + 1,) int64
        The first bin of each column; one more entry is the end of the last.
    steps : (D,) float64
        All values of a column are multiples of this; 0 if there is no such number.
    discrete : (D,) bool
        Whether a range stands for its knots alone rather than for all values between them.
    missing : (D,) bool
        Whether the last bin of the column stands for a missing value; its knot is 0.
    """

    knots: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    steps: np.ndarray
    discrete: np.ndarray
    missing: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, categorical: np.ndarray, *, single_values: bool = True) -> Self:
        """Learn the bins of values (n, D), NaN = missing.

        Parameters
        ----------
        values : (n, D) float64
        categorical : (D,) bool
            Columns whose values are numbers of categories.
        single_values : bool
            Whether rare values may be knots; if not, knots are means of at least `FEWEST_TOGETHER` values.
        """
        discrete = categorical | np.array([_is_discrete(column) for column in values.T])
        private = ~categorical & (not single_values)
        columns = [
            _bins_of(column, is_discrete=d, single=not p)
            for column, d, p in zip(values.T, discrete, private, strict=True)
        ]
        bins = [knots for of_column in columns for knots in of_column]
        return cls(
            knots=np.concatenate(bins),
            starts=np.cumsum([0, *map(len, bins)]),
            columns=np.cumsum([0, *map(len, columns)]),
            steps=np.array([_step(column) for column in values.T]),
            discrete=discrete & ~private,
            missing=np.isnan(values).any(0),
        )

    @property
    def sizes(self) -> np.ndarray:
        """The number of bins of each column: (D,) int64."""
        return np.diff(self.columns)

    def tokens(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, counted within its column: (n, D) float64 -> (n, D) int64."""
        tokens = np.empty(values.shape, dtype=np.int64)
        for j, (first, end) in enumerate(zip(self.columns[:-1], self.columns[1:], strict=True)):
            ordinary = np.arange(first, end - self.missing[j])
            gone = np.isnan(values[:, j])
            if len(ordinary):
                low, high = self.knots[self.starts[ordinary]], self.knots[self.starts[ordinary + 1] - 1]
                edges = (high[:-1] + low[1:]) / 2
                tokens[:, j] = np.searchsorted(edges, values[:, j], side="left")
            tokens[gone, j] = end - first - 1
        return tokens

    def draw(self, tokens: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw a value of each bin.

        Parameters
        ----------
        tokens : (n, D) int64
        uniform : (n, D) float64
            In [0, 1): the place within the bin.
        """
        values = np.empty(tokens.shape)
        for j in range(tokens.shape[1]):
            bins = self.columns[j] + tokens[:, j]
            first, last = self.starts[bins], self.starts[bins + 1] - 1
            place = first + uniform[:, j] * (last - first + self.discrete[j])
            below = np.floor(place).astype(np.int64)
            above = np.minimum(below + 1, last)
            share = 0.0 if self.discrete[j] else place - below
            x = self.knots[below] + share * (self.knots[above] - self.knots[below])
            if self.steps[j] and not self.discrete[j]:
                x = _multiple(x, self.steps[j])
            values[:, j] = x
        if self.missing.any():
            values[:, self.missing] = np.where(
                tokens[:, self.missing] == self.sizes[self.missing] - 1, np.nan, values[:, self.missing]
            )
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that `checked` reads."""
        return asdict(self)

    @classmethod
    def checked(cls, arrays: dict[str, np.ndarray], columns: int) -> Self:
        """Return the bins of so many columns; the arrays have the right types and finite values.

        Raises
        ------
        FormatError
            The arrays do not fit each other.
        """
        bins = cls(**arrays)
        fits = all(array.ndim == 1 for array in arrays.values()) and len(bins.columns) == columns + 1
        fits = fits and len(bins.steps) == len(bins.discrete) == len(bins.missing) == columns
        for offsets, end in ((bins.starts, len(bins.knots)), (bins.columns, len(bins.starts) - 1)):
            fits = fits and len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == end
            fits = fits and bool((np.diff(offsets) > 0).all())
        if not fits or (bins.sizes > 2 * MOST_BINS + 2).any() or (bins.steps < 0).any():
            raise FormatError("The bins of the columns do not fit each other.")
        return bins


def _is_discrete(x: np.ndarray) -> bool:
    """Whether a column seems to have no other values than those that occur."""
    x = x[~np.isnan(x)]
    distinct = len(np.unique(x))
    return distinct <= MOST_DISTINCT and REPEATED * distinct <= len(x)


def _bins_of(x: np.ndarray, *, is_discrete: bool, single: bool) -> list[np.ndarray]:
    """The knots of each bin of a column; see `_knots`."""
    gone = np.isnan(x)
    x = np.sort(x[~gone])
    values, counts = np.unique(x, return_counts=True)
    few = is_discrete and len(values) <= MOST_BINS
    share, bins, first, filled = len(x) / np.clip(np.sqrt(len(x)), FEWEST_BINS, MOST_BINS), [], 0, 0
    for i, count in enumerate(counts):  # a bin is closed before it would exceed its share
        alone = few or count > max(share, 1)
        if filled and (alone or filled + count > share):
            bins.append((first, i))
            first, filled = i, 0
        filled += count
    if filled:
        bins.append((first, len(values)))
    ends = np.cumsum([0, *counts])
    knots = [_knots(x[ends[a] : ends[b]], single=single) for a, b in bins]
    return knots + [np.zeros(1)] * bool(gone.any())


def _knots(x: np.ndarray, *, single: bool) -> np.ndarray:
    """Describe the ascending values of a bin by quantiles, or by means of neighbours."""
    if x[0] == x[-1] and (single or len(x) >= FEWEST_TOGETHER):
        return x[:1]
    if single:
        return x[_places(len(x))]
    parts = np.array_split(x, max(min(KNOTS, len(x) // FEWEST_TOGETHER), 1))
    return np.array([part.mean() for part in parts])


@lru_cache(maxsize=1024)
def _places(count: int) -> np.ndarray:
    """The places of the quantiles that describe so many ascending values."""
    return np.quantile(np.arange(count), np.linspace(0, 1, min(KNOTS, count)), method="nearest")


def _step(x: np.ndarray) -> float:
    """The largest number of `STEPS` and `PERIODS` of which all values are multiples, or 0."""
    x = np.unique(x[~np.isnan(x)])
    some = x[:100]
    for step in DESCENDING[(_multiple(some, DESCENDING[:, None]) == some).all(1)]:
        if (_multiple(x, step) == x).all():
            return float(step)
    return 0.0


def _multiple(x: np.ndarray, step: np.ndarray | float) -> np.ndarray:
    """The nearest multiple of a step. Below 1 it is a quotient of whole numbers, as decimals are read."""
    whole, per = np.maximum(step, 1.0), np.rint(1 / np.minimum(step, 1.0))
    with np.errstate(over="ignore"):
        return np.where(step >= 1, np.rint(x / whole) * whole, np.rint(x * per) / per)
