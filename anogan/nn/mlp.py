"""Multilayer perceptrons for vectors; k members train as one batched product."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ..data.spec import SampleSpec
from ..errors import InputError
from .backbone import Backbone, Critique, Decoder, PatchFeatures, Restoration, random_rows
from .layers import OutputRange, batched_linear
from .masks import complementary_masks, span_units

SLOPE = 0.2  # of the leaky ReLU, as in DCGAN
ERASED_SHARES = (2, 4, 8)  # a half, a quarter, an eighth of the columns at a time


class Hidden(nn.Module):
    """Fully connected layers, each with a leaky ReLU: ``(K, B, dims[0])`` -> ``(K, B, dims[-1])``."""

    def __init__(self, members: int, dims: list[int], *, spectral_norm: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            batched_linear(members, a, b, spectral_norm=spectral_norm) for a, b in pairwise(dims)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE)
        return x


class MLPCritic(nn.Module):
    """Hidden layers and one logit."""

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
    """Hidden layers, one linear one, and the range of the spec."""


class MLPDenoisingCritic(nn.Module):
    """Two hidden layers and two heads.

    Weights start at N(0, 1 / in), with zero biases: a random projection that keeps distances. The features then begin
    as a picture of the input and are bent by training as far as it has something to say.
    """

    def __init__(self, members: int, dim: int, width: int, levels: int) -> None:
        super().__init__()
        self.hidden = Hidden(members, [dim, width, width])
        self.noise = batched_linear(members, width, dim)
        self.level = batched_linear(members, width, levels)
        for layer in (*self.hidden.layers, self.noise, self.level):
            nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Restoration:
        features = self.hidden(x)  # (K, B, width)
        return Restoration(self.noise(features), self.level(features), features)


class MLPCorruptor(nn.Module):
    """Two hidden layers that see sample and noise."""

    def __init__(self, members: int, dim: int, width: int, latent_dim: int) -> None:
        super().__init__()
        self.hidden = Hidden(members, [dim + latent_dim, width, width])
        self.out = batched_linear(members, width, dim)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.out(self.hidden(torch.cat([x, z], dim=-1)))


class MLPTranslator(nn.Module):
    """The sample and what two hidden layers would change in it."""

    def __init__(self, members: int, dim: int, width: int) -> None:
        super().__init__()
        self.hidden = Hidden(members, [dim, width, width])
        self.out = batched_linear(members, width, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.hidden(x))


class SkipMLP(nn.Module):
    """The U-Net's idea on vectors: each decoder layer also sees the encoder layer of its level.

    There is no skip around the outermost level: a direct path from input to output would learn the identity.
    """

    def __init__(self, spec: SampleSpec, members: int, width: int, latent_dim: int, extra: int = 0) -> None:
        super().__init__()
        (dim,) = spec.shape
        half = max(width // 2, 1)
        self.down_1 = Hidden(members, [dim + extra, width])
        self.down_2 = Hidden(members, [width, half])
        self.bottleneck = Hidden(members, [half, latent_dim, half])
        self.up_2 = Hidden(members, [2 * half, width])
        self.out = batched_linear(members, width, dim)
        self.range = OutputRange(spec)

    def forward(self, x: Tensor) -> Tensor:
        level = self.down_2(self.down_1(x))  # (K, B, half)
        level = torch.cat([level, self.bottleneck(level)], dim=-1)  # (K, B, 2 * half)
        return self.range(self.out(self.up_2(level)))  # (K, B, d)


class WholeVector(PatchFeatures):
    """A vector as a map with one place: ``(B, d)`` -> ``(B, d, 1, 1)``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        return x[..., None, None]

    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        return patches.flatten(1).abs()


class MLPInpainter(nn.Module):
    """A `SkipMLP` that sees the columns that are left, zeros for the others, and which is which."""

    def __init__(self, spec: SampleSpec, members: int, width: int, latent_dim: int) -> None:
        super().__init__()
        self.net = SkipMLP(spec, members, width, latent_dim, extra=spec.shape[0])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.net(torch.cat([x.masked_fill(mask, 0), mask.to(x)], dim=-1))


