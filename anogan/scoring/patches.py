"""Samples as whitened patches of a frozen network, and scores of samples from scores of patches."""

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from ..data.samples import Samples
from ..nn.patches import PatchFeatures
from .patch_memory import Grid, LocalWhitening, local_mean

MOST_SAMPLES = 512  # samples whose patches are held in memory
MOST_VALUES = 3 * 2**26  # numbers in these patches: 512 pictures of 384x384 pixels, 128 of 768x768
FEWEST_SAMPLES = 8  # that are held in memory, of any size
SAMPLES_AT_ONCE = 32
VALUES_AT_ONCE = 32 * 384**2  # of the samples: fewer large or coloured pictures are read at once
WHITENED_AT_ONCE = 8
FOLDS, FEWEST_SAMPLES_TO_FOLD = 4, 16
AROUND = 5  # patches along each axis: features are averaged over 3x3 of them, or 6x6 at twice the stride
TOP_SHARE, LEAST_TOP = 0.01, 4  # share and least number of the patches in a sample's score


class WhitenedPatches(nn.Module):
    """A frozen extractor's patches, whitened by the statistics of their place.

    Parameters
    ----------
    extractor : PatchFeatures
    """

    def __init__(self, extractor: PatchFeatures) -> None:
        super().__init__()
        self.extractor = extractor
        self.whitening = LocalWhitening()

    def forward(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Return the whitened patches ``(B, h * w, F)`` of samples ``(B, *shape)``, and (h, w)."""
        patches, grid = self.raw(x)
        return self.whitening(patches, grid), grid

    def raw(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Return the patches without whitening."""
        maps = self.extractor(x)
        return maps.flatten(2).transpose(1, 2), (maps.shape[-2], maps.shape[-1])

    @torch.no_grad()
    def extract(
        self, samples: Samples, weight: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Grid]:
        """Return raw patches ``(n, h * w, F)`` of the first samples, and (h, w); see `held_in_memory`.

        Device and precision are those of ``weight``; ``change`` is applied to the samples first.
        """
        rows = np.arange(min(len(samples), MOST_SAMPLES))
        count, patches, grid, start = len(rows), torch.empty(0), (1, 1), 0
        for batch in samples.batches(np.array_split(rows, -(-len(rows) // SAMPLES_AT_ONCE))):
            x = batch.to(weight)
            part, grid = self.raw(x if change is None else change(x))
            if not start:  # all at once, since parts and their concatenation would fill the memory twice
                count = held_in_memory(count, part[0].numel())
                patches = part.new_empty(count, *part.shape[1:])
            seen = min(len(part), count - start)
            patches[start : start + seen] = part[:seen]
            start += seen
            if start == count:
                break
        return patches, grid

    def whiten(self, patches: Tensor, grid: Grid) -> Tensor:
        """Whiten raw patches of any number of samples ``(n, h * w, F)`` in place, and return them."""
        for part in patches.split(WHITENED_AT_ONCE):
            part.copy_(self.whitening(part, grid))
        return patches

    @torch.no_grad()
    def fit(self, patches: Tensor, grid: Grid) -> Iterator[Tensor]:
        """Fit the whitening to raw patches ``(n, h * w, F)`` and yield all of them whitened, in parts.

        A sample that contributes to the statistics appears more usual than a new one, so each part is whitened by the
        statistics of the other `FOLDS` - 1 parts.
        """
        if len(patches) < FEWEST_SAMPLES_TO_FOLD:
            self.whitening.fit(patches, grid)
            yield self.whitening(patches, grid)
            return
        fold = torch.arange(len(patches)) % FOLDS
        for number in range(FOLDS):
            inside = fold == number
            self.whitening.fit(patches, grid, torch.where(~inside)[0].to(patches.device))
            yield self.whiten(patches[inside], grid)
        self.whitening.fit(patches, grid)

    def spread(self, distances: Tensor, white: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
        """Distribute scores ``(B, h * w)`` of patches ``white (B, h * w, F)`` over values: ``(B, *shape)``, >= 0."""
        return self.extractor.spread(distances.unflatten(1, grid), white.transpose(1, 2).unflatten(2, grid), shape)


def at_once(shape: tuple[int, ...]) -> int:
    """Return how many samples of a shape are read at once."""
    return min(max(VALUES_AT_ONCE // prod(shape), 1), SAMPLES_AT_ONCE)


def held_in_memory(samples: int, values: int) -> int:
    """Return how many of the samples have patches in memory, given the number of values of each."""
    return min(samples, MOST_SAMPLES, max(MOST_VALUES // values, FEWEST_SAMPLES))


def sharpened(distances: Tensor, inside: Tensor, grid: Grid) -> Tensor:
    """Undo a part of the blur of maps of distances: ``(B, h * w)`` -> same, >= 0.

    Features are averages over areas, so that the distances around a defect are high too. An unsharp mask, d + (d - mean
    of d around), lets a small defect stand out from what is a little unusual in a wide area. What is equally unusual
    everywhere stays as it is. Only the patches that are ``inside (B, h * w)``, bool, count; the others become zero.
    """
    counted = inside.to(distances)
    means = local_mean(distances.unflatten(1, grid)[:, None], counted.unflatten(1, grid)[:, None], AROUND).flatten(1)
    return (distances + (distances - means)).clamp_min(0) * counted


def most_unusual(distances: Tensor, inside: Tensor | None = None) -> Tensor:
    """Return the mean over the highest 1 % of a sample's patches, at least 4: ``(B, h * w)`` -> ``(B,)``.

    Only the patches that are ``inside (B, h * w)``, bool, count; the default is all.
    """
    patches = distances.shape[1]
    most = min(max(LEAST_TOP, round(TOP_SHARE * patches)), patches)
    if inside is None or (not torch.compiler.is_exporting() and inside.all()):  # a graph takes one way for all samples
        return distances.topk(most).values.mean(-1)
    counts = inside.sum(1)
    top = (TOP_SHARE * counts).round().clamp(LEAST_TOP, most).minimum(counts)
    ordered = distances.masked_fill(~inside, 0.0).topk(most).values
    kept = torch.arange(most, device=distances.device) < top[:, None]
    return (ordered * kept).sum(1) / top
