"""Gaussians of places: what they measure, what does not count, and what further pictures change."""

import pytest
import torch

from anogan.scoring.nearby import APART
from anogan.scoring.place_gaussian import POOLED, PlaceGaussian, pool
from anogan.scoring.tolerance import DEPTHS, Levels, moved_depths

GRID, FEATURES = (4, 5), 3
STILL = Levels(*torch.zeros(2, 1, 6, dtype=torch.int64))  # of pictures that no change affects


def patches(n, *, seed=0):
    """Return patches ``(n, 20, 3)`` that do not vary by more than one over the places."""
    return torch.randn(n, 20, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(normal, copies=None):
    gaussian = PlaceGaussian().double()
    none = normal[:0]
    gaussian.fit(
        *(pool(x, GRID) for x in (normal, *((none, none) if copies is None else (normal[: len(copies)], copies)))), GRID
    )
    return gaussian


def test_pools_hold_the_mean_of_their_places():
    x = patches(2)
    assert POOLED == 2
    assert pool(x, GRID).shape == (2, 6, FEATURES)
    torch.testing.assert_close(pool(x, GRID)[:, 0], x[:, [0, 1, 5, 6]].mean(1))
    torch.testing.assert_close(pool(x, GRID)[:, 2], x[:, [4, 9]].mean(1))  # fewer at the border


def test_the_returned_distances_are_those_of_new_normal_patches():
    x, new = pool(patches(60), GRID), pool(patches(500, seed=1), GRID)
    gaussian = PlaceGaussian().double()
    left_out = gaussian.fit(x, x[:0], x[:0], GRID)
    assert left_out.mean() == pytest.approx(float(gaussian(new, GRID, STILL).mean()), rel=0.05)


def test_a_direction_in_which_copies_differ_does_not_count():
    normal = patches(60)
    lit, unusual = normal[:1].clone(), normal[:1].clone()
    lit[..., 0] += 5
    unusual[..., 1] += 5
    copies = normal[:20].clone()
    copies[..., 0] += torch.linspace(-6, 6, 20, dtype=torch.float64)[:, None]
    gaussian = fitted(normal, copies)
    assert gaussian(pool(lit, GRID), GRID, STILL).mean() < 0.4 * gaussian(pool(unusual, GRID), GRID, STILL).mean()
    assert fitted(normal)(pool(lit, GRID), GRID, STILL).mean() == pytest.approx(
        float(fitted(normal)(pool(unusual, GRID), GRID, STILL).mean()), rel=0.3
    )


def test_learning_more_equals_learning_all_at_once_up_to_the_unit():
    x, new = patches(60), patches(30, seed=1)
    gaussian, whole = fitted(x[:40]), fitted(x)
    before = gaussian(pool(new, GRID), GRID, STILL).mean()
    whole._solve(whole._moments._replace(shrinkage=gaussian._moments.shrinkage))
    more = pool(x[40:], GRID)
    gaussian.learn_more(more, torch.ones(more.shape[:2], dtype=torch.bool), GRID)
    torch.testing.assert_close(gaussian.mean, whole.mean)
    torch.testing.assert_close(gaussian.whitening, whole.whitening)
    assert gaussian(pool(new, GRID), GRID, STILL).mean() == pytest.approx(
        float(before), rel=0.1
    )  # a threshold still holds


def test_distances_without_a_picture_are_those_of_a_fit_without_it():
    x = patches(12)
    without, whole = fitted(x[1:]), fitted(x)
    without._solve(without._moments._replace(shrinkage=whole._moments.shrinkage))
    found = whole._left_out(pool(x[:1], GRID), whole._moments, GRID)
    torch.testing.assert_close(found, without.distances(pool(x[:1], GRID), GRID), rtol=0.1, atol=0)


def test_a_patch_is_compared_with_the_nearest_gaussian_around_its_place():
    grid, pools, generator = (8, 10), (4, 5), torch.Generator().manual_seed(0)
    of_place = torch.randn(20, FEATURES, generator=generator)
    normal = of_place + 0.3 * torch.randn(300, 20, FEATURES, generator=generator)
    gaussian = PlaceGaussian()
    left_out = gaussian.fit(normal, normal[:0], normal[:0], grid)
    new = of_place + 0.3 * torch.randn(40, 20, FEATURES, generator=generator)
    every = torch.stack([((new - m) @ w).norm(dim=-1) for m, w in zip(gaussian.mean, gaussian.whitening, strict=True)])
    rows, columns = torch.arange(20) // pools[1], torch.arange(20) % pools[1]
    around = torch.tensor([0, APART])
    near = torch.isin((rows[:, None] - rows).abs(), around) & torch.isin((columns[:, None] - columns).abs(), around)
    least = torch.where(near[:, None], every, torch.inf).amin(0)
    torch.testing.assert_close(gaussian.distances(new, grid), least)
    assert float(left_out.mean()) == pytest.approx(float(least.mean()), rel=0.03)
    moved = new.view(40, *pools, FEATURES).roll(APART, dims=2).flatten(1, 2)  # what lies within the grid is as usual
    inside = columns >= APART
    assert gaussian.distances(moved, grid)[:, inside].mean() < 1.05 * least[:, inside].mean()


def test_covariances_of_few_pictures_are_shrunk():
    shrinkages = []
    for pictures in (20, 100, 500):
        gaussian = PlaceGaussian().double()
        normal = patches(pictures) * torch.rand(20, FEATURES, generator=torch.Generator().manual_seed(1))
        gaussian.fit(*(pool(x, GRID) for x in (normal, normal[:0], normal[:0])), GRID)
        shrinkages.append(gaussian._moments.shrinkage)
    assert 1 >= shrinkages[0] > shrinkages[1] > shrinkages[2] >= 0


def test_what_differs_near_the_border_of_a_moved_picture_does_not_count():
    grid, normal = (30, 12), torch.randn(60, 360, FEATURES, generator=torch.Generator().manual_seed(0))
    copies = normal[:40].clone()
    copies[:, :, 0] += 4 * torch.randn(40, 360, generator=torch.Generator().manual_seed(1))
    shares = torch.tensor([[0.1, 0.0]]).expand(40, 2)
    gaussian = PlaceGaussian()
    gaussian.fit(*(pool(x, grid) for x in (normal, normal[:0], normal[:0])), grid)
    depths, still = moved_depths(shares, grid), torch.zeros(10, 90, dtype=torch.int64)
    gaussian.moved.fit(gaussian.differences(pool(normal[:40], grid), pool(copies, grid)), depths, DEPTHS)
    new = normal[50:].clone()
    new[:, :, 0] += 6
    levels = Levels(depths[:10], still)
    moved, unmoved = (gaussian(pool(new, grid), grid, each) for each in (levels, Levels(still, still)))
    near = gaussian.discounted(levels, grid)
    assert near[0].view(30, 12)[-4:].all()
    assert not near[0].view(30, 12)[0].any()
    assert moved[near].mean() < 0.7 * unmoved[near].mean()
    torch.testing.assert_close(moved[~near].mean(), unmoved[~near].mean(), rtol=0.2, atol=0)
    learned = gaussian.distances(pool(new, grid), grid)
    as_moved = learned.clone()
    gaussian.discount(as_moved, pool(new, grid), Levels(torch.cat([depths[:5], still[5:]]), still), grid)
    torch.testing.assert_close(gaussian.at_places(as_moved, grid)[:5], moved[:5])  # learned pictures as new ones
    assert torch.equal(as_moved[5:], learned[5:])
