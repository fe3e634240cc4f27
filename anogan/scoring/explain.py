"""Which parts of a sample made its score."""

import torch
from torch import Tensor

from ..engine.module import GANModule

PATH_STEPS = 16


def error_map(module: GANModule, x: Tensor, baseline: Tensor) -> Tensor:
    """How much each value of a sample speaks for an anomaly: ``(K, B, *shape)`` -> same, >= 0.

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