class MLPPatchCritic(nn.Module):
    """A critic whose one patch is the whole row, with spectral norm."""

    def __init__(self, members: int, in_dim: int, width: int) -> None:
        super().__init__()
        self.critic = MLPCritic(members, in_dim, width, spectral_norm=True)

    def forward(self, x: Tensor, *mask: Tensor) -> Critique:
        judged = self.critic(x, *(m.to(x) for m in mask))
        return Critique(judged.logit.unsqueeze(-1), judged.features)  # (K, B, 1)


class MLP(Backbone):
    """Two hidden layers of equal width with leaky ReLU, no normalisation."""

    name = "mlp"
    default_members = 4  # they train as one batched product, for little more than the time of one
    default_width = 128

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
        return self.latent_critic(dim + context_dim, spectral_norm=spectral_norm)

    def augmented_critic(self, strength: float | str, *, growing: bool = False) -> nn.Module:
        raise InputError(
            f"augment={strength!r} needs pictures; X has samples of shape {self.spec.shape}. Use augment=0."
        )

    def _refuse(self, *, growing: bool) -> None:
        if growing:
            raise InputError(
                f"growing=True needs pictures; X has samples of shape {self.spec.shape}. Use growing=False."
            )

    def pair_critic(self, *, spectral_norm: bool = False) -> nn.Module:
        (dim,) = self.spec.shape
        return self.latent_critic(2 * dim, spectral_norm=spectral_norm)

    def latent_critic(self, in_dim: int, *, spectral_norm: bool = False) -> nn.Module:
        return MLPCritic(self.members, in_dim, self.width, spectral_norm=spectral_norm)

    def denoising_critic(self, levels: int) -> nn.Module:
        (dim,) = self.spec.shape
        return MLPDenoisingCritic(self.members, dim, self.width, levels)

    def corruptor(self, latent_dim: int) -> nn.Module:
        (dim,) = self.spec.shape
        return MLPCorruptor(self.members, dim, self.width, latent_dim)

    def patch_features(self, name: str) -> PatchFeatures:
        return WholeVector(self.spec.shape[0])

    def patch_networks(self, features: int) -> Backbone:
        return MLP(SampleSpec((features,)), self.members, self.width)

    def translator(self) -> nn.Module:
        (dim,) = self.spec.shape
        return MLPTranslator(self.members, dim, self.width)

    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """Up to half of the columns, a one-hot group being one, take the values of another row."""
        donors = x.gather(1, random_rows(x).unsqueeze(-1).expand_as(x))
        column = torch.arange(x.shape[-1], device=x.device)
        for start, stop in self.spec.spans:
            column[start:stop] = start
        chances = torch.rand(x.shape, dtype=x.dtype, device=x.device)[..., column]
        share = torch.rand(*x.shape[:2], 1, dtype=x.dtype, device=x.device) / 2
        return torch.where(chances < share, donors, x)

    def unet(self, latent_dim: int) -> nn.Module:
        return SkipMLP(self.spec, self.members, self.width, latent_dim)

    def inpainter(self, latent_dim: int) -> nn.Module:
        return MLPInpainter(self.spec, self.members, self.width, latent_dim)

    def patch_critic(self, *, masked: bool = False) -> nn.Module:
        (dim,) = self.spec.shape
        return MLPPatchCritic(self.members, (1 + masked) * dim, self.width)

    def masks(self) -> Tensor:
        (dim,) = self.spec.shape
        units = span_units(dim, self.spec.spans)
        most = int(units.max()) + 1
        return torch.cat([complementary_masks(units, parts) for parts in sorted({min(p, most) for p in ERASED_SHARES})])

    def local_mean(self, error: Tensor) -> Tensor:
        """Columns have no neighbours: the one place is the row."""
        return error.mean(-1, keepdim=True)
