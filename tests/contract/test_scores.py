"""What a score is, and what it may depend on: the row's own values and nothing else."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal


def changed_numbers(X, change):
    """``change`` applied to every number of X: all of an array, the numeric columns of a table."""
    if not isinstance(X, pd.DataFrame):
        return change(X)
    return X.assign(amount=change(X["amount"]), age=change(X["age"]))


def rows_of(X, indices):
    return X.iloc[indices] if isinstance(X, pd.DataFrame) else X[indices]


def test_scores_are_finite_float64_one_per_row(case):
    scores = case.fitted.anomaly_score(case.new)
    assert scores.shape == (len(case.new),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_scores_of_absurd_rows_are_finite(case):
    scores = case.fitted.anomaly_score(changed_numbers(case.new, lambda x: x * 1e12))
    assert np.isfinite(scores).all()


def test_float32_scores_are_close_to_float64_ones(network_case):
    scores = network_case.fit(precision="float32").anomaly_score(network_case.new)
    assert scores.dtype == np.float64
    assert_allclose(scores, network_case.fitted.anomaly_score(network_case.new), rtol=1e-2)


def test_nothing_changes_the_data(case):
    X, new = case.X, case.new
    kept = copy.deepcopy((X, new))
    detector = case.fit(X)
    for method in (
        detector.anomaly_score,
        detector.predict,
        detector.p_value,
        detector.flag,
        detector.explain,
    ):
        method(new)
    if detector.module_.can("reconstruct"):
        detector.reconstruct(new)
    for after, before in zip((X, new), kept, strict=True):
        if isinstance(after, pd.DataFrame):
            pd.testing.assert_frame_equal(after, before)
        else:
            assert_array_equal(after, before)


def test_scoring_twice_gives_the_same(case):
    assert_array_equal(case.fitted.anomaly_score(case.new), case.fitted.anomaly_score(case.new))


def test_a_row_scores_the_same_in_any_company_and_order(case):
    new, detector = case.new, case.fitted
    scores = detector.anomaly_score(new)
    order = np.random.default_rng(0).permutation(len(new))
    assert_allclose(detector.anomaly_score(rows_of(new, order)), scores[order], rtol=1e-9)
    for i in range(3):
        assert_allclose(detector.anomaly_score(rows_of(new, [i])), scores[[i]], rtol=1e-9)


def test_long_inputs_are_scored_in_batches_without_a_seam(network_case, monkeypatch):
    detector, new = network_case.fitted, network_case.new
    scores = detector.anomaly_score(new)
    many = np.concatenate([new] * 5)
    monkeypatch.setattr("anogan.engine.inference.VALUES_PER_BATCH", 1)  # the smallest batches there are
    assert_allclose(detector.anomaly_score(many), np.tile(scores, 5), rtol=1e-9)


def test_a_score_depends_on_the_row_s_own_values_and_on_no_other_row_s(case):
    new, detector = case.new, case.fitted
    scores = detector.anomaly_score(new)
    for i in range(len(new)):
        moved = changed_numbers(rows_of(new, [i]), lambda x: x * 1.5 + 1)
        others = [j for j in range(len(new)) if j != i]
        together = (
            pd.concat([moved, rows_of(new, others)])
            if isinstance(new, pd.DataFrame)
            else np.concatenate([moved, rows_of(new, others)])
        )
        after = detector.anomaly_score(together)
        assert after[0] != scores[i]
        assert_allclose(after[1:], scores[others], rtol=1e-9)


def test_every_value_of_a_row_counts(case):
    row, detector = rows_of(case.new, [1]), case.fitted
    score = detector.anomaly_score(row)
    if isinstance(row, pd.DataFrame):
        changes = {
            "amount": [9.0],
            "country": pd.Categorical(["FR"], ["AT", "DE", "FR"]),
            "age": [90],
            "known": [True],
        }
        altered = [row.assign(**{name: values}) for name, values in changes.items()]
    else:
        altered = []
        for position in np.ndindex(row.shape):
            other = row.copy()
            other[position] = other[position] * 1.7 + 0.3
            altered.append(other)
    for other in altered:
        assert detector.anomaly_score(other) != score


def test_scoring_leaves_the_weights_bit_identical(case):
    detector, new = case.fitted, case.new
    before = {k: v.clone() for k, v in detector.module_.state_dict().items()}
    detector.anomaly_score(changed_numbers(new, lambda x: x * 100))
    detector.explain(new)
    for method in ("sample", "reconstruct"):
        if detector.module_.can(method):
            getattr(detector, method)(5 if method == "sample" else new)
    for key, tensor in detector.module_.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    assert not any(module.training for module in detector.module_.modules())
    assert all(w.grad is None and not w.requires_grad for w in detector.module_.parameters())


@pytest.mark.parametrize("factor", [1024.0, 1e-3])
def test_the_ranking_does_not_depend_on_the_unit(case, factor):
    # No missing value and no category changes its meaning; numbers are measured in another unit.
    X, new = (changed_numbers(data, lambda x: x * factor) for data in (case.X, case.new))
    scores = case.fit(X).anomaly_score(new)
    assert_array_equal(np.argsort(scores), np.argsort(case.fitted.anomaly_score(case.new)))


def test_the_ranking_does_not_depend_on_the_unit_under_any_scaling(vector_case):
    for scaling in vector_case.cls.parameters()["scaling"].constraint.choices:
        small = vector_case.fit(scaling=scaling).anomaly_score(vector_case.new)
        large = vector_case.fit(vector_case.X * 1e6, scaling=scaling).anomaly_score(vector_case.new * 1e6)
        assert_array_equal(np.argsort(small), np.argsort(large))
