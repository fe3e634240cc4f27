"""Shift of a picture from the good ones, by phase correlation with templates."""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..nn.layers import reduce_axis
from .copies import directions
from .feature_distance import LearnedBuffers

SIDE = 96  # pixels that a picture is reduced to, along each axis, before its shift is searched
FITTED_SIDE = 2 * SIDE  # of the pictures that alignment is learned from
FITTED_PICTURES = 512
FEWEST_PICTURES, FEWEST_TEMPLATES = 8, 24
HELD_OUT = 4  # every fourth picture is no template, so that it is aligned like a new one
FARTHEST = 0.15  # shift that is searched, as a share of a side
STEPS = 4  # of the search in each reduced pixel
SMOOTH = 0.15  # of the sampling rate: frequencies above it count little, since noise dominates them
COARSE = 3  # factor of the further reduction in which the best template is searched, in whole pixels
TRIED_SHIFT = 0.1  # of a side: known shifts that must be recovered if alignment is to be used
TOLERANCE = 1 / 48  # of a side: one patch of 384 pixels at stride 8
RECOVERED = 0.9  # of the known shifts, at least
CLEARLY = 0.6  # greatest correlation without a shift, as a share of that with the best one, of a moved picture
USUAL = 0.95  # quantile of good pictures' own shifts


