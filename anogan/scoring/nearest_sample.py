"""Stored samples of a generator, the nearest of which a search for a latent starts at."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from .feature_distance import LearnedBuffers

DRAWN = 64  # samples that are made at a time


class NearestSample(LearnedBuffers):
    """Samples, their latents, and what a critic sees in them; found by the distances of pixels and of features."""

    learned: ClassVar = {
        "latents": ("K", "n", "L"),
        "samples": ("K", "n", "C", "H", "W"),
        "features": ("K", "n", "F"),
    }
    latents: Tensor
    samples: Tensor
    features: Tensor

    def fit(self, latents: Tensor, make: Callable[[Tensor], Tensor], see: Callable[[Tensor], Tensor]) -> None:
        """Store latents ``(K, n, L)``, the samples ``(K, n, C, H, W)`` made of them, and features ``(K, n, F)``."""
        self.latents = latents
        self.samples = torch.cat([make(part) for part in latents.split(DRAWN, dim=1)], dim=1)
        self.features = torch.cat([see(part) for part in self.samples.split(DRAWN, dim=1)], dim=1)

    def forward(self, x: Tensor, features: Tensor, residual_share: float) -> Tensor:
        """Return the latent of the sample nearest to each x: ``(K, B, C, H, W), (K, B, F)`` -> ``(K, B, L)``.

        The distance is the mean squared difference of pixels, with this share, and that of features.
        """
        pairs = ((x.flatten(2), self.samples.flatten(2)), (features, self.features))
        residual, discrimination = (
            # Without a matrix product, whose rounding depends on the other rows.
            torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square() / a.shape[-1]
            for a, b in pairs
        )
        distance = residual_share * residual + (1 - residual_share) * discrimination  # (K, B, n)
        nearest = distance.argmin(-1, keepdim=True)
        return self.latents.gather(1, nearest.expand(-1, -1, self.latents.shape[-1]))
