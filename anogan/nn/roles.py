"""Roles of an hourglass network that several detectors share."""

from torch import Tensor, nn

from .backbone import Backbone

WITHIN = 0.99  # what the ends of a bounded range count as, since tanh reaches them nowhere


class SkipAutoencoder(nn.Module):
    """An autoencoder with skip connections around its bottleneck: ``(K, B, *shape)`` -> same, within the spec's range.

    With ``extra_channels`` the input has so many more channels along axis 2.
    """

    def __init__(self, backbone: Backbone, latent_dim: int, *, extra_channels: int = 0) -> None:
        super().__init__()
        self.hourglass = backbone.hourglass(bottleneck=latent_dim, bounded=True, extra_channels=extra_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.hourglass(x).values


class Corruptor(nn.Module):
    """A random change of a sample: ``(K, B, *shape)`` and noise ``(K, B, noise_dim)`` -> ``(K, B, *shape)``."""

    def __init__(self, backbone: Backbone, noise_dim: int) -> None:
        super().__init__()
        self.hourglass = backbone.hourglass(noise_dim=noise_dim)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.hourglass(x, z).values


class Translator(nn.Module):
    """A sample plus a predicted change: ``(K, B, *shape)`` -> same. What is not changed stays sharp.

    In a ``bounded`` range of [-1, 1] the change is added before a tanh, which keeps values within it: a change of black
    towards black stays black, and small changes of black and white are not seen.
    """

    def __init__(self, backbone: Backbone, *, bounded: bool = False) -> None:
        super().__init__()
        self.hourglass = backbone.hourglass()
        self.bounded = bounded

    def forward(self, x: Tensor) -> Tensor:
        change = self.hourglass(x).values
        if not self.bounded:
            return x + change
        # Values of new pictures may lie outside of the range.
        return ((WITHIN * x.clamp(-1, 1)).atanh() + change).tanh() / WITHIN
