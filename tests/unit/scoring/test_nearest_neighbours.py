"""The joint embedding of all members' features, and the distances in it, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from anogan.scoring.nearest_neighbours import NearestNeighbourScorer

RNG = np.random.default_rng(0)
MEMBERS, FEATURES = 2, 3
NORMAL = torch.from_numpy(RNG.normal(size=(MEMBERS, 600, FEATURES)) * [1, 2, 3])
NEW = torch.from_numpy(RNG.normal(size=(MEMBERS, 9, FEATURES)) * 4)


def side_by_side(features):
    return np.concatenate(list(features.numpy()), axis=-1)


def fitted(rows=600, size=1000, dimensions=4, outlier_iqr=None):
    bank = NearestNeighbourScorer(size, dimensions, outlier_iqr)
    bank.fit(NORMAL[:, :rows])
    return bank


@pytest.mark.parametrize(("rows", "ranks"), [(600, [1, 2, 4]), (100, [4, 8, 16])])
def test_the_score_is_the_geometric_mean_distance_among_the_principal_components(rows, ranks):
    pca = PCA(4).fit(side_by_side(NORMAL[:, :rows]))
    remembered, new = (pca.transform(side_by_side(part)) for part in (NORMAL[:, :rows], NEW))
    distances, _ = NearestNeighbors(n_neighbors=16).fit(remembered).kneighbors(new)
    expected = np.exp(np.log(distances[:, np.array(ranks) - 1]).mean(1))
    scores = fitted(rows)(NEW)
    assert scores.shape == (1, NEW.shape[1])
    # The softening adds up to one per cent of a typical distance.
    assert (scores[0].numpy() > expected).all()
    np.testing.assert_allclose(scores[0], expected, rtol=0.02)


@pytest.mark.parametrize("outlier_iqr", [None, 1.0])
def test_remembering_more_rows_raises_no_score(outlier_iqr):
    bank = fitted(rows=300, outlier_iqr=outlier_iqr)
    before = bank(NEW)
    bank.extend(torch.cat([NORMAL[:, 300:599], NEW[:, :1] * 10], dim=1))
    assert len(bank.memory_bank) == 600
    after = bank(NEW)
    assert (after <= before).all()
    assert (after < before).any()


def test_the_bank_is_bounded():
    bank = fitted(rows=300, size=350)
    bank.extend(NORMAL[:, 300:])
    assert len(bank.memory_bank) == 350
    assert len(fitted(size=77).memory_bank) == 77


def test_what_lies_near_a_far_cluster_scores_like_the_most_unusual_rows():
    features = NORMAL.clone()
    features[:, ::30] = 50 + 0.01 * features[:, ::30]  # 20 rows of 600, close to each other
    alike, unsupported = (torch.full((MEMBERS, 1, FEATURES), value, dtype=torch.float64) for value in (50.0, 70.0))
    fenced, trusting = NearestNeighbourScorer(1000, 4, 1.5), NearestNeighbourScorer(1000, 4, None)
    for bank in (fenced, trusting):
        bank.fit(features)
    normal = NORMAL[:, [i for i in range(600) if i % 30]]
    assert 15 <= int((fenced.least > 0).sum()) <= 40
    for _ in range(2):
        assert fenced(alike) > fenced(normal).quantile(0.95)
        assert fenced(alike) < fenced(unsupported)
        assert trusting(alike) < trusting(normal).median()
        fenced.extend(alike)  # a row that comes later is looked at in the same way
    assert_close(fenced(normal).median(), trusting(normal).median(), rtol=0.01, atol=0.0)


def test_the_state_goes_into_a_fresh_bank_bit_for_bit():
    bank, fresh = fitted(), NearestNeighbourScorer(1000, 4, None).double()
    fresh.load_state_dict(bank.state_dict())
    assert torch.equal(fresh(NEW), bank(NEW))


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
def test_few_rows_are_enough(rows):
    scores = fitted(rows, outlier_iqr=1.5)(NEW)
    assert torch.isfinite(scores).all()
    assert (scores > 0).all()


def test_rows_that_are_all_equal_give_finite_scores():
    bank = NearestNeighbourScorer(1000, 4, 1.5)
    bank.fit(torch.ones(MEMBERS, 60, FEATURES))
    alike, other = bank(torch.ones(MEMBERS, 1, FEATURES)), bank(torch.full((MEMBERS, 1, FEATURES), 5.0))
    assert torch.isfinite(alike).all()
    assert torch.isfinite(other).all()
    assert alike < other


def test_equal_rows_do_not_open_the_fence():
    features = NORMAL.clone()
    features[:, ::30] = 50 + 0.01 * features[:, ::30]
    features[:, 1:600:3] = features[:, 1:2]
    bank = NearestNeighbourScorer(1000, 4, 1.5)
    bank.fit(features)
    assert (bank.least[::30] > 0).all()


def test_a_row_does_not_vouch_for_itself():
    bank = fitted()
    distances, _ = NearestNeighbors(n_neighbors=5).fit(bank.memory_bank.numpy()).kneighbors(bank.memory_bank.numpy())
    expected = np.exp(np.log(distances[:, [1, 2, 4]]).mean(1))
    np.testing.assert_allclose(bank(NORMAL)[0], expected, rtol=0.1)


def test_the_score_has_a_gradient():
    x = NEW.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(fitted()(x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert_close((gradient != 0).any(-1), torch.ones(gradient.shape[:2], dtype=torch.bool))