class Alignment(LearnedBuffers):
    """Finds by how much a picture is shifted from the good ones, if these show that it can be found.

    The shift is the peak of the phase correlation (Kuglin & Hines 1975) with a template, at quarters of a reduced pixel
    by a direct Fourier transform of the searched shifts (Guizar-Sicairos 2008). The template is the mean good picture
    or, for parts that lie at any angle, the good picture with the highest correlation. Either is used only if known
    shifts of other good pictures are recovered. Shifts that good pictures have themselves count as none, unless good
    pictures are more alike without them.
    """

    learned: ClassVar = {
        "templates": ("K", "h", "w"),
        "coarse_phases": ("K", "d"),
        "usual": (2,),
        "undone": (2,),
    }
    templates: Tensor  # reduced; empty if alignment is not used
    coarse_phases: Tensor  # of the further reduced templates, if there are several
    usual: Tensor  # shifts up to these, along each axis as shares of the sides, count as none
    undone: Tensor  # greatest shifts of good pictures that are undone, in the same way

    @property
    def is_fitted(self) -> bool:
        """Whether pictures may be moved at all."""
        return bool(self.templates.numel())

    def fit(self, pictures: Tensor) -> None:
        """Learn from grey good pictures ``(n, h, w)``, some of which show whether shifts are found."""
        self.templates = self.coarse_phases = pictures.new_zeros(0)
        self.usual = self.undone = pictures.new_zeros(2)
        if len(pictures) < FEWEST_PICTURES:
            return
        if self._fit_mean(pictures):
            return
        held_out = torch.arange(len(pictures), device=pictures.device) % HELD_OUT == 0
        if len(pictures) >= FEWEST_TEMPLATES:
            self.usual = pictures.new_zeros(2)
            self.templates = grey(pictures[~held_out][:, None], SIDE)
            self.coarse_phases = torch.cat(phases(coarse(self.templates)), dim=-1).flatten(1)
            if self._recovers(pictures[held_out]):
                shares = self.shifts(pictures[held_out][:, None]).abs() / pictures.new_tensor(pictures.shape[1:])
                self.usual = shares.quantile(USUAL, dim=0).clamp_min(TOLERANCE)
                return
        self.templates = self.coarse_phases = pictures.new_zeros(0)

    def shifts(self, x: Tensor) -> Tensor:
        """Return by how many pixels each picture of ``(B, C, H, W)`` lies below and right: int64 ``(B, 2)``."""
        if not self.is_fitted:
            return torch.zeros(x.shape[0], 2, dtype=torch.int64, device=x.device)
        reduced = grey(x, SIDE)
        sides = self.templates.shape[1:]
        templates, clearly = self.templates, torch.ones(1, dtype=torch.bool, device=x.device)
        if len(templates) > 1:
            best, clearly = self._best_template(reduced)
            templates = templates[best]
        # Real numbers throughout, since a graph has no complex ones.
        picture, template = phases(reduced), phases(templates)
        real = picture[0] * template[0] + picture[1] * template[1]  # of the product with the conjugate
        imaginary = picture[1] * template[0] - picture[0] * template[1]
        offsets, waves = zip(*(_searched(side, STEPS, SMOOTH, x) for side in sides), strict=True)
        correlation = transformed(real, *waves)[0] - transformed(imaginary, *waves)[1]
        peak = correlation.flatten(1).argmax(1)
        found = torch.stack([offsets[0][peak // len(offsets[1])], offsets[1][peak % len(offsets[1])]], dim=1)
        shares = found / found.new_tensor(sides)
        unusual = ((shares.abs() > self.usual).any(1) & clearly)[:, None]
        return (shares * unusual * shares.new_tensor(x.shape[-2:])).round().long()

    def unlike_good(self, shifts: Tensor, x: Tensor) -> Tensor:
        """Return shifts ``(B, 2)`` of pictures x as shares of the sides; zero if good ones were moved as far."""
        shares = shifts / x.new_tensor(x.shape[-2:])
        return shares * (shares.abs() > self.undone.clamp_min(TOLERANCE)).any(1, keepdim=True)

    def _best_template(self, reduced: Tensor) -> tuple[Tensor, Tensor]:
        """Return which template has the highest correlation with each picture ``(B, h, w)`` at any shift: ``(B,)``.

        Also whether it is clearly higher than the highest one without a shift: bool ``(B,)``.
        """
        x = coarse(reduced)
        rows, columns = (_searched(side, 1, SMOOTH * COARSE, x)[1] for side in x.shape[1:])
        # The spectrum of each picture after each shift: (B, a, b, h, w).
        cosine = rows[0][:, None, :, None] * columns[0][:, None] - rows[1][:, None, :, None] * columns[1][:, None]
        sine = rows[0][:, None, :, None] * columns[1][:, None] + rows[1][:, None, :, None] * columns[0][:, None]
        real, imaginary = (each[:, None, None] for each in phases(x))
        moved = torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)
        correlation = moved.flatten(3).flatten(1, 2) @ self.coarse_phases.mT  # (B, a * b, K)
        still = correlation[:, correlation.shape[1] // 2].amax(1)
        greatest, best = correlation.amax(1).max(1)
        return best, still < CLEARLY * greatest

    def _fit_mean(self, pictures: Tensor) -> bool:
        """Try the mean picture of one half on the other half; return whether it is used."""
        self._learn_mean(pictures[::2])
        x = pictures[1::2, None]
        if not self._recovers(pictures[1::2]):
            return False
        more_alike = self._unlikeness(moved(x, self.shifts(x))) < self._unlikeness(x)
        self._learn_mean(pictures)
        own = (self.shifts(pictures[:, None]).abs() / pictures.new_tensor(pictures.shape[1:])).amax(0)
        if more_alike:
            self.undone = own
        else:
            self.usual = own
        return True

    def _recovers(self, pictures: Tensor) -> bool:
        """Whether known shifts of pictures ``(n, h, w)`` are found."""
        x, sides = pictures[:, None], pictures.new_tensor(pictures.shape[1:])
        known = (directions(len(x), x) * sides * TRIED_SHIFT).round().long()
        errors = self.shifts(moved(x, -known)) - self.shifts(x) - known
        return bool((errors.abs() <= sides * TOLERANCE).all(1).double().mean() >= RECOVERED)

    def _learn_mean(self, pictures: Tensor) -> None:
        """Take the mean of the pictures after each was moved to the mean of all."""
        x = pictures[:, None]
        self.usual = pictures.new_zeros(2)
        self.templates = grey(x, SIDE).mean(0, keepdim=True)
        self.templates = grey(moved(x, self.shifts(x)), SIDE).mean(0, keepdim=True)

    def _unlikeness(self, x: Tensor) -> float:
        """Return the mean square distance of pictures from the template, far from the border."""
        height, width = self.templates.shape[1:]
        rows, columns = (slice(round(FARTHEST * side), round((1 - FARTHEST) * side)) for side in (height, width))
        return float((grey(x, SIDE) - self.templates)[:, rows, columns].square().mean())


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


def grey(x: Tensor, side: int) -> Tensor:
    """Return grey pictures with a mean of zero, reduced to a side at most: ``(B, C, H, W)`` -> ``(B, h, w)``."""
    height, width = (min(each, side) for each in x.shape[-2:])
    reduced = adaptive_avg_pool2d(reduce_axis(torch.mean, x, 1, keepdim=True), (height, width))[:, 0]
    return reduced - reduced.mean((1, 2), keepdim=True)


def coarse(reduced: Tensor) -> Tensor:
    """Reduce pictures ``(B, h, w)`` further, for the search of the best template."""
    return adaptive_avg_pool2d(reduced, (-(-reduced.shape[1] // COARSE), -(-reduced.shape[2] // COARSE)))


Waves = tuple[Tensor, Tensor]
"""Cosines and sines, or real and imaginary parts."""


def phases(x: Tensor) -> Waves:
    """Return the discrete Fourier transform of ``(..., h, w)``, each value divided by its size."""
    waves = []
    for side in x.shape[-2:]:
        steps = torch.arange(side, device=x.device)
        angles = (steps[:, None] * steps % side).to(x) * (2 * math.pi / side)
        waves.append((angles.cos(), -angles.sin()))
    real, imaginary = transformed(x, *waves)
    size = (real.square() + imaginary.square()).sqrt().clamp_min(torch.finfo(x.dtype).tiny)
    return real / size, imaginary / size


def transformed(x: Tensor, rows: Waves, columns: Waves) -> Waves:
    """Return real and imaginary part of R x C', with complex matrices R and C: ``(..., h, w)`` -> ``(..., a, b)``."""
    real, imaginary = (wave @ x for wave in rows)
    return (
        real @ columns[0].mT - imaginary @ columns[1].mT,
        real @ columns[1].mT + imaginary @ columns[0].mT,
    )


def _searched(side: int, steps: int, smooth: float, like: Tensor) -> tuple[Tensor, Waves]:
    """Return the searched shifts along a side of reduced pixels, and the weighted waves that they correspond to."""
    most = math.floor(FARTHEST * side * steps)
    offsets = torch.arange(-most, most + 1, device=like.device, dtype=like.dtype) / steps
    half = side // 2
    frequencies = ((torch.arange(side, device=like.device) + half) % side - half).to(like) * (1.0 / side)
    weights = torch.exp(-((frequencies / smooth) ** 2))
    angles = 2 * math.pi * offsets[:, None] * frequencies
    return offsets, (weights * angles.cos(), weights * angles.sin())
