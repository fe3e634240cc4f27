"""Bins of columns: values that a column can have go to a bin, and no others come out of it."""

import numpy as np
import pytest

from anogan.data.bins import KNOTS, ColumnBins, _step
from anogan.errors import FormatError

RNG = np.random.default_rng(0)
ROWS = 2000


def columns():
    amount = np.exp(RNG.normal(size=ROWS))
    return {
        "spike": np.where(RNG.random(ROWS) < 0.4, 0.0, amount),
        "rate": np.round(RNG.beta(0.3, 0.3, ROWS), 2),
        "cents": np.round(100 * amount, 2),
        "thousands": RNG.integers(1, 5000, ROWS) * 1000.0,
        "even": RNG.integers(0, 900, ROWS) * 2.0,
        "gaps": np.where(RNG.random(ROWS) < 0.3, np.nan, amount),
        "huge": amount * 1e300,
        "constant": np.full(ROWS, 7.0),
        "nothing": np.full(ROWS, np.nan),
        "midnight": RNG.integers(19000, 19900, ROWS) * 86400.0,
        "category": RNG.choice(200, ROWS, p=RNG.dirichlet(np.full(200, 0.2))).astype(float),
    }


@pytest.fixture(scope="module")
def drawn():
    real = columns()
    values = np.column_stack(list(real.values()))
    bins = ColumnBins.fit(values, np.array([name == "category" for name in real]))
    tokens = bins.tokens(values)
    return real, dict(zip(real, bins.draw(tokens, RNG.random(values.shape)).T, strict=True)), bins, tokens


def test_drawn_values_are_such_as_occur(drawn):
    real, fake, _, _ = drawn
    for name, x in fake.items():
        if name != "nothing":
            assert np.nanmin(real[name]) <= np.nanmin(x) <= np.nanmax(x) <= np.nanmax(real[name]), name
        assert np.isnan(x).sum() == np.isnan(real[name]).sum(), name
    assert (fake["spike"] == 0).sum() == (real["spike"] == 0).sum()
    assert (np.round(fake["rate"], 2) == fake["rate"]).all()
    assert (np.round(fake["cents"], 2) == fake["cents"]).all()
    assert (fake["thousands"] % 1000 == 0).all()
    assert (fake["even"] % 2 == 0).all()
    assert (fake["midnight"] % 86400 == 0).all()
    assert set(fake["category"]) <= set(real["category"])
    assert len(set(fake["gaps"]) - set(real["gaps"])) > 1000  # numbers of full precision are new ones


def test_a_drawn_value_belongs_to_its_bin(drawn):
    real, fake, bins, tokens = drawn
    again = bins.tokens(np.column_stack(list(fake.values())))
    rounded = [name in ("cents", "thousands", "even", "midnight") for name in real]  # may round to the next bin's edge
    assert (again == tokens)[:, ~np.array(rounded)].all()
    assert (again == tokens).mean() > 0.99


def test_single_rare_values_are_not_kept_if_they_must_not_be():
    x = np.exp(RNG.normal(size=(300, 1)))
    x[:60] = 1.5
    bins = ColumnBins.fit(x, np.array([False]), single_values=False)
    assert np.isin(bins.knots, x).sum() == 1  # the frequent one
    assert (bins.draw(bins.tokens(x), RNG.random(x.shape)) == 1.5).sum() == pytest.approx(60, abs=6)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.5, 1.25], 0.25),
        ([0.1, 0.3], 0.1),
        ([3.0, 4.0], 1.0),
        ([60.0, 180.0], 60.0),
        ([np.pi, 1.0], 0.0),
        ([1e-12, 3e-9], 0.0),
        ([1e308, 3.0], 1.0),
    ],
)
def test_step(values, step):
    assert _step(np.array(values)) == step


def test_arrays_that_do_not_fit_are_refused(drawn):
    _, _, bins, tokens = drawn
    arrays = bins.arrays()
    assert np.array_equal(ColumnBins.checked(arrays, tokens.shape[1]).columns, bins.columns)
    for name, wrong in {
        "starts": arrays["starts"][::-1].copy(),
        "columns": arrays["columns"] + 1,
        "steps": -arrays["steps"] - 1,
        "discrete": arrays["discrete"][1:],
        "knots": arrays["knots"][None],
    }.items():
        with pytest.raises(FormatError, match="bins"):
            ColumnBins.checked(arrays | {name: wrong}, tokens.shape[1])
    with pytest.raises(FormatError, match="bins"):
        ColumnBins.checked(arrays, tokens.shape[1] + 1)


def test_short_columns_and_few_values():
    for n in (1, 2, 9):
        x = np.arange(n, dtype=float)[:, None]
        bins = ColumnBins.fit(x, np.array([False]))
        assert 1 <= bins.sizes[0] <= n
        drawn = bins.draw(bins.tokens(x), np.zeros(x.shape))
        assert set(drawn[:, 0]) <= set(x[:, 0])
    assert np.diff(ColumnBins.fit(RNG.normal(size=(5000, 1)), np.array([False])).starts).max() <= KNOTS
