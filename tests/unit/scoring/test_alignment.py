"""Shifts of parts are found, at one angle and at any; good pictures and textures stay where they are."""

import pytest
import torch

from anogan.scoring.alignment import Alignment, moved

SIDE = 96


def turned_parts(n, *, seed=0):
    """Return grey pictures ``(n, 96, 96)`` of a key at any angle."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(n, 1, 1, generator=generator) * 6.2832
    y, x = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    along, across = y * angle.cos() + x * angle.sin(), x * angle.cos() - y * angle.sin()
    key = ((along.abs() < 30) & (across.abs() < 5)) | ((along - 24) ** 2 + across**2 < 12**2)
    return key.float() + 0.05 * torch.randn(n, SIDE, SIDE, generator=generator)


def test_shifts_of_parts_at_any_angle_are_found():
    alignment = Alignment()
    alignment.fit(turned_parts(120))
    assert len(alignment.templates) == 90  # the others showed whether shifts are found
    new = turned_parts(20, seed=1)[:, None]
    still = alignment.shifts(new)
    assert (still == 0).all(1).float().mean() > 0.7
    found = alignment.shifts(moved(new, torch.tensor([[8, -6]]).expand(20, 2)))
    assert (found + torch.tensor([8, -6])).abs().float().quantile(0.8) <= 2


@pytest.mark.parametrize("pictures", [4, 32, 64])
def test_textures_and_few_pictures_are_not_moved(pictures):
    textures = torch.rand(pictures, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    alignment = Alignment()
    alignment.fit(textures)
    assert not alignment.is_fitted
    assert not alignment.shifts(3 * textures[:, None]).any()
