"""How much each part of a sample contributes to its score."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..engine.module import GANModule, Prediction
from .similar import SimilarRows

PATH_STEPS = 16
ROWS_PER_BATCH = 4096


def occlusion(score: Callable[[Tensor], Tensor], x: Tensor, similar: SimilarRows) -> Tensor:
    """Return how far the score falls if one column is replaced by its typical value in similar normal rows.

    The other columns keep their values. A column's fall is spread evenly over its codes, and a rise counts as zero.
    Each column costs one scoring. benchmarks/results/reasons.md compares this method with others.

    Parameters
    ----------
    score : callable, (B, D) -> (B,)
    x : (B, D)
    similar : SimilarRows

    Returns
    -------
    (B, D), >= 0
    """
    distances = similar.distances(x)
    columns_per_batch = max(ROWS_PER_BATCH // len(x), 1)
    before, falls = score(x), torch.zeros_like(x)
    for first in range(0, len(similar.scored), columns_per_batch):
        numbers = similar.scored[first : first + columns_per_batch]
        changed = x.repeat(len(numbers), 1, 1)  # (columns, B, D)
        for number, rows in zip(numbers, changed, strict=True):
            rows[:, similar.columns[number]] = similar.typical(similar.nearest(x, number, distances), number)
        after = score(changed.flatten(0, 1)).view(len(numbers), -1)
        # Where nothing was replaced, scores differ by rounding only, since the batch is another one.
        same = (changed == x).all(-1)
        for number, fall in zip(numbers, (before - after).clamp(min=0).masked_fill(same, 0), strict=True):
            part = similar.columns[number]
            falls[:, part] = (fall / (part.stop - part.start))[:, None]
    return falls


def error_map(module: GANModule, x: Tensor, baseline: Tensor) -> Tensor:
    """Return how anomalous each pixel of a picture is: ``(K, B, *shape)`` -> same, >= 0.

    This is the module's own map if it localises, the absolute residual if it reconstructs, otherwise the integrated
    gradients of its score.

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


def score_and_error_map(module: GANModule, x: Tensor, baseline: Tensor) -> Prediction:
    """Return the score and `error_map` of each sample, in one pass of the networks where the module allows it."""
    score, anomaly_map = module.predict(x, with_map=True)
    if anomaly_map is None:
        anomaly_map = integrated_gradients(module, x, baseline)
    return Prediction(score, anomaly_map.detach())


def integrated_gradients(module: GANModule, x: Tensor, baseline: Tensor) -> Tensor:
    """Return absolute integrated gradients of the score from ``baseline`` to ``x``: ``(K, B, *shape)`` -> same.

    Sundararajan 2017 (arXiv:1703.01365), eq. 1, by the midpoint rule.
    """
    baseline = baseline.expand_as(x)
    if module.conditioned:  # the condition is constant along the path
        baseline = torch.cat([baseline[:, :, :-1], x[:, :, -1:]], dim=2)
    total = torch.zeros_like(x)
    for step in range(PATH_STEPS):
        with torch.enable_grad():
            point = torch.lerp(baseline, x, (step + 0.5) / PATH_STEPS).detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(module.score(point).sum(), point)
        total += gradient
    return ((x - baseline) * total / PATH_STEPS).abs().detach()
