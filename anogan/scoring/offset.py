"""Shift of a picture from the good ones, by the Gaussians that suit it, where it shows no part to align."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .alignment import FARTHEST
from .feature_distance import LearnedBuffers
from .patch_memory import Grid
from .place_gaussian import PlaceGaussian
from .tolerance import POOLED, pooled_grid

FEWEST_PICTURES = 24
MOST_COMPARED = 8  # Gaussians along each axis that a picture is compared with
FROM_BORDER = 2  # Gaussians near the border that no shift reaches, since features there depend on what fills the rest
NEARER = 0.97  # mean distance after a shift, at most, as a share of that without
MOST_NEARER = 0.7  # of the places, at least, that come nearer by a shift
FEWEST_SHOWN = 0.5  # of the places that are compared, those that are inside
RECOVERED = 0.5  # of the known shifts, at least
USUAL = 0.95  # quantile of the mean distances of good pictures, up to which a shift explains what a picture shows
PAIRS_AT_ONCE = 8 * 64 * 49  # of patches and Gaussians: 8 pictures of 384x384 pixels, fewer larger ones


class Offset(LearnedBuffers):
    """Finds how far a picture is shifted by the least mean distance of its patches to Gaussians farther away.

    Textures have no part that phase correlation finds. What is usual may depend on the place all the same, for instance
    on light that falls from one side. A defect may suit other places a little better too. So a shift counts only if it
    makes the picture usual, or brings most of it nearer. The mean is geometric, so that large distances do not outweigh
    the others.
    """

    learned: ClassVar = {"usual": (1,)}
    usual: Tensor  # mean distance of a good picture, at most; empty if shifts are not searched

    @property
    def is_fitted(self) -> bool:
        """Whether pictures may be moved at all."""
        return bool(self.usual.numel())

    @staticmethod
    def compared(grid: Grid) -> Tensor:
        """Return the numbers of the Gaussians that pictures of a grid (h, w) of patches are compared with: ``(q,)``.

        There are none if the grid is too small for shifts.
        """
        sides, reaches = pooled_grid(grid), _reaches(grid)
        if not any(reaches):
            return torch.zeros(0, dtype=torch.int64)
        axes = []
        for side, reach in zip(sides, reaches, strict=True):
            first, last = reach + FROM_BORDER, side - 1 - reach - FROM_BORDER
            axes.append(torch.linspace(first, last, min(MOST_COMPARED, max(last - first + 1, 0))).round().long())
        return (axes[0][:, None] * sides[1] + axes[1]).flatten()

    def fit(self, gaussian: PlaceGaussian, pictures: Tensor, copies: Tensor, known: Tensor, grid: Grid) -> None:
        """Search shifts if those of copies of good pictures are found, within half a Gaussian.

        The Gaussians are the `compared` ones alone and have not learned these pictures ``(m, pools, F)``. Their copies
        lie by ``known (m, 2)`` patches below and right.
        """
        self.usual = pictures.new_tensor([torch.inf])
        own = torch.arange(len(self.compared(grid)), device=pictures.device)
        found = torch.cat([self._found(gaussian, own, part, None, grid) for part in _split(copies, grid)])
        close = ((found - known).abs() <= POOLED / 2).all(1) & found.any(1)
        if close.double().mean() < RECOVERED:
            self.usual = pictures.new_zeros(0)
            return
        still = []
        for part in _split(pictures, grid):
            means, _ = _means(*self._compare(gaussian, own, part, None, grid))
            still.append(means[len(means) // 2])
        self.usual = torch.cat(still).quantile(USUAL).reshape(1)

    def forward(self, gaussian: PlaceGaussian, pooled: Tensor, inside: Tensor, grid: Grid) -> Tensor:
        """Return by how many patches each picture ``(B, pools, F)`` lies below and right: ``(B, 2)``.

        Zero if that explains too little. Bool ``inside (B, pools)`` says what counts.
        """
        chosen = self.compared(grid).to(pooled.device)
        if torch.compiler.is_exporting():  # a graph takes batches of any length, so they cannot be split here
            return self._found(gaussian, chosen, pooled, inside, grid)
        parts = zip(_split(pooled, grid), _split(inside, grid), strict=True)
        return torch.cat([self._found(gaussian, chosen, *part, grid) for part in parts])

    def _found(
        self, gaussian: PlaceGaussian, chosen: Tensor, pooled: Tensor, inside: Tensor | None, grid: Grid
    ) -> Tensor:
        distances, shown = self._compare(gaussian, chosen, pooled, inside, grid)
        means, counts = _means(distances, shown)
        least, best = means.min(0)
        middle = len(means) // 2
        still = means[middle]
        pictures = torch.arange(best.shape[0], device=best.device)
        nearer = (distances[:, best, pictures] < distances[:, middle]) & (shown[:, best, pictures] > 0)
        most = nearer.sum(0) > MOST_NEARER * counts[best, pictures]
        explained = (least < NEARER * still) & still.isfinite() & (most | (least <= self.usual))
        reaches = _reaches(grid)
        width = 2 * reaches[1] + 1
        row, column = best // width, best % width
        maps = means.unflatten(0, (-1, width))
        below = _minimum(maps[:, column, pictures], row) - reaches[0]
        right = _minimum(maps[row, :, pictures].mT, column) - reaches[1]
        return POOLED * torch.stack([below, right], dim=1) * explained[:, None]

    @staticmethod
    def _compare(
        gaussian: PlaceGaussian, chosen: Tensor, pooled: Tensor, inside: Tensor | None, grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Return the distances of pictures ``(B, pools, F)`` to q Gaussians after k shifts, and what counts of them.

        Both are ``(q, k, B)``, the latter ones and zeros. The middle one is no shift. ``chosen (q,)`` are the
        numbers of the compared Gaussians.
        """
        rows, columns = (torch.arange(-reach, reach + 1, device=pooled.device) for reach in _reaches(grid))
        steps = (rows[:, None] * pooled_grid(grid)[1] + columns).flatten()
        seen = Offset.compared(grid).to(steps)[:, None] + steps
        distances = gaussian.distances_to(chosen, pooled.transpose(0, 1)[seen])
        return distances, torch.ones_like(distances) if inside is None else inside.mT[seen].to(distances)


