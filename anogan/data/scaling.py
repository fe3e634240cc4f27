"""Scaling of numeric columns to the range of a network and back, independent of the columns' units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np

from ..errors import FormatError, InputError
from .state import State, StateReader

SCALINGS = ("standard", "quantile", "asinh", "soft")

CONSTANT_STEP = 5.0
"""Scaled value of a value that differs from a constant training column, which has no scale."""

LINEAR_LIMIT = 1e4
"""Standardised values grow linearly up to here, then logarithmically: squares stay finite in float32."""

LEAST_SPREAD = 0.2
"""Smallest divisor of "soft"; a normal column has 0.34. Without it a column of rare values would exceed all others."""

LEAST_VISIBLE = 0.002
"""Scaled spread below which values of a column nearly coincide; a normal column has 1, columns of real tables 0.007."""

FEWEST_VALUES = 3
"""Different values that a column must have to be judged by them."""

N_QUANTILES = 1000
_LARGEST_EXPONENT = 1100  # of two: float64 spans 2**-1074 to 2**1024
LARGEST = 1e150  # values beyond this multiple of the training magnitude are clipped to it
CONSTANT_ERROR = 2.0**-49  # relative; by arithmetic, around a constant
ROUNDED_CONSTANT = 1e-5  # relative; a constant that was rounded to float32 or to decimals, by no more, is unchanged
SINGLE_ERROR = 2.0**-24  # relative; of numbers that are rounded to float32
_MOST_DECIMALS = 17


def symlog(z: np.ndarray) -> np.ndarray:
    """Identity up to +-`LINEAR_LIMIT`, logarithmic beyond; increasing, odd, finite for every finite z."""
    size = np.abs(z)
    if not np.any(size > LINEAR_LIMIT):
        return z
    compressed = np.sign(z) * LINEAR_LIMIT * (1.0 + np.log(np.maximum(size / LINEAR_LIMIT, 1.0)))
    return np.where(size > LINEAR_LIMIT, compressed, z)


def inverse_symlog(t: np.ndarray) -> np.ndarray:
    """The inverse of `symlog`."""
    size = np.abs(t)
    if not np.any(size > LINEAR_LIMIT):
        return t
    exponent = np.minimum(size / LINEAR_LIMIT - 1.0, 690.0)
    return np.where(size > LINEAR_LIMIT, np.sign(t) * LINEAR_LIMIT * np.exp(exponent), t)


class NumericScaler:
    """Scales and shifts each column so that results do not depend on its unit.

    Missing values (NaN) are left out of the statistics and stay NaN. All state is NumPy arrays, so a model file
    does not depend on the version of scikit-learn that wrote it.

    Parameters
    ----------
    scaling : {"standard", "quantile", "asinh", "soft"}
        "standard": distance from the mean in standard deviations.
        "asinh": ``arcsinh((x - median) / scale)``, scale the interquartile range or, where that is 0, the
        standard deviation; unbounded, but distant values grow logarithmically.
        "soft": ``arcsinh((x - median) / (2 scale))``, then standardised: nearly linear for most values, and all
        columns have the same spread.
        "quantile": the normal score of the value's rank among the training values, interpolated between up to
        1000 quantiles; beyond the training range it keeps growing with ``arcsinh`` of the value.

    Notes
    -----
    scikit-learn's ``QuantileTransformer`` is not used because it clips at the training range, sends every
    value tied with the minimum to -5.2, and compares with an absolute tolerance of 1e-7, which makes its
    result depend on the column's unit.
    """

    def __init__(self, scaling: str = "standard") -> None:
        self.scaling = scaling

    def fit(self, columns: Iterable[np.ndarray]) -> Self:
        """Learn the statistics of each column, given as 1-d float64 arrays (NaN = missing, no infinities)."""
        if self.scaling not in SCALINGS:
            choices = ", ".join(repr(choice) for choice in SCALINGS)
            raise InputError(f"The 'scaling' parameter must be one of {choices}. Got {self.scaling!r} instead.")
        facts = [_ColumnFacts(np.asarray(column, dtype=np.float64), self.scaling) for column in columns]
        self.exponent_ = np.array([fact.exponent for fact in facts], dtype=np.int64)
        self.center_ = np.array([fact.center for fact in facts], dtype=np.float64)
        self.scale_ = np.array([fact.scale for fact in facts], dtype=np.float64)
        self.constant_ = np.array([fact.constant for fact in facts], dtype=bool)
        if self.scaling == "soft":
            self.middle_ = np.array([fact.middle for fact in facts], dtype=np.float64)
            self.spread_ = np.array([fact.spread for fact in facts], dtype=np.float64)
        if self.scaling == "quantile":
            self.offset_ = np.cumsum([0] + [len(fact.knots) for fact in facts])
            self.knots_ = np.concatenate([fact.knots for fact in facts] or [np.empty(0)])
            self.ranks_ = np.concatenate([fact.ranks for fact in facts] or [np.empty(0)])
            self.slope_ = np.array([fact.slopes for fact in facts], dtype=np.float64).reshape(-1, 2)
        medians = np.array([fact.median for fact in facts], dtype=np.float64)
        fill = [self.column(j, medians[j : j + 1])[0] for j in range(len(facts))]
        self.fill_ = np.nan_to_num(np.array(fill, dtype=np.float64))
        return self

    def to_state(self) -> State:
        """What `from_state` reads."""
        statistics = {name.removesuffix("_"): value for name, value in vars(self).items() if name != "scaling"}
        return {"scaling": self.scaling} | statistics

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """The fitted scaler of a state.

        Raises
        ------
        FormatError
            If a statistic is missing, has another shape or type, or a value that `fit` cannot have given.
        """
        self = cls(state.text("scaling", choices=SCALINGS))
        self.center_ = state.array("center", np.float64, None, finite=False)
        d = len(self.center_)
        self.exponent_ = state.array("exponent", np.int64, d)
        self.scale_ = state.array("scale", np.float64, d)
        self.constant_ = state.array("constant", np.bool_, d)
        self.fill_ = state.array("fill", np.float64, d)
        positive = [self.scale_]
        if self.scaling == "soft":
            self.middle_ = state.array("middle", np.float64, d)
            self.spread_ = state.array("spread", np.float64, d)
            positive.append(self.spread_)
        if self.scaling == "quantile":
            self.knots_ = state.array("knots", np.float64, None)
            self.ranks_ = state.array("ranks", np.float64, len(self.knots_))
            self.slope_ = state.array("slope", np.float64, d, 2)
            self.offset_ = state.array("offset", np.int64, d + 1)
            positive.append(self.slope_)
            knots = np.diff(self.offset_)
            ends = self.offset_[0] == 0 and self.offset_[-1] == len(self.knots_)
            if not ends or (knots < 0).any() or (knots[~self.constant_] == 0).any():
                raise FormatError(f"{state.path}.offset does not divide the knots among the columns.")
        if any((values <= 0).any() for values in positive):
            raise FormatError(f"{state.path} has a scale that is not positive.")
        if not np.isfinite(self.center_[~self.constant_]).all() or np.isinf(self.center_).any():
            raise FormatError(f"{state.path}.center is not finite in a column that varies.")
        if (np.abs(self.exponent_) > _LARGEST_EXPONENT).any():
            raise FormatError(f"{state.path}.exponent is beyond the range of float64.")
        state.end()
        return self

    def column(self, j: int, x: np.ndarray) -> np.ndarray:
        """Scale column `j`: (n,) in the user's unit -> (n,) in model space, NaN where x is NaN."""
        y = self._reduced(j, x)
        if np.isnan(self.center_[j]):  # no value in training: the missing-indicator carries the information
            return np.where(np.isnan(y), y, 0.0)
        if self.constant_[j]:
            forms, error = self.constant_forms(j)
            changed = np.ones(y.shape, dtype=bool)
            for same in forms:
                changed &= np.abs(y - same) > error
            return np.where(np.isnan(y), y, CONSTANT_STEP * np.sign(y - self.center_[j]) * changed)
        u = (y - self.center_[j]) / self.scale_[j]
        if self.scaling == "standard":
            return symlog(u)
        v = np.arcsinh(u)
        if self.scaling == "soft":
            return (v - self.middle_[j]) / self.spread_[j]
        return self._rank(j, v) if self.scaling == "quantile" else v

    def constant_forms(self, j: int) -> tuple[np.ndarray, float]:
        """Return the values of the constant column `j` that count as unchanged, ``(k,)``, and by how much they may err.

        They are the constant itself and, unless it is a whole number, what it is in single precision or with fewer
        decimals; it may have been rounded in these ways itself. The next whole number is another value. Both are
        divided by the column's power of two.
        """
        constant = float(np.ldexp(self.center_[j], self.exponent_[j]))
        size = abs(constant)
        forms, errors = [constant], [CONSTANT_ERROR * size]
        if not constant.is_integer():
            with np.errstate(over="ignore"):
                single = float(np.float32(constant))
            decimals = {places: round(constant, places) for places in range(1, _MOST_DECIMALS + 1)}
            forms += [single, *decimals.values()]
            errors += [SINGLE_ERROR * size] * (single == constant)
            errors += [0.5 * 10.0**-places for places, form in decimals.items() if form == constant]
        largest = ROUNDED_CONSTANT * size
        near = np.unique([form for form in forms if abs(form - constant) <= largest])
        error = max(error for error in errors if error <= largest)
        return np.ldexp(near, -self.exponent_[j]), float(np.ldexp(error, -self.exponent_[j]))

    def transform(self, X: np.ndarray) -> np.ndarray:
        """(n, d) in the user's units -> (n, d) float64 in model space."""
        out = np.empty(X.shape, dtype=np.float64)
        for j in range(X.shape[1]):
            out[:, j] = self.column(j, X[:, j])
        return out

    def hides(self, j: int, x: np.ndarray) -> bool:
        """Return whether extreme values set the scale of column `j`, so that most of its values nearly coincide.

        Most are the lower half, the upper half or the central half of the different values of x (n,).
        """
        values = np.unique(x[~np.isnan(x)])
        if len(values) < FEWEST_VALUES:
            return False
        low, first, middle, third, high = self.column(j, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
        return bool(min(middle - low, high - middle, third - first) < LEAST_VISIBLE)

    def inverse_column(self, j: int, z: np.ndarray) -> np.ndarray:
        """(n,) in model space -> (n,) in the user's unit; a constant column gives its constant."""
        z = np.asarray(z, dtype=np.float64)
        if self.constant_[j]:
            y = np.full(z.shape, self.center_[j])
        elif self.scaling == "standard":
            y = inverse_symlog(z) * self.scale_[j] + self.center_[j]
        else:
            v = z
            if self.scaling == "soft":
                v = z * self.spread_[j] + self.middle_[j]
            elif self.scaling == "quantile":
                v = self._unrank(j, z)
            y = np.sinh(np.clip(v, -690.0, 690.0)) * self.scale_[j] + self.center_[j]
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            return np.clip(np.ldexp(y, self.exponent_[j]), -largest, largest)

    def inverse(self, Z: np.ndarray) -> np.ndarray:
        """(n, d) in model space -> (n, d) float64 in the user's units."""
        out = np.empty(Z.shape, dtype=np.float64)
        for j in range(Z.shape[1]):
            out[:, j] = self.inverse_column(j, Z[:, j])
        return out

    def _reduced(self, j: int, x: np.ndarray) -> np.ndarray:
        """Divide by the training magnitude (a power of two, hence exact), so that no arithmetic overflows."""
        with np.errstate(over="ignore"):
            y = np.ldexp(np.asarray(x, dtype=np.float64), -self.exponent_[j])
        return np.clip(y, -LARGEST, LARGEST)

    def _rank(self, j: int, v: np.ndarray) -> np.ndarray:
        knots, ranks = self._table(j)
        below, above = self.slope_[j]
        inside = np.interp(v, knots, ranks)
        return inside + above * np.maximum(v - knots[-1], 0.0) - below * np.maximum(knots[0] - v, 0.0)

    def _unrank(self, j: int, t: np.ndarray) -> np.ndarray:
        knots, ranks = self._table(j)
        below, above = self.slope_[j]
        inside = np.interp(t, ranks, knots)
        return inside + np.maximum(t - ranks[-1], 0.0) / above - np.maximum(ranks[0] - t, 0.0) / below

    def _table(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        span = slice(int(self.offset_[j]), int(self.offset_[j + 1]))
        return self.knots_[span], self.ranks_[span]


class _ColumnFacts:
    """The statistics of one column, in units of a power of two near its largest magnitude."""

    def __init__(self, x: np.ndarray, scaling: str) -> None:
        x = x[~np.isnan(x)]
        largest = float(np.abs(x).max()) if len(x) else 0.0
        self.exponent = int(np.frexp(largest)[1])
        self.center, self.scale = 0.0, 1.0
        self.middle, self.spread = 0.0, 1.0
        self.knots, self.ranks, self.slopes = np.empty(0), np.empty(0), (1.0, 1.0)
        if not len(x):
            self.constant, self.center, self.median = True, np.nan, np.nan
            return
        y = np.ldexp(x, -self.exponent)
        median = float(np.median(y))
        self.median = float(np.ldexp(median, self.exponent))
        # Rounding errors around a constant are no scale.
        self.constant = bool(np.ptp(y) <= CONSTANT_ERROR * np.abs(y).max())
        if self.constant:
            self.center = median
        elif scaling == "standard":
            self.center, self.scale = float(y.mean()), float(y.std())
        else:
            low, high = np.quantile(y, [0.25, 0.75])
            self.center, self.scale = median, float(high - low) or float(y.std())
            if scaling == "soft":
                self.scale *= 2
                v = np.arcsinh((y - self.center) / self.scale)
                self.middle, self.spread = float(v.mean()), max(float(v.std()), LEAST_SPREAD)
            if scaling == "quantile":
                self._rank_table(np.arcsinh((y - self.center) / self.scale))

    def _rank_table(self, v: np.ndarray) -> None:
        n = len(v)
        grid = np.linspace(0.0, 1.0, min(N_QUANTILES, n))
        # Interpolated quantiles can differ by an ulp within a tie: such knots would be absurdly steep.
        quantiles = np.maximum.accumulate(np.quantile(v, grid))
        starts = np.flatnonzero(np.append(True, np.diff(quantiles) > 1e-12 * np.ptp(v)))
        ends = np.append(starts[1:], len(quantiles)) - 1
        middle = (grid[starts] + grid[ends]) / 2  # tied values share the middle of their ranks
        from scipy.special import ndtri  # not needed to score pictures

        self.knots = quantiles[starts]
        self.ranks = ndtri((middle * (n - 1) + 0.5) / n)
        self.slopes = self._tail_slopes()

    def _tail_slopes(self) -> tuple[float, float]:
        """The slopes beyond the training range: the mean slope of each half, clipped to [0.5, 5]."""
        center = float(np.interp(0.0, self.knots, self.ranks))

        def slope(knot: float, rank: float) -> float:
            return float(np.clip((rank - center) / knot, 0.5, 5.0)) if knot else 1.0

        return slope(self.knots[0], self.ranks[0]), slope(self.knots[-1], self.ranks[-1])
