"""Samples as patches of a frozen network, and what becomes of the patches' scores."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..data.samples import Samples
from ..nn.backbone import PatchFeatures
from .patch_memory import Grid, LocalWhitening

MOST_SAMPLES = 512  # whose patches are held at a time
SAMPLES_AT_ONCE = 32
FOLDS, FEWEST_SAMPLES_TO_FOLD = 4, 16
TOP_SHARE, LEAST_TOP = 0.01, 4  # the patches that make a sample's score


class WhitenedPatches(nn.Module):
    """A frozen extractor's patches in units of what is usual at their place.

    Parameters
    ----------
    extractor : PatchFeatures
    """

    def __init__(self, extractor: PatchFeatures) -> None:
        super().__init__()
        self.extractor = extractor
        self.whitening = LocalWhitening()

    def forward(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Of samples ``(B, *shape)``: whitened patches ``(B, h * w, F)``, and (h, w)."""
        patches, grid = self.raw(x)
        return self.whitening(patches, grid), grid

    def raw(self, x: Tensor) -> tuple[Tensor, Grid]:
        """As the network gives them."""
        maps = self.extractor(x)
        return maps.flatten(2).transpose(1, 2), (maps.shape[-2], maps.shape[-1])

    @torch.no_grad()
    def extract(
        self, samples: Samples, weight: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Grid]:
        """Raw patches ``(n, h * w, F)`` of the first `MOST_SAMPLES`, where and as a weight is; `change`d before."""
        rows = np.arange(min(len(samples), MOST_SAMPLES))
        batches = samples.batches(np.array_split(rows, -(-len(rows) // SAMPLES_AT_ONCE)))
        changed = (x if change is None else change(x) for x in (batch.to(weight) for batch in batches))
        parts, grids = zip(*map(self.raw, changed), strict=True)
        return torch.cat(parts), grids[0]

    def whiten(self, patches: Tensor, grid: Grid) -> Tensor:
        """Raw patches ``(n, h * w, F)`` of any number of samples -> same."""
        return torch.cat([self.whitening(part, grid) for part in patches.split(SAMPLES_AT_ONCE)])

    @torch.no_grad()
    def fit(self, patches: Tensor, grid: Grid) -> Iterator[Tensor]:
        """Learn what is usual from raw patches ``(n, h * w, F)``; yields all of them whitened, a part at a time.

        A sample that has taken part in the statistics looks more usual than a new one, so each part is whitened by
        the statistics of the other `FOLDS` - 1 parts.
        """
        if len(patches) < FEWEST_SAMPLES_TO_FOLD:
            self.whitening.fit(patches, grid)
            yield self.whitening(patches, grid)
            return
        fold = torch.arange(len(patches)) % FOLDS
        for number in range(FOLDS):
            inside = fold == number
            self.whitening.fit(patches[~inside], grid)
            yield self.whitening(patches[inside], grid)
        self.whitening.fit(patches, grid)

    def spread(self, distances: Tensor, white: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
        """Patches' scores ``(B, h * w)``, and how each feature deviates ``(B, h * w, F)`` -> ``(B, *shape)``, >= 0."""
        return self.extractor.spread(distances.unflatten(1, grid), white.transpose(1, 2).unflatten(2, grid), shape)


def most_unusual(distances: Tensor) -> Tensor:
    """Mean over the highest 1 % of the patches of a sample, at least 4: ``(B, h * w)`` -> ``(B,)``."""
    top = max(LEAST_TOP, round(TOP_SHARE * distances.shape[1]))
    return distances.topk(min(top, distances.shape[1])).values.mean(-1)
