"""Axes, histograms and curves in percent of a chart's sides; the page's template draws them as SVG.

In percent a chart fits any screen and paper without a script, and its text keeps its size.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

BINS = 60
_BENT = 20  # an axis is bent if it reaches further than this many times the bend
_ROUNDING = 4.0  # percent of the axis by which a tick on a bent axis may move to a rounder number
_APART = 9.0  # percent between ticks on a bent axis, at least
_MARGIN = 0.02  # of the span, on both sides


@dataclass(frozen=True)
class Axis:
    """An interval of numbers, drawn from 0 to 100 %.

    Attributes
    ----------
    low, high : float
    centre : float
    bend : float or None
        Distance from `centre` up to which the axis is about linear. Beyond it, on both sides, the axis is about
        logarithmic (asinh). None makes it linear throughout.
    """

    low: float
    high: float
    centre: float = 0.0
    bend: float | None = None

    @classmethod
    def around(cls, values: np.ndarray, *, centre: float, bend: float) -> "Axis":
        """Return an axis for all `values`, bent if some of them lie many times `bend` from the centre."""
        low, high = float(np.min(values)), float(np.max(values))
        if low == high:
            low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
        bent = bend > 0 and max(high - centre, centre - low) > _BENT * bend
        axis = cls(low, high, centre, bend if bent else None)
        ends = axis.value(np.array([-100 * _MARGIN, 100 * (1 + _MARGIN)]))
        return cls(float(ends[0]), float(ends[1]), axis.centre, axis.bend)

    def at(self, values: Any) -> np.ndarray:
        """Return where numbers lie, in percent."""
        low, high = self._bent(self.low), self._bent(self.high)
        share: np.ndarray = 100 * (self._bent(values) - low) / (high - low)
        return share

    def value(self, percent: Any) -> np.ndarray:
        """Return the numbers at positions in percent."""
        low, high = self._bent(self.low), self._bent(self.high)
        bent = low + np.asarray(percent, dtype=np.float64) / 100 * (high - low)
        return bent if self.bend is None else self.centre + self.bend * np.sinh(bent)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return about `count` round numbers: position in percent and text."""
        if self.bend is None:
            step = _round_step((self.high - self.low) / count)
            values = step * np.arange(math.ceil(self.low / step), math.floor(self.high / step) + 1)
            digits = max(0, -math.floor(math.log10(step)))
            plain = step >= 1e-4 and np.abs(values).max(initial=0) < 1e6
            return [(float(self.at(v)), f"{v + 0.0:,.{digits}f}" if plain else number(v)) for v in values.tolist()]
        chosen: list[tuple[float, str]] = []
        for place in np.linspace(0, 100, 2 * count + 1)[1::2]:
            value = self._rounded(float(place))
            at = float(self.at(value))
            if 0 <= at <= 100 and (not chosen or at - chosen[-1][0] >= _APART):
                chosen.append((at, number(value)))
        return chosen

    def _rounded(self, place: float) -> float:
        """Return the number with the fewest digits near a position."""
        value = float(self.value(place))
        for rounded in (0.0, *(float(f"{value:.{digits}g}") for digits in range(1, 17))):
            if abs(float(self.at(rounded)) - place) <= _ROUNDING:
                return rounded
        return value

    def _bent(self, values: Any) -> np.ndarray:
        values = np.asarray(values, dtype=np.float64)
        return values if self.bend is None else np.arcsinh((values - self.centre) / self.bend)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def histogram(values: np.ndarray, axis: Axis) -> dict[str, Any]:
    """Return bars of ``(left, width, height, count)``, the first three in percent, and ticks of the counts.

    Heights grow with the square root of the counts, so that a few rows far out can be seen beside the many.
    """
    counts, edges = np.histogram(axis.at(values), BINS, range=(0, 100))
    most = int(counts.max(initial=1))
    heights = 100 * np.sqrt(counts / most)
    bars = [
        (float(left), 100 / BINS, float(height), int(count))
        for left, height, count in zip(edges, heights, counts, strict=False)
        if count
    ]
    quarter = round(most / 4)
    ticks = [(100.0, number(most))] + ([(100 * math.sqrt(quarter / most), number(quarter))] if quarter else [])
    return {"bars": bars, "ticks": ticks, "count": len(values)}


def points(across: np.ndarray, up: np.ndarray) -> str:
    """Return an SVG polyline through positions in percent; numbers that are not finite are left out."""
    fine = np.isfinite(across) & np.isfinite(up)
    return " ".join(f"{x:.2f},{100 - y:.2f}" for x, y in zip(across[fine], up[fine], strict=True))


def curve(steps: list[float], values: list[float], title: str) -> dict[str, Any] | None:
    """Return one term of a training history over its steps, or None if it has no finite value."""
    across, up = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    finite = up[np.isfinite(up)]
    if not len(finite):
        return None
    axis = Axis.around(finite, centre=0.0, bend=float(np.median(np.abs(finite))))
    span = (across[-1] - across[0]) or 1.0
    return {
        "title": title,
        "line": points(100 * (across - across[0]) / span, axis.at(up)),
        "ticks": axis.ticks(4),
        "first": number(int(across[0])),
        "last": number(int(across[-1])),
        "ends": f"{number(float(finite[0]))} to {number(float(finite[-1]))}",
        "bent": axis.bend is not None,
    }


def number(value: Any) -> str:
    """Return a value as the page shows it: four significant digits, thousands separated, whole numbers in full."""
    if value is None:
        return "missing"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, datetime | date):
        return (
            value.isoformat(sep=" ")
            if isinstance(value, datetime) and value.time() != datetime.min.time()
            else str(value)[:10]
        )
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 9999.5 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as percent with one decimal, or with two significant digits if it is tiny."""
    text = f"{100 * share:.1f}" if share == 0 or share >= 0.001 else f"{100 * share:.2g}"
    return f"{text}\N{NO-BREAK SPACE}%"
