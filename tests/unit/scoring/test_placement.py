"""The place of a part is found in its features, whatever its angle, and good pictures stay where they are."""

import torch

from anogan.scoring.placement import Placement

GRID = (24, 20)


def turned_parts(n, *, rows=0.0, columns=0.0, seed=0):
    """Return patches ``(n, 480, 2)`` of bars at any angle, whose centre is moved by so many places."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(n, 1, 1, generator=generator) * 3.1416
    y = torch.arange(24.0)[None, :, None] - 11.5 - rows
    x = torch.arange(20.0)[None, None] - 9.5 - columns
    along, across = y * angle.cos() + x * angle.sin(), x * angle.cos() - y * angle.sin()
    bar = ((along.abs() < 6) & (across.abs() < 2)).float()
    noise = 0.1 * torch.randn(n, 480, 2, generator=generator)
    return torch.stack([bar, along * bar / 6], dim=-1).flatten(1, 2) + noise


def test_shifts_of_turned_parts_are_found():
    placement = Placement()
    placement.fit(turned_parts(60), GRID)
    assert not placement(turned_parts(20, seed=1), GRID).any()
    found = placement(turned_parts(20, rows=3.0, columns=-2.0, seed=2), GRID) * torch.tensor(GRID)
    assert (found - torch.tensor([3.0, -2.0])).abs().median() < 0.5


def test_a_texture_and_a_single_place_are_not_moved():
    texture = torch.randn(40, 480, 40, generator=torch.Generator().manual_seed(0))
    placement = Placement()
    placement.fit(texture[:30], GRID)
    assert not placement(3 * texture[30:], GRID).any()
    placement.fit(texture[:30, :1], (1, 1))
    assert not placement(texture[30:, :1], (1, 1)).any()


def test_without_a_fit_nothing_may_be_moved():
    assert not Placement().is_fitted
