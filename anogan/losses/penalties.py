"""Penalties on the critic's input gradient; they call ``autograd.grad``, as they differentiate through a gradient."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..seeding import rand


def gradient_penalty(logit_of: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the two-sided penalty at points between real and fake, Gulrajani 2017 (arXiv:1704.00028), eq. 3.

    Parameters
    ----------
    logit_of : callable, (K, B, *shape) -> (K, B)
        The critic.
    real, fake : (K, B, *shape)
        Ends of the lines; neither receives gradient.

    Returns
    -------
    (K,) tensor, >= 0
        Mean over the batch of (|gradient| - 1)^2.
    """
    members, rows = real.shape[:2]
    mix = rand(members, rows, *([1] * (real.dim() - 2)), dtype=real.dtype, device=real.device)
    between = torch.lerp(real.detach(), fake.detach(), mix).requires_grad_(True)
    gradient = _input_gradient(logit_of, between)
    # The derivative of the norm is infinite at zero, hence the small constant.
    return (gradient.square().sum(-1).add(1e-12).sqrt() - 1).square().mean(-1)


def r1_penalty(logit_of: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return half the squared gradient norm at real samples, Mescheder 2018 (arXiv:1801.04406), eq. 9: ``(K,)``."""
    gradient = _input_gradient(logit_of, real.detach().requires_grad_(True))
    return gradient.square().sum(-1).mean(-1) / 2


def _input_gradient(logit_of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logit_of(x).sum(), x, create_graph=True)
    return gradient.flatten(2)  # (K, B, numel)
