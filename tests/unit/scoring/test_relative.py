"""Residuals relative to those of normal samples of similar content."""

import torch
from torch.testing import assert_close

from anogan.scoring.relative import RelativeResidual

SHAPE = (1, 4, 4)


def normal(rows, power):
    """Samples of very different content around a mean of 0.3; residuals grow with a power of the content."""
    torch.manual_seed(0)
    size = torch.linspace(0.1, 3, rows).double()
    x = 0.3 + size[:, None, None, None] * torch.randn(rows, *SHAPE).double()
    x = (x - x.mean(0) + 0.3)[None]
    content = (x - 0.3).square().flatten(2).sum(-1)
    return x, content**power * torch.empty(1, rows).double().uniform_(0.9, 1.1)


def fitted(x, residual):
    relative = RelativeResidual(1, SHAPE).double()
    relative.fit(x, x, residual)
    return relative


def test_residuals_are_those_expected_of_the_content():
    for power in (0.0, 0.5, 1.0):
        x, residual = normal(200, power)
        relative = fitted(x, residual)
        assert_close(relative.slope, torch.tensor([[power]]).double(), rtol=0, atol=0.05)
        assert_close(relative(residual, x), torch.ones(1, 200).double(), rtol=0.2, atol=0)


def test_the_same_residual_says_more_of_a_sample_of_little_content():
    x, residual = normal(200, 1.0)
    relative = fitted(x, residual)
    little, much = relative(torch.ones(1, 2).double(), x[:, [5, -1]])[0]
    assert little > 5 * much


def test_an_image_and_its_negative_score_alike():
    x, residual = normal(200, 1.0)
    assert_close(fitted(x, residual)(residual, x), fitted(-x, residual)(residual, -x))


def test_residuals_that_fall_with_the_content_are_left_as_they_are():
    x, residual = normal(200, -1.0)
    relative = fitted(x, residual)
    assert relative.slope == 0
    assert_close(relative(residual, x) / residual, relative(residual, x)[:, :1].expand(1, 200) / residual[:, :1])


def test_degenerate_samples_give_finite_scores():
    same = torch.full((1, 5, *SHAPE), 0.5).double()
    for residual in (torch.zeros(1, 5).double(), torch.ones(1, 5).double()):
        relative = fitted(same, residual)
        assert relative(residual, same).isfinite().all()
        assert relative(residual + 1, same + 1).isfinite().all()


def test_before_it_is_fitted_it_changes_nothing():
    residual = torch.rand(2, 3)
    assert_close(RelativeResidual(2, SHAPE)(residual, torch.rand(2, 3, *SHAPE)), residual)
