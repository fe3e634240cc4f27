"""U-Net (Ronneberger 2015, arXiv:1505.04597) as a generator from image to image."""

import torch
from torch import Tensor, nn

from ..data.spec import SampleSpec
from .dcgan import Down, Up, init_dcgan, level_channels, level_sizes
from .layers import OutputRange


class UNet(nn.Module):
    """``(B, C, H, W)`` -> ``(B, C, H, W)``: halving levels, a bottleneck vector, doubling levels with skips.

    Every doubling sees the encoder's activation of its own resolution; the bottleneck carries ``latent_dim``
    numbers for the whole picture.
    """

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int) -> None:
        super().__init__()
        sizes = level_sizes(*spec.shape[1:])
        plan = level_channels(len(sizes) - 1, width)
        self.down = Down(spec.shape[0], plan)
        self.coarse = (plan[-1], *sizes[-1])
        flat = plan[-1] * sizes[-1][0] * sizes[-1][1]
        self.squeeze = nn.Linear(flat, latent_dim)
        self.expand = nn.Linear(latent_dim, flat)
        outs = [*plan[-2::-1], spec.shape[0]]
        self.ups = nn.ModuleList(
            Up(2 * a, b, size, last=i == len(outs) - 1)
            for i, (a, b, size) in enumerate(zip(plan[::-1], outs, sizes[-2::-1], strict=True))
        )
        self.range = OutputRange(spec)
        init_dcgan(self)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.down.levels(x)  # finest first
        x = self.expand(self.squeeze(levels[-1].flatten(1))).relu().unflatten(1, self.coarse)
        for up, level in zip(self.ups, levels[::-1], strict=True):
            x = up(torch.cat([x, level], dim=1))
        return self.range(x)
