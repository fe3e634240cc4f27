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
USUAL = 0.5  # quantile of the mean distances of good pictures, up to which they are usual
PAIRS_AT_ONCE = 4 * 64 * 81  # of patches and Gaussians: 4 pictures of 384x384 pixels, fewer larger ones


class Offset(LearnedBuffers):
    """Finds how far a picture is shifted by the least mean distance of its patches to Gaussians farther away.

    Textures have no part that phase correlation finds. What is usual may depend on the place all the same, for instance
    on light that falls from one side. A defect may suit other places a little better too. So a shift counts only if it
    brings most of a picture nearer, or makes an unusual picture usual. The mean is geometric, so that large distances
    do not outweigh the others.
    """

    learned: ClassVar = {"usual": (1,)}
    usual: Tensor  # median of good pictures' mean distances; empty if shifts are not searched

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
        axes = []
        for side, reach in zip(sides, reaches, strict=True):
            first, last = reach + FROM_BORDER, side - 1 - reach - FROM_BORDER
            axes.append(torch.linspace(first, last, min(MOST_COMPARED, max(last - first + 1, 0))).round().long())
        return (axes[0][:, None] * sides[1] + axes[1]).flatten()

    def fit(self, gaussian: PlaceGaussian, copies: Tensor, known: Tensor, grid: Grid) -> None:
        """Search shifts if those of copies ``(m, pools, F)`` of good pictures are found, within half a Gaussian.

        The Gaussians are the `compared` ones alone and have not learned these pictures. The copies lie by
        ``known (m, 2)`` shares of the sides below and right.
        """
        own = torch.arange(len(self.compared(grid)), device=copies.device)
        found = torch.cat([self._found(gaussian, own, part, grid) for part in _split(copies, grid)])
        close = ((found - known).abs() * known.new_tensor(grid) <= POOLED / 2).all(1) & found.any(1)
        self.usual = copies.new_zeros(int(close.to(known).mean() >= RECOVERED))

    def fit_usual(self, gaussian: PlaceGaussian, pictures: Tensor, left_out: Tensor, grid: Grid) -> None:
        """Learn what is usual from distances that good pictures would have if they had not been learned.

        ``left_out (n, pools)`` are to the best Gaussians around each place, so that they are multiplied by how much
        greater those to its own are, of learned ``pictures (m, pools, F)``.
        """
        chosen = self.compared(grid).to(pictures.device)
        own = gaussian.distances_to(chosen, pictures.transpose(0, 1)[chosen, None])[:, 0]
        best = gaussian.distances(pictures, grid).mT[chosen]
        everything = torch.ones_like(own)
        farther = _means(own, everything)[0].mean() / _means(best, everything)[0].mean()
        new = left_out.mT[chosen]
        self.usual = farther * _means(new, torch.ones_like(new))[0].quantile(USUAL).reshape(1)

    def forward(self, gaussian: PlaceGaussian, pooled: Tensor, inside: Tensor, grid: Grid) -> Tensor:
        """Return by how much pictures ``(B, pools, F)`` may lie below and right, in shares of the sides: ``(B, 2)``.

        Zero if no shift makes them more usual. Bool ``inside (B, pools)`` says what counts.
        """
        chosen = self.compared(grid).to(pooled.device)
        if torch.compiler.is_exporting():  # a graph takes batches of any length, so they cannot be split here
            return self._found(gaussian, chosen, pooled, grid, inside)
        parts = zip(_split(pooled, grid), _split(inside, grid), strict=True)
        return torch.cat([self._found(gaussian, chosen, some, grid, counted) for some, counted in parts])

    def _found(
        self, gaussian: PlaceGaussian, chosen: Tensor, pooled: Tensor, grid: Grid, inside: Tensor | None = None
    ) -> Tensor:
        """Return the shifts; without ``inside``, during the fit, any that brings a picture nearer."""
        distances, shown = self._compare(gaussian, chosen, pooled, inside, grid)
        means, counts = _means(distances, shown)
        least, best = means.min(0)
        middle = means.shape[0] // 2
        still = means[middle]
        below, right = _reaches(grid)
        row, column = best // (2 * right + 1), best % (2 * right + 1)
        # A minimum at the last shift may lie beyond it.
        counts_as_shift = (least < NEARER * still) & still.isfinite()
        counts_as_shift &= (row > 0) & (row < 2 * below) & (column > 0) & (column < 2 * right)
        pictures = torch.arange(best.shape[0], device=best.device)
        if inside is not None:
            nearer = (distances[:, best, pictures] < distances[:, middle]) & (shown[:, best, pictures] > 0)
            most = nearer.sum(0) > MOST_NEARER * counts[best, pictures]
            counts_as_shift &= most | ((least <= self.usual) & (still > self.usual))
        maps = means.unflatten(0, (2 * below + 1, 2 * right + 1))
        places = [_minimum(maps[:, column, pictures], row), _minimum(maps[row, :, pictures].mT, column)]
        found = torch.stack(places, dim=1) - means.new_tensor([below, right])
        return found * POOLED / means.new_tensor(grid) * counts_as_shift[:, None]

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

    It is the minimum of the parabola through the least one and its neighbours.
    """
    last = distances.shape[0] - 1
    before, here, after = (distances.gather(0, (best + step).clamp(0, last)[None])[0] for step in (-1, 0, 1))
    curvature = before + after - 2 * here
    between = (curvature > 0) & curvature.isfinite()
    return best + torch.where(between, (before - after) / (2 * curvature), 0.0)


def _reaches(grid: Grid) -> tuple[int, int]:
    """Return the shifts along each axis of a grid of patches, in Gaussians, up to which distances are compared.

    They lie beyond the farthest shift, so that its minimum can be told from one that lies farther away.
    """
    height, width = pooled_grid(grid)
    return math.floor(FARTHEST * height) + 1, math.floor(FARTHEST * width) + 1


def _split(pictures: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    """Split pictures ``(B, ...)`` into parts whose patches, as all compared Gaussians see them, take little memory."""
    below, right = (2 * reach + 1 for reach in _reaches(grid))
    return pictures.split(max(PAIRS_AT_ONCE // (MOST_COMPARED**2 * below * right), 1))
