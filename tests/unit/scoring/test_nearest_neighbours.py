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
    scorer = NearestNeighbourScorer(size, dimensions, outlier_iqr)
    scorer.fit(NORMAL[:, :rows])
    return scorer


def expected_of(memory_bank, new, scales, *, without_first=False):
    """Average the log distances to the nearest row of each part, by scikit-learn, then over scales."""
    parts_of = [[memory_bank[part::parts][without_first and part == 0 :] for part in range(parts)] for parts in scales]
    nearest = [[NearestNeighbors(n_neighbors=1).fit(part).kneighbors(new)[0] for part in parts] for parts in parts_of]
    return np.exp(np.mean([np.mean([np.log(each[:, 0]) for each in parts], axis=0) for parts in nearest], axis=0))


@pytest.mark.parametrize(("rows", "scales"), [(600, [1, 2, 4]), (100, [4, 8, 16]), (20, [4, 8])])
def test_the_score_is_the_geometric_mean_distance_among_the_principal_components(rows, scales):
    pca = PCA(4).fit(side_by_side(NORMAL[:, :rows]))
    memory_bank, new = (pca.transform(side_by_side(part)) for part in (NORMAL[:, :rows], NEW))
    expected = expected_of(memory_bank, new, scales)
    scores = fitted(rows)(NEW)
    assert scores.shape == (1, NEW.shape[1])
    # The softening adds up to one per cent of a typical distance.
    assert (scores[0].numpy() > expected).all()
    np.testing.assert_allclose(scores[0], expected, rtol=0.02)


@pytest.mark.parametrize("outlier_iqr", [None, 1.0])
def test_adding_rows_to_the_memory_bank_raises_no_score(outlier_iqr):
    scorer = fitted(rows=300, outlier_iqr=outlier_iqr)
    before = scorer(NEW)
    scorer.extend(torch.cat([NORMAL[:, 300:599], NEW[:, :1] * 10], dim=1))
    assert len(scorer.memory_bank) == 600
    after = scorer(NEW)
    assert (after <= before).all()
    assert (after < before).any()


def test_the_memory_bank_is_bounded():
    scorer = fitted(rows=300, size=350)
    scorer.extend(NORMAL[:, 300:])
    assert len(scorer.memory_bank) == 350
    assert len(fitted(size=77).memory_bank) == 77


def test_rows_near_a_far_cluster_score_like_the_most_unusual_rows():
    features = NORMAL.clone()
    features[:, ::30] = 50 + 0.01 * features[:, ::30]  # 20 rows of 600, close to each other
    near_cluster, unsupported = (
        torch.full((MEMBERS, 1, FEATURES), value, dtype=torch.float64) for value in (50.0, 70.0)
    )
    robust, trusting = NearestNeighbourScorer(1000, 4, 1.5), NearestNeighbourScorer(1000, 4, None)
    for scorer in (robust, trusting):
        scorer.fit(features)
    normal = NORMAL[:, [i for i in range(600) if i % 30]]
    assert 15 <= int((robust.least > 0).sum()) <= 40
    for _ in range(2):
        assert robust(near_cluster) > robust(normal).quantile(0.95)
        assert robust(near_cluster) < robust(unsupported)
        assert trusting(near_cluster) < trusting(normal).median()
        robust.extend(near_cluster)  # a row that is added later is treated in the same way
    assert_close(robust(normal).median(), trusting(normal).median(), rtol=0.01, atol=0.0)


def test_the_state_goes_into_a_new_scorer_bit_for_bit():
    scorer, fresh = fitted(), NearestNeighbourScorer(1000, 4, None).double()
    fresh.load_state_dict(scorer.state_dict())
    assert torch.equal(fresh(NEW), scorer(NEW))


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
def test_few_rows_are_enough(rows):
    scores = fitted(rows, outlier_iqr=1.5)(NEW)
    assert torch.isfinite(scores).all()
    assert (scores > 0).all()


def test_rows_that_are_all_equal_give_finite_scores():
    scorer = NearestNeighbourScorer(1000, 4, 1.5)
    scorer.fit(torch.ones(MEMBERS, 60, FEATURES))
    near_cluster, other = scorer(torch.ones(MEMBERS, 1, FEATURES)), scorer(torch.full((MEMBERS, 1, FEATURES), 5.0))
    assert torch.isfinite(near_cluster).all()
    assert torch.isfinite(other).all()
    assert near_cluster < other


def test_equal_rows_do_not_widen_the_limit_of_outliers():
    features = NORMAL.clone()
    features[:, ::30] = 50 + 0.01 * features[:, ::30]
    features[:, 1:600:3] = features[:, 1:2]
    scorer = NearestNeighbourScorer(1000, 4, 1.5)
    scorer.fit(features)
    assert (scorer.least[::30] > 0).all()


def test_a_row_does_not_count_as_its_own_neighbour():
    scorer = fitted()
    bank = scorer.memory_bank.numpy()
    expected = expected_of(bank, bank[:1], [1, 2, 4], without_first=True)
    np.testing.assert_allclose(scorer(NORMAL[:, :1])[0], expected, rtol=0.02)


def test_the_score_has_a_gradient():
    x = NEW.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(fitted()(x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert_close((gradient != 0).any(-1), torch.ones(gradient.shape[:2], dtype=torch.bool))
