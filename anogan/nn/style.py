"""StyleGAN2's generator (Karras 2020, arXiv:1912.04958) for images of any size from 8x8 up."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from ..data.spec import SampleSpec
from ..seeding import randn
from .backbone import Decoder
from .conv import level_channels, level_sizes
from .dcgan import DCGAN
from .ensemble import Members
from .growing import Growing, enlarge
from .layers import SLOPE, BatchedLinear, OutputRange
from .mlp import Hidden

MAPPING_LAYERS = 2  # as in StyleGAN2-ADA for small images; the paper's 8 are for faces
MOMENTUM = 0.01  # of running means


def channels_of(sizes: list[tuple[int, int]], width: int) -> list[int]:
    """Return the channels of each level, coarsest first: ``width`` after one halving as in DCGAN, half at full size."""
    return [max(width // 2, 1), *level_channels(len(sizes) - 1, width)][::-1]


def activate(x: Tensor) -> Tensor:
    """Apply a leaky ReLU that approximately keeps the variance of a centred input."""
    return leaky_relu(x, SLOPE) * math.sqrt(2)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style, ``(B, in, H, W), (B, latent_dim)`` -> ``(B, out, H, W)``.

    Demodulation divides each output channel by the standard deviation that it would have for independent inputs of
    unit variance (eq. 3). Scaling the input and the output is equivalent to scaling the weights of each row, and takes
    one convolution for the batch instead of one for each row.
    """

    def __init__(self, in_channels: int, out_channels: int, latent_dim: int, kernel: int, *, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.weight.data.mul_((in_channels * kernel**2) ** -0.5)
        self.style = nn.Linear(latent_dim, in_channels)
        nn.init.normal_(self.style.weight, std=latent_dim**-0.5)
        nn.init.ones_(self.style.bias)
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w)  # (B, in)
        y = conv2d(x * style[:, :, None, None], self.weight, padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            variance = style.square() @ self.weight.square().sum((2, 3)).T  # (B, out)
            y = y * (variance + 1e-8).rsqrt()[:, :, None, None]
        return y


class StyledLayer(nn.Module):
    """Modulated convolution, noise, bias and activation.

    Leaving out the ``noise (B, 1, H, W)`` is equivalent to its mean.
    """

    def __init__(self, in_channels: int, out_channels: int, latent_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, latent_dim, 3, demodulate=True)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, size: tuple[int, int]) -> Tensor:
        y = self.conv(x, w)
        if y.shape[2:] != size:
            y = enlarge(y, size)  # after the convolution, which takes a quarter of the time before it
        if noise is not None:
            y = y + self.noise_strength * noise
        return activate(y + self.bias)


