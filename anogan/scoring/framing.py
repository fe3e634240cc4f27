"""Region, light and position of pictures, brought to those of the good ones before anything is compared."""

import math
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample, max_pool2d

from ..nn.layers import reduce_axis
from .alignment import FARTHEST, FITTED_PICTURES, FITTED_SIDE, Alignment, grey, moved
from .branches import changed_if
from .copies import directions, spread_evenly
from .feature_distance import LearnedBuffers
from .light import Light, Overexposure, brightness_quantiles, saturated
from .tolerance import Levels, moved_depths, pooled_grid

NEAR_BORDER = 1 / 48  # of a side: patches of 384 pixels at stride 8, beside the border of what a moved picture shows
# Shares of saturated pixels around a Gaussian, beyond the usual one, that are told apart.
SATURATED_SHARES = (0.01, 0.05, 0.25, 0.6)
TRIED_SHIFTS = (0.04, 0.12)  # of a side
GREATEST_TURN = math.radians(10)
FILLED = 2  # lines that repeat each other, at least, if they were filled in


class Framed(NamedTuple):
    """Pictures as they are compared.

    Attributes
    ----------
    pictures : (B, C, H, W) tensor
    inside : (B, 1, H, W) tensor
        One where a pixel was photographed and belongs to the region of interest, otherwise zero.
    shifts : (B, 2) int64 tensor
        By how many pixels each picture was moved up and left.
    shares : (B, 2) tensor
        The same as shares of the sides, zero for pictures that were not moved farther than good ones.
    saturated : (B, 1, H, W) tensor
        What `Overexposure` returns, from -1 to 1.
    """

    pictures: Tensor
    inside: Tensor
    shifts: Tensor
    shares: Tensor
    saturated: Tensor

    @classmethod
    def whole(cls, x: Tensor) -> "Framed":
        """Return samples of any shape as they are."""
        samples = x.shape[0]
        still = torch.zeros(samples, 2, dtype=torch.int64, device=x.device)
        return cls(x, x.new_ones(samples, 1, 1, 1), still, still.to(x), x.new_zeros(samples, 1, 1, 1))

    def moved_back(self) -> "Framed":
        """Undo the shifts. What lies near the border of what the pictures show then is not inside."""
        shown = self.pictures, self.inside, self.saturated
        shown = changed_if(self.shifts.any(), lambda found: _moved_back(*found, self.shifts), shown)
        return self._replace(pictures=shown[0], inside=shown[1], saturated=shown[2])

    def levels(self, grid: tuple[int, int]) -> Levels:
        """Return how strongly shifts and overexposure affect each Gaussian of a grid (h, w) of patches."""
        return Levels(moved_depths(self.shares, grid), self.overexposure(grid))

    def overexposure(self, grid: tuple[int, int]) -> Tensor:
        """Return how much more is saturated around each Gaussian than usually, from 0 to 4: int64 ``(B, pools)``."""
        share = max_pool2d(adaptive_avg_pool2d(self.saturated, pooled_grid(grid)), 3, stride=1, padding=1).flatten(1)
        return (share[..., None] > share.new_tensor(SATURATED_SHARES)).sum(-1)

    def patches_inside(self, grid: tuple[int, int]) -> Tensor:
        """Return which patches of a grid (h, w), with the patches around them, are inside: bool ``(B, h * w)``.

        A region that has no such patch has those that are mostly inside.
        """
        share = adaptive_avg_pool2d(self.inside, grid)
        eroded = (-max_pool2d(-share, 3, stride=1, padding=1)).flatten(1) > 0.99
        mostly = share.flatten(1) >= share.flatten(1).amax(1, keepdim=True).clamp(max=0.5)
        return eroded | (mostly & ~eroded.any(1, keepdim=True))


class Lit(NamedTuple):
    """Pictures in the light of the good ones, before they are moved.

    Attributes
    ----------
    pictures : (B, C, H, W) tensor
    inside : (B, 1, H, W) tensor
        See `Framed`.
    saturated : (B, 1, H, W) tensor
        One where a pixel was saturated, otherwise zero.
    quantiles : (B, q) tensor
        The `brightness_quantiles` of the pictures as they were.
    """

    pictures: Tensor
    inside: Tensor
    saturated: Tensor
    quantiles: Tensor

    def rows(self, chosen: Tensor) -> "Lit":
        """Return some pictures."""
        return Lit(*(each[chosen] for each in self))


