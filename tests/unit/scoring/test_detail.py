"""Copies of pictures whose fine detail was changed."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from anogan.scoring import detail
from anogan.scoring.detail import blurred, compressed


def pictures(count, channels, height=192, width=240):
    """Return noise with a bright rectangle."""
    x = 0.2 * torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0)) - 0.5
    x[..., 40:120, 80:200] += 0.8
    return x


def test_copies_have_less_detail_and_the_same_content():
    for channels in (1, 3):
        x = pictures(4, channels)
        for change in (compressed, blurred):
            copies = change(x, 0)
            assert copies.shape == x.shape
            assert copies.dtype == x.dtype
            assert float(copies.abs().max()) <= 1
            assert float((copies - x).abs().mean()) > 0.005
            torch.testing.assert_close(copies.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=0.01, rtol=0)
            assert float(copies.diff().square().mean()) < 0.9 * float(x.diff().square().mean())


def test_every_copy_is_changed_by_a_strength_of_its_own():
    x = pictures(1, 1).expand(8, -1, -1, -1)
    for change in (compressed, blurred):
        changes = (change(x, 0) - x).abs().mean((1, 2, 3))
        assert len(changes.unique()) > 4  # qualities are whole numbers


def test_a_blur_is_that_of_scipy(monkeypatch):
    monkeypatch.setattr(detail, "BLUR", (1.5, 1.5))
    x = pictures(2, 3, 384, 400).double()
    found = blurred(x, 0)
    expected = gaussian_filter(x.numpy(), (0, 0, 1.5, 1.5), mode="mirror", radius=(0, 0, 4, 4))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_missing_pixels_stay_missing_and_no_others():
    x = pictures(3, 1)
    x[:, :, :20, :20] = torch.nan
    for change in (compressed, blurred):
        assert torch.equal(change(x, 0).isnan(), x.isnan())


def test_what_is_missing_is_not_mixed_into_what_is_shown():
    x = torch.full((4, 1, 200, 200), 0.9)
    x[..., :100] = torch.nan
    found = blurred(x, 0)[..., 100:]
    torch.testing.assert_close(found, torch.full_like(found, 0.9))


def test_pictures_of_one_line_can_be_blurred():
    assert blurred(pictures(2, 1, 1, 40), 0).isfinite().all()
