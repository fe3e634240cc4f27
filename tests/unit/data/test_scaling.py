"""Scaling of numeric columns: equivariant, monotone, finite, invertible."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anogan import InputError
from anogan.data.scaling import CONSTANT_STEP, SCALINGS, NumericScaler, inverse_symlog, symlog

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 3))
COLUMNS = arrays(np.float64, st.integers(3, 60), elements=FLOATS)
ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)

each_scaling = pytest.mark.parametrize("scaling", SCALINGS)


@given(column=COLUMNS, power=st.integers(-60, 60), sign=st.sampled_from([1.0, -1.0]))
@each_scaling
def test_unit_of_a_column_does_not_matter(scaling, column, power, sign):
    factor = 2.0**power  # a power of two is exact, so nothing hides behind a tolerance
    monitor_data = np.concatenate([column, column * 3 + 7])
    plain = NumericScaler(scaling).fit([column]).column(0, monitor_data)
    scaled = NumericScaler(scaling).fit([column * factor]).column(0, monitor_data * factor)
    np.testing.assert_array_equal(plain, scaled)


@pytest.mark.parametrize("shift", [0.0, -273.15, 1e4])
@pytest.mark.parametrize("factor", [1.0, 1e-9, 1852.0, 1e12])
@each_scaling
def test_unit_and_origin_of_a_column_do_not_matter(scaling, factor, shift):
    rng = np.random.default_rng(0)
    column = rng.lognormal(size=500)
    monitor_data = np.concatenate([column, [-50.0, 0.0, 1e3, 1e6]])
    plain = NumericScaler(scaling).fit([column]).column(0, monitor_data)
    other = NumericScaler(scaling).fit([(column + shift) * factor]).column(0, (monitor_data + shift) * factor)
    np.testing.assert_allclose(plain, other, rtol=1e-6, atol=1e-6)


@given(column=COLUMNS, monitor_data=arrays(np.float64, 20, elements=ANY_FLOAT))
@each_scaling
def test_any_finite_value_becomes_a_number_whose_square_float32_holds(scaling, column, monitor_data):
    z = NumericScaler(scaling).fit([column]).column(0, monitor_data)
    with np.errstate(over="raise"):
        assert np.isfinite(np.square(z.astype(np.float32))).all()


@given(column=COLUMNS, monitor_data=arrays(np.float64, 20, elements=FLOATS))
@each_scaling
def test_larger_values_stay_larger(scaling, column, monitor_data):
    z = NumericScaler(scaling).fit([column]).column(0, np.sort(monitor_data))
    assert (np.diff(z) >= -1e-12 * np.abs(z[1:])).all()


@given(column=COLUMNS)
@each_scaling
def test_values_come_back(scaling, column):
    scaler = NumericScaler(scaling).fit([column])
    monitor_data = np.append(column, [column.max() + np.ptp(column), column.min() - np.ptp(column)])
    back = scaler.inverse_column(0, scaler.column(0, monitor_data))
    np.testing.assert_allclose(back, monitor_data, rtol=1e-6, atol=1e-6 * max(np.abs(column).max(), 1e-300))


@given(column=COLUMNS)
@each_scaling
def test_far_out_values_keep_growing(scaling, column):
    assume(np.ptp(column) > 0)
    scaler = NumericScaler(scaling).fit([column])
    steps = np.ptp(column) * np.array([1.0, 10.0, 100.0, 1e4, 1e8])
    assert (np.diff(scaler.column(0, column.max() + steps)) > 0.05).all()
    assert (np.diff(scaler.column(0, column.min() - steps)) < -0.05).all()


@pytest.mark.parametrize("constant", [0.0, 5.0, -1e-300, 1e300, 0.1])
@each_scaling
def test_a_constant_column_is_zero_until_its_value_changes(scaling, constant):
    scaler = NumericScaler(scaling).fit([np.full(9, constant)])
    monitor_data = np.array(
        [constant, np.float32(constant) if abs(constant) < 1e30 else constant, constant + 1.0, -1e301]
    )
    np.testing.assert_array_equal(scaler.column(0, monitor_data)[[0, 3]], [0.0, -CONSTANT_STEP])
    if abs(constant) < 1e10:
        assert scaler.column(0, monitor_data)[2] == CONSTANT_STEP
    np.testing.assert_array_equal(scaler.inverse_column(0, np.array([0.0, 3.0])), [constant, constant])


def test_a_constant_that_was_rounded_is_unchanged_and_the_next_whole_number_is_another_value():
    constants = [-0.0614006412345, 0.061401, 20240101.0, 20240100.0, 1234.5]
    scaler = NumericScaler("soft").fit([np.full(9, constant) for constant in constants])
    single = float(np.float32(constants[0]))
    assert not scaler.column(0, np.array([single, -0.061401, -0.06140064, -0.061400641234500001])).any()
    assert scaler.column(0, np.array([-0.0615, -0.06141])).tolist() == [-5, -5]
    assert not scaler.column(1, np.array([0.06140064, 0.0614013])).any()  # the constant itself was rounded
    assert scaler.column(2, np.array([20240101.0, 20240100, 20240102, 20240105])).tolist() == [0, -5, 5, 5]
    assert scaler.column(3, np.array([20240100.0, 20240101, 20240099])).tolist() == [0, 5, -5]
    assert scaler.column(4, np.array([1234.5, 1234.51, 1234.4])).tolist() == [0, 5, -5]
    of_single = NumericScaler("soft").fit([np.full(9, single)])
    assert not of_single.column(0, np.array([constants[0], single])).any()


@each_scaling
def test_a_constant_that_passed_through_float32_is_still_that_constant(scaling):
    scaler = NumericScaler(scaling).fit([np.full(9, 0.1)])
    assert scaler.column(0, np.array([np.float32(0.1)], dtype=np.float64))[0] == 0.0


@each_scaling
def test_missing_values_take_no_part(scaling):
    rng = np.random.default_rng(0)
    column = rng.normal(size=100)
    holes = np.append(column, [np.nan] * 40)
    expected = NumericScaler(scaling).fit([column]).column(0, column)
    got = NumericScaler(scaling).fit([holes]).column(0, holes)
    np.testing.assert_array_equal(got, np.append(expected, [np.nan] * 40))


@each_scaling
def test_a_column_without_any_value_gives_zeros(scaling):
    scaler = NumericScaler(scaling).fit([np.full(5, np.nan)])
    np.testing.assert_array_equal(scaler.column(0, np.array([3.0, np.nan])), [0.0, np.nan])
    assert scaler.fill_[0] == 0.0


def test_quantile_gives_normal_scores():
    training, fresh = np.random.default_rng(0).lognormal(sigma=3, size=(2, 20_000))
    z = NumericScaler("quantile").fit([training]).column(0, fresh)
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1) < 0.02


def test_unknown_scaling_names_the_choices():
    with pytest.raises(InputError, match=r"'scaling' parameter must be one of 'standard'.* Got 'minmax'"):
        NumericScaler("minmax").fit([np.arange(3.0)])


@given(z=st.floats(-1e200, 1e200))
def test_tame_comes_back(z):
    np.testing.assert_allclose(inverse_symlog(symlog(np.array([z]))), [z], rtol=1e-6)
