"""Multilayer perceptrons for vectors; k members train as one batched product."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ..data.spec import SampleSpec
from ..errors import InputError
from .backbone import Backbone, Decoder
from .layers import SLOPE, BatchedLinear, OutputRange, batched_linear
from .outputs import Critique, Hourglass, HourglassOutput


class Hidden(nn.Module):
    """Fully connected layers, each with a leaky ReLU: ``(K, B, dims[0])`` -> ``(K, B, dims[-1])``."""

    def __init__(self, members: int, dims: list[int], *, spectral_norm: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            batched_linear(members, a, b, spectral_norm=spectral_norm) for a, b in pairwise(dims)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE, inplace=True)
        return x


class MLPCritic(nn.Module):
    """Two hidden layers and one logit."""

    def __init__(self, members: int, in_dim: int, width: int, *, spectral_norm: bool = False) -> None:
        super().__init__()
        self.hidden = Hidden(members, [in_dim, width, width], spectral_norm=spectral_norm)
        self.head = batched_linear(members, width, 1, spectral_norm=spectral_norm)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Critique:
        if context is not None:
            x = torch.cat([x, context], dim=-1)  # (K, B, in + context)
        features = self.hidden(x)  # (K, B, width)
        return Critique(self.head(features).squeeze(-1), features)


class MLPDecoder(Decoder, nn.Sequential):
    """Hidden layers, a linear layer, and the value range of the spec."""


class MLPHourglass(Hourglass):
    """``(K, B, (1 + extra) d)``, and noise ``(K, B, noise_dim)`` if any -> `HourglassOutput`.

    Two hidden layers and a linear one. With a ``bottleneck`` it is the U-Net's idea on vectors: the second hidden layer
    is half as wide and followed by a code, and the decoder half sees this layer beside the code. The outermost level
    has no skip: a direct path from input to output would learn the identity.

    With ``classes``, weights start at N(0, 1 / in) and biases at zero: a random projection that keeps distances, so
    that the features start as an image of the input.
    """

    def __init__(
        self,
        spec: SampleSpec,
        members: int,
        width: int,
        *,
        extra_channels: int,
        bottleneck: int | None,
        noise_dim: int,
        classes: int,
        bounded: bool,
    ) -> None:
        super().__init__()
        (dim,) = spec.shape
        coarsest = max(width // 2, 1) if bottleneck else width
        self.down = Hidden(members, [(1 + extra_channels) * dim + noise_dim, width, coarsest])
        self.bottleneck = Hidden(members, [coarsest, bottleneck, coarsest]) if bottleneck else None
        self.up = Hidden(members, [2 * coarsest, width]) if bottleneck else nn.Identity()
        self.out = batched_linear(members, width, dim)
        self.head = batched_linear(members, coarsest, classes) if classes else None
        self.range = OutputRange(spec) if bounded else nn.Identity()
        if classes:
            for layer in self.modules():
                if isinstance(layer, BatchedLinear):
                    nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5)
                    nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        return self.down(x)  # (K, B, F)

    def classify(self, features: Tensor) -> Tensor:
        return features[..., :0] if self.head is None else self.head(features)

    def forward(self, x: Tensor, *noise: Tensor) -> HourglassOutput:
        features = self.features(torch.cat([x, *noise], dim=-1) if noise else x)
        h = features
        if self.bottleneck is not None:
            h = torch.cat([features, self.bottleneck(features)], dim=-1)  # (K, B, 2 F)
        return HourglassOutput(self.range(self.out(self.up(h))), features, self.classify(features))


class MLPPatchCritic(nn.Module):
    """A critic whose only patch is the whole row, with spectral norm."""

    def __init__(self, members: int, in_dim: int, width: int) -> None:
        super().__init__()
        self.critic = MLPCritic(members, in_dim, width, spectral_norm=True)

    def forward(self, x: Tensor) -> Critique:
        logit, features = self.critic(x)
        return Critique(logit.unsqueeze(-1), features)  # (K, B, 1)


class MLP(Backbone):
    """Two hidden layers of equal width with leaky ReLU, no normalisation."""

    name = "mlp"
    default_members = 4  # they train as one batched product, for little more than the time of one
    default_width = 128
    default_critic_steps = 5

    @classmethod
    def check(cls, spec: SampleSpec) -> None:
        if len(spec.shape) != 1:
            raise InputError(
                f"X has samples of shape {spec.shape}; backbone 'mlp' needs vectors (d,). "
                "Flatten them, X.reshape(len(X), -1), or use backbone='dcgan'."
            )

    def encoder(self, out_dim: int) -> nn.Module:
        (dim,) = self.spec.shape
        return nn.Sequential(
            Hidden(self.members, [dim, self.width, self.width]), batched_linear(self.members, self.width, out_dim)
        )

    def decoder(self, latent_dim: int, *, growing: bool = False) -> Decoder:
        self._refuse(growing=growing)
        (dim,) = self.spec.shape
        return MLPDecoder(
            Hidden(self.members, [latent_dim, self.width, self.width]),
            batched_linear(self.members, self.width, dim),
            OutputRange(self.spec),
        )

    def critic(self, *, context_dim: int = 0, spectral_norm: bool = False, growing: bool = False) -> nn.Module:
        self._refuse(growing=growing)
        (dim,) = self.spec.shape
        return MLPCritic(self.members, dim + context_dim, self.width, spectral_norm=spectral_norm)

    def patch_critic(self, *, extra_channels: int = 0) -> nn.Module:
        (dim,) = self.spec.shape
        return MLPPatchCritic(self.members, (1 + extra_channels) * dim, self.width)

    def hourglass(
        self,
        *,
        extra_channels: int = 0,
        bottleneck: int | None = None,
        noise_dim: int = 0,
        classes: int = 0,
        bounded: bool = False,
    ) -> Hourglass:
        return MLPHourglass(
            self.spec,
            self.members,
            self.width,
            extra_channels=extra_channels,
            bottleneck=bottleneck,
            noise_dim=noise_dim,
            classes=classes,
            bounded=bounded,
        )

    def _refuse(self, *, growing: bool) -> None:
        if growing:
            raise InputError(
                f"growing=True needs pictures; X has samples of shape {self.spec.shape}. Use growing=False."
            )