class Framing(nn.Module):
    """Pixels outside of a region of interest, light and position do not make a picture unusual.

    Pixels that are NaN in a picture, or in all good pictures, do not belong to the region of interest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.region = Region()
        self.filling = Filling()
        self.light = Light()
        self.overexposure = Overexposure()
        self.alignment = Alignment()

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Learn from good pictures, batches ``(B, C, H, W)`` in [-1, 1]."""
        quantiles, reduced, shown, repeated, bright, masked = [], [], [], [], [], False
        for x in batches:
            visible = ~x.isnan().any(1)
            shown.append(visible.any(0))
            masked |= not bool(visible.all())
            repeated.append(repeated_lines(x).amax(0))
            quantiles.append(brightness_quantiles(x))
            bright.append(self.overexposure.on_grid(x))
            reduced.append(grey(x.nan_to_num(0.0), FITTED_SIDE))
        self.region.fit(torch.stack(shown).any(0), reduced[0])
        self.filling.fit(torch.stack(repeated).amax(0))
        self.light.fit(torch.cat(quantiles))
        self.overexposure.fit(torch.cat(quantiles), *map(torch.cat, zip(*bright, strict=True)))
        # A mask stays where it is when what it shows has moved.
        self.alignment.fit(torch.cat(reduced)[: 0 if masked else FITTED_PICTURES])

    def forward(self, x: Tensor) -> Framed:
        """Frame pictures ``(B, C, H, W)``."""
        return self.aligned(self.lit(x))

    def lit(self, x: Tensor) -> Lit:
        """Bring pictures ``(B, C, H, W)`` to the light of the good ones."""
        x, inside = self.filling(x)
        x = self.region(x)
        bright, quantiles = saturated(x), brightness_quantiles(x)
        x = self.light(x, quantiles)
        missing = x.isnan()
        inside = inside * (~reduce_axis(torch.any, missing, 1, keepdim=True)).to(x.dtype)
        return Lit(x.masked_fill(missing, 0.0), inside, bright, quantiles)

    def aligned(self, lit: Lit, shares: Tensor | None = None) -> Framed:
        """Bring pictures to the position of the good ones; known shifts are ``shares (B, 2)`` of the sides."""
        x, inside, bright, quantiles = lit
        if shares is None:
            shifts = self.alignment.shifts(x)
            shares = self.alignment.unlike_good(shifts, x)
        else:
            by = [share * side for share, side in zip(shares.unbind(1), x.shape[-2:], strict=True)]
            shifts = torch.stack(by, dim=1).round().long()
        framed = Framed(x, inside, shifts, shares, bright).moved_back()
        return framed._replace(saturated=self.overexposure(framed.saturated, quantiles))


class Region(LearnedBuffers):
    """The pixels that any good picture shows. Others are NaN in pictures, as pixels outside of their masks are."""

    learned: ClassVar = {"shown": ("H", "W")}
    shown: Tensor  # one or zero; empty if all pixels are shown

    def fit(self, shown: Tensor, like: Tensor) -> None:
        """Learn from bool ``(H, W)``."""
        self.shown = like.new_zeros(0) if shown.all() else shown.to(like)

    def forward(self, x: Tensor) -> Tensor:
        return x.masked_fill(self.shown == 0, torch.nan) if self.shown.numel() else x


class Filling(nn.Module):
    """Lines beside a border that repeat each other were filled in, for instance where a picture was moved.

    They are ignored up to `FARTHEST` from the border, unless good pictures have such lines there. What lies inside is
    mirrored in their place, since features near them depend on them. Lines of one colour count, since a dead strip, a
    cover or overexposure cannot be told from a filling.
    """

    usual: Tensor  # (4,), whether good pictures have such lines at the top, bottom, left and right, one or zero

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(4))

    def fit(self, lines: Tensor) -> None:
        """Learn from the greatest numbers of lines that repeat each other, ``(4,)``."""
        self.usual.copy_(lines >= FILLED)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures ``(B, C, H, W)`` without such lines, and ones for the other pixels, ``(B, 1, H, W)``."""
        height, width = x.shape[-2:]
        farthest = FARTHEST * x.new_tensor([height, height, width, width])
        borders = _repeated_borders(x) & _varied_borders(x) & (self.usual == 0)
        whole = x, torch.ones_like(x[:, :1])
        return changed_if(borders.any(), lambda both: self._mended(*both, borders, farthest), whole)

    @staticmethod
    def _mended(x: Tensor, inside: Tensor, borders: Tensor, farthest: Tensor) -> tuple[Tensor, Tensor]:
        """Ignore repeated lines at some borders of pictures, bool ``(B, 4)``, up to a number ``(4,)``."""
        lines = repeated_lines(x)
        filled = lines * (borders & (lines >= FILLED) & (lines <= farthest))
        for axis, before in ((-2, 0), (-1, 2)):
            side = x.shape[axis]
            both = filled[:, before : before + 2].long()
            near = round(NEAR_BORDER * side) * (both > 0)
            first, last = both.unbind(1)
            place = torch.arange(side, device=x.device)
            kept = (place >= (first + near[:, 0])[:, None]) & (place < (side - last - near[:, 1])[:, None])
            inside = inside * (kept[:, None, :, None] if axis == -2 else kept[:, None, None]).to(x.dtype)
            x = _mirrored(x, first, last, axis)
        return x, inside


def shifted(x: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return pictures ``(B, C, H, W)`` moved in all directions, and by how much down and right: int64 ``(B, 2)``.

    The number of the ``first`` one, among all that are copied, says where directions and lengths go on.
    """
    least, greatest = TRIED_SHIFTS
    size = least + (greatest - least) * spread_evenly(len(x), first, x)[:, None]
    by = (directions(len(x), x, first) * size * x.new_tensor(x.shape[-2:])).round().long()
    return moved(x, -by), by


