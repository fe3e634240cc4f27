"""What critics and hourglass networks return."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Critique(NamedTuple):
    """Output of a critic.

    Attributes
    ----------
    logit : (K, B) tensor
        Higher = more real. A patch critic returns ``(K, B, P)``, one logit for each of P patches.
    features : (K, B, F) tensor
        The critic's last hidden layer.
    """

    logit: Tensor
    features: Tensor


class HourglassOutput(NamedTuple):
    """Output of an hourglass network.

    Attributes
    ----------
    values : (K, B, *shape) tensor
        As large as a sample.
    features : (K, B, F) tensor
        The coarsest activation of the encoder half, flattened.
    logits : (K, B, classes) tensor
        A linear classification of the features; empty without classes.
    """

    values: Tensor
    features: Tensor
    logits: Tensor


class Hourglass(nn.Module, ABC):
    """An encoder-decoder with skip connections: ``(K, B, *shape)``, and noise if any, -> `HourglassOutput`."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return the features of `HourglassOutput` alone, at the cost of the encoder half: ``(K, B, F)``."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of `HourglassOutput` alone: ``(K, B, F)`` -> ``(K, B, classes)``."""


def critique_both(
    critic: nn.Module,
    a: Tensor,
    b: Tensor,
    context_a: Tensor | None = None,
    context_b: Tensor | None = None,
) -> tuple[Critique, Critique]:
    """Apply a critic to two batches ``(K, B, ...)`` in one pass, which is faster than two passes."""
    joint = [torch.cat([a, b], dim=1)]  # (K, 2B, ...)
    if context_a is not None and context_b is not None:
        joint.append(torch.cat([context_a, context_b], dim=1))
    logit, features = critic(*joint)
    rows = a.shape[1]
    return Critique(logit[:, :rows], features[:, :rows]), Critique(logit[:, rows:], features[:, rows:])
