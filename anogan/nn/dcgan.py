"""Strided convolutional networks (Radford 2015, arXiv:1511.06434) for images of any size from 8x8 up."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm

from ..data.spec import SampleSpec
from ..errors import InputError
from .augment import Augmented
from .backbone import Backbone, Critique, Decoder, PatchFeatures, random_rows
from .ensemble import Members
from .growing import Growing, GrowingDown, enlarge
from .layers import OutputRange
from .masks import complementary_masks, square_units
from .mlp import MLP, SLOPE, MLPCritic

SMALLEST = 8  # pixels; below it there is no level to halve
COARSEST = 4  # halving stops once the shorter side is this small
MOST_CHANNELS = 8  # times the width
PATCH_WIDTH = 16  # times the width: hidden units of networks for patches of features
PATCH_LEVELS = 3  # halvings of the patch critic, at most: one logit for each 8x8 pixels
ERASED_PARTS = 3  # masks in a complementary set, as in RIAD
ERASED_SCALES = 3  # sides of the erased squares, each half of the one before
LIGHT = 0.5  # standard deviation of a damaged piece's change of brightness, in [-1, 1]


def init_dcgan(module: nn.Module) -> None:
    """Weights of convolutions from N(0, 0.02), of normalisations from N(1, 0.02), as in the paper's section 4."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from full resolution down, each half of the one before (rounded up): ``[(H, W), ..., (h, w)]``."""
    sizes = [(height, width)]
    while min(sizes[-1]) > COARSEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def level_channels(levels: int, width: int) -> list[int]:
    """Channels of each halved level: doubling from ``width``, at most `MOST_CHANNELS` times it."""
    return [width * min(2**i, MOST_CHANNELS) for i in range(levels)]


class Down(nn.Module):
    """Strided convolutions to the coarsest level: ``(B, C, H, W)`` -> ``(B, c, h, w)``.

    Layer norm over channels and pixels instead of DCGAN's batch norm: a batch norm ties a row's score, and a
    critic's gradient penalty, to the other rows.
    """

    def __init__(self, channels: int, plan: list[int], *, spectral_norm: bool = False, norm: bool = True) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip([channels, *plan[:-1]], plan, strict=True)
        )
        # The paper leaves the first layer without normalisation.
        self.norms = nn.ModuleList(nn.GroupNorm(1, c) if i and norm else nn.Identity() for i, c in enumerate(plan))
        init_dcgan(self)
        if spectral_norm:
            for conv in self.convs:
                torch_spectral_norm(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.levels(x)[-1]

    def levels(self, x: Tensor) -> list[Tensor]:
        """The activation after each halving, finest first."""
        outputs = []
        for number in range(len(self.convs)):
            x = self.halve(number, x)
            outputs.append(x)
        return outputs

    def halve(self, number: int, x: Tensor) -> Tensor:
        """The ``number``-th halving alone."""
        pad = (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)  # odd sizes are halved upwards
        return leaky_relu(self.norms[number](self.convs[number](nn.functional.pad(x, pad))), SLOPE)


class Up(nn.Module):
    """One transposed convolution that doubles, then crops to the wanted size."""

    def __init__(self, in_channels: int, out_channels: int, size: tuple[int, int], *, last: bool) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.norm = nn.Identity() if last else nn.BatchNorm2d(out_channels)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)[..., : self.size[0], : self.size[1]])
        return x if self.last else x.relu()


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
    """``(B, latent_dim)`` -> ``(B, C, H, W)``; a growing one has a head at each resolution below the full one."""

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
        picture = x if finest == self.top else self.heads[finest](x)
        if alpha < 1:
            picture = torch.lerp(enlarge(self.heads[finest - 1](coarser), self.sizes[finest]), picture, alpha)
        for size in self.sizes[finest + 1 :]:
            picture = enlarge(picture, size)
        return self.range(picture)  # (B, C, H, W)


class ImageDecoders(Decoder, Members):
    """One `ImageDecoder` for each member."""


class ImageCritic(GrowingDown):
    """``(B, C, H, W)`` and optional context ``(B, c)`` -> `Critique`; features are the coarsest level, flattened.

    A context (the latent of a BiGAN) is joined after the convolutions and mixed by one hidden layer, whose
    output then is the features. A growing one has an entry at each resolution below the full one.
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

    A logit sees 38 pixels. With a mask beside them, what lies outside it is the condition, what lies in it the claim.
    Spectral norm and no other, as for free-form inpainting (Yu 2019, arXiv:1806.03589): with layer norm the critic of
    two pictures that are mostly the same stays at chance.
    """

    def __init__(self, spec: SampleSpec, width: int, *, masked: bool) -> None:
        super().__init__()
        levels = min(len(level_sizes(*spec.shape[1:])) - 1, PATCH_LEVELS)
        plan = level_channels(levels, width)
        self.down = Down(spec.shape[0] + masked, plan, spectral_norm=True, norm=False)
        self.head = nn.Conv2d(plan[-1], 1, 3, padding=1)
        init_dcgan(self.head)
        torch_spectral_norm(self.head)

    def forward(self, x: Tensor, *mask: Tensor) -> Critique:
        h = self.down(torch.cat([x, *(m[:, :1].to(x) for m in mask)], dim=1))
        return Critique(self.head(h).flatten(1), h.flatten(1))


