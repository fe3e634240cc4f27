"""Distances to features of normal rows, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from anogan.scoring import feature_distance
from anogan.scoring.feature_distance import FeatureDistance, least_values

RNG = np.random.default_rng(0)
NORMAL, NEW = RNG.normal(size=(2, 40, 3)) * [1, 5, 0.1], RNG.normal(size=(2, 9, 3))


def fitted(distance, neighbours=4):
    scorer = FeatureDistance(distance, neighbours)
    scorer.fit(torch.from_numpy(NORMAL))
    return scorer


def test_neighbours_is_the_mean_distance_to_the_nearest():
    scores = fitted("neighbours")(torch.from_numpy(NEW))
    for k in range(2):
        distances, _ = NearestNeighbors(n_neighbors=4).fit(NORMAL[k]).kneighbors(NEW[k])
        assert_close(scores[k], torch.from_numpy(distances.mean(1)))


def test_mahalanobis_is_that_of_the_ledoit_wolf_covariance():
    scores = fitted("mahalanobis")(torch.from_numpy(NEW))
    for k in range(2):
        squared = LedoitWolf().fit(NORMAL[k]).mahalanobis(NEW[k])
        assert_close(scores[k], torch.from_numpy(np.sqrt(squared)))


@pytest.mark.parametrize("distance", ["neighbours", "mahalanobis"])
def test_the_state_goes_into_a_new_scorer(distance):
    scorer, fresh = fitted(distance), FeatureDistance(distance, 4).double()
    fresh.load_state_dict(scorer.state_dict())
    assert torch.equal(fresh(torch.from_numpy(NEW)), scorer(torch.from_numpy(NEW)))


@pytest.mark.parametrize("distance", ["neighbours", "mahalanobis"])
def test_the_distance_has_a_gradient(distance):
    x = torch.from_numpy(NEW).requires_grad_(True)
    (gradient,) = torch.autograd.grad(fitted(distance)(x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).any(-1).all()


def test_more_neighbours_than_rows_take_all_rows():
    assert_close(fitted("neighbours", 1000)(torch.from_numpy(NEW)), fitted("neighbours", 40)(torch.from_numpy(NEW)))


def test_long_inputs_are_measured_in_pieces(monkeypatch):
    whole = fitted("neighbours")(torch.from_numpy(NEW))
    monkeypatch.setattr(feature_distance, "ROWS_AT_ONCE", 2)
    assert_close(fitted("neighbours")(torch.from_numpy(NEW)), whole)


def test_constant_features_give_finite_distances():
    scorer = FeatureDistance("mahalanobis", 1)
    scorer.fit(torch.ones(1, 10, 3))
    assert torch.isfinite(scorer(torch.full((1, 2, 3), 5.0))).all()


@pytest.mark.parametrize("m", [3, 64, 700, 1000, 4096])
@pytest.mark.parametrize("k", [1, 5, 17])
def test_least_values_are_those_of_a_sort_in_value_and_gradient(m, k):
    values = torch.rand(2, 9, m).round(decimals=2).requires_grad_()  # with ties
    k = min(k, m)
    least = least_values(values, k)
    torch.testing.assert_close(least, values.sort(-1).values[..., :k], rtol=0, atol=0)
    least.sum().backward()
    assert values.grad.sum() == 2 * 9 * k
    assert values[values.grad > 0].max() <= least.max()
