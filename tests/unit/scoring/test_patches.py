"""Scores of samples from scores of patches."""

import torch
from torch.nn.functional import avg_pool2d

from anogan.scoring.patches import sharpened

GRID = 12, 9


def everywhere() -> torch.Tensor:
    return torch.ones(1, GRID[0] * GRID[1], dtype=torch.bool)


def test_what_is_equally_unusual_everywhere_stays_as_it_is():
    distances = torch.full((1, GRID[0] * GRID[1]), 1.7)
    torch.testing.assert_close(sharpened(distances, everywhere(), GRID), distances)
    single = torch.tensor([[0.3], [2.9]])  # vectors have one patch
    assert sharpened(single, torch.ones_like(single, dtype=torch.bool), (1, 1)).equal(single)


def test_a_blurred_defect_becomes_sharper():
    true = torch.ones(1, 1, *GRID)
    true[0, 0, 6, 4] = 10
    once = avg_pool2d(true, 3, stride=1, padding=1, count_include_pad=False)
    blurred = avg_pool2d(once, 3, stride=1, padding=1, count_include_pad=False)
    found = sharpened(blurred.flatten(1), everywhere(), GRID).view_as(true)
    assert found[0, 0, 6, 4] > blurred[0, 0, 6, 4]
    assert (found - true).square().sum() < (blurred - true).square().sum()


def test_patches_that_are_not_inside_do_not_count():
    inside = everywhere().view(GRID)
    inside[:, :4] = False
    distances = torch.rand(1, GRID[0] * GRID[1], generator=torch.Generator().manual_seed(0)) + 1
    found = sharpened(distances, inside.view(1, -1), GRID)
    other = torch.where(inside.view(1, -1), distances, 100.0)
    assert sharpened(other, inside.view(1, -1), GRID).equal(found)
    assert not found[~inside.view(1, -1)].any()
    alone = sharpened(distances.view(GRID)[:, 4:].reshape(1, -1), everywhere()[:, : GRID[0] * 5], (GRID[0], 5))
    torch.testing.assert_close(found.view(GRID)[:, 4:].reshape(1, -1), alone)
