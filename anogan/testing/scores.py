"""A score is a finite number that depends on the row's own values and on nothing else."""

import copy
import operator
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.testing import assert_allclose, assert_array_equal

from .case import DATA, NETWORKS, ONE_OF_EACH, VECTOR, Case, numbers_changed, on, rows_of


@on(*DATA)
def check_scores_are_finite(case: Case) -> None:
    """Scores are finite float64 numbers, one per row."""
    scores = case.fitted.anomaly_score(case.new)
    assert scores.shape == (len(case.new),), scores.shape
    assert scores.dtype == np.float64, scores.dtype
    assert np.isfinite(scores).all(), scores


@on(*DATA)
def check_scores_of_extreme_rows_are_finite(case: Case) -> None:
    """Scores of rows 10^12 times as large as the training rows are finite."""
    scores = case.fitted.anomaly_score(numbers_changed(case.new, lambda x: x * 1e12))
    assert np.isfinite(scores).all(), scores


@on(*NETWORKS)
def check_float32_scores_are_close_to_float64(case: Case) -> None:
    """Scores in float32 are float64 arrays that differ by at most 20 % from those in float64."""
    scores = case.shared(precision="float32").anomaly_score(case.new)
    assert scores.dtype == np.float64, scores.dtype
    # Rounding may choose other patches for a small memory bank, which moves FeatureGAN's scores by up to 8 %, or
    # another of the stored samples of a hardly trained generator, where AnoGAN's search with style begins, by 18 %.
    assert_allclose(scores, case.fitted.anomaly_score(case.new), rtol=0.2)


@on(*ONE_OF_EACH)
def check_data_are_not_changed(case: Case) -> None:
    """No method changes the data that it is given."""
    X, new = case.X, case.new
    kept = copy.deepcopy((X, new))
    detector = case.fit(X)
    for method in (detector.anomaly_score, detector.predict, detector.p_value, detector.flag, detector.explain):
        method(new)
    if detector.module_.can("reconstruct"):
        detector.reconstruct(new)
    for after, before in zip((X, new), kept, strict=True):
        if isinstance(after, pd.DataFrame):
            pd.testing.assert_frame_equal(after, before)
        else:
            assert_array_equal(after, before)


@on(*DATA)
def check_scoring_is_repeatable(case: Case) -> None:
    """Scoring the same rows twice gives the same scores, bit for bit."""
    assert_array_equal(case.fitted.anomaly_score(case.new), case.fitted.anomaly_score(case.new))


@on(*DATA)
def check_subset_and_order_invariance(case: Case) -> None:
    """A row scores the same alone, among others, and in any order; rows of tables and arrays bit for bit."""
    new, detector = case.new, case.fitted
    is_patches = hasattr(detector.module_, "patches")  # whose whitening is one product for all patches
    tolerance = 1e-9 if detector.preprocessor_.spec_.is_image or is_patches else 0
    scores = detector.anomaly_score(new)
    order = np.random.default_rng(0).permutation(len(new))
    assert_allclose(detector.anomaly_score(rows_of(new, order)), scores[order], rtol=tolerance)
    for i in range(3):
        assert_allclose(detector.anomaly_score(rows_of(new, [i])), scores[[i]], rtol=tolerance)


@on(*DATA)
def check_score_depends_on_own_row_only(case: Case) -> None:
    """A score changes with its own row's values and with no other row's."""
    new, detector = case.new, case.fitted
    scores = detector.anomaly_score(new)
    for i in range(len(new)):
        changed = numbers_changed(rows_of(new, [i]), lambda x: x * 1.5 + 1)
        others = [j for j in range(len(new)) if j != i]
        rest = rows_of(new, others)
        together = pd.concat([changed, rest]) if isinstance(new, pd.DataFrame) else np.concatenate([changed, rest])
        after = detector.anomaly_score(together)
        assert after[0] != scores[i], f"row {i} scores {scores[i]} whatever its values are"
        assert_allclose(after[1:], scores[others], rtol=1e-9)


@on(*DATA)
def check_every_value_counts(case: Case) -> None:
    """A change of any single value of a row changes its score."""
    row, detector = rows_of(case.new, [1]), case.fitted
    if isinstance(row, pd.DataFrame):
        changes = {
            "amount": [9.0],
            "country": pd.Categorical(["FR"], ["AT", "DE", "FR"]),
            "age": [90],
            "known": [True],
        }
        altered = {name: row.assign(**{name: values}) for name, values in changes.items()}
    else:
        altered = {}
        for position in np.ndindex(row.shape):
            altered[str(position[1:])] = other = row.copy()
            other[position] = other[position] * 1.7 + 0.3
    together = pd.concat if isinstance(row, pd.DataFrame) else np.concatenate
    score, *scores = detector.anomaly_score(together([row, *altered.values()]))
    for name, other in zip(altered, scores, strict=True):
        assert abs(other - score) > 1e-9 * abs(score), f"the value {name} makes no difference"


@on(*DATA)
def check_scoring_does_not_change_the_weights(case: Case) -> None:
    """Scoring, explaining, sampling and reconstructing leave every weight bit-identical and in eval mode."""
    detector, new = case.fitted, case.new
    before = {k: v.clone() for k, v in detector.module_.state_dict().items()}
    detector.anomaly_score(numbers_changed(new, lambda x: x * 100))
    detector.explain(new)
    for method in ("sample", "reconstruct"):
        if detector.module_.can(method):
            getattr(detector, method)(5 if method == "sample" else new)
    for key, tensor in detector.module_.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    assert not any(module.training for module in detector.module_.modules())
    assert all(w.grad is None and not w.requires_grad for w in detector.module_.parameters())


@on(*ONE_OF_EACH)
def check_ranking_does_not_depend_on_the_unit(case: Case) -> None:
    """The ranking stays the same when all numbers are measured in another unit."""
    # No missing value and no category changes its meaning.
    ranking = np.argsort(case.fitted.anomaly_score(case.new))
    for factor in (1024.0, 1e-3):
        X, new = (numbers_changed(data, partial(operator.mul, factor)) for data in (case.X, case.new))
        assert_array_equal(np.argsort(case.fit(X).anomaly_score(new)), ranking)


@on(VECTOR)
def check_ranking_does_not_depend_on_the_unit_under_any_scaling(case: Case) -> None:
    """The ranking stays the same in another unit, whichever scaling is chosen."""
    for scaling in case.cls.parameters()["scaling"].constraint.choices or ():
        small = case.fit(scaling=scaling).anomaly_score(case.new)
        large = case.fit(case.X * 1e6, scaling=scaling).anomaly_score(case.new * 1e6)
        assert_array_equal(np.argsort(small), np.argsort(large), err_msg=scaling)
