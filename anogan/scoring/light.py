"""Light of pictures: brought back to that of the good ones, and what is saturated since there is too much of it."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d, interpolate

from ..nn.layers import reduce_axis
from .branches import changed_if, either
from .copies import spread_evenly
from .feature_distance import LearnedBuffers

QUANTILES = tuple(step / 10 for step in range(1, 10))  # of the brightness of pixels
UNSATURATED = (0.02, 0.98)  # brightness of quantiles that follow the light
GREATEST_GAIN = 2.0
LIGHT = 0.25  # greatest change of light of a copy, as a logarithm
OVEREXPOSED = 0.4  # greatest gain of an overexposed copy, as a logarithm
PIXELS = 2**14  # of a picture that its quantiles are computed from
REACHED = 0.95  # quantile over good pictures of the greatest brightness in a cell of the grid, and of saturated shares
SPOT = 0.01  # of a picture: what is saturated beyond good pictures and may be a defect, as large as what a score counts
SIDE = 48  # of the grid on which it is learned what good pictures may saturate


class Light(LearnedBuffers):
    """Scales the brightness of pictures back into the range of the good ones.

    The gain is the median, over the quantiles of a picture's brightness that are neither black nor saturated, of what
    brings the quantile back to the range that it has among good pictures. It is one for a picture within all of them.
    """

    learned: ClassVar = {"least": ("q",), "greatest": ("q",)}
    least: Tensor  # of each quantile among good pictures
    greatest: Tensor

    def fit(self, quantiles: Tensor) -> None:
        """Learn from the quantiles ``(n, q)`` of good pictures."""
        self.least, self.greatest = quantiles.amin(0), quantiles.amax(0)

    def forward(self, x: Tensor, quantiles: Tensor) -> Tensor:
        """Return pictures x with the `brightness_quantiles` ``(B, q)`` in the light of the good ones."""
        gains = quantiles.clamp(self.least, self.greatest) / quantiles.clamp_min(UNSATURATED[0])
        gain = median_gain(gains, quantiles).clamp(1 / GREATEST_GAIN, GREATEST_GAIN).view(-1, 1, 1, 1)
        return changed_if((gain != 1).any(), lambda x: torch.where(gain == 1, x, (x + 1) * gain - 1), x)


class Overexposure(LearnedBuffers):
    """Tells which saturated pixels too much light explains.

    There more is saturated than in good pictures, and what the place shows in bright ones of them would be saturated in
    the light of the picture. In all, `SPOT` more of the picture is saturated than in nearly all good ones: a smaller
    white spot in usual light is not explained, even among highlights.
    """

    learned: ClassVar = {"typical": ("q",), "usual": ("h", "w"), "reached": ("h", "w"), "most": (1,)}
    typical: Tensor  # median quantiles of good pictures' brightness
    usual: Tensor  # share of the pixels that are saturated in good pictures
    reached: Tensor  # brightness of bright good pictures, if they had typical light
    most: Tensor  # share of pixels that are saturated in nearly all good pictures, at most

    def fit(self, quantiles: Tensor, usual: Tensor, brightness: Tensor) -> None:
        """Learn from good pictures' quantiles ``(n, q)`` and what `on_grid` returns for them, ``(n, h, w)`` each."""
        self.typical = quantiles.nan_to_num(0.0).median(0).values
        self.usual = usual.mean(0)
        in_typical_light = brightness / self._gain(quantiles)[:, None, None]
        self.reached = in_typical_light.quantile(REACHED, dim=0)
        self.most = usual.mean((1, 2)).quantile(REACHED).reshape(1)

    def forward(self, saturated: Tensor, quantiles: Tensor) -> Tensor:
        """Return by how much the share of explained saturated pixels exceeds the usual one: ``(B, 1, H, W)``.

        ``saturated (B, 1, H, W)`` is one or zero for each pixel; ``quantiles (B, q)`` are the picture's.
        """
        more = saturated.mean((1, 2, 3), keepdim=True) > self.most + SPOT
        return either(more.any(), lambda x: self._explained(x, quantiles, more), torch.zeros_like, saturated)

    def _explained(self, saturated: Tensor, quantiles: Tensor, more: Tensor) -> Tensor:
        usual, reached = (
            interpolate(each[None, None], size=saturated.shape[2:], mode="nearest")
            for each in (self.usual, self.reached)
        )
        explained = reached * self._gain(quantiles)[:, None, None, None] > UNSATURATED[1]
        return torch.where(explained & more, saturated - usual, 0.0)

    def _gain(self, quantiles: Tensor) -> Tensor:
        # What is black in typical light tells no gain.
        telling = torch.where(self.typical > UNSATURATED[0], quantiles, 0.0)
        return median_gain(quantiles / self.typical.clamp_min(UNSATURATED[0]), telling)

    @staticmethod
    def on_grid(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the share of saturated pixels and the greatest brightness in each cell of a grid: ``(B, h, w)`` each.

        Pictures are ``(B, C, H, W)`` in [-1, 1], with NaN.
        """
        height, width = (min(side, SIDE) for side in x.shape[-2:])
        brightness = (x.nan_to_num(-1.0).amax(1, keepdim=True) + 1) / 2
        return (
            adaptive_avg_pool2d(saturated(x), (height, width))[:, 0],
            adaptive_max_pool2d(brightness, (height, width))[:, 0],
        )


def median_gain(gains: Tensor, quantiles: Tensor) -> Tensor:
    """Return the median of ``gains (B, q)`` over the quantiles that follow the light, or one: ``(B,)``."""
    follows = (quantiles > UNSATURATED[0]) & (quantiles < UNSATURATED[1])
    ordered = gains.masked_fill(~follows, torch.inf).sort(dim=1).values
    count = follows.sum(1, keepdim=True)
    median = ordered.gather(1, (count - 1).clamp_min(0) // 2)  # the lower one of an even number
    return torch.where(count > 0, median, 1.0)[:, 0]


def relit(x: Tensor, first: int) -> Tensor:
    """Return pictures ``(B, C, H, W)`` in [-1, 1] in light that is brighter or darker.

    The number of the ``first`` one, among all that are copied, says where the sequence of gains, which spreads evenly,
    goes on.
    """
    return _multiplied(x, LIGHT * (2 * spread_evenly(len(x), first, x) - 1))


def overexposed(x: Tensor, first: int) -> Tensor:
    """Return pictures ``(B, C, H, W)`` in [-1, 1] in light that is brighter; see `relit`."""
    return _multiplied(x, OVEREXPOSED * spread_evenly(len(x), first, x))


def saturated(x: Tensor) -> Tensor:
    """Return one where a channel of pictures ``(B, C, H, W)`` in [-1, 1], with NaN, is saturated: ``(B, 1, H, W)``."""
    return reduce_axis(torch.any, x > 2 * UNSATURATED[1] - 1, 1, keepdim=True).to(x.dtype)


def brightness_quantiles(x: Tensor) -> Tensor:
    """Return the `QUANTILES` of the brightness, from 0 to 1, of pictures in [-1, 1] with NaN: ``(B, q)``."""
    step = max(1, round((x[0].numel() / PIXELS) ** 0.5))
    brightness = (x[..., ::step, ::step].flatten(1) + 1) / 2
    missing = brightness.isnan()
    ordered = brightness.masked_fill(missing, torch.inf).sort(dim=1).values  # a graph has no quantiles
    last = (~missing).sum(1, keepdim=True) - 1
    rank = (brightness.new_tensor(QUANTILES) * last).clamp_min(0)
    below, above = (ordered.gather(1, place.long()) for place in (rank.floor(), rank.ceil()))
    return torch.where(last < 0, torch.nan, torch.lerp(below, above, rank - rank.floor()))


def _multiplied(x: Tensor, logarithms: Tensor) -> Tensor:
    return ((x + 1) * logarithms.exp()[:, None, None, None]).clamp(0, 2) - 1