def _means(distances: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Return geometric means of what is shown, infinite for too little, and how much that is: ``(k, B)`` each."""
    logs = distances.clamp_min(torch.finfo(distances.dtype).tiny).log()
    counts = shown.sum(0)
    means = ((logs * shown).sum(0) / counts.clamp_min(1)).exp()
    return means.masked_fill(counts < FEWEST_SHOWN * shown.shape[0], torch.inf), counts


def _minimum(distances: Tensor, best: Tensor) -> Tensor:
    """Return where ``(a, B)`` are least, between the numbers too; ``best (B,)`` are those of the least: ``(B,)``.

    It is the minimum of the parabola through the least one and its neighbours, if it has two.
    """
    last = distances.shape[0] - 1
    before, here, after = (distances.gather(0, (best + step).clamp(0, last)[None])[0] for step in (-1, 0, 1))
    curvature = before + after - 2 * here
    between = (best > 0) & (best < last) & (curvature > 0) & curvature.isfinite()
    return best + torch.where(between, (before - after) / (2 * curvature), 0.0)


def _reaches(grid: Grid) -> tuple[int, int]:
    """Return the farthest shifts along each axis of a grid of patches, in Gaussians."""
    height, width = pooled_grid(grid)
    return math.floor(FARTHEST * height), math.floor(FARTHEST * width)


def _split(pictures: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    """Split pictures ``(B, ...)`` into parts whose patches, as all compared Gaussians see them, take little memory."""
    below, right = (2 * reach + 1 for reach in _reaches(grid))
    return pictures.split(max(PAIRS_AT_ONCE // (MOST_COMPARED**2 * below * right), 1))
