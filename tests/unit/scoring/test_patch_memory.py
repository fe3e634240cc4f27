"""Places, cells, whitening by place, and the coreset of each cell."""

import pytest
import torch

from anogan.scoring.patch_memory import LocalWhitening, PatchMemoryBank, cells, k_center_greedy
from anogan.scoring.principal import Projection


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (4, 5), (48, 48)])
@pytest.mark.parametrize("margin", [0, 1])
def test_every_place_is_in_a_cell(grid, margin):
    places = cells(grid, margin)
    assert set(places.flatten().tolist()) == set(range(grid[0] * grid[1]))


def test_a_cell_holds_neighbours():
    assert cells((6, 6))[3].tolist() == [21, 22, 23, 27, 28, 29, 33, 34, 35]
    assert cells((4, 3))[1].tolist() == [9, 10, 11] * 3  # the border's places again
    assert set(cells((6, 6), margin=1)[0].tolist()) == {6 * i + j for i in range(4) for j in range(4)}


def correlated(pictures, grid=(4, 5), features=3):
    """Patches whose mean depends on the place and whose covariance depends on the cell."""
    generator = torch.Generator().manual_seed(0)
    places = grid[0] * grid[1]
    noise = torch.randn(pictures, places, features, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(4, features, features, generator=generator, dtype=torch.float64))
    mix = turn * torch.tensor([1.0, 0.8, 0.6], dtype=torch.float64)[:, None]
    patches = torch.empty_like(noise)
    for number, inside in enumerate(cells(grid)):
        patches[:, inside] = noise[:, inside] @ mix[number]
    return patches + torch.randn(places, features, generator=generator, dtype=torch.float64)


def test_whitened_patches_have_zero_mean_at_each_place_and_unit_covariance_in_each_cell():
    patches, grid = correlated(2000), (4, 5)
    whitening = LocalWhitening().double()
    whitening.fit(patches, grid)
    white = whitening(patches, grid)
    assert white.mean(0).abs().max() < 1e-9
    for inside in cells(grid):
        covariance = torch.cov(white[:, inside.unique()].flatten(0, 1).mT)
        assert (covariance - torch.eye(3)).abs().max() < 0.25  # shrinkage keeps directions of little variance below one
        assert covariance.diagonal().max() < 1.01


def test_patches_that_are_left_out_of_the_whitening_are_as_long_as_without_their_image():
    patches, grid = correlated(12), (4, 5)
    whitening, without = LocalWhitening().double(), LocalWhitening().double()
    whitening.fit(patches, grid)
    known = whitening(patches, grid)
    left_out = whitening.left_out(known, grid, len(patches))
    new = torch.empty_like(known)
    for number in range(len(patches)):
        without.fit(patches, grid, torch.tensor([other for other in range(len(patches)) if other != number]))
        new[number] = without(patches[number : number + 1], grid)[0]
    lengths = [float(torch.linalg.vector_norm(white, dim=-1).mean()) for white in (known, left_out, new)]
    assert lengths[0] < 0.92 * lengths[2]
    assert lengths[1] == pytest.approx(lengths[2], rel=0.01)


def test_left_out_patches_are_finite_where_all_places_of_a_cell_are_the_same():
    rows = torch.randn(20_000, 1, 8, generator=torch.Generator().manual_seed(0))
    assert LocalWhitening.left_out(rows, (1, 1), 240).isfinite().all()


def test_patches_of_an_image_that_is_left_out_do_not_count():
    patches = torch.tensor([[0.0, 0.1], [1.0, 1.2], [5.0, 5.3]])[..., None]
    memory_bank = PatchMemoryBank(10)
    images = memory_bank.fit(patches, (1, 2), lambda rows: rows)
    own = images == torch.arange(3)[:, None, None]
    assert memory_bank(patches, (1, 2))[2].tolist() == pytest.approx([0.3, 0.3], rel=1e-2)
    assert memory_bank(patches, (1, 2), own)[2].tolist() == pytest.approx([3.8, 4.1], rel=1e-2)


def test_a_patch_is_compared_with_its_own_surroundings_alone():
    grid = (9, 9)
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(6, 81, 2, generator=generator) * 0.01
    patches[:, 80] += 1.0  # what is normal in the last corner
    memory_bank = PatchMemoryBank(200)
    memory_bank.fit(patches, grid, lambda rows: rows)
    row = patches[:1].clone()
    row[0, 0] = row[0, 80]  # seen before, but not in the first corner
    distances = memory_bank(row, grid)[0]
    assert distances[0] > 0.9
    assert distances[80] < 0.1


def test_a_patch_does_not_count_as_its_own_neighbour():
    patches = torch.tensor([0.0, 1.0, 3.0, 7.0])[:, None, None] + 100
    memory_bank = PatchMemoryBank(10)
    memory_bank.fit(patches, (1, 1), lambda rows: rows - 100)
    assert memory_bank(patches - 100, (1, 1))[:, 0].tolist() == pytest.approx([1, 1, 2, 4], rel=1e-3)
    assert memory_bank(patches - 99.5, (1, 1))[:, 0].tolist() == pytest.approx([0.5, 0.5, 0.5, 0.5], rel=1e-3)


def test_the_coreset_keeps_the_rare_rows():
    rows = torch.cat([torch.zeros(1000, 2), torch.tensor([[5.0, 0.0], [0.0, 7.0]])])
    assert k_center_greedy(rows + 1e-3 * torch.rand(1002, 2), 3).round().abs().sum(1).sort().values.tolist() == [
        0,
        5,
        7,
    ]
    assert len(k_center_greedy(rows, 2000)) == 1002


def test_projections_get_the_wanted_length():
    rows = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 7.0))
    projection = Projection(2)
    projection.fit(rows, 9.0)
    assert projection(rows).shape == (500, 2)
    assert projection(rows).square().sum(1).mean() == pytest.approx(9.0, rel=1e-5)
