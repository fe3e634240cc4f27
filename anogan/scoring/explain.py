"""Which parts of a sample made its score."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..engine.module import GANModule
from .similar import SimilarRows

PATH_STEPS = 16
ROWS_AT_ONCE = 4096


def occlusion(score: Callable[[Tensor], Tensor], x: Tensor, similar: SimilarRows) -> Tensor:
    """How far the score falls when one column is what it is in similar normal rows: ``(B, D)`` -> same, >= 0.

    The others stay as they are. A column's fall is spread evenly over its codes; a rise counts as none. Costs a scoring
    for each column. Which method was chosen for rows and why is measured in benchmarks/results/reasons.md.

    Parameters
    ----------
    score : callable, (B, D) -> (B,)
    x : (B, D)
    similar : SimilarRows
    """
    distances = similar.distances(x)
    at_once = max(ROWS_AT_ONCE // len(x), 1)  # columns
    before, falls = score(x), torch.zeros_like(x)
    for first in range(0, len(similar.judged), at_once):
        numbers = similar.judged[first : first + at_once]
        changed = x.repeat(len(numbers), 1, 1)  # (columns, B, D)
        for number, rows in zip(numbers, changed, strict=True):
            rows[:, similar.columns[number]] = similar.typical(similar.nearest(x, number, distances), number)
        after = score(changed.flatten(0, 1)).view(len(numbers), -1)
        same = (changed == x).all(-1)  # where a difference of scores is but that of rounding in another batch
        for number, fall in zip(numbers, (before - after).clamp(min=0).masked_fill(same, 0), strict=True):
            part = similar.columns[number]
            falls[:, part] = (fall / (part.stop - part.start))[:, None]
    return falls


def error_map(module: GANModule, x: Tensor, baseline: Tensor) -> Tensor:
    """How much each pixel of a picture speaks for an anomaly: ``(K, B, *shape)`` -> same, >= 0.

    The module's own map if it localises, the absolute residual where it reconstructs, else integrated gradients of
    its score.

    Parameters
    ----------
    x : (K, B, *shape)
    baseline : (*shape)
        A typical normal sample, where the path of integrated gradients starts.
    """
    if module.can("anomaly_map"):
        return module.anomaly_map(x).detach()
    if module.can("reconstruct"):
        return (x - module.reconstruct(x)).abs().detach()
    return integrated_gradients(module, x, baseline)


def integrated_gradients(module: GANModule, x: Tensor, baseline: Tensor) -> Tensor:
    """Absolute integrated gradients of the score from ``baseline`` to ``x``.

    Sundararajan 2017 (arXiv:1703.01365), eq. 1, by the midpoint rule.
    """
    baseline = baseline.expand_as(x)
    if module.conditioned:  # the condition stays what it is all along the path
        baseline = torch.cat([baseline[:, :, :-1], x[:, :, -1:]], dim=2)
    total = torch.zeros_like(x)
    for step in range(PATH_STEPS):
        with torch.enable_grad():
            point = torch.lerp(baseline, x, (step + 0.5) / PATH_STEPS).detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(module.score(point).sum(), point)
        total += gradient
    return ((x - baseline) * total / PATH_STEPS).abs().detach()
