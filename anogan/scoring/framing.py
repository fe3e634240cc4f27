"""Region, light and position of pictures, brought to those of the good ones before anything is compared."""

import math
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from ..seeding import rand
from .feature_distance import LearnedBuffers

SIDE = 96  # pixels that a picture is reduced to, along each axis, before its shift is searched
FITTED_SIDE = 2 * SIDE  # of the pictures that alignment is learned from
FITTED_PICTURES = 256
FEWEST_PICTURES = 8
FARTHEST = 0.15  # shift that is searched, as a share of a side
STEPS = 4  # of the search in each reduced pixel
SMOOTH = 0.15  # of the sampling rate: frequencies above it count little, since noise dominates them
TRIED_SHIFT = 0.1  # of a side: known shifts that must be recovered if alignment is to be used
TOLERANCE = 1 / 48  # of a side: one patch of 384 pixels at stride 8
RECOVERED = 0.9  # of the known shifts, at least
GOLDEN_ANGLE = 2.4  # radians; its multiples are evenly spread directions
NEAR_BORDER = 1 / 12  # of a side: what a patch's features reach
QUANTILES = tuple(step / 10 for step in range(1, 10))  # of the brightness of pixels
UNSATURATED = (0.02, 0.98)  # brightness of quantiles that follow the light
GREATEST_GAIN = 2.0
LIGHT = 0.25  # greatest change of light of a copy, as a logarithm
PIXELS = 2**14  # of a picture that its quantiles are computed from


class Framed(NamedTuple):
    """Pictures as they are compared.

    Attributes
    ----------
    pictures : (B, C, H, W) tensor
    inside : (B, 1, H, W) tensor
        One where a pixel was photographed and belongs to the region of interest, otherwise zero.
    shifts : (B, 2) int64 tensor
        By how many pixels each picture was moved up and left.
    """

    pictures: Tensor
    inside: Tensor
    shifts: Tensor

    @classmethod
    def whole(cls, x: Tensor) -> "Framed":
        """Return samples of any shape as they are."""
        samples = x.shape[0]
        return cls(x, x.new_ones(samples, 1, 1, 1), torch.zeros(samples, 2, dtype=torch.int64, device=x.device))

    def moved(self, shares: Tensor) -> "Framed":
        """Move the pictures further up and left, by shares ``(B, 2)`` of their sides.

        What lies near the new border is not inside, since the network sees there what was not photographed.
        """
        sides = self.pictures.shape[-2:]
        shifts = (shares * shares.new_tensor(sides)).round().long()
        inside = moved(self.inside.expand(-1, -1, *sides), shifts, 0.0)
        for axis, side in enumerate(sides):
            by = shifts[:, axis, None]
            place, margin = torch.arange(side, device=by.device) + by, round(NEAR_BORDER * side)
            far = ((by <= 0) | (place < side - margin)) & ((by >= 0) | (place >= margin))  # (B, side)
            inside = inside * (far[:, None, :, None] if axis == 0 else far[:, None, None, :])
        return Framed(moved(self.pictures, shifts), inside, self.shifts + shifts)

    def patches_inside(self, grid: tuple[int, int]) -> Tensor:
        """Return which patches of a grid (h, w), with the patches around them, are inside: bool ``(B, h * w)``.

        A region that has no such patch has those that are mostly inside.
        """
        share = adaptive_avg_pool2d(self.inside, grid)
        eroded = (-max_pool2d(-share, 3, stride=1, padding=1)).flatten(1) > 0.99
        mostly = share.flatten(1) >= share.flatten(1).amax(1, keepdim=True).clamp(max=0.5)
        return eroded | (mostly & ~eroded.any(1, keepdim=True))


