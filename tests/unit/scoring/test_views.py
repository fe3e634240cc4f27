"""Views of rows, synthetic anomalies, and the fusion of p-values."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from anogan.data.spec import SampleSpec
from anogan.scoring.row_probes import row_probes
from anogan.scoring.view_fusion import ViewFusion, separation
from anogan.scoring.views import DISTANCES, VIEWS, RowViews

RNG = np.random.default_rng(0)
ROWS = torch.from_numpy(np.c_[RNG.normal(size=(300, 3)), RNG.integers(0, 3, 300)])
NEW = torch.from_numpy(np.c_[RNG.normal(size=(20, 3)) * 3, RNG.integers(0, 4, 20)])
ALL = [True] * len(VIEWS)


def fitted(rows=ROWS, size=1000, spec=None, **changes):
    views = RowViews(size, spec or SampleSpec((rows.shape[1],)), **{"keeps_rows": True} | changes)
    views.fit(rows)
    return views


def scores(views, x=NEW):
    return dict(zip(VIEWS, views(x, ALL).numpy(), strict=True))


def test_distances_are_those_of_scikit_learn():
    nearest = NearestNeighbors(n_neighbors=1).fit(ROWS[:, :3]).kneighbors(NEW[:, :3])[0][:, 0]
    np.testing.assert_allclose(scores(fitted(ROWS[:, :3]), NEW[:, :3])["nearest"], nearest)

    def one_hot(x):
        return np.c_[x[:, :3], x[:, 3:] == [0, 1, 2]]

    nearest = NearestNeighbors(n_neighbors=1).fit(one_hot(ROWS.numpy())).kneighbors(one_hot(NEW.numpy()))[0][:, 0]
    np.testing.assert_allclose(scores(fitted())["nearest"], nearest)


def test_ranks_are_normal_scores_that_go_on_beyond_the_range():
    views = fitted(ROWS[:, :1])
    x = torch.tensor([[-9.0], [0.0], [9.0]], dtype=torch.float64)
    ordered = np.sort(ROWS[:, 0].numpy())
    expected = [
        norm.ppf(0.5 / 300) - 9 - ordered[0],
        norm.ppf((ordered < 0).mean()),
        norm.ppf(1 - 0.5 / 300) + 9 - ordered[-1],
    ]
    np.testing.assert_allclose(views._space("ranks", x)[:, 0], expected)


@pytest.mark.parametrize("rows", [20, 300])
def test_coarse_ranks_are_distances_to_the_nearest_of_root_n_rows(rows):
    views = fitted(ROWS[:rows, :3])
    new, ranks = (views._space("ranks", x).numpy() for x in (NEW[:, :3], ROWS[: round(3 * rows**0.5), :3]))
    nearest = [NearestNeighbors(n_neighbors=1).fit(ranks[part::3]).kneighbors(new)[0][:, 0] for part in range(3)]
    np.testing.assert_allclose(scores(views, NEW[:, :3])["coarse ranks"], np.mean(nearest, axis=0), rtol=1e-6)


def test_whitened_ranks_have_unit_covariance():
    mixed = ROWS[:, :3] @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]], dtype=torch.float64)
    covariance = torch.cov(fitted(mixed)._space("whitened ranks", mixed).T)
    assert_close(covariance, torch.eye(3, dtype=torch.float64), atol=0.1, rtol=0)


def test_tails_are_low_where_most_values_lie():
    views = fitted(ROWS[:, :1])
    found = scores(views, torch.tensor([[-9.0], [0.0], [9.0]], dtype=torch.float64))
    assert found["tails"][1] < 0.2 < 5 < min(found["tails"][[0, 2]])
    assert found["low tails"][0] > 5 > found["low tails"][1] > found["low tails"][2]
    assert found["high tails"][2] > 5 > found["high tails"][1] > found["high tails"][0]


def test_a_row_of_the_fit_scores_as_if_it_were_not_in_it():
    views = fitted(ROWS)
    own = torch.ones(300, dtype=torch.bool)
    found = dict(zip(VIEWS, views(ROWS, ALL, own), strict=True))
    for row in (0, 7):
        rest = ROWS[torch.arange(300) != row]
        without = scores(fitted(rest), ROWS[[row]])
        for name in ("nearest", "tails", "low tails", "high tails"):
            assert_close(found[name][row].item(), without[name][0], rtol=1e-9, atol=0), name


def test_views_that_are_not_wanted_are_zero_and_others_the_same():
    views = fitted()
    for number in range(len(VIEWS)):
        found = views(NEW, [other == number for other in range(len(VIEWS))])
        assert torch.equal(found[number], views(NEW, ALL)[number])
        assert not found[torch.arange(len(VIEWS)) != number].any()


def test_more_rows_raise_no_score():
    views = fitted(ROWS[:200], size=250)
    before = views(NEW, ALL)
    views.extend(torch.cat([NEW[:5], ROWS[200:]]))
    assert len(views.rows) == 250
    assert (views(NEW, ALL) <= before).all()


def test_without_rows_there_are_tails_of_blurred_values():
    views = fitted(keeps_rows=False)
    assert views.available() == [name not in DISTANCES for name in VIEWS]
    assert not len(views.rows)
    assert not np.isin(ROWS[:, :3].numpy(), views.ordered.numpy()).any()
    wanted = views.available()
    assert_close(views(NEW, wanted)[-3:], fitted()(NEW, wanted)[-3:], rtol=0.1, atol=0.05)


def test_the_harmonic_mean_of_p_values():
    fusion = ViewFusion()
    normal = torch.arange(99.0).expand(2, 99).contiguous()
    areas = separation(normal, torch.tensor([[200.0, 300.0], [49.0, 49.0]]))
    assert_close(areas, torch.tensor([1.0, 0.5]))
    fusion.fit(normal, areas, torch.tensor([0.5, 0.5]))
    weights = np.exp([10.0, 5.0]) / np.exp([10.0, 5.0]).sum()
    # The second view has less than one per cent.
    assert weights[1] < 0.01
    assert_close(fusion.weights, torch.tensor([1.0, 0.0]))
    assert_close(fusion(torch.tensor([[89.0], [1e9]])), torch.tensor([100 / 11]).log())
    fusion.weights = torch.tensor([0.5, 0.5])
    p = [11 / 100, 51 / 100]
    assert_close(fusion(torch.tensor([[89.0], [49.0]])), torch.tensor([np.log(0.5 / p[0] + 0.5 / p[1])]).float())


def test_p_values_are_continuous_in_the_score_despite_ties():
    fusion = ViewFusion()
    normal = torch.tensor([[1.0] * 5 + [2.0] * 3 + [4.0]])
    fusion.fit(normal, torch.tensor([0.5]), torch.tensor([1.0]))
    at = torch.tensor([[0.0, 1.0, 1.5, 2.0, 3.0, 4.0]])
    p = torch.tensor([10, 10, 7.5, 5, 3.5, 2]) / 10
    assert_close(fusion(at), -p.log())
    for near in (at * (1 + 1e-6), at * (1 - 1e-6)):
        assert_close(fusion(near), -p.log(), rtol=1e-4, atol=1e-4)


def test_far_rows_have_different_scores():
    fusion = ViewFusion()
    normal = torch.full((1, 50), 3.0)
    fusion.fit(normal, torch.tensor([0.5]), torch.tensor([1.0]))
    found = fusion(torch.tensor([[3.0, 10.0, 1e6, 1e30]]))
    assert found[0] == 0
    assert (found.diff() > 0).all()
    assert found.isfinite().all()


def test_views_that_separate_alike_get_their_prior_weights():
    fusion = ViewFusion()
    fusion.fit(torch.rand(3, 40), torch.full((3,), 0.9), torch.tensor([0.75, 0.0, 0.25]))
    assert_close(fusion.weights, torch.tensor([0.75, 0.0, 0.25]))


def test_synthetic_anomalies_swap_and_mix_categories_as_a_whole():
    """A number with an indicator of missing values, a category of three values, and a plain number."""
    spec = SampleSpec((6,), spans=((2, 5),), columns=((0, 2), (2, 5), (5, 6)))
    category = np.eye(3)[RNG.integers(0, 3, 200)]
    rows = torch.from_numpy(np.c_[RNG.normal(size=200), RNG.integers(0, 2, 200), category, RNG.normal(size=200)])
    between, swapped, beyond = row_probes(rows, spec, torch.Generator().manual_seed(0))
    for made in (between, swapped, beyond):
        assert ((made[:, 2:5] == 0) | (made[:, 2:5] == 1)).all()
        assert (made[:, 2:5].sum(1) == 1).all()
        assert ((made[:, 1] == 0) | (made[:, 1] == 1)).all()
        assert torch.isin(made[:, 0], rows[:, 0]).all()
    assert torch.isin(between[:, 5], rows[:, 5]).double().mean() < 0.02  # rows that are mixed with themselves
    changed = torch.stack([(swapped != rows)[:, start:stop].any(1) for start, stop in spec.columns]).sum(0)
    assert changed.max() == 1
    assert (beyond[:, 5] != rows[:, 5]).all()
    assert (beyond[:, 5].abs() > 1.5).all()


@pytest.mark.parametrize("rows", [1, 2])
def test_synthetic_anomalies_of_few_rows(rows):
    for made in row_probes(ROWS[:rows], SampleSpec((4,)), torch.Generator().manual_seed(0)):
        assert made.shape == (rows, 4)
        assert made.isfinite().all()


def test_a_table_of_categories_alone_has_no_values_beyond():
    spec = SampleSpec((2,), spans=((0, 2),), columns=((0, 2),))
    assert len(row_probes(torch.eye(2), spec, torch.Generator().manual_seed(0))) == 2


@pytest.mark.parametrize("shift", ["float32", "decimals", "up", "down"])
def test_a_frequent_value_that_was_rounded_is_that_value(shift):
    steps = np.array([-1.635871141, -0.061400644, 0.4123456789, 3.1234567891])
    values = np.c_[RNG.choice(steps, (400, 2), p=[0.6, 0.2, 0.1, 0.1]), RNG.normal(size=400) / 3]
    rows, new = torch.from_numpy(values[:300]), values[300:]
    rounded = {
        "float32": new.astype(np.float32).astype(np.float64),
        "decimals": new.round(6),
        "up": new * (1 + 2e-7),
        "down": new * (1 - 2e-7),
    }[shift]
    views = fitted(rows)
    expected, found = (scores(views, torch.from_numpy(x)) for x in (new, rounded))
    for name in VIEWS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_a_value_between_frequent_ones_is_none_of_them():
    rows = torch.from_numpy(RNG.integers(0, 3, (300, 2)).astype(float))
    views = fitted(rows)
    near, between = (scores(views, torch.tensor([[value, 1.0]], dtype=torch.float64)) for value in (1.0, 1.01))
    assert between["nearest"] > near["nearest"]
