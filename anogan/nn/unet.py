"""U-Net (Ronneberger 2015, arXiv:1505.04597): from image to image, with skips between equal resolutions."""

import torch
from torch import Tensor, nn

from ..data.spec import SampleSpec
from .backbone import Restoration
from .dcgan import Down, Up, init_dcgan, level_channels, level_sizes
from .layers import OutputRange


class UNetBody(nn.Module):
    """The halving and doubling levels; what lies between them, and any extra channels of the input, is the subclass's.

    Every doubling sees the encoder's activation of its own resolution.
    """

    def __init__(self, spec: SampleSpec, width: int, extra: int = 0) -> None:
        super().__init__()
        sizes = level_sizes(*spec.shape[1:])
        plan = level_channels(len(sizes) - 1, width)
        self.down = Down(spec.shape[0] + extra, plan)
        self.coarse = (plan[-1], *sizes[-1])
        self.flat = plan[-1] * sizes[-1][0] * sizes[-1][1]
        outs = [*plan[-2::-1], spec.shape[0]]
        self.ups = nn.ModuleList(
            Up(2 * a, b, size, last=i == len(outs) - 1)
            for i, (a, b, size) in enumerate(zip(plan[::-1], outs, sizes[-2::-1], strict=True))
        )

    def up(self, x: Tensor, levels: list[Tensor]) -> Tensor:
        """From the coarsest level ``(B, flat)`` and the encoder's activations, finest first, to ``(B, C, H, W)``."""
        x = x.relu().unflatten(1, self.coarse)
        for up, level in zip(self.ups, levels[::-1], strict=True):
            x = up(torch.cat([x, level], dim=1))
        return x


class UNet(UNetBody):
    """``(B, C, H, W)`` -> ``(B, C, H, W)``; the bottleneck carries ``latent_dim`` numbers for the whole picture."""

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int, extra: int = 0) -> None:
        super().__init__(spec, width, extra)
        self.squeeze = nn.Linear(self.flat, latent_dim)
        self.expand = nn.Linear(latent_dim, self.flat)
        self.range = OutputRange(spec)
        init_dcgan(self)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.down.levels(x)  # finest first
        return self.range(self.up(self.expand(self.squeeze(levels[-1].flatten(1))), levels))


class UNetInpainter(nn.Module):
    """A `UNet` that sees the picture with grey where it is erased, and the mask as one more channel."""

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int) -> None:
        super().__init__()
        self.net = UNet(spec, width, latent_dim, extra=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.net(torch.cat([x.masked_fill(mask, 0), mask[:, :1].to(x)], dim=1))


class UNetDenoisingCritic(UNetBody):
    """``(B, C, H, W)`` -> `Restoration`; features are the coarsest level, flattened."""

    def __init__(self, spec: SampleSpec, width: int, levels: int) -> None:
        super().__init__(spec, width)
        self.level = nn.Linear(self.flat, levels)
        init_dcgan(self)

    def forward(self, x: Tensor) -> Restoration:
        levels = self.down.levels(x)
        features = levels[-1].flatten(1)  # (B, F)
        return Restoration(self.up(features, levels), self.level(features), features)


class UNetCorruptor(UNetBody):
    """``(B, C, H, W), (B, latent_dim)`` -> ``(B, C, H, W)``; the noise enters at the coarsest level."""

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int) -> None:
        super().__init__(spec, width)
        self.expand = nn.Linear(latent_dim, self.flat)
        init_dcgan(self)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        levels = self.down.levels(x)
        return self.up(self.expand(z), levels)


class UNetTranslator(UNetBody):
    """``(B, C, H, W)`` -> same: the picture and a change; what it leaves alone stays sharp."""

    def __init__(self, spec: SampleSpec, width: int) -> None:
        super().__init__(spec, width)
        init_dcgan(self)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.down.levels(x)
        return x + self.up(levels[-1].flatten(1), levels)
