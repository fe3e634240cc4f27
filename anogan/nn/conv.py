"""Strided and transposed convolutions in levels of halved resolution, shared by the networks for images."""

from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm

from .layers import SLOPE

COARSEST = 4  # pixels; halving stops once the shorter side is at most this
MOST_CHANNELS = 8  # times the width


def init_dcgan(module: nn.Module) -> None:
    """Draw weights of convolutions from N(0, 0.02) and of normalisations from N(1, 0.02) (Radford 2015, section 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes from full resolution down, each half of the previous one, rounded up: ``[(H, W), ...]``."""
    sizes = [(height, width)]
    while min(sizes[-1]) > COARSEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def level_channels(levels: int, width: int) -> list[int]:
    """Return the channels of each halved level: ``width``, then doubled, at most `MOST_CHANNELS` times ``width``."""
    return [width * min(2**i, MOST_CHANNELS) for i in range(levels)]


class Down(nn.Module):
    """Strided convolutions to the coarsest level: ``(B, C, H, W)`` -> ``(B, c, h, w)``.

    Layer norm over channels and pixels replaces DCGAN's batch norm, which would make a row's score, and a critic's
    gradient penalty, depend on the other rows.
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
        """Return the activation after each halving, finest first."""
        outputs = []
        for number in range(len(self.convs)):
            x = self.halve(number, x)
            outputs.append(x)
        return outputs

    def halve(self, number: int, x: Tensor) -> Tensor:
        """Apply the ``number``-th halving alone."""
        pad = (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)  # odd sizes are halved upwards
        return leaky_relu(self.norms[number](self.convs[number](nn.functional.pad(x, pad))), SLOPE)


class Up(nn.Module):
    """A transposed convolution that doubles the resolution and crops to the given size."""

    def __init__(self, in_channels: int, out_channels: int, size: tuple[int, int], *, last: bool) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.norm = nn.Identity() if last else nn.BatchNorm2d(out_channels)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)[..., : self.size[0], : self.size[1]])
        return x if self.last else x.relu()
