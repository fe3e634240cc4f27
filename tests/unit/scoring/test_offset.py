"""How far a picture is shifted is found by the Gaussians that suit it."""

import pytest
import torch

from anogan.scoring.offset import Offset
from anogan.scoring.place_gaussian import PlaceGaussian, pool

GRID, FEATURES = (40, 28), 6  # patches; the Gaussians are 20 x 14, which may be shifted by 3 and 2


def patches(n, *, below=0, right=0, seed=0):
    """Return patches of pictures whose features depend on the place, shifted by so many: ``(n, h * w, FEATURES)``."""
    y, x = torch.meshgrid(torch.arange(GRID[0]) - below, torch.arange(GRID[1]) - right, indexing="ij")
    waves = [(y / 12).sin(), (y / 15).cos(), (x / 10).sin(), (x / 8).cos(), (y + x) / 20, (y - x) / 20]
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, GRID[0] * GRID[1], FEATURES, generator=generator)
    noise *= 1 + 0.3 * torch.rand(n, 1, 1, generator=generator)  # pictures differ
    return 6 * torch.stack(waves, dim=-1).flatten(0, 1) + noise


def everywhere(n):
    return torch.ones(n, 20 * 14, dtype=torch.bool)


@pytest.fixture(scope="module")
def gaussian():
    fitted = PlaceGaussian()
    fitted.fit(pool(patches(60), GRID), [])
    return fitted


def fitted(copies, known):
    """Return what shifted copies of eight pictures teach, ``known (8, 2)`` patches below and right."""
    compared, found = PlaceGaussian(), Offset()
    compared.fit(pool(patches(60), GRID)[:, found.compared(GRID)], [])
    found.fit(compared, pool(copies, GRID), torch.tensor(known) / torch.tensor(GRID), GRID)
    return found


@pytest.fixture(scope="module")
def offset(gaussian):
    found = fitted(patches(8, below=3, right=-2, seed=3), [[3.0, -2.0]] * 8)
    learned = pool(patches(60), GRID)
    found.fit_usual(gaussian, learned, gaussian.left_out(learned, GRID), GRID)
    return found


@pytest.mark.parametrize("shift", [(4, 0), (-5, 3), (1, -4), (3, -1)])
def test_a_shift_is_found_between_gaussians_too(gaussian, offset, shift):
    new = pool(patches(5, below=shift[0], right=shift[1], seed=1), GRID)
    found = offset(gaussian, new, everywhere(5), GRID) * torch.tensor(GRID)
    torch.testing.assert_close(found, torch.tensor([shift] * 5).to(found), rtol=0, atol=1)


def test_a_picture_in_its_place_stays(gaussian, offset):
    assert not offset(gaussian, pool(patches(20, seed=1), GRID), everywhere(20), GRID).any()


def test_defects_do_not_move_a_picture(gaussian, offset):
    new = patches(5, seed=1)
    new.unflatten(1, GRID)[:, 16:22, 10:16] += 5
    assert not offset(gaussian, pool(new, GRID), everywhere(5), GRID).any()
    noisy = new + 3 * torch.randn(new.shape, generator=torch.Generator().manual_seed(2))
    assert not offset(gaussian, pool(noisy, GRID), everywhere(5), GRID).any()


def test_what_is_not_inside_does_not_count(gaussian, offset):
    shifted = patches(2, below=4, seed=2)
    hidden, inside = shifted.clone(), everywhere(2)
    hidden.unflatten(1, GRID)[:, 16:24, 8:16] = 1000.0
    inside.unflatten(1, (20, 14))[:, 8:12, 4:8] = False
    found = [offset(gaussian, pool(each, GRID), inside, GRID) for each in (shifted, hidden)]
    torch.testing.assert_close(*found)
    assert (found[0][:, 0] * GRID[0] - 4).abs().max() < 1
    assert not offset(gaussian, pool(shifted, GRID), ~everywhere(2), GRID).any()


def test_shifts_that_are_not_recovered_are_not_searched():
    assert not fitted(patches(8, below=3, right=-2, seed=3), [[0.0, 4.0]] * 8).is_fitted


def test_small_pictures_are_not_compared():
    assert not len(Offset.compared((12, 12)))
    assert not len(Offset.compared((48, 12)))  # nothing is left beside the border
    assert len(Offset.compared((48, 20)))
