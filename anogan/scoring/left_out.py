"""Distances of training patches as if their image had not been learned, which a threshold needs."""

from collections.abc import Callable

import torch
from torch import Tensor

from .patch_memory import Grid, LocalWhitening, PatchMemoryBank, in_full
from .place_gaussian import PlaceGaussian

PARTS = 8  # of few images
IMAGES_AT_ONCE = 4  # bounds their distances to the memory bank, beside all patches

Embedding = Callable[[Tensor], Tensor]
"""``(B, F)`` -> ``(B, E)``."""


def left_out_of_memory(
    whitening: LocalWhitening, memory_bank: PatchMemoryBank, embed: Embedding, white: Tensor, grid: Grid, images: Tensor
) -> Tensor:
    """Return the distances of whitened patches ``(n, h * w, F)`` to those of other images: ``(n, h * w)``.

    ``images (cells, m)`` are the images that the patches of the memory bank come from.
    """
    found = []
    for numbers in torch.arange(len(white), device=white.device).split(IMAGES_AT_ONCE):
        own = images == numbers[:, None, None]  # (B, cells, m)
        new = whitening.left_out(in_full(white[numbers]), grid, len(white))
        found.append(memory_bank(_embedded(embed, new), grid, own))
    return torch.cat(found)


def learned_without(
    memory_bank: PatchMemoryBank,
    embed: Embedding,
    patches: Tensor,
    grid: Grid,
    images: Tensor,
    pooled: Tensor,
    changes: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """Return distances of raw patches ``(n, h * w, F)`` by whitening and Gaussians that have not learned their image.

    Parameters
    ----------
    memory_bank, embed, images
        See `left_out_of_memory`.
    patches, grid
    pooled, changes : (n, pools, F), list of (m, pools, F)
        See `PlaceGaussian.fit`; the changes are those of the first m images.

    Returns
    -------
    (n, h * w), (n, pools)
        From the patches of other images in the memory bank, and from the Gaussians.
    """
    part = torch.arange(len(patches), device=patches.device) % PARTS
    nearest, of_place = pooled.new_empty(patches.shape[:2]), pooled.new_empty(pooled.shape[:2])
    for number in range(int(part.max()) + 1):
        new, known = torch.where(part == number)[0], torch.where(part != number)[0]
        whitening, gaussian = LocalWhitening(), PlaceGaussian()
        whitening.fit(patches, grid, known)
        own = (part[images] == number).expand(len(new), -1, -1)
        nearest[new] = memory_bank(_embedded(embed, whitening(patches[new], grid)), grid, own)
        gaussian.fit(pooled[known], [each[known[known < len(each)]] for each in changes])
        of_place[new] = gaussian.distances(pooled[new], grid)
    return nearest, of_place


def _embedded(embed: Embedding, white: Tensor) -> Tensor:
    return embed(white.flatten(0, 1)).unflatten(0, white.shape[:2])
