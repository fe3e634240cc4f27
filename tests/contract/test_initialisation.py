"""How networks start; what the trainer does with them is checked by `anogan.testing`."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from anogan.nn.layers import BatchedLinear
from anogan.nn.mlp import MLPHourglass


def raw_weight(layer):
    """The weight before spectral normalisation."""
    return layer.parametrizations.weight.original if is_parametrized(layer) else layer.weight


def test_convolutions_start_as_dcgan_declares(vector_case):
    module, _ = vector_case.on("colour").module(width=32)
    convolutions = 0
    for key, layer in module.named_modules():
        if not any(True for _ in layer.parameters(recurse=False)) and not is_parametrized(layer):
            continue  # frozen and pretrained
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            weight, center = raw_weight(layer), 0.0
            convolutions += 1
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            weight, center = layer.weight, 1.0
        else:
            continue
        error = 0.02 / weight.numel() ** 0.5
        assert abs(weight.mean() - center) < 5 * error, key
        assert abs(weight.std() - 0.02) < 5 * error, key
        assert not layer.bias.any(), key
    assert convolutions or not any(isinstance(w, nn.Conv2d) and w.weight.requires_grad for w in module.modules())


def test_linear_layers_start_uniform_within_the_bound_of_torch(vector_case):
    module, _ = vector_case.module(width=64)
    seen = 0
    keeps_distances = {
        id(layer)
        for net in module.modules()
        if isinstance(net, MLPHourglass) and net.head is not None
        for layer in net.modules()
    }
    for name, layer in module.named_modules():
        if isinstance(layer, BatchedLinear) and id(layer) not in keeps_distances:
            raw = raw_weight(layer)
            bound = 1 / raw.shape[1] ** 0.5
            seen += 1
            assert raw.abs().max() <= bound, name
            if raw.numel() > 200:
                assert raw.abs().max() > 0.9 * bound, name
    assert seen