class ToImage(nn.Module):
    """An activation's contribution to the image: ``(B, c, H, W), (B, latent_dim)`` -> ``(B, C, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, latent_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, latent_dim, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x, w) + self.bias


class Synthesis(Growing):
    """From a learned constant, styled by w, to an image; each level adds a contribution (skip outputs, figure 7b).

    ``w (B, latent_dim)`` and a noise ``(B, 1, h, w)`` for each styled layer, or none -> ``(B, C, H, W)``.
    """

    def __init__(self, spec: SampleSpec, width: int, latent_dim: int) -> None:
        super().__init__(level_sizes(*spec.shape[1:]))
        plan = channels_of(self.sizes, width)
        self.constant = nn.Parameter(torch.randn(plan[0], *self.sizes[0]))
        self.first = nn.ModuleList(
            StyledLayer(a, b, latent_dim) for a, b in zip([plan[0], *plan[:-1]], plan, strict=True)
        )
        self.second = nn.ModuleList(StyledLayer(c, c, latent_dim) for c in plan)
        self.images = nn.ModuleList(ToImage(c, spec.shape[0], latent_dim) for c in plan)
        self.range = OutputRange(spec)

    def forward(self, w: Tensor, *noise: Tensor) -> Tensor:
        finest, alpha = self.finest()
        x = self.constant.expand(w.shape[0], -1, -1, -1)
        image = w.new_zeros(())
        for level, size in enumerate(self.sizes):
            if level:
                image = enlarge(image, size)
            if level > finest:
                continue
            first, second = noise[2 * level : 2 * level + 2] if noise else (None, None)
            x = self.first[level](x, w, first, size)
            x = self.second[level](x, w, second, size)
            contribution = self.images[level](x, w)
            image = image + (alpha * contribution if level == finest else contribution)
        return self.range(image)


class StyleDecoder(Decoder):
    """Mapping network z -> w and `Synthesis`; noise is drawn in training only, so that scores repeat."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, spec: SampleSpec, members: int, width: int, latent_dim: int) -> None:
        super().__init__()
        self.layers = Hidden(members, [latent_dim] * (MAPPING_LAYERS + 1))
        for layer in self.layers.modules():
            if isinstance(layer, BatchedLinear):
                nn.init.normal_(layer.weight, std=math.sqrt(2 / latent_dim))
                nn.init.zeros_(layer.bias)
        self.painters = Members(members, lambda: Synthesis(spec, width, latent_dim))
        self.sizes = level_sizes(*spec.shape[1:])[::-1]
        self.register_buffer("running_mean", torch.zeros(members, 1, latent_dim))  # of w
        self.register_buffer("running_var", torch.full((members, 1, 1), float(latent_dim)))  # mean |w - mean|^2

    def forward(self, z: Tensor) -> Tensor:
        return self.synthesis(self.mapping(z))

    def mapping(self, z: Tensor) -> Tensor:
        w = self.layers(z)
        if self.training:
            self.running_mean.lerp_(w.detach().mean(1, keepdim=True), MOMENTUM)
            distance = (w.detach() - self.running_mean).square().sum(-1, keepdim=True)  # (K, B, 1)
            self.running_var.lerp_(distance.mean(1, keepdim=True), MOMENTUM)
        return w

    def synthesis(self, w: Tensor) -> Tensor:
        noise = []
        if self.training:
            layers = [size for size in self.sizes for _ in range(2)]
            noise = [randn(*w.shape[:2], 1, *size, dtype=w.dtype, device=w.device) for size in layers]
        return self.painters(w, *noise)

    def centre(self) -> Tensor:
        return self.running_mean

    def radius(self, latent_dim: int) -> Tensor:
        return self.running_var.sqrt()


class Style(DCGAN):
    """StyleGAN2's generator; critics, encoders, patch critics and hourglasses are DCGAN's.

    Notes
    -----
    *Critics* are those of the baseline, with a gradient penalty, as in the first StyleGAN on its smaller data set
    (Karras 2019, arXiv:1812.04948). StyleGAN2's (residual, with the deviation among the pictures of a batch, the
    non-saturating loss and R1) takes four times as long, and its features tell anomalies apart less well: with AnoGAN
    AUROC on 3s, 4s and 5s of MNIST was 0.942, 0.965 and 0.938 after as much CPU time as gives 0.987, 0.980 and 0.983
    with the critic of the baseline.

    *Deviations from the paper*: weights start at their final scale instead of being rescaled at run time (equalised
    learning rate), which with Adam would make a training of a thousand steps ten times slower; two mapping layers, at
    the learning rate of the others, and z is not normalised; bilinear enlarging, after the convolution, instead of the
    binomial filter, and sizes that are not powers of two; the output range is that of the spec; no path length
    regularisation, no style mixing, no truncation. In eval mode there is no noise: scores repeat.
    """

    name = "style"
    has_mapping = True

    def decoder(self, latent_dim: int, *, growing: bool = False) -> Decoder:
        # The skip outputs make growing possible without further layers.
        return StyleDecoder(self.spec, self.members, self.width, latent_dim)
