"""Metrics against scikit-learn, against cases worked by hand, and under ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anogan.errors import InputError
from anogan.evaluation import metrics
from anogan.evaluation.metrics import PixelCurve, Ranking

labelled_scores = st.lists(st.tuples(st.booleans(), st.integers(-5, 5).map(float)), min_size=2, max_size=60).filter(
    lambda rows: 0 < sum(label for label, _ in rows) < len(rows)
)


@given(labelled_scores)
def test_auroc_and_aupr_equal_scikit_learn_under_heavy_ties(rows):
    labels, scores = np.array([r[0] for r in rows], dtype=int), np.array([r[1] for r in rows])
    assert metrics.auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.aupr(labels, scores) == pytest.approx(average_precision_score(labels, scores))


@given(labelled_scores, st.floats(0.05, 1))
def test_fpr_at_recall_is_the_first_point_of_the_roc_curve_at_that_recall(rows, recall):
    labels, scores = np.array([r[0] for r in rows], dtype=int), np.array([r[1] for r in rows])
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert metrics.fpr_at_recall(labels, scores, recall) == pytest.approx(fpr[tpr >= recall - 1e-9][0])


@given(labelled_scores)
def test_compression_changes_no_metric(rows):
    labels, scores = np.array([r[0] for r in rows], dtype=int), np.array([r[1] for r in rows])
    full = Ranking.of(labels, scores)
    short = full.compressed(10**6)
    assert len(short.anomalous) <= len(full.anomalous)
    assert short.auroc() == pytest.approx(full.auroc())
    assert short.aupr() == pytest.approx(full.aupr())
    assert short.fpr_at_recall(0.95) == pytest.approx(full.fpr_at_recall(0.95))


def test_precision_at_by_hand():
    labels = [1, 0, 1, 0]
    assert metrics.precision_at(labels, [4, 3, 2, 1]) == 0.5
    assert metrics.precision_at(labels, [4, 3, 2, 1], k=1) == 1.0
    assert metrics.precision_at(labels, [4, 3, 2, 1], k=3) == pytest.approx(2 / 3)


def test_precision_at_breaks_ties_at_random_in_expectation():
    assert metrics.precision_at([1, 0, 0, 0], [1, 1, 1, 1], k=2) == pytest.approx(0.25)
    assert metrics.precision_at([1, 1, 0, 0], [2, 1, 1, 0], k=2) == pytest.approx(0.75)


def test_fpr_at_recall_by_hand():
    labels, scores = [1] * 20 + [0] * 10, [*range(20, 0, -1), *([1.5] * 3), *([0] * 7)]
    assert metrics.fpr_at_recall(labels, scores, 0.95) == 0  # 19 of 20 lie above every normal row
    assert metrics.fpr_at_recall(labels, scores, 1.0) == pytest.approx(0.3)


def test_infinite_scores_still_rank():
    assert metrics.auroc([0, 0, 1], [-np.inf, 0, np.inf]) == 1


@pytest.mark.parametrize(
    ("labels", "scores", "word"),
    [
        ([0, 0], [1, 2], "no anomalous row"),
        ([1, 1], [1, 2], "no normal row"),
        ([0, 1], [1, np.nan], "NaN"),
        ([0, 1, 1], [1, 2], "as long as"),
        ([0, 2], [1, 2], "0 .normal. or 1"),
        ([], [], "both classes"),
    ],
)
def test_unusable_input_is_named(labels, scores, word):
    with pytest.raises(InputError, match=word):
        metrics.auroc(labels, scores)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_rows_is_named(k):
    with pytest.raises(InputError, match="k must lie between 1 and the number of rows, 4"):
        metrics.precision_at([1, 0, 1, 0], [4, 3, 2, 1], k=k)


def test_bootstrap_interval_agrees_with_resampling_rows():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 60])
    scores = rng.normal(size=360) + 1.2 * labels
    low, high = metrics.bootstrap_interval(Ranking.auroc, labels, scores, replicates=2000)
    direct = []
    for _ in range(500):
        rows = np.concatenate([rng.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in (0, 1)])
        direct.append(roc_auc_score(labels[rows], scores[rows]))
    assert (low, high) == pytest.approx(np.quantile(direct, [0.025, 0.975]), abs=0.012)
    assert low < metrics.auroc(labels, scores) < high


def test_bootstrap_interval_is_reproducible_and_takes_several_metrics():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [50, 50])
    scores = rng.normal(size=100) + labels
    several = [Ranking.auroc, Ranking.aupr, lambda r: r.precision_at(10)]
    first = metrics.bootstrap_interval(several, labels, scores)
    assert first.shape == (3, 2)
    assert (first[:, 0] <= first[:, 1]).all()
    np.testing.assert_array_equal(first, metrics.bootstrap_interval(several, labels, scores))
    np.testing.assert_array_equal(first[0], metrics.bootstrap_interval(Ranking.auroc, labels, scores))


@pytest.mark.slow
def test_bootstrap_of_a_million_rows_stays_around_the_estimate():
    rng = np.random.default_rng(0)
    labels = (np.arange(1_000_000) % 2).astype(int)
    scores = rng.normal(size=len(labels)) + labels
    low, high = metrics.bootstrap_interval(Ranking.auroc, labels, scores)
    assert low < metrics.auroc(labels, scores) < high
    assert high - low < 0.003


def test_pixel_auroc_equals_scikit_learn_over_all_pixels_of_pictures_of_different_size():
    rng = np.random.default_rng(0)
    masks = [rng.random((20, 30)) < 0.1, np.zeros((11, 7)), rng.random((16, 16)) < 0.3]
    maps = [np.exp(rng.normal(size=m.shape)) + m for m in masks]
    flat_mask = np.concatenate([np.ravel(m) for m in masks]).astype(int)
    flat_map = np.concatenate([np.ravel(m) for m in maps])
    expected = roc_auc_score(flat_mask, flat_map)
    assert metrics.pixel_auroc(masks, maps) == pytest.approx(expected, abs=1e-12)
    assert binned(masks, maps).auroc() == pytest.approx(expected, abs=1e-3)


def binned(masks, maps):
    """The curve of `anogan evaluate`, which knows no score beforehand."""
    curve = PixelCurve()
    for mask, scores in zip(masks, maps, strict=True):
        curve.add(mask, scores)
    return curve


@pytest.mark.parametrize("change", [lambda m: 1000 + m, lambda m: m * 1e-50, lambda m: m * 1e40, lambda m: m - 1e6])
def test_pixel_metrics_do_not_depend_on_offset_and_scale(change):
    rng = np.random.default_rng(0)
    masks = rng.random((5, 32, 32)) < 0.05
    maps = np.round(0.1 * rng.normal(size=masks.shape) + 0.3 * masks, 3)  # with ties
    changed = change(maps)
    expected = roc_auc_score(masks.ravel(), changed.ravel())
    assert metrics.pixel_auroc(iter(masks), iter(changed)) == pytest.approx(expected, abs=1e-12)
    assert metrics.pixel_auroc(masks, changed) == pytest.approx(metrics.pixel_auroc(masks, maps), abs=2e-4)  # its ties
    assert metrics.aupro(masks, changed) == pytest.approx(metrics.aupro(masks, maps), abs=2e-3)
    assert binned(masks, maps).aupro() == pytest.approx(metrics.aupro(masks, maps), abs=1e-3)


def test_a_picture_of_an_exact_curve_is_counted_without_an_array_over_all_pictures(monkeypatch):
    rng = np.random.default_rng(0)
    masks = np.zeros((30, 12, 12))
    masks[:, 2:8, 2:8] = 1
    maps = rng.normal(size=masks.shape)
    sizes, count = [], np.bincount

    def counted(*args, **options):
        sizes.append(len(count(*args, **options)))
        return count(*args, **options)

    monkeypatch.setattr(np, "bincount", counted)
    found = metrics.pixel_auroc(masks, maps)
    assert sum(sizes) < masks.size, "the cost would be quadratic in the number of pictures"
    assert found == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


def test_pictures_without_a_mask_are_refused():
    masks, maps = np.ones((2, 4, 4)), np.ones((3, 4, 4))
    with pytest.raises(InputError, match="There are 2 masks and 3 maps"):
        metrics.pixel_auroc(masks, maps)


def test_pixel_scores_keep_their_order_across_signs_and_magnitudes():
    mask = np.array([[0, 0, 0, 1, 1, 1]])
    for scores, expected in [([-1e9, -3.0, -1e-20, 0.0, 1e-20, 5e12], 1), ([5e12, 1e-20, 0.0, -1e-20, -3.0, -1e9], 0)]:
        assert binned([mask], [np.array([scores])]).auroc() == expected
        assert metrics.pixel_auroc([mask], [np.array([scores])]) == expected


def test_aupro_of_a_perfect_and_of_a_reversed_map():
    mask = np.zeros((10, 10))
    mask[2:5, 2:5] = 1
    assert metrics.aupro([mask], [mask]) == pytest.approx(1)
    assert metrics.aupro([mask], [1 - mask]) == pytest.approx(0, abs=1e-12)


def test_aupro_of_a_constant_map_is_the_diagonal():
    mask = np.zeros((10, 10))
    mask[2:5, 2:5] = 1
    assert metrics.aupro([mask], [np.ones((10, 10))], limit=0.3) == pytest.approx(0.15)


def test_aupro_weighs_a_small_defect_like_a_large_one():
    mask = np.zeros((10, 10))
    mask[0, 0] = 1  # one pixel, missed
    mask[4:9, 4:9] = 1  # 25 pixels, found
    found = np.where((mask == 1) & (np.arange(100).reshape(10, 10) > 0), 2.0, 1.0)
    found[0, 0] = 0.0
    # Half of the regions is covered before the first false positive; the curve stays there until the missed
    # pixel.
    assert metrics.aupro([mask], [found], limit=0.3) == pytest.approx(0.5)
    assert metrics.pixel_auroc([mask], [found]) == pytest.approx(25 / 26)


def test_aupro_interpolates_at_the_limit():
    # One defective pixel and ten normal ones, three of which rank above it: overlap jumps from 0 to 1 at FPR
    # 0.3.
    mask = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    scores = np.array([[7.5, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]])
    assert metrics.aupro([mask], [scores], limit=0.3) == pytest.approx(0, abs=1e-12)
    assert metrics.aupro([mask], [scores], limit=0.4) == pytest.approx(0.25)
    assert metrics.aupro([mask], [scores], limit=1.0) == pytest.approx(0.7)


def test_diagonal_neighbours_are_one_region():
    curve = PixelCurve()
    curve.add(np.eye(4), np.eye(4))
    assert curve.regions == 1


def test_a_sum_of_curves_is_the_curve_over_all_pictures():
    rng = np.random.default_rng(0)
    pictures = [(rng.random((5, 6)) < 0.3, rng.random((5, 6))) for _ in range(4)]
    parts = [PixelCurve(), PixelCurve()]
    whole = PixelCurve()
    for number, picture in enumerate(pictures):
        parts[number % 2].add(*picture)
        whole.add(*picture)
    both = parts[0] + parts[1]
    assert (both.auroc(), both.aupro(), both.regions) == (whole.auroc(), whole.aupro(), whole.regions)
    assert parts[0].auroc() != whole.auroc()  # the parts stay as they were


def test_pixel_metrics_name_what_is_missing():
    with pytest.raises(InputError, match="no defective pixel"):
        metrics.pixel_auroc([np.zeros((4, 4))], [np.ones((4, 4))])
    with pytest.raises(InputError, match="no normal pixel"):
        metrics.aupro([np.ones((4, 4))], [np.ones((4, 4))])
    with pytest.raises(InputError, match="one shape"):
        metrics.aupro([np.ones((4, 4))], [np.ones((4, 5))])
    with pytest.raises(InputError, match="finite"):
        metrics.aupro([np.ones((4, 4))], [np.full((4, 4), np.nan)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"confidence": 95}, r"confidence must be between 0 and 1, such as 0.95; got 95\."),
        ({"confidence": 0.0}, "confidence must be between"),
        ({"replicates": 0}, r"replicates must be at least 1; got 0\."),
    ],
)
def test_intervals_that_cannot_be_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        metrics.bootstrap_interval(Ranking.auroc, [0, 1, 0, 1], [1, 2, 3, 4], **given)


@pytest.mark.parametrize("score", [10**400, "high", None, 1j])
def test_scores_that_are_no_numbers_are_refused(score):
    with pytest.raises(InputError, match="scores"):
        metrics.auroc([0, 1], [score, 1])
