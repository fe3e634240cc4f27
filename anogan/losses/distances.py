"""Distances between a sample and its counterpart: per sample for scores, averaged for losses."""

import torch
from torch import Tensor


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum of absolute differences of each sample: ``(K, B, ...)`` -> ``(K, B)``, >= 0."""
    return (a - b).abs().flatten(2).sum(-1)


def l2_squared(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum of squared differences of each sample: ``(K, B, ...)`` -> ``(K, B)``, >= 0."""
    return (a - b).square().flatten(2).sum(-1)


def mean_l1(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference over batch and dimensions: ``(K, B, ...)`` -> ``(K,)``."""
    return (a - b).abs().flatten(1).mean(-1)


def mean_l2_squared(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared difference over batch and dimensions: ``(K, B, ...)`` -> ``(K,)``."""
    return (a - b).square().flatten(1).mean(-1)


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the energy distance (Székely & Rizzo 2013) of two samples: ``(K, A, d), (K, B, d)`` -> ``(K,)``.

    It is ``2 E|a - b| - E|a - a'| - E|b - b'|``, and 0 if the distributions are equal.
    """
    cross, within_a, within_b = _mean_distance(a, b), _mean_distance(a, a), _mean_distance(b, b)
    return 2 * cross - within_a - within_b


def _mean_distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b).mean((1, 2))
