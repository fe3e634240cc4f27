"""Gaussians of places: what they measure, what does not count, and what further pictures change."""

import pytest
import torch

from anogan.scoring.place_gaussian import POOLED, PlaceGaussian, pool

GRID, FEATURES = (4, 5), 3


def patches(n, *, seed=0):
    """Return patches ``(n, 20, 3)`` that do not vary by more than one over the places."""
    return torch.randn(n, 20, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(normal, copies=None):
    gaussian = PlaceGaussian().double()
    none = normal[:0]
    gaussian.fit(normal, GRID, none if copies is None else normal[: len(copies)], none if copies is None else copies)
    return gaussian


def test_pools_hold_the_mean_of_their_places():
    x = patches(2)
    assert POOLED == 2
    assert pool(x, GRID).shape == (2, 6, FEATURES)
    torch.testing.assert_close(pool(x, GRID)[:, 0], x[:, [0, 1, 5, 6]].mean(1))
    torch.testing.assert_close(pool(x, GRID)[:, 2], x[:, [4, 9]].mean(1))  # fewer at the border


def test_new_normal_patches_have_a_mean_distance_of_one():
    assert fitted(patches(60))(patches(500, seed=1), GRID).mean() == pytest.approx(1, abs=0.05)


def test_a_direction_in_which_copies_differ_does_not_count():
    normal = patches(60)
    lit, unusual = normal[:1].clone(), normal[:1].clone()
    lit[..., 0] += 5
    unusual[..., 1] += 5
    copies = normal[:20].clone()
    copies[..., 0] += torch.linspace(-6, 6, 20, dtype=torch.float64)[:, None]
    gaussian = fitted(normal, copies)
    assert gaussian(lit, GRID).mean() < 0.4 * gaussian(unusual, GRID).mean()
    assert fitted(normal)(lit, GRID).mean() == pytest.approx(float(fitted(normal)(unusual, GRID).mean()), rel=0.3)


def test_learning_more_equals_learning_all_at_once_up_to_the_unit():
    x, new = patches(60), patches(30, seed=1)
    gaussian, whole = fitted(x[:40]), fitted(x)
    before = gaussian(new, GRID).mean()
    gaussian.learn_more(x[40:], GRID)
    torch.testing.assert_close(gaussian.mean, whole.mean)
    torch.testing.assert_close(gaussian.whitening, whole.whitening)
    assert gaussian(new, GRID).mean() == pytest.approx(float(before), rel=0.1)  # a threshold still holds


def test_distances_without_a_picture_are_those_of_a_fit_without_it():
    x = patches(12)
    without = fitted(x[1:])
    whole = fitted(x)
    torch.testing.assert_close(
        whole._left_out(pool(x[:1], GRID)), without._distances(pool(x[:1], GRID)), rtol=0.03, atol=0
    )


@pytest.mark.parametrize(("pictures", "share"), [(2, 0.0), (4, 0.25), (6, 0.5), (20, 0.5)])
def test_the_share_grows_with_the_number_of_pictures(pictures, share):
    gaussian = PlaceGaussian()
    patches = torch.randn(pictures, 4, 4)
    gaussian.fit(patches, (2, 2), patches[:0], patches[:0])
    assert gaussian.share == share
