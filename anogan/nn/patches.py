"""Extractors of patch features: samples seen as maps of local feature vectors."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class PatchFeatures(nn.Module, ABC):
    """Feature maps of samples, ``(B, *shape)`` -> ``(B, F, h, w)``, and the way back to the sample for explanations."""

    features: int
    """F, the number of features of a patch."""

    @abstractmethod
    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Distribute the scores of a sample's patches over the sample's values.

        Parameters
        ----------
        distances : (B, h, w)
            Score of each patch.
        patches : (B, F, h, w)
            Deviation of each feature.
        shape : tuple of int
            Shape of a sample.

        Returns
        -------
        (B, *shape) tensor, >= 0
        """


class WholeVector(PatchFeatures):
    """A vector as a map of one patch: ``(B, d)`` -> ``(B, d, 1, 1)``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        return x[..., None, None]

    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        return patches.flatten(1).abs()
