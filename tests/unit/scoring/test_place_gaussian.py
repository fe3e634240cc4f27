"""Gaussians of places: what they measure, what does not count, and what further pictures change."""

import itertools

import pytest
import torch

from anogan.scoring.nearby import AREA
from anogan.scoring.place_gaussian import POOLED, PlaceGaussian, pool
from anogan.scoring.tolerance import MOST_SCALE, Levels, moved_depths

GRID, FEATURES = (4, 5), 3
STILL = Levels(*torch.zeros(2, 1, 6, dtype=torch.int64))  # of pictures that no change affects


def patches(n, *, seed=0):
    """Return patches ``(n, 20, 3)`` that do not vary by more than one over the places."""
    return torch.randn(n, 20, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(normal, copies=None):
    gaussian = PlaceGaussian().double()
    changes = [] if copies is None else [pool(copies - normal[: len(copies)], GRID)]
    gaussian.fit(pool(normal, GRID), changes)
    return gaussian


def everywhere(grid):
    """Say that all patches of a grid are inside."""
    return torch.ones(1, grid[0] * grid[1], dtype=torch.bool)


INSIDE = everywhere(GRID)


def test_pools_hold_the_mean_of_their_places():
    x = patches(2)
    assert POOLED == 2
    assert pool(x, GRID).shape == (2, 6, FEATURES)
    torch.testing.assert_close(pool(x, GRID)[:, 0], x[:, [0, 1, 5, 6]].mean(1))
    torch.testing.assert_close(pool(x, GRID)[:, 2], x[:, [4, 9]].mean(1))  # fewer at the border


def test_the_returned_distances_are_those_of_new_normal_patches():
    x, new = pool(patches(60), GRID), pool(patches(500, seed=1), GRID)
    gaussian = PlaceGaussian().double()
    gaussian.fit(x, [])
    left_out = gaussian.left_out(x, GRID)
    assert left_out.mean() == pytest.approx(float(gaussian(new, INSIDE, GRID, STILL).mean()), rel=0.05)


def test_a_direction_in_which_copies_differ_does_not_count():
    normal = patches(60)
    lit, unusual = normal[:1].clone(), normal[:1].clone()
    lit[..., 0] += 5
    unusual[..., 1] += 5
    copies = normal[:20].clone()
    copies[..., 0] += torch.linspace(-6, 6, 20, dtype=torch.float64)[:, None]
    gaussian = fitted(normal, copies)
    assert (
        gaussian(pool(lit, GRID), INSIDE, GRID, STILL).mean()
        < 0.4 * gaussian(pool(unusual, GRID), INSIDE, GRID, STILL).mean()
    )
    assert fitted(normal)(pool(lit, GRID), INSIDE, GRID, STILL).mean() == pytest.approx(
        float(fitted(normal)(pool(unusual, GRID), INSIDE, GRID, STILL).mean()), rel=0.3
    )


def test_learning_more_equals_learning_all_at_once_up_to_the_unit():
    x, new = patches(60), patches(30, seed=1)
    gaussian, whole = fitted(x[:40]), fitted(x)
    before = gaussian(pool(new, GRID), INSIDE, GRID, STILL).mean()
    whole._solve(whole._moments._replace(shrinkage=gaussian._moments.shrinkage))
    more = pool(x[40:], GRID)
    gaussian.learn_more(more, torch.ones(more.shape[:2], dtype=torch.bool), GRID)
    torch.testing.assert_close(gaussian.mean, whole.mean)
    torch.testing.assert_close(gaussian.whitening, whole.whitening)
    assert gaussian(pool(new, GRID), INSIDE, GRID, STILL).mean() == pytest.approx(
        float(before), rel=0.1
    )  # a threshold still holds


def test_distances_without_a_picture_are_those_of_a_fit_without_it():
    x = patches(12)
    without, whole = fitted(x[1:]), fitted(x)
    without._solve(without._moments._replace(shrinkage=whole._moments.shrinkage))
    found = whole.left_out(pool(x[:1], GRID), GRID)
    torch.testing.assert_close(found, without.distances(pool(x[:1], GRID), GRID), rtol=0.1, atol=0)


def test_an_area_is_compared_with_the_gaussians_of_its_place_or_of_those_beside_it():
    height, width = pools = (6, 7)
    grid, generator = (12, 14), torch.Generator().manual_seed(0)
    of_place = torch.randn(42, FEATURES, generator=generator)
    normal = of_place + 0.3 * torch.randn(300, 42, FEATURES, generator=generator)
    gaussian = PlaceGaussian()
    gaussian.fit(normal, [])
    left_out = gaussian.left_out(normal, grid)
    new = of_place + 0.3 * torch.randn(40, 42, FEATURES, generator=generator)
    moved = new.view(40, *pools, FEATURES).roll(1, dims=2).flatten(1, 2)
    every = torch.stack(
        [((moved - m) @ w).norm(dim=-1) for m, w in zip(gaussian.mean, gaussian.whitening, strict=True)]
    )
    every = every.view(height, width, 40, height, width)
    at = torch.arange(height)[:, None], torch.arange(width)
    candidates = []
    for up, left in itertools.product((0, -1, 1), repeat=2):
        row, column = (at[0] + up).clamp(0, height - 1), (at[1] + left).clamp(0, width - 1)
        candidates.append(every[row, column, :, at[0], at[1]])  # (h, w, 40)
    candidates = torch.stack(candidates)
    for row, column in ((0, 0), (2, 3), (5, 1)):
        reach = AREA // 2
        area = candidates[:, max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        best = area.mean((1, 2)).argmin(0)
        expected = candidates[:, row, column].gather(0, best[None])[0]
        torch.testing.assert_close(gaussian.distances(moved, grid)[:, row * width + column], expected)
    usual = gaussian.distances(new, grid)
    assert float(left_out.mean()) == pytest.approx(float(usual.mean()), rel=0.03)
    inside = torch.arange(42) % width >= AREA // 2 + 1  # an area there is moved as a whole
    assert gaussian.distances(moved, grid)[:, inside].mean() < 1.05 * usual[:, inside].mean()


def test_a_small_defect_is_not_compared_with_a_gaussian_that_it_happens_to_suit():
    grid, generator = (12, 14), torch.Generator().manual_seed(0)
    of_place = torch.randn(42, FEATURES, generator=generator)
    normal = of_place + 0.3 * torch.randn(300, 42, FEATURES, generator=generator)
    gaussian = PlaceGaussian()
    gaussian.fit(normal, [])
    defective = normal[:40].clone()
    defective[:, 17] = normal[:40, 18]  # what the place beside it shows
    here = gaussian.distances(defective, grid)[:, 17]
    torch.testing.assert_close(here, ((normal[:40, 18] - gaussian.mean[17]) @ gaussian.whitening[17]).norm(dim=-1))


def test_covariances_of_few_pictures_are_shrunk():
    shrinkages = []
    for pictures in (20, 100, 500):
        gaussian = PlaceGaussian().double()
        normal = patches(pictures) * torch.rand(20, FEATURES, generator=torch.Generator().manual_seed(1))
        gaussian.fit(pool(normal, GRID), [])
        shrinkages.append(gaussian._moments.shrinkage)
    assert 1 >= shrinkages[0] > shrinkages[1] > shrinkages[2] >= 0


def test_what_differs_near_the_border_of_a_moved_picture_does_not_count():
    grid, normal = (30, 12), torch.randn(60, 360, FEATURES, generator=torch.Generator().manual_seed(0))
    copies = normal[:40].clone()
    copies[:, :, 0] += 4 * torch.randn(40, 360, generator=torch.Generator().manual_seed(1))
    shares = torch.tensor([[0.1, 0.0]]).expand(40, 2)
    gaussian = PlaceGaussian()
    gaussian.fit(pool(normal, grid), [])
    depths, still = moved_depths(shares, grid), torch.zeros(10, 90, dtype=torch.int64)
    gaussian.fit_moved(pool(normal[:40], grid), pool(copies, grid), depths, grid)
    new = normal[50:].clone()
    new[:, :, 0] += 6
    levels = Levels(depths[:10], still)
    moved, unmoved = (
        gaussian(pool(new, grid), everywhere(grid), grid, each) for each in (levels, Levels(still, still))
    )
    near = gaussian.discounted(levels, grid)
    assert near[0].view(30, 12)[-4:].all()
    assert not near[0].view(30, 12)[0].any()
    assert moved[near].mean() < 0.7 * unmoved[near].mean()
    torch.testing.assert_close(moved[~near].mean(), unmoved[~near].mean(), rtol=0.2, atol=0)
    learned = gaussian.distances(pool(new, grid), grid)
    as_moved = learned.clone()
    gaussian.discount(as_moved, pool(new, grid), Levels(torch.cat([depths[:5], still[5:]]), still), grid)
    torch.testing.assert_close(
        gaussian.at_places(as_moved, everywhere(grid), grid)[:5], moved[:5]
    )  # learned pictures as new ones
    assert torch.equal(as_moved[5:], learned[5:])


def test_good_copies_are_as_far_as_good_pictures_though_a_few_differ_much_more():
    grid, generator = (30, 12), torch.Generator().manual_seed(0)

    def changed(x):
        """Add noise in one direction, ten times as strong at one place in thirty."""
        size = 1 + 9 * (torch.rand(x.shape[:2], generator=generator) < 1 / 30)
        copies = x.clone()
        copies[..., 0] += size * torch.randn(x.shape[:2], generator=generator)
        return copies

    normal = torch.randn(140, 90, FEATURES, generator=generator)
    gaussian = PlaceGaussian()
    gaussian.fit(normal[:60], [])
    levels = torch.ones(40, 90, dtype=torch.int64)
    gaussian.fit_moved(normal[:40], changed(normal[:40]), levels, grid)
    new, still = normal[100:], torch.zeros_like(levels)
    usual = gaussian(new, everywhere(grid), grid, Levels(still, still))
    brighter = changed(new)
    counted, undiscounted = (
        gaussian(brighter, everywhere(grid), grid, Levels(each, still)) for each in (levels, still)
    )
    high = [float(each.quantile(0.99)) for each in (usual, counted, undiscounted)]
    assert high[1] == pytest.approx(high[0], rel=0.15)
    assert high[2] > 2 * high[0]


def test_a_scale_of_what_hardly_varies_does_not_hide_defects():
    grid, generator = (30, 12), torch.Generator().manual_seed(0)
    normal = 1e-6 * torch.randn(40, 90, FEATURES, generator=generator)
    gaussian = PlaceGaussian()
    gaussian.fit(normal, [])
    levels = torch.ones(40, 90, dtype=torch.int64)
    gaussian.fit_moved(normal, normal + torch.randn(40, 90, FEATURES, generator=generator), levels, grid)
    assert 1 <= float(gaussian.moved.scale.max()) <= MOST_SCALE


def test_what_is_not_inside_does_not_change_what_lies_beside_it():
    grid, inside = (12, 12), torch.ones(2, 12, 12, dtype=torch.bool)
    inside[:, :, :6] = False
    distances = torch.full((2, 6, 6), 5.0)
    distances[1, :, :3] = 40.0  # of what a mask hides
    found = PlaceGaussian.at_places(distances.flatten(1), inside.flatten(1), grid)
    torch.testing.assert_close(found[inside.flatten(1)], torch.full((144,), 5.0))
