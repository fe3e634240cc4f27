"""Numeric arrays, and the choice of a preprocessor."""

import numpy as np
import pandas as pd
import pytest
import torch

from anogan import InputError
from anogan.data.choose import preprocessor_for, preprocessor_from_state
from anogan.data.samples import TensorSamples
from anogan.data.scaling import SCALINGS
from anogan.data.spec import SampleSpec
from anogan.data.state import decode, encode
from anogan.data.vector import VectorPreprocessor

RNG = np.random.default_rng(0)
X = RNG.lognormal(size=(60, 4)) * [1, 1e9, 1e-9, 0] + [0, 5, 0, 3]


@pytest.mark.parametrize("scaling", SCALINGS)
def test_values_come_back_and_the_state_keeps_the_preprocessor(scaling):
    preprocessor = preprocessor_for(X, scaling=scaling).fit(X)
    assert preprocessor.spec_ == SampleSpec((4,))
    code = preprocessor.transform(X, torch.float64).tensor
    np.testing.assert_allclose(preprocessor.inverse(code.numpy()), X, rtol=1e-8)
    loaded = preprocessor_from_state(decode(*encode(preprocessor.to_state())))
    assert torch.equal(loaded.transform(X, torch.float64).tensor, code)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_rows_are_scaled_independently(scaling):
    preprocessor = VectorPreprocessor(scaling).fit(X)
    code = preprocessor.transform(X, torch.float64).tensor
    order = np.random.default_rng(1).permutation(60)[:13]
    assert torch.equal(preprocessor.transform(X[order], torch.float64).tensor, code[order])


def test_only_training_rows_set_the_scale():
    preprocessor = VectorPreprocessor().fit(np.array([[1.0], [3.0], [1e6]]), rows=np.array([0, 1]))
    assert preprocessor.transform([[1.0], [3.0]], torch.float32).tensor.tolist() == [[-1.0], [1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_values_stay_finite(dtype):
    extreme = np.array([[1e308, -1e308, 1e-308], [1.0, 2.0, 3.0]])
    for training in (X[:, :3], extreme):
        preprocessor = VectorPreprocessor().fit(training)
        code = preprocessor.transform(extreme, dtype).tensor
        assert code.dtype == dtype
        assert torch.isfinite(code.square()).all()
        assert np.isfinite(preprocessor.inverse(code.numpy())).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[np.nan] * 4]), r"Input X contains NaN \(first at row 0, column 0\)"),
        (np.array([[1, np.inf, 1, 1]]), r"contains infinity \(first at row 0, column 1\)"),
        (np.zeros((0, 4)), r"0 sample\(s\)"),
        (np.zeros((4, 0)), r"0 feature\(s\)"),
        (np.zeros((4, 3)), "3 features, but the model is expecting 4 features as input"),
        (np.zeros(4), "Expected 2D array, got 1D array"),
        (np.array([["a", "b", "c", "d"]]), r"must be numeric.*DataFrame"),
    ],
)
def test_bad_arrays_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        VectorPreprocessor().fit(X).transform(bad, torch.float32)


def test_collapse_keeps_each_column():
    error = RNG.random((3, 4))
    np.testing.assert_array_equal(VectorPreprocessor().fit(X).collapse(error), error)


def test_the_kind_follows_the_data():
    assert preprocessor_for(X).kind == "vector"
    assert preprocessor_for(X.tolist()).kind == "vector"
    assert preprocessor_for(pd.DataFrame(X)).kind == "table"
    assert preprocessor_for(np.zeros((2, 1, 8, 8))).kind == "image"
    with pytest.raises(InputError, match=r"samples of shape \(28, 28\).*X\[:, None\]"):
        preprocessor_for(np.zeros((5, 28, 28)))
    with pytest.raises(InputError, match="Reshape your data"):
        preprocessor_for(np.zeros(5))


def test_tensor_samples_hand_out_batches_in_order():
    samples = TensorSamples(torch.arange(12.0).reshape(6, 2))
    assert len(samples) == 6
    assert samples.batch(np.array([5, 0])).tolist() == [[10, 11], [0, 1]]
    assert len(samples.subset(np.array([1, 2]))) == 2
    parts = list(samples.batches([np.array([0, 1]), np.array([4])]))
    assert [part[:, 0].tolist() for part in parts] == [[0, 2], [8]]


def beyond(preprocessor, X):
    counter = preprocessor.range_counter()
    counter.add(X)
    return [note.text() for note in counter.notes()]


def test_another_unit_of_a_column_is_said_and_rounding_is_not():
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=400), rng.choice([-1.635871141, 0.123456789], 400), rng.integers(0, 9, 400) + 20240101]
    X = np.c_[X, np.full(400, -0.0614006412), np.full(400, 20240101.0)]
    preprocessor = VectorPreprocessor().fit(X)
    loaded = preprocessor_from_state(decode(*encode(preprocessor.to_state())))
    single = np.c_[X[:, :2].astype(np.float32), X[:, 2], X[:, 3].astype(np.float32), X[:, 4]]
    for fitted in (preprocessor, loaded):
        assert beyond(fitted, X) == beyond(fitted, X.round(6)) == beyond(fitted, single) == []
        (said,) = beyond(fitted, X * [1000, 1, 1, 1, 1])
        assert "beyond the range of training" in said
        assert len(beyond(fitted, X + np.array([0, 0, 30, 0, 1]))) == 2


def test_a_state_of_an_older_version_knows_no_range():
    state = {
        name: value for name, value in VectorPreprocessor().fit(X).to_state().items() if name in ("kind", "scaler")
    }
    assert beyond(preprocessor_from_state(decode(*encode(state))), X * 1000) == []


def test_ranges_are_rounded_outwards_if_no_values_are_kept():
    X = np.c_[np.linspace(-1.2345, 9.8765, 50), np.full(50, 7.5)]
    preprocessor = VectorPreprocessor().fit(X)
    preprocessor.blur()
    assert preprocessor.low_.tolist() == [-2, 7.5]
    assert preprocessor.high_.tolist() == [10, 7.5]
