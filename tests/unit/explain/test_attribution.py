"""Explanations add up to what they explain."""

import torch
from torch.testing import assert_close

from anogan.data.spec import SampleSpec
from anogan.engine.module import GANModule
from anogan.explain.attribution import PATH_STEPS, error_map, integrated_gradients, occlusion
from anogan.explain.similar import SimilarRows


class Quadratic(GANModule):
    """Scores sum w x^2, whose integrated gradients are w (x^2 - baseline^2)."""

    weight = torch.tensor([1.0, 0.0, 3.0])

    def stages(self):
        return ()

    def score(self, x):
        return (self.weight * x.square()).sum(-1)


class Mirror(Quadratic):
    """Reconstructs everything as zero."""

    def reconstruct(self, x):
        return torch.zeros_like(x)


X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))


def test_a_module_with_a_reconstruction_is_explained_by_its_residual():
    assert torch.equal(error_map(Mirror(), X, torch.zeros(3)), X.abs())


def test_another_one_by_integrated_gradients():
    got = error_map(Quadratic(), X, torch.zeros(3))
    assert got.shape == X.shape
    assert (got >= 0).all()
    assert_close(got, Quadratic.weight * X.square())


def test_integrated_gradients_sum_to_the_difference_of_scores():
    module, baseline = Quadratic(), torch.full((3,), 0.5)
    x = X.abs() + 0.5  # every share is positive, so nothing is lost by taking absolute values
    got = integrated_gradients(module, x, baseline)
    assert_close(got.sum(-1), module.score(x) - module.score(baseline.expand_as(x)))
    assert PATH_STEPS >= 2


def test_a_value_without_influence_gets_nothing():
    assert not error_map(Quadratic(), X, torch.zeros(3))[..., 1].any()


def test_it_works_where_gradients_are_switched_off():
    with torch.no_grad():
        assert error_map(Quadratic(), X, torch.zeros(3)).any()


def test_a_column_s_part_is_what_the_score_loses_with_the_usual_value():
    similar = SimilarRows(torch.full((5, 3), 0.5), [slice(0, 1), slice(1, 3)], SampleSpec((3,)))
    x = X[0]
    got = occlusion(lambda rows: Quadratic().score(rows), x, similar)
    assert got.shape == x.shape
    assert_close(got[:, 0], (x[:, 0].square() - 0.25).clamp(min=0))
    whole = (3 * (x[:, 2].square() - 0.25)).clamp(min=0)  # of both codes of the second column together
    assert_close(got[:, 1:], (whole / 2)[:, None].expand(-1, 2))