def turned(x: Tensor, first: int) -> Tensor:
    """Return pictures ``(B, C, H, W)`` turned about their centre by up to `GREATEST_TURN` in either direction.

    The corners are filled with the mirrored picture or, in half of the pictures, with the pixels of its border, as a
    picture that was turned after it had been taken may be. For ``first`` see `shifted`.
    """
    height, width = x.shape[-2:]
    angle = GREATEST_TURN * (2 * spread_evenly(len(x), first, x) - 1).cpu()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = [[cos, -sin * height / width, zero], [sin * width / height, cos, zero]]  # sides are 2 long
    places = affine_grid(torch.stack([torch.stack(row, 1) for row in matrix], 1), list(x.shape), align_corners=False)
    pictures = x.cpu()  # not every device has these ways to fill
    mirrored, repeated = (
        grid_sample(pictures, places, padding_mode=fill, align_corners=False) for fill in ("reflection", "border")
    )
    chosen = spread_evenly(len(x), first, pictures, axis=1)[:, None, None, None] < 0.5
    return torch.where(chosen, mirrored, repeated).to(x)


def repeated_lines(x: Tensor) -> Tensor:
    """Return how many lines at each border of pictures ``(B, C, H, W)`` repeat the next one: ``(B, 4)``.

    The borders are the top, bottom, left and right. Without any change in a picture the number is zero.
    """
    changes = (x[..., 1:, :] != x[..., :-1, :], (x[..., 1:] != x[..., :-1]).mT)
    found = []
    for change in changes:
        lines = change.to(x.dtype).amax((1, 3))  # (B, side - 1)
        found += [lines.argmax(1), lines.flip(1).argmax(1)]
    return torch.stack(found, dim=1).to(x.dtype)


def _moved_back(pictures: Tensor, inside: Tensor, saturated: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Undo the shifts of what `Framed` holds."""
    sides = pictures.shape[-2:]
    near = [by.sign() * round(NEAR_BORDER * side) for by, side in zip(shifts.unbind(1), sides, strict=True)]
    inside = moved(inside, shifts, 0.0) * moved(inside, shifts + torch.stack(near, dim=1), 0.0)
    return moved(pictures, shifts), inside, moved(saturated, shifts)


def _mirrored(x: Tensor, first: Tensor, last: Tensor, axis: int) -> Tensor:
    """Replace the first and last lines of pictures ``(B, C, H, W)``, numbers ``(B,)``, by what lies inside."""
    side = x.shape[axis]
    place = torch.arange(side, device=x.device)
    start, stop = first[:, None], side - last[:, None]
    chosen = torch.where(place < start, 2 * start - 1 - place, torch.where(place < stop, place, 2 * stop - 1 - place))
    chosen = chosen.clamp(0, side - 1)
    return x.gather(axis, (chosen[:, None, :, None] if axis == -2 else chosen[:, None, None]).expand_as(x))


def _repeated_borders(x: Tensor) -> Tensor:
    """Return whether `FILLED` lines at each border of pictures ``(B, C, H, W)`` repeat the next: bool ``(B, 4)``."""
    near = FILLED + 1
    lines = (x[..., :near, :], x[..., -near:, :], x[..., :near].mT, x[..., -near:].mT)
    return torch.stack([(each[..., 1:, :] == each[..., :-1, :]).flatten(1).all(1) for each in lines], dim=1)


def _varied_borders(x: Tensor) -> Tensor:
    """Return whether the border lines of pictures ``(B, C, H, W)`` have more than one colour: bool ``(B, 4)``."""
    lines = (x[..., 0, :], x[..., -1, :], x[..., 0], x[..., -1])  # each (B, C, side)
    return torch.stack([(line[..., 1:] != line[..., :-1]).flatten(1).any(1) for line in lines], dim=1)