def _pieces(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Along one side of each picture ``(K, B, ...)``: what lies in the piece, and where each pixel comes from.

    bool and int64 ``(K, B, side)``; the source is moved at random, around the edge if need be.
    """
    length, place, shift = torch.rand(*x.shape[:2], 3, 1, dtype=x.dtype, device=x.device).unbind(2)  # (K, B, 1)
    length = (side * 2 ** (-1 - 3 * length)).ceil()
    start = (place * (side - length + 1)).floor()
    at = torch.arange(side, device=x.device)
    return (at >= start) & (at < start + length), (at + (shift * side).long()) % side


class DCGAN(Backbone):
    """Halves by strided convolutions to at least 3 and at most 4 pixels on the shorter side, and doubles back."""

    name = "dcgan"
    default_members = 1  # convolutions of k members take k times as long
    default_width = 16
    has_patches = True

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
        return self._critic(self.spec, context_dim, spectral_norm=spectral_norm, growing=growing)

    def augmented_critic(self, strength: float | str, *, growing: bool = False) -> nn.Module:
        return Augmented(self.critic(growing=growing), self.members, strength)

    def pair_critic(self, *, spectral_norm: bool = False) -> nn.Module:
        return self._critic(self.spec.paired(), 0, spectral_norm=spectral_norm, growing=False)

    def _critic(self, spec: SampleSpec, context_dim: int, **options: Any) -> nn.Module:
        return Members(self.members, lambda: ImageCritic(spec, self.width, context_dim, **options))

    def latent_critic(self, in_dim: int, *, spectral_norm: bool = False) -> nn.Module:
        return MLPCritic(self.members, in_dim, MOST_CHANNELS * self.width, spectral_norm=spectral_norm)

    def denoising_critic(self, levels: int) -> nn.Module:
        from .unet import UNetDenoisingCritic

        return Members(self.members, lambda: UNetDenoisingCritic(self.spec, self.width, levels))

    def corruptor(self, latent_dim: int) -> nn.Module:
        from .unet import UNetCorruptor

        return Members(self.members, lambda: UNetCorruptor(self.spec, self.width, latent_dim))

    def patch_features(self, name: str) -> PatchFeatures:
        from .frozen import pretrained

        return pretrained(name)

    def patch_networks(self, features: int) -> Backbone:
        return MLP(SampleSpec((features,)), self.members, PATCH_WIDTH * self.width)

    def translator(self) -> nn.Module:
        from .unet import UNetTranslator

        return Members(self.members, lambda: UNetTranslator(self.spec, self.width))

    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """A rectangle is replaced by a piece of another picture, from anywhere in it, of another brightness.

        Each side is 1/16 to 1/2 of the picture's, drawn evenly by its logarithm, so that some are long and thin.
        """
        _, _, _, height, width = x.shape
        inside_y, from_y = _pieces(x, height)  # (K, B, H)
        inside_x, from_x = _pieces(x, width)  # (K, B, W)
        pixel = from_y.unsqueeze(-1) * width + from_x.unsqueeze(-2)  # (K, B, H, W)
        donors = x.gather(1, random_rows(x)[..., None, None, None].expand_as(x)).flatten(3)
        pasted = donors.gather(3, pixel.flatten(2).unsqueeze(2).expand_as(donors)).view_as(x)
        light = torch.randn(*x.shape[:2], 1, 1, 1, dtype=x.dtype, device=x.device) * LIGHT
        inside = (inside_y.unsqueeze(-1) & inside_x.unsqueeze(-2)).unsqueeze(2)  # (K, B, 1, H, W)
        return torch.where(inside, (pasted + light).clamp(-1, 1), x)

    def unet(self, latent_dim: int) -> nn.Module:
        from .unet import UNet

        return Members(self.members, lambda: UNet(self.spec, self.width, latent_dim))

    def inpainter(self, latent_dim: int) -> nn.Module:
        from .unet import UNetInpainter

        return Members(self.members, lambda: UNetInpainter(self.spec, self.width, latent_dim))

    def patch_critic(self, *, masked: bool = False) -> nn.Module:
        return Members(self.members, lambda: PatchCritic(self.spec, self.width, masked=masked))

    def masks(self) -> Tensor:
        """Grids of squares (Zavrtanik 2021, section 3.1)."""
        channels, height, width = self.spec.shape
        grids = [complementary_masks(square_units(height, width, side), ERASED_PARTS) for side in self._erased_sides()]
        return torch.cat(grids)[:, None].repeat(1, channels, 1, 1)  # (M, C, H, W)

    def local_mean(self, error: Tensor) -> Tensor:
        """Over all channels and a window as large as the middle one of the erased squares."""
        sides = self._erased_sides()
        means = avg_pool2d(error.mean(2), sides[len(sides) // 2], stride=1)  # (K, B, H', W')
        return means.flatten(2)

    def _erased_sides(self) -> list[int]:
        """Powers of two from a third of the shorter side down, smallest first; 2 pixels at least."""
        largest = int(math.log2(min(self.spec.shape[1:]) / 3))
        return [2**i for i in range(max(largest - ERASED_SCALES + 1, 1), largest + 1)]
