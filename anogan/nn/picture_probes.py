"""Synthetic anomalies that no detector trains on: a score that has learned what is normal ranks them above pictures."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

BLURRED_SHARE = 6  # a blur averages over this part of the shorter side


def _left_half(x: Tensor, other: Tensor) -> Tensor:
    width = x.shape[-1] // 2
    return torch.cat([other[..., :width], x[..., width:]], dim=-1)


def _upper_half(x: Tensor, other: Tensor) -> Tensor:
    height = x.shape[-2] // 2
    return torch.cat([other[..., :height, :], x[..., height:, :]], dim=-2)


def _shifted_by_half(x: Tensor, _: Tensor) -> Tensor:
    return x.roll((x.shape[-2] // 2, x.shape[-1] // 2), dims=(-2, -1))


def _blurred(x: Tensor, _: Tensor) -> Tensor:
    size = max(min(x.shape[-2:]) // BLURRED_SHARE, 2) | 1
    padded = pad(x, (size // 2,) * 4, mode="replicate")
    return avg_pool2d(avg_pool2d(padded, (size, 1), stride=1), (1, size), stride=1)  # far faster than both at once


KINDS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _left_half,
    _upper_half,
    _shifted_by_half,
    _blurred,
)


def picture_probes(x: Tensor) -> Tensor:
    """Turn normal pictures into synthetic anomalies, each of the next kind: ``(B, C, H, W)`` -> same, B >= 2.

    Its left or its upper half comes from another picture, it is shifted by half of its sides (around the edges), or it
    is blurred. The mean of two pictures is no synthetic anomaly: it often lies nearer to training pictures than others.
    """
    other = x.roll(1, dims=0)
    made = [kind(x, other) for kind in KINDS]
    return torch.stack([made[i % len(KINDS)][i] for i in range(len(x))])
