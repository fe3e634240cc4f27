"""U-Net (Ronneberger 2015, arXiv:1505.04597): from image to image, with skips between equal resolutions."""

from typing import cast

import torch
from torch import Tensor, nn

from ..data.spec import SampleSpec
from .conv import Down, Up, init_dcgan, level_channels, level_sizes
from .ensemble import Members
from .layers import OutputRange
from .outputs import Hourglass, HourglassOutput


class UNet(nn.Module):
    """``(B, C + extra, H, W)``, and noise ``(B, noise_dim)`` if any -> `HourglassOutput`.

    Every doubling sees the encoder's activation of its own resolution. The coarsest level reaches the decoder half as
    it is, or through a code of ``bottleneck`` numbers; noise joins this code, or stands in for it.
    """

    def __init__(
        self,
        spec: SampleSpec,
        width: int,
        *,
        extra_channels: int,
        bottleneck: int | None,
        noise_dim: int,
        classes: int,
        bounded: bool,
    ) -> None:
        super().__init__()
        sizes = level_sizes(*spec.shape[1:])
        plan = level_channels(len(sizes) - 1, width)
        self.down = Down(spec.shape[0] + extra_channels, plan)
        self.coarse = (plan[-1], *sizes[-1])
        flat = plan[-1] * sizes[-1][0] * sizes[-1][1]
        outs = [*plan[-2::-1], spec.shape[0]]  # channels after each doubling, coarsest first
        self.ups = nn.ModuleList(
            Up(2 * a, b, size, last=i == len(outs) - 1)
            for i, (a, b, size) in enumerate(zip(plan[::-1], outs, sizes[-2::-1], strict=True))
        )
        code = (bottleneck or 0) + noise_dim
        self.squeeze = nn.Linear(flat, bottleneck) if bottleneck else None
        self.expand = nn.Linear(code, flat) if code else None
        self.head = nn.Linear(flat, classes) if classes else None
        self.range = OutputRange(spec) if bounded else nn.Identity()
        init_dcgan(self)

    def features(self, x: Tensor) -> Tensor:
        return self.down(x).flatten(1)  # (B, F)

    def classify(self, features: Tensor) -> Tensor:
        return features[:, :0] if self.head is None else self.head(features)

    def forward(self, x: Tensor, *noise: Tensor) -> HourglassOutput:
        levels = self.down.levels(x)  # finest first
        features = levels[-1].flatten(1)  # (B, F)
        h = features
        if self.expand is not None:
            code = noise if self.squeeze is None else (self.squeeze(features), *noise)
            h = self.expand(torch.cat(code, dim=1))
        h = h.relu().unflatten(1, self.coarse)
        for up, level in zip(self.ups, levels[::-1], strict=True):
            h = up(torch.cat([h, level], dim=1))
        return HourglassOutput(self.range(h), features, self.classify(features))


class UNets(Hourglass, Members):
    """A `UNet` for each member."""

    def features(self, x: Tensor) -> Tensor:
        return torch.stack([cast(UNet, net).features(x[k]) for k, net in enumerate(self.nets)])

    def classify(self, features: Tensor) -> Tensor:
        return torch.stack([cast(UNet, net).classify(features[k]) for k, net in enumerate(self.nets)])
