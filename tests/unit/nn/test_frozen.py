"""The pretrained network: frozen, the same for every batch, and harmless to random numbers."""

import sys
import types

import pytest
import torch
from torch import nn

import anogan
from anogan.nn import frozen

RECORDED = -0.5081  # mean feature of an evenly light grey picture
PICTURES = torch.rand(3, 1, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def features():
    return anogan.pretrained("efficientnet_lite0")


def test_maps_lie_on_the_grid_of_stride_8(features):
    assert features(PICTURES).shape == (3, features.features, 8, 6)
    assert features(PICTURES[..., :8, :9]).shape[:2] == (3, features.features)  # small ones are enlarged


def test_nothing_of_it_can_be_trained(features):
    assert not list(features.parameters())
    features.train()
    assert not any(module.training for module in features.modules())


def test_a_picture_s_features_depend_on_no_other(features):
    torch.testing.assert_close(features(PICTURES)[:1], features(PICTURES[:1]), rtol=1e-4, atol=1e-4)


def test_grey_is_colour_with_equal_channels(features):
    torch.testing.assert_close(features(PICTURES), features(PICTURES.repeat(1, 3, 1, 1)))


def test_the_weights_are_those_that_were_learned(features):
    bright = features(torch.full((1, 1, 64, 64), 0.5)).mean()
    assert float(bright) == pytest.approx(RECORDED, abs=1e-3)


def test_building_it_draws_no_random_number():
    frozen._weights_of_lite0.cache_clear()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    anogan.pretrained("efficientnet_lite0")
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_network_is_refused():
    with pytest.raises(anogan.InputError, match="Unknown features 'resnet'"):
        anogan.pretrained("resnet")


def test_without_timm_its_networks_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(anogan.InputError, match="pip install timm"):
        anogan.pretrained("timm:resnet18")


def test_a_network_of_timm_gives_its_maps_of_stride_8_and_16(monkeypatch):
    """A stand-in with timm's interface: timm itself needs torchvision, which not every machine has."""

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.default_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
            self.feature_info = types.SimpleNamespace(reduction=lambda: [4, 8, 16], channels=lambda: [3, 3, 3])

        def forward(self, x):
            return [nn.functional.avg_pool2d(x, stride) for stride in (4, 8, 16)]

    def create_model(name, pretrained, features_only):
        assert (name, pretrained, features_only) == ("pyramid", True, True)
        return Pyramid()

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))
    features = anogan.pretrained("timm:pyramid")
    maps = features(torch.full((1, 3, 32, 32), 0.5))
    assert maps.shape == (1, 6, 4, 4) == (1, features.features, 4, 4)
    torch.testing.assert_close(maps, torch.full_like(maps, 1.0))  # grey 0.75 in units of mean 0.5 and deviation 0.25
