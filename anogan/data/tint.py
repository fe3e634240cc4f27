"""Where good pictures are red and where blue, which tells whether the channels of others come in another order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..sources.notes import FileNote
from .range_counter import Beyond
from .state import State, StateReader

SIDE = 8  # of the grid on which colours are compared
SEEN = 64  # pixels along a side that are looked at, about
LEARNED = 24  # pictures, which are decoded for it
MARGIN = 1.5  # times: how much farther than the farthest of these others may be
CLEARLY = 2  # times: how much nearer the exchanged channels are
COLOURED = 0.04  # of the range of 2: five of 255 levels between red and blue, where another white balance makes four


@dataclass(frozen=True)
class Tint:
    """Red minus blue of good pictures.

    Attributes
    ----------
    mean : (h, w) float64
        On a grid of at most 8x8 cells.
    farthest : float
        Greatest root mean square distance of these pictures from it.
    """

    mean: np.ndarray
    farthest: float

    @classmethod
    def of(cls, pictures: np.ndarray, size: tuple[int, int]) -> Self:
        """Return the tint of good pictures (n, 3, H, W) in model space; others have a size (h, w) at least."""
        differences = _red_minus_blue(pictures, (min(size[0], SIDE), min(size[1], SIDE)))
        mean = differences.mean(0)
        return cls(mean, float(_distances(differences, mean).max()))

    def count_exchanged(self, pictures: np.ndarray) -> dict[str | int, Beyond]:
        """Count the pictures (n, 3, H, W) that look like good ones whose red and blue are exchanged."""
        differences = _red_minus_blue(pictures, self.mean.shape)
        as_given, exchanged = (_distances(each, self.mean) for each in (differences, -differences))
        near = MARGIN * self.farthest
        found = (as_given > near) & (exchanged <= near) & (exchanged < as_given / CLEARLY)
        found &= np.sqrt(np.square(self.mean).mean()) >= COLOURED
        return {"exchanged": Beyond(len(pictures), int(np.sum(found)))}

    def notes(self, counts: Mapping[str | int, Beyond]) -> list[FileNote]:
        """Return a note if most of the pictures that `count_exchanged` counted look like that."""
        seen, exchanged = counts.get("exchanged", Beyond(0, 0))
        if exchanged * 2 <= seen:
            return []
        which = "the picture" if seen == 1 else f"{exchanged:,} of {seen:,} pictures that were compared"
        return [
            FileNote(
                f"Red and blue seem to be exchanged in {which}, since the colours of the good ones fit much better "
                "then. Arrays of OpenCV have blue first: give red first, or tell score_picture with bgr=True."
            )
        ]

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return {"mean": self.mean, "farthest": self.farthest}

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """What `to_state` wrote."""
        mean = state.array("mean", np.float64, None, None)
        if not mean.size or max(mean.shape) > SIDE:
            raise state.error("mean", list(mean.shape), f"a grid of at most {SIDE}x{SIDE}")
        return cls(mean, state.number("farthest", 0.0))


def seen_of(pictures: np.ndarray) -> np.ndarray:
    """Return every so many pixels of pictures (n, C, H, W): what of them is compared."""
    rows, columns = (max(side // SEEN, 1) for side in pictures.shape[2:])
    return pictures[:, :, ::rows, ::columns]


def _red_minus_blue(pictures: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return the mean difference in each cell of a grid (h, w): (n, 3, H, W) -> (n, h, w)."""
    values = (pictures[:, 0] - pictures[:, 2]).astype(np.float64)
    for axis, cells in enumerate(grid, 1):
        edges = np.linspace(0, values.shape[axis], cells + 1).astype(int)
        shape = [1, 1, 1]
        shape[axis] = len(edges) - 1
        values = np.add.reduceat(values, edges[:-1], axis=axis) / np.diff(edges).reshape(shape)
    return values


def _distances(differences: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(differences - mean).mean((1, 2)))
