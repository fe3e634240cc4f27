"""Strided convolutional networks (Radford 2015, arXiv:1511.06434) for images of any size from 8x8 up."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm

from ..data.spec import SampleSpec
from ..errors import InputError
from .backbone import Backbone, Decoder
from .conv import MOST_CHANNELS, Down, Up, init_dcgan, level_channels, level_sizes
from .ensemble import Members
from .growing import Growing, GrowingDown, enlarge
from .layers import SLOPE, OutputRange
from .outputs import Critique, Hourglass
from .unet import UNet, UNets

SMALLEST = 8  # pixels; smaller images have no level to halve
PATCH_LEVELS = 3  # halvings of the patch critic, at most: one logit for each 8x8 pixels


class ImageEncoder(nn.Module):
    """``(B, C, H, W)`` -> ``(B, out_dim)``."""

    def __init__(self, spec: SampleSpec, width: int, out_dim: int) -> None:
        super().__init__()
        sizes = level_sizes(*spec.shape[1:])
        plan = level_channels(len(sizes) - 1, width)
        self.down = Down(spec.shape[0], plan)
        self.head = nn.Linear(plan[-1] * sizes[-1][0] * sizes[-1][1], out_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.down(x).flatten(1))


class ImageDecoder(Growing):
    """``(B, latent_dim)`` -> ``(B, C, H, W)``; a growing decoder has a head at each resolution below the full one."""

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int, *, growing: bool) -> None:
        sizes = level_sizes(*spec.shape[1:])
        super().__init__(sizes)
        plan = level_channels(len(sizes) - 1, width)
        self.coarse = (plan[-1], *sizes[-1])
        self.project = nn.Linear(latent_dim, plan[-1] * sizes[-1][0] * sizes[-1][1])
        self.norm = nn.BatchNorm2d(plan[-1])
        outs = [*plan[-2::-1], spec.shape[0]]  # channels after each doubling, coarsest first
        self.ups = nn.ModuleList(
            Up(a, b, size, last=i == len(outs) - 1)
            for i, (a, b, size) in enumerate(zip([plan[-1], *outs[:-1]], outs, sizes[-2::-1], strict=True))
        )
        self.heads = nn.ModuleList(nn.Conv2d(c, spec.shape[0], 1) for c in plan[::-1] if growing)
        self.range = OutputRange(spec)
        init_dcgan(self)

    def forward(self, z: Tensor) -> Tensor:
        finest, alpha = self.finest()
        x = self.norm(self.project(z).unflatten(1, self.coarse)).relu()  # (B, c, h, w)
        for up in self.ups[:finest]:
            coarser, x = x, up(x)
        image = x if finest == self.top else self.heads[finest](x)
        if alpha < 1:
            image = torch.lerp(enlarge(self.heads[finest - 1](coarser), self.sizes[finest]), image, alpha)
        for size in self.sizes[finest + 1 :]:
            image = enlarge(image, size)
        return self.range(image)  # (B, C, H, W)


class ImageDecoders(Decoder, Members):
    """An `ImageDecoder` for each member."""


class ImageCritic(GrowingDown):
    """``(B, C, H, W)`` and optional context ``(B, c)`` -> `Critique`; features are the coarsest level, flattened.

    A context (the latent of a BiGAN) is concatenated after the convolutions and mixed by one hidden layer, whose output
    then is the features. A growing critic has an entry layer at each resolution below the full one.
    """

    def __init__(self, spec: SampleSpec, width: int, context_dim: int, *, spectral_norm: bool, growing: bool) -> None:
        sizes = level_sizes(*spec.shape[1:])
        super().__init__(sizes)
        plan = level_channels(len(sizes) - 1, width)
        self.down = Down(spec.shape[0], plan, spectral_norm=spectral_norm)
        flat = plan[-1] * sizes[-1][0] * sizes[-1][1]
        norm: Any = torch_spectral_norm if spectral_norm else nn.Identity()
        self.join = norm(nn.Linear(flat + context_dim, MOST_CHANNELS * width)) if context_dim else None
        self.head = norm(nn.Linear(MOST_CHANNELS * width if context_dim else flat, 1))
        entries = [nn.Conv2d(spec.shape[0], c, 1) for c in plan[::-1] if growing]
        for entry in entries:
            init_dcgan(entry)
        self.entries = nn.ModuleList(map(norm, entries))

    def enter(self, level: int, x: Tensor) -> Tensor:
        return x if level == self.top else leaky_relu(self.entries[level](x), SLOPE)

    def halve(self, level: int, h: Tensor) -> Tensor:
        return self.down.halve(self.top - level, h)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Critique:
        features = self.coarsest(x).flatten(1)  # (B, F)
        if self.join is not None and context is not None:
            features = leaky_relu(self.join(torch.cat([features, context], dim=1)), SLOPE)
        return Critique(self.head(features).squeeze(-1), features)


class PatchCritic(nn.Module):
    """PatchGAN (Isola 2017, arXiv:1611.07004, section 3.2.2): ``(B, C, H, W)`` -> `Critique` with ``(B, P)`` logits.

    The receptive field of a logit is 38 pixels. Spectral norm is the only normalisation, as for free-form inpainting
    (Yu 2019, arXiv:1806.03589): with layer norm, a critic of two images that are mostly equal stays at chance.
    """

    def __init__(self, spec: SampleSpec, width: int, *, extra_channels: int) -> None:
        super().__init__()
        levels = min(len(level_sizes(*spec.shape[1:])) - 1, PATCH_LEVELS)
        plan = level_channels(levels, width)
        self.down = Down(spec.shape[0] + extra_channels, plan, spectral_norm=True, norm=False)
        self.head = nn.Conv2d(plan[-1], 1, 3, padding=1)
        init_dcgan(self.head)
        torch_spectral_norm(self.head)

    def forward(self, x: Tensor) -> Critique:
        h = self.down(x)
        return Critique(self.head(h).flatten(1), h.flatten(1))


class DCGAN(Backbone):
    """Strided convolutions down to 3 or 4 pixels on the shorter side, and transposed convolutions back."""

    name = "dcgan"
    default_members = 1  # convolutions of k members take k times as long
    default_width = 16
    default_objective = "wasserstein_gp"
    default_r1_weight = 1.0
    vector_units = MOST_CHANNELS
    patch_units = 16

    @classmethod
    def check(cls, spec: SampleSpec) -> None:
        if not spec.is_image:
            raise InputError(
                f"X has samples of shape {spec.shape}; backbone '{cls.name}' needs (C, H, W). "
                "Add a channel axis, X[:, None], or use backbone='mlp'."
            )
        if min(spec.shape[1:]) < SMALLEST:
            raise InputError(
                f"X has pictures of {spec.shape[1]}x{spec.shape[2]} pixels; backbone '{cls.name}' needs at least "
                f"{SMALLEST}x{SMALLEST}. Enlarge them, or flatten them into vectors."
            )

    def encoder(self, out_dim: int) -> nn.Module:
        return Members(self.members, lambda: ImageEncoder(self.spec, self.width, out_dim))

    def decoder(self, latent_dim: int, *, growing: bool = False) -> Decoder:
        return ImageDecoders(self.members, lambda: ImageDecoder(self.spec, self.width, latent_dim, growing=growing))

    def critic(self, *, context_dim: int = 0, spectral_norm: bool = False, growing: bool = False) -> nn.Module:
        return Members(
            self.members,
            lambda: ImageCritic(self.spec, self.width, context_dim, spectral_norm=spectral_norm, growing=growing),
        )

    def patch_critic(self, *, extra_channels: int = 0) -> nn.Module:
        return Members(self.members, lambda: PatchCritic(self.spec, self.width, extra_channels=extra_channels))

    def hourglass(
        self,
        *,
        extra_channels: int = 0,
        bottleneck: int | None = None,
        noise_dim: int = 0,
        classes: int = 0,
        bounded: bool = False,
    ) -> Hourglass:
        return UNets(
            self.members,
            lambda: UNet(
                self.spec,
                self.width,
                extra_channels=extra_channels,
                bottleneck=bottleneck,
                noise_dim=noise_dim,
                classes=classes,
                bounded=bounded,
            ),
        )
