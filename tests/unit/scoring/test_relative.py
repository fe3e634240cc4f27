"""Residuals relative to those of normal images with as strong edges."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch.testing import assert_close

import anogan
from anogan.scoring.relative import RelativeResidual

SHAPE = (1, 8, 8)


def edge_energy(x):
    return sum(x.diff(dim=axis).square().flatten(2).sum(-1) for axis in (-2, -1))


def normal(rows, power):
    """One image at very different contrasts; residuals grow with a power of its edge energy."""
    torch.manual_seed(0)
    x = torch.linspace(0.1, 3, rows).double()[:, None, None, None] * torch.randn(SHAPE).double()
    return x[None], edge_energy(x[None]) ** power * torch.empty(1, rows).double().uniform_(0.9, 1.1)


def fitted(x, residual):
    relative = RelativeResidual(1, SHAPE).double()
    relative.fit(x, residual)
    return relative


def test_residuals_are_those_expected_of_the_edges():
    for power in (0.0, 0.5, 1.0):
        x, residual = normal(200, power)
        relative = fitted(x, residual)
        assert_close(relative.slope.sum(), torch.tensor(power).double(), rtol=0, atol=0.05)
        assert_close(relative(residual, x)[:, 2:-2], torch.ones(1, 196).double(), rtol=0.2, atol=0)


def test_the_same_residual_says_more_of_an_image_of_weak_edges():
    x, residual = normal(200, 1.0)
    weak, strong = fitted(x, residual)(torch.ones(1, 2).double(), x[:, [5, -1]])[0]
    assert weak > 5 * strong


def test_an_image_and_its_negative_score_alike():
    x, residual = normal(200, 1.0)
    assert_close(fitted(x, residual)(residual, x), fitted(-x, residual)(residual, -x))


def test_residuals_that_fall_with_the_edges_are_left_as_they_are():
    x, residual = normal(200, -1.0)
    relative = fitted(x, residual)
    assert (relative.slope == 0).all()
    assert_close(relative(residual, x) / residual, relative(residual, x)[:, :1].expand(1, 200) / residual[:, :1])


def test_edges_beyond_those_of_normal_images_do_not_lower_the_score():
    x, residual = normal(200, 1.0)
    relative, strongest = fitted(x, residual), x[:, -1:]
    one, other = (relative(residual[:, -1:], times * strongest) for times in (2, 20))
    assert_close(one, other)


def test_the_scale_is_the_one_that_explains_most():
    """The same coarse structure of different contrast, under noise of a strength that says nothing."""
    torch.manual_seed(0)
    contrast = torch.linspace(0.1, 1, 200).double()[:, None, None, None]
    coarse = torch.randn(1, 1, 4, 4).double().repeat_interleave(2, -1).repeat_interleave(2, -2)
    x = (contrast * coarse + torch.rand(200, 1, 1, 1) * torch.randn(200, *SHAPE).double())[None]
    relative = fitted(x, contrast.flatten()[None] ** 2)
    assert relative.slope[0, 0] == 0
    assert relative.slope[0, 1] > 0.3


@pytest.mark.parametrize("residual", [0.0, 1.0])
def test_blank_images_give_finite_scores(residual):
    same = torch.full((1, 5, *SHAPE), 0.5).double()
    relative = fitted(same, torch.full((1, 5), residual).double())
    for x in (same, same + 1, torch.randn(1, 5, *SHAPE).double()):
        assert relative(torch.ones(1, 5).double(), x).isfinite().all()


def test_before_it_is_fitted_it_changes_nothing():
    residual = torch.rand(2, 3)
    assert_close(RelativeResidual(2, SHAPE)(residual, torch.rand(2, 3, *SHAPE)), residual)


def erased(pictures):
    """Pictures (n, 1, 8, 8) without the strokes within a square of 4x4 pixels around one of their own."""
    rng, made = np.random.default_rng(1), pictures.copy()
    for picture in made[:, 0]:  # views
        row, column = rng.choice(np.argwhere(picture > 8)) - 2
        picture[max(row, 0) : row + 4, max(column, 0) : column + 4] = 0
    return made


@pytest.mark.parametrize("digit", [0, 2, 8])
@pytest.mark.parametrize("negative", [False, True])
def test_less_material_is_found_on_either_background(digit, negative):
    pictures = load_digits().images[load_digits().target == digit][:, None]
    training, normal = pictures[:120], pictures[120:]
    axes = PCA(8).fit(training.reshape(120, -1))

    def made(some):
        """Pictures and their reconstructions, (1, n, 1, 8, 8)."""
        flat = axes.inverse_transform(axes.transform(some.reshape(len(some), -1))).reshape(some.shape)
        both = np.stack([some, flat])[:, None]
        return torch.from_numpy(16 - both if negative else both)

    def residual(x, reconstruction):
        return (x - reconstruction).square().flatten(2).mean(-1)

    relative = RelativeResidual(1, (1, 8, 8)).double()
    relative.fit(made(training)[0], residual(*made(training)))

    def area(anomalous, score):
        scores = [score(*made(some))[0].numpy() for some in (normal, anomalous)]
        return anogan.metrics.auroc(np.repeat([0, 1], list(map(len, scores))), np.concatenate(scores))

    def score(x, reconstruction):
        return relative(residual(x, reconstruction), x)

    assert area(erased(normal), score) >= area(erased(normal), lambda *both: residual(*both))
    assert area(0 * normal[:1], score) > 0.9  # nothing at all
