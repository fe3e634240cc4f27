"""Pretrained networks as frozen extractors of feature maps."""

from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

from ..errors import InputError
from .efficientnet import efficientnet_lite, features_of
from .patches import PatchFeatures

# Bounds the activations in memory. On CPU no tensor may exceed what malloc keeps (32 MiB): page faults took half of the
# time with 16 images of 256x256 pixels, and none with 2. Of smaller ones more at once take down to a third of the time;
# from 16 on, oneDNN multiplies in another order, and the maps of an image would depend on how many there are.
IMAGES_AT_ONCE, IMAGES_AT_ONCE_ON_CPU, PIXELS_AT_ONCE_ON_CPU = 32, (2, 8), 2 * 256**2
SHOWN_CHANNELS = (1, 3)  # grey, colour
LEAST_SIDE = 32  # pixels; smaller images are enlarged, so that the deepest map has at least one place


class FeatureMaps(PatchFeatures):
    """Feature maps of several depths on one grid: ``(B, C, H, W)`` in [-1, 1] -> ``(B, F, h, w)``.

    Each map is averaged over 3x3 places, so that a patch includes its surroundings (Roth 2022, arXiv:2106.08265,
    section 3.1), and resized to the grid of the first map. Images with one channel are treated as grey.

    Parameters
    ----------
    network : Module
        ``(B, C, H, W)``, with one channel or three -> maps ``(B, c, h, w)``, the finest first.
    features : int
        F, the number of channels of all maps together.
    """

    def __init__(self, network: nn.Module, features: int) -> None:
        super().__init__()
        self.network = frozen(network)
        self.features = features
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: batch norms are frozen too."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(list(self._parts(x)))

    def pooled(self, x: Tensor) -> Tensor:
        """Average over all places: ``(B, C, H, W)`` -> ``(B, F)``."""
        return torch.cat([maps.mean((2, 3)) for maps in self._parts(x)])

    def _parts(self, x: Tensor) -> Iterator[Tensor]:
        if torch.compiler.is_exporting():  # a graph takes batches of any length, so they cannot be split here
            return iter([self._of(x)])
        at_once = IMAGES_AT_ONCE
        if x.device.type == "cpu":
            fewest, most = IMAGES_AT_ONCE_ON_CPU
            at_once = min(max(PIXELS_AT_ONCE_ON_CPU // (x.shape[-2] * x.shape[-1]), fewest), most)
        return (self._of(part) for part in x.split(at_once))

    def _of(self, x: Tensor) -> Tensor:
        if x.shape[1] not in SHOWN_CHANNELS:
            raise InputError(f"X has pictures of {x.shape[1]} channels; the pretrained network sees 1 or 3.")
        if min(x.shape[-2:]) < LEAST_SIDE:
            x = interpolate(x, scale_factor=LEAST_SIDE / min(x.shape[-2:]), mode="bilinear", align_corners=False)
        if not torch.compiler.is_exporting():  # where one channel is enough; torch takes channels last only with three
            x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        maps = [avg_pool2d(m, 3, stride=1, padding=1, count_include_pad=False) for m in self.network(x)]
        grid = (maps[0].shape[-2], maps[0].shape[-1])
        return torch.cat([m if m.shape[-2:] == grid else _resized(m, grid) for m in maps], dim=1)

    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        maps = _interpolated(distances[:, None], (shape[1], shape[2]), "bicubic").clamp_min(0)
        return maps.expand(-1, *shape) / shape[0]


class Several(nn.Module):
    """The maps of several networks, those of the first network first."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [maps for network in self.networks for maps in network(x)]


def _lite(*numbers: int) -> tuple[Callable[[], nn.Module], int]:
    """Return what builds EfficientNet-Lite networks of these numbers, and their features."""

    def build() -> nn.Module:
        networks = [efficientnet_lite(number) for number in numbers]
        return networks[0] if len(networks) == 1 else Several(*networks)

    return build, sum(map(features_of, numbers))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "efficientnet_lite0": _lite(0),
    "efficientnet_lite1": _lite(1),
    "efficientnet_lite2": _lite(2),
    "efficientnet_lite0_lite2": _lite(0, 2),
}
"""The networks by name, with the number of their features. What a model file names is built only if it is here."""


def pretrained(name: str) -> FeatureMaps:
    """Return the extractor of this name, one of `NETWORKS`.

    Its weights come from an installed package. On the meta device it has none: those of a model file are put in.

    Raises
    ------
    InputError
        There is no such network.
    """
    if name not in NETWORKS:
        raise InputError(f"Unknown features {name!r}; there are {', '.join(NETWORKS)}.")
    network, features = NETWORKS[name]
    return FeatureMaps(network(), features)


def frozen(network: nn.Module) -> nn.Module:
    """Turn the network's parameters into buffers, so that no optimiser, average or penalty includes them."""
    for module in network.modules():
        for name, weight in list(module._parameters.items()):
            del module._parameters[name]
            module.register_buffer(name, None if weight is None else weight.detach())
    return network


def _interpolated(maps: Tensor, grid: tuple[int, int], mode: str) -> Tensor:
    """Interpolate maps ``(B, C, h, w)`` to the height and width of a grid."""
    if not torch.compiler.is_exporting():
        return interpolate(maps, size=grid, mode=mode, align_corners=False)
    # ONNX Runtime takes several times as long for it as for these products, which have the same result.
    rows, columns = (_weights(*sides, mode).to(maps) for sides in zip(maps.shape[-2:], grid, strict=True))
    return rows @ (maps @ columns.mT)


def _weights(places: int, pixels: int, mode: str) -> Tensor:
    """Return the weight of each place along a side for each pixel: ``(pixels, places)``."""
    return interpolate(torch.eye(places)[None, None], size=(pixels, places), mode=mode, align_corners=False)[0, 0]


def _resized(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    if maps.shape[-2] > grid[0]:
        return adaptive_avg_pool2d(maps, grid)
    return _interpolated(maps, grid, "bilinear")
