"""Layers that hold k independent copies of themselves along a leading member axis."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils import parametrize

from ..data.spec import SampleSpec

SLOPE = 0.2  # of every leaky ReLU, as in DCGAN
COLUMNS_PER_BLOCK = 8
"""In eval mode a product has a multiple of this many columns. Others are rounded differently in odd and even rows, so
that a row's score would depend on its place among the others."""


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Return ``x @ weight``, of which each row does not depend on its place: ``(..., B, in)`` -> ``(..., B, out)``."""
    width = weight.shape[-1]
    return (x @ pad(weight, (0, -width % COLUMNS_PER_BLOCK)))[..., :width]


def reduce_axis(reduction: Callable[..., Tensor], x: Tensor, axis: int, *, keepdim: bool = False) -> Tensor:
    """Reduce an axis, by `torch.mean` for instance, unless it has one entry.

    The result is the same then, but ONNX Runtime takes several times as long for it as for a sum of two tensors.
    """
    if x.shape[axis] > 1:
        return reduction(x, axis, keepdim=keepdim)
    return x if keepdim else x.squeeze(axis)


class BatchedLinear(nn.Module):
    """k affine maps in one ``baddbmm``: ``(K, B, in)`` -> ``(K, B, out)``.

    Weights and biases start uniform in +-1/sqrt(in), as in `torch.nn.Linear`.
    """

    def __init__(self, members: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_dim)
        self.weight = nn.Parameter(torch.empty(members, in_dim, out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, out_dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        width = weight.shape[-1]
        if torch.compiler.is_exporting() and len(weight) == 1:  # ONNX Runtime adds the bias in the same pass
            return torch.addmm(bias.squeeze(0), x.squeeze(0), weight.squeeze(0)).unsqueeze(0)
        if self.training or width % COLUMNS_PER_BLOCK == 0:
            return torch.baddbmm(bias, x, weight)
        zeros = (0, -width % COLUMNS_PER_BLOCK)
        return torch.baddbmm(pad(bias, zeros), x, pad(weight, zeros))[..., :width]


class BatchedSpectralNorm(nn.Module):
    """Parametrisation dividing each member's matrix by its largest singular value (Miyato 2018, arXiv:1802.05957).

    There is one power iteration per training step of this network; the estimate is frozen while other networks train
    and in eval mode.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        members, in_dim, out_dim = weight.shape
        self.register_buffer("u", nn.functional.normalize(torch.randn(members, in_dim, 1), dim=1))
        self.register_buffer("v", nn.functional.normalize(torch.randn(members, out_dim, 1), dim=1))
        for _ in range(0 if weight.is_meta else 15):  # a model file brings its vectors
            self._iterate(weight)

    @torch.no_grad()
    def _iterate(self, weight: Tensor) -> None:
        self.v.copy_(nn.functional.normalize(weight.mT @ self.u, dim=1))  # (K, out, 1)
        self.u.copy_(nn.functional.normalize(weight @ self.v, dim=1))  # (K, in, 1)

    def forward(self, weight: Tensor) -> Tensor:
        if self.training and weight.requires_grad:
            self._iterate(weight)
        # A second forward pass before the backward pass changes u and v in place, hence the clones.
        sigma = self.u.clone().mT @ weight @ self.v.clone()  # (K, 1, 1)
        return weight / sigma


def batched_linear(members: int, in_dim: int, out_dim: int, *, spectral_norm: bool = False) -> BatchedLinear:
    """A `BatchedLinear`, with spectral normalisation on request."""
    layer = BatchedLinear(members, in_dim, out_dim)
    if spectral_norm:
        parametrize.register_parametrization(layer, "weight", BatchedSpectralNorm(layer.weight.detach()))
    return layer


class OutputRange(nn.Module):
    """The decoder's last activation, by the sample's spec: tanh, softmax on one-hot spans, or the identity."""

    def __init__(self, spec: SampleSpec) -> None:
        super().__init__()
        self.bounded = spec.bounded
        self.widths: list[int] = []  # lengths of consecutive pieces of a vector, one-hot or not
        self.is_span: list[bool] = []
        position = 0
        for start, stop in spec.spans:
            if start > position:
                self.widths.append(start - position)
                self.is_span.append(False)
            self.widths.append(stop - start)
            self.is_span.append(True)
            position = stop
        if spec.spans and position < spec.shape[0]:
            self.widths.append(spec.shape[0] - position)
            self.is_span.append(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.bounded:
            return x.tanh()
        if not self.widths:
            return x
        pieces = x.split(self.widths, dim=-1)
        return torch.cat([p.softmax(-1) if span else p for p, span in zip(pieces, self.is_span, strict=True)], -1)
