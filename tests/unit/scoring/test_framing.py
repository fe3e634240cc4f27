"""Pictures are brought to the light and position of the good ones, and only what belongs to them counts."""

import pytest
import torch

from anogan.scoring.alignment import Alignment, grey, moved
from anogan.scoring.framing import SATURATED_SHARES, Filling, Framed, Framing, shifted, turned
from anogan.scoring.light import Light, brightness_quantiles

SIDE = 96


def parts(n, *, seed=0):
    """Return pictures of the same part, which differ by noise and light: ``(n, 1, SIDE, SIDE)`` in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    part = ((y - 40) ** 2 + (x - 50) ** 2 < 20**2).float() - ((y - 50).abs() + (x - 40).abs() < 9).float()
    light = 1 + 0.1 * torch.rand(n, 1, 1, 1, generator=generator)
    noise = 0.02 * torch.randn(n, 1, SIDE, SIDE, generator=generator)
    return ((0.3 + 0.4 * part + noise) * light * 2 - 1).clamp(-1, 1)


def textures(n, *, seed=0):
    return torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def framing():
    fitted = Framing()
    fitted.fit(parts(32).split(16))
    return fitted


def test_a_picture_moves_and_is_mirrored_at_its_border():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    assert moved(x, torch.tensor([[1, -1]])).squeeze().tolist() == [[4, 4, 5, 6], [8, 8, 9, 10], [8, 8, 9, 10]]
    assert moved(x, torch.tensor([[1, -1]]), 0.0).squeeze().tolist() == [[0, 4, 5, 6], [0, 8, 9, 10], [0, 0, 0, 0]]
    assert torch.equal(moved(x, torch.zeros(1, 2, dtype=torch.int64)), x)


@pytest.mark.parametrize("shift", [(9, -9), (-9, 4), (0, 8)])
def test_the_shift_of_a_part_is_found_and_undone(framing, shift):
    x = parts(8, seed=1)
    framed = framing(moved(x, -torch.tensor([shift]).expand(8, 2)))
    assert (framed.shifts - torch.tensor(shift)).abs().max() <= 1
    inner = (..., slice(20, 76), slice(20, 76))
    unaligned = (moved(x, -torch.tensor([shift]).expand(8, 2))[inner] - x[inner]).abs().mean()
    assert (framed.pictures[inner] - x[inner]).abs().mean() < unaligned / 3
    assert framed.inside.mean() < 1  # what came in from beyond the border does not count


def test_good_pictures_stay_as_they_are(framing):
    x = parts(32)
    framed = framing(x)
    assert not framed.shifts.any()
    assert framed.inside.all()
    torch.testing.assert_close(framed.pictures, x)


def test_textures_are_not_aligned():
    alignment = Alignment()
    alignment.fit(grey(textures(32), SIDE))
    assert not alignment.templates.numel()
    assert not alignment.shifts(textures(4, seed=1)).any()


@pytest.mark.parametrize("gain", [0.7, 1.25])
def test_light_is_brought_back_into_the_range_of_good_pictures(framing, gain):
    x = parts(8, seed=1)
    bright = ((x + 1) * gain - 1).clamp(-1, 1)
    ratio = (framing(bright).pictures + 1).mean() / (x + 1).mean()
    assert 0.9 < ratio < 1.1
    assert abs(ratio - 1) < abs(gain - 1) / 2


def test_a_dark_part_of_a_picture_does_not_change_its_light():
    light = Light()
    light.fit(brightness_quantiles(parts(32)))
    x = parts(4, seed=1)
    defective = x.clone()
    defective[..., 60:90, 60:90] = -0.9
    relit, expected = (light(each, brightness_quantiles(each))[..., :50, :50] for each in (defective, x))
    assert torch.equal(relit, expected)


def test_black_and_saturated_pictures_keep_their_light(framing):
    for value in (-1.0, 1.0):
        x = torch.full((1, 1, SIDE, SIDE), value)
        assert torch.equal(framing.light(x, brightness_quantiles(x)), x)


def test_too_much_light_explains_what_bright_places_saturate(framing):
    """The part has a brightness of about 0.7, and what surrounds it of 0.3."""
    x = parts(4, seed=1)
    assert not framing(x).overexposure((12, 12)).any()
    levels = framing(((x + 1) * 1.6 - 1).clamp(max=1)).overexposure((12, 12)).view(4, 6, 6)
    assert (levels[:, 2, 3] == len(SATURATED_SHARES)).all()
    assert not levels[:, -1].any()
    spots = x.clone()
    spots[..., 36:44, 46:54] = spots[..., 80:88, 80:88] = 1.0
    assert not framing(spots).overexposure((12, 12)).any()  # white spots in usual light
    lit = ((spots + 1) * 1.6 - 1).clamp(max=1)
    assert not framing(lit).overexposure((12, 12)).view(4, 6, 6)[:, -1, -1].any()  # nor where good pictures are dark


def sparkling(n, *, seed):
    x = parts(n, seed=seed)
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.05] = 1.0
    return x


def on_black(n, *, seed):
    generator = torch.Generator().manual_seed(seed)
    dark = torch.randint(1, 10, (n, 1, 1, 1), generator=generator) / 127.5 - 1
    return torch.where(parts(n, seed=seed) < 0, dark, parts(n, seed=seed))


@pytest.mark.parametrize("good", [sparkling, on_black])
@pytest.mark.parametrize("side", [3, 8])
def test_white_spots_in_usual_light_are_not_explained(good, side):
    """Neither among highlights nor beside a background that is nearly black, which tells no light."""
    framing = Framing()
    framing.fit([good(64, seed=0)])
    x = good(16, seed=1)
    x[..., 40 : 40 + side, 46 : 46 + side] = 1.0
    assert not framing(x).overexposure((12, 12)).any()


def test_what_good_pictures_saturate_is_not_overexposed():
    white = parts(32)
    white[..., 60:] = 1.0
    framing = Framing()
    framing.fit([white])
    lit = ((white[:4] + 1) * 1.2 - 1).clamp(max=1)
    assert not framing(lit).overexposure((12, 12)).view(4, 6, 6)[..., -1].any()


def test_what_no_good_picture_shows_does_not_count():
    x = parts(16)
    x[..., :40, :] = torch.nan
    framing = Framing()
    framing.fit([x])
    whole = parts(2, seed=1)
    framed = framing(whole)
    assert not framed.inside[..., :40, :].any()
    assert framed.inside[..., 40:, :].all()
    whole[..., :40, :] = 1.0
    torch.testing.assert_close(framing(whole).pictures, framed.pictures)
    assert not framing.alignment.templates.numel()  # a mask stays where it is when a part moves


@pytest.mark.parametrize(("rows", "expected"), [(96, 12 * 12), (48, 5 * 12), (2, 12)])
def test_patches_at_the_border_of_a_region_count_only_if_there_are_no_others(rows, expected):
    inside = torch.zeros(1, 1, SIDE, SIDE)
    inside[..., :rows, :] = 1
    framed = Framed(inside, inside, torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2), inside)
    found = int(framed.patches_inside((12, 12)).sum())
    assert found == expected


def filled(x, *, lines, beyond=None):
    """Replace the first rows and the last columns by the lines beside them, or by one value."""
    x = x.clone()
    x[..., :lines, :] = x[..., lines : lines + 1, :] if beyond is None else beyond
    x[..., -lines:] = x[..., -lines - 1 : -lines] if beyond is None else beyond
    return x


def test_lines_that_were_filled_in_are_not_inside():
    framing = Framing()
    framing.fit([textures(32)])
    x = textures(3, seed=1)
    pictures, inside, *_ = framing(filled(x, lines=8))
    torch.testing.assert_close(pictures[..., :8, :-8], x[..., 8:16, :-8].flip(-2))  # mirrored
    torch.testing.assert_close(pictures[..., 8:, -8:], x[..., 8:, -16:-8].flip(-1))
    assert not inside[..., :8, :].any()
    assert not inside[..., -8:].any()
    assert inside[..., 11:, :-11].all()
    assert framing(textures(3, seed=1)).inside.all()


def test_lines_that_good_pictures_have_too_are_inside():
    framing = Framing()
    framing.fit([filled(textures(32), lines=8)])
    assert framing(filled(textures(3, seed=1), lines=8)).inside.all()


@pytest.mark.parametrize(
    "x",
    [
        torch.full((1, 1, SIDE, SIDE), -1.0),
        filled(textures(1), lines=8, beyond=-1.0),
        filled(textures(1), lines=8, beyond=1.0),
        filled(textures(1), lines=30),
    ],
    ids=["black picture", "dead strips", "overexposed strips", "wide filling"],
)
def test_what_may_be_a_defect_is_not_ignored(x):
    filling = Filling()
    found, inside = filling(x)
    assert inside.all()
    assert torch.equal(found, x)


@pytest.mark.parametrize("colour", [(-1.0, -1.0, -1.0), (1.0, -1.0, -1.0), (0.7, 0.7, 0.7)])
def test_defects_on_white_count(colour):
    """A black scratch, a red one, whose brightest channel is saturated as white is, and a grey one."""
    white = parts(32).expand(-1, 3, -1, -1).clone()
    white[..., 60:] = 1.0
    framing = Framing()
    framing.fit([white])
    x = white[:4].clone()
    x[..., 20:90, 80:82] = torch.tensor(colour).view(3, 1, 1)
    framed = framing(x)
    assert framed.inside.all()
    assert framed.patches_inside((12, 12)).all()


def test_a_turn_keeps_shapes_of_pictures_that_are_no_squares():
    y, x = torch.meshgrid(torch.arange(60) - 29.5, torch.arange(90) - 44.5, indexing="ij")
    ring = torch.exp(-(((y**2 + x**2).sqrt() - 20) / 4).square())
    bar = torch.exp(-(y / 4).square() - (x / 20).square())
    rings, bars = (turned(each.expand(16, 1, 60, 90), 0) for each in (ring, bar))
    torch.testing.assert_close(rings, ring.expand_as(rings), rtol=0, atol=0.02)
    moment = (bars * x * y).sum((1, 2, 3)) / (bars * (x**2 - y**2)).sum((1, 2, 3))
    angles = torch.rad2deg(torch.atan(2 * moment) / 2)
    assert angles.abs().max() <= 10.1
    assert angles.min() < -3
    assert angles.max() > 3


def test_a_turn_leaves_out_what_is_no_part_of_a_picture():
    x = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    whole = turned(x, 0)
    assert whole.isfinite().all()
    assert not torch.equal(whole, x)
    x[:, :, :10] = torch.nan
    missing = turned(x, 0).isnan()
    assert missing[..., :8, 20].all()
    assert not missing[..., 15:, :].any()


def test_copies_one_at_a_time_are_filled_and_moved_in_all_ways():
    x = torch.zeros(24, 1, 64, 64)
    x[..., 1:-1, 1:-1] = 1  # all but its border
    turns = torch.cat([turned(x[:1], number) for number in range(len(x))])
    by = torch.cat([shifted(x[:1], number)[1] for number in range(len(x))])
    of_border = (turns[..., 0, 0] < 0.5).float().mean()
    assert 0.2 < of_border < 0.8
    assert all(((by * torch.tensor(signs)) > 0).all(1).any() for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)))