class Framing(nn.Module):
    """Pixels outside of a region of interest, light and position do not make a picture unusual.

    Pixels that are NaN in a picture, or in all good pictures, do not belong to the region of interest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.region = Region()
        self.light = Light()
        self.alignment = Alignment()

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> bool:
        """Learn from good pictures, batches ``(B, C, H, W)`` in [-1, 1]; return whether new ones may be moved."""
        quantiles, reduced, shown, masked = [], [], [], False
        for x in batches:
            visible = ~x.isnan().any(1)
            shown.append(visible.any(0))
            masked |= not bool(visible.all())
            quantiles.append(brightness_quantiles(x))
            reduced.append(grey(x.nan_to_num(0.0), FITTED_SIDE))
        self.region.fit(torch.stack(shown).any(0), reduced[0])
        self.light.fit(torch.cat(quantiles))
        # A mask stays where it is when what it shows has moved.
        self.alignment.fit(torch.cat(reduced)[: 0 if masked else FITTED_PICTURES])
        return not masked

    def forward(self, x: Tensor) -> Framed:
        x = self.light(self.region(x))
        inside = (~x.isnan().any(1, keepdim=True)).to(x.dtype)
        x = x.nan_to_num(0.0)
        shifts = self.alignment.shifts(x)
        if torch.compiler.is_exporting() or shifts.any():
            x, inside = moved(x, shifts), moved(inside, shifts, 0.0)
        return Framed(x, inside, shifts)


class Region(LearnedBuffers):
    """The pixels that any good picture shows. Others are NaN in pictures, as pixels outside of their masks are."""

    learned: ClassVar = {"shown": ("H", "W")}
    shown: Tensor  # one or zero; empty if all pixels are shown

    def fit(self, shown: Tensor, like: Tensor) -> None:
        """Learn from bool ``(H, W)``."""
        self.shown = like.new_zeros(0) if shown.all() else shown.to(like)

    def forward(self, x: Tensor) -> Tensor:
        return x.masked_fill(self.shown == 0, torch.nan) if self.shown.numel() else x


class Light(LearnedBuffers):
    """Scales the brightness of pictures back into the range of the good ones.

    The gain is the median, over the quantiles of a picture's brightness that are neither black nor saturated, of what
    brings the quantile back to the range that it has among good pictures. It is one for a picture within all of them.
    """

    learned: ClassVar = {"least": ("q",), "greatest": ("q",)}
    least: Tensor  # of each quantile among good pictures
    greatest: Tensor

    def fit(self, quantiles: Tensor) -> None:
        """Learn from the quantiles ``(n, q)`` of good pictures."""
        self.least, self.greatest = quantiles.amin(0), quantiles.amax(0)

    def forward(self, x: Tensor) -> Tensor:
        quantiles = brightness_quantiles(x)
        follows = (quantiles > UNSATURATED[0]) & (quantiles < UNSATURATED[1])
        gains = quantiles.clamp(self.least, self.greatest) / quantiles.clamp_min(UNSATURATED[0])
        ordered = gains.masked_fill(~follows, torch.inf).sort(dim=1).values
        count = follows.sum(1, keepdim=True)
        median = ordered.gather(1, (count - 1).clamp_min(0) // 2)  # the lower one of an even number
        gains = torch.where(count > 0, median, 1.0).clamp(1 / GREATEST_GAIN, GREATEST_GAIN).view(-1, 1, 1, 1)
        return torch.where(gains == 1, x, (x + 1) * gains - 1)


class Alignment(LearnedBuffers):
    """Finds by how much a picture is shifted from the good ones, if these show that it can be found.

    The shift is the peak of the phase correlation (Kuglin & Hines 1975) with the mean good picture, at quarters of a
    reduced pixel by a direct Fourier transform of the searched shifts (Guizar-Sicairos 2008). It is used if known
    shifts of good pictures are recovered. Shifts that good pictures have themselves count as none, unless good pictures
    are more alike without them.
    """

    learned: ClassVar = {"template": ("h", "w"), "usual": (2,)}
    template: Tensor  # the mean good picture, reduced; empty if alignment is not used
    usual: Tensor  # shift of good pictures along each axis, as a share of the side, at most

    def fit(self, pictures: Tensor) -> None:
        """Learn from grey good pictures ``(n, h, w)``; the template of one half is tried on the other half."""
        self.template = pictures.new_zeros(0)
        if len(pictures) < FEWEST_PICTURES:
            return
        self._learn(pictures[::2])
        x, sides = pictures[1::2, None], pictures.new_tensor(pictures.shape[1:])
        found = self.shifts(x)
        angles = torch.arange(len(x), device=x.device) * GOLDEN_ANGLE
        known = (torch.stack([angles.sin(), angles.cos()], dim=1) * sides * TRIED_SHIFT).round().long()
        errors = self.shifts(moved(x, -known)) - found - known
        if (errors.abs() <= sides * TOLERANCE).all(1).double().mean() < RECOVERED:
            self.template = pictures.new_zeros(0)
            return
        more_alike = self._unlikeness(moved(x, found)) < self._unlikeness(x)
        self._learn(pictures)
        if not more_alike:
            self.usual = (self.shifts(pictures[:, None]).abs() / sides).amax(0)

    def shifts(self, x: Tensor) -> Tensor:
        """Return by how many pixels each picture of ``(B, C, H, W)`` lies below and right: int64 ``(B, 2)``."""
        if not self.template.numel():
            return torch.zeros(x.shape[0], 2, dtype=torch.int64, device=x.device)
        # Real numbers throughout, since a graph has no complex ones.
        picture, template = fourier(grey(x, SIDE)), fourier(self.template)
        real = picture[0] * template[0] + picture[1] * template[1]  # of the product with the conjugate
        imaginary = picture[1] * template[0] - picture[0] * template[1]
        size = (real.square() + imaginary.square()).sqrt().clamp_min(torch.finfo(x.dtype).tiny)
        offsets, waves = zip(*(_searched(side, x) for side in self.template.shape), strict=True)
        correlation = transformed(real / size, *waves)[0] - transformed(imaginary / size, *waves)[1]
        peak = correlation.flatten(1).argmax(1)
        found = torch.stack([offsets[0][peak // len(offsets[1])], offsets[1][peak % len(offsets[1])]], dim=1)
        shares = found / found.new_tensor(self.template.shape)
        unusual = (shares.abs() > self.usual).any(1, keepdim=True)
        return (shares * unusual * shares.new_tensor(x.shape[-2:])).round().long()

    def _learn(self, pictures: Tensor) -> None:
        """Take the mean of the pictures after each was moved to the mean of all."""
        x = pictures[:, None]
        self.usual = pictures.new_zeros(2)
        self.template = grey(x, SIDE).mean(0)
        self.template = grey(moved(x, self.shifts(x)), SIDE).mean(0)

    def _unlikeness(self, x: Tensor) -> float:
        """Return the mean square distance of pictures from the template, far from the border."""
        rows, columns = (slice(round(FARTHEST * side), round((1 - FARTHEST) * side)) for side in self.template.shape)
        return float((grey(x, SIDE) - self.template)[:, rows, columns].square().mean())


def moved(x: Tensor, shifts: Tensor, beyond: float | None = None) -> Tensor:
    """Move pictures ``(B, C, H, W)`` up and left by shifts ``(B, 2)`` of whole pixels.

    What comes in from beyond the border is ``beyond``, or what lies inside, mirrored.
    """
    for axis in (-2, -1):
        side = x.shape[axis]
        place = torch.arange(side, device=x.device) + shifts[:, axis, None]  # (B, side)
        mirrored = torch.where(place < 0, -1 - place, torch.where(place < side, place, 2 * side - 1 - place))
        inside = place == mirrored
        chosen, inside = (each[:, None, :, None] if axis == -2 else each[:, None, None] for each in (mirrored, inside))
        x = x.gather(axis, chosen.clamp(0, side - 1).expand_as(x))
        if beyond is not None:
            x = x.masked_fill(~inside, beyond)
    return x


def relit(x: Tensor) -> Tensor:
    """Return pictures ``(B, C, H, W)`` in [-1, 1] in random light."""
    gains = torch.exp(LIGHT * (2 * rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device) - 1))
    return ((x + 1) * gains).clamp(0, 2) - 1


def grey(x: Tensor, side: int) -> Tensor:
    """Return grey pictures with a mean of zero, reduced to a side at most: ``(B, C, H, W)`` -> ``(B, h, w)``."""
    height, width = (min(each, side) for each in x.shape[-2:])
    reduced = adaptive_avg_pool2d(x.mean(1, keepdim=True), (height, width))[:, 0]
    return reduced - reduced.mean((1, 2), keepdim=True)


def brightness_quantiles(x: Tensor) -> Tensor:
    """Return the `QUANTILES` of the brightness, from 0 to 1, of pictures in [-1, 1] with NaN: ``(B, q)``."""
    step = max(1, round((x[0].numel() / PIXELS) ** 0.5))
    brightness = (x[..., ::step, ::step].flatten(1) + 1) / 2
    missing = brightness.isnan()
    ordered = brightness.masked_fill(missing, torch.inf).sort(dim=1).values  # a graph has no quantiles
    last = (~missing).sum(1, keepdim=True) - 1
    rank = (brightness.new_tensor(QUANTILES) * last).clamp_min(0)
    below, above = (ordered.gather(1, place.long()) for place in (rank.floor(), rank.ceil()))
    return torch.where(last < 0, torch.nan, torch.lerp(below, above, rank - rank.floor()))


Waves = tuple[Tensor, Tensor]
"""Cosines and sines."""


def fourier(x: Tensor) -> Waves:
    """Return the discrete Fourier transform of ``(..., h, w)``: its real and its imaginary part."""
    waves = []
    for side in x.shape[-2:]:
        steps = torch.arange(side, device=x.device)
        angles = (steps[:, None] * steps % side).to(x) * (2 * math.pi / side)
        waves.append((angles.cos(), -angles.sin()))
    return transformed(x, *waves)


def transformed(x: Tensor, rows: Waves, columns: Waves) -> Waves:
    """Return real and imaginary part of R x C', with complex matrices R and C: ``(..., h, w)`` -> ``(..., a, b)``."""
    real, imaginary = (wave @ x for wave in rows)
    return (
        real @ columns[0].mT - imaginary @ columns[1].mT,
        real @ columns[1].mT + imaginary @ columns[0].mT,
    )


def _searched(side: int, like: Tensor) -> tuple[Tensor, Waves]:
    """Return the searched shifts along a side of reduced pixels, and the weighted waves that they correspond to."""
    steps = math.floor(FARTHEST * side * STEPS)
    offsets = torch.arange(-steps, steps + 1, device=like.device, dtype=like.dtype) / STEPS
    half = side // 2
    frequencies = ((torch.arange(side, device=like.device) + half) % side - half).to(like) * (1.0 / side)
    weights = torch.exp(-((frequencies / SMOOTH) ** 2))
    angles = 2 * math.pi * offsets[:, None] * frequencies
    return offsets, (weights * angles.cos(), weights * angles.sin())
