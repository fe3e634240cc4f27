"""The pretrained network: frozen, the same for every batch, and harmless to random numbers."""

import pytest
import torch

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
