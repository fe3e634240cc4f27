"""Tables: every kind of column to numbers and back, and clear words for what cannot be used."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anogan import InputError
from anogan.data.choose import preprocessor_for, preprocessor_from_state
from anogan.data.scaling import SCALINGS
from anogan.data.state import decode, encode
from anogan.data.tabular import TablePreprocessor

N = 120


def mixed_table(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 900 * 86400, n), unit="s")
    day = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 30, n), unit="D")
    hole = rng.random(n) < 0.2
    hole[0] = True
    return pd.DataFrame(
        {
            "float": rng.normal(50, 9, n),
            "float32": rng.lognormal(size=n).astype(np.float32),
            "int": rng.poisson(4, n),
            "uint8": rng.integers(0, 256, n).astype(np.uint8),
            "constant": np.full(n, 7),
            "holes": np.where(hole, np.nan, rng.normal(size=n)),
            "Int64": pd.Series(rng.integers(-5, 5, n)).astype("Int64").mask(hole),
            "Float64": pd.Series(rng.normal(size=n)).astype("Float64").mask(hole),
            "int64[pyarrow]": pd.Series(rng.integers(-5, 5, n)).astype("int64[pyarrow]").mask(hole),
            "objects": pd.Series(rng.integers(0, 9, n)).astype(object),
            "bool": rng.random(n) < 0.3,
            "boolean": pd.Series(rng.random(n) < 0.3).astype("boolean").mask(hole),
            "text": pd.Series(rng.choice(["a", "b", "Ünïcode", ""], n)),
            "texts with holes": pd.Series(rng.choice(["x", "y"], n)).mask(hole),
            "object text": pd.Series(rng.choice(["x", "y"], n).astype(object), dtype=object),
            "string": pd.Series(rng.choice(["x", "y"], n)).astype("string"),
            "string[pyarrow]": pd.Series(rng.choice(["x", "y"], n)).astype(pd.ArrowDtype(pa.string())),
            "category": pd.Categorical(rng.choice(["lo", "hi"], n), ["lo", "mid", "hi"], ordered=True),
            "numbered": pd.Categorical(rng.choice([3, 1], n)).set_categories([3, 1, 2]),
            "when": when.astype("datetime64[ns]"),
            "when with holes": pd.Series(when.astype("datetime64[us]")).mask(hole),
            "zoned": when.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "timestamp[pyarrow]": pd.Series(when).astype(pd.ArrowDtype(pa.timestamp("us"))),
            "date32[pyarrow]": pd.Series(day.date).astype(pd.ArrowDtype(pa.date32())),
            "day": day.astype("datetime64[s]"),
            "date": pd.Series(day.date, dtype=object),
        }
    )  # fmt: skip


DATES = ["when", "when with holes", "zoned", "timestamp[pyarrow]", "date32[pyarrow]", "day", "date"]
TRENDS = dict.fromkeys(DATES, "trend")
"""Dates of which the time itself is learned, so that they come back as they were."""


@pytest.fixture(scope="module", params=SCALINGS)
def fitted(request):
    X = mixed_table()
    return X, preprocessor_for(X, scaling=request.param, columns=TRENDS).fit(X)


def test_every_kind_of_column_comes_back(fitted):
    X, preprocessor = fitted
    code = preprocessor.transform(X, torch.float64).tensor
    assert code.shape == (N, *preprocessor.spec_.shape)
    assert torch.isfinite(code).all()
    back = preprocessor.inverse(code.numpy())
    assert list(back.columns) == list(X.columns)
    assert back.dtypes.astype(str).tolist() == X.dtypes.astype(str).tolist()
    for name in X.columns:
        if X[name].dtype.kind == "M":
            pd.testing.assert_series_equal(back[name].dt.round("s"), X[name].dt.round("s"), obj=name)
        else:
            pd.testing.assert_series_equal(back[name], X[name], rtol=1e-6, obj=name)


def test_random_codes_become_a_valid_table(fitted):
    X, preprocessor = fitted
    back = preprocessor.inverse(np.random.default_rng(0).normal(size=(50, *preprocessor.spec_.shape)) * 30)
    assert back.dtypes.astype(str).tolist() == X.dtypes.astype(str).tolist()
    assert set(back["text"]) <= set(X["text"])
    assert preprocessor.transform(back, torch.float32).tensor.shape == (50, *preprocessor.spec_.shape)


def test_the_state_keeps_the_preprocessor(fitted):
    X, preprocessor = fitted
    loaded = preprocessor_from_state(decode(*encode(preprocessor.to_state())))
    assert loaded.spec_ == preprocessor.spec_
    code = preprocessor.transform(X, torch.float64).tensor
    assert torch.equal(loaded.transform(X, torch.float64).tensor, code)
    pd.testing.assert_frame_equal(loaded.inverse(code.numpy()), preprocessor.inverse(code.numpy()))
    assert loaded.column_types() == preprocessor.column_types()


def test_a_dtype_without_a_name_that_can_be_read_is_restored_in_the_nearest_one():
    """Decimals as float64, for pandas does not make a decimal type of its name; sparse columns stay sparse."""
    X = pd.DataFrame(
        {
            "decimal": pd.Series(
                pa.array([1, 2, 3]).cast(pa.decimal128(25, 2)), dtype=pd.ArrowDtype(pa.decimal128(25, 2))
            ),
            "sparse": pd.Series([0.0, 1.5, 3.0]).astype("Sparse[float64]"),
        }
    )
    preprocessor = preprocessor_for(X).fit(X)
    read = preprocessor_from_state(decode(*encode(preprocessor.to_state())))
    back = read.inverse(read.transform(X, torch.float64).tensor.numpy())
    assert back.dtypes.astype(str).tolist() == ["float64", "Sparse[float64, nan]"]
    np.testing.assert_allclose(back.to_numpy(dtype=float), X.to_numpy(dtype=float))


def test_the_table_is_not_changed(fitted):
    X, preprocessor = fitted
    before = X.copy(deep=True)
    preprocessor.transform(X, torch.float32)
    TablePreprocessor().fit(X)
    pd.testing.assert_frame_equal(X, before)


def test_rows_are_coded_independently(fitted):
    X, preprocessor = fitted
    code = preprocessor.transform(X, torch.float64).tensor
    order = np.random.default_rng(1).permutation(N)[:17]
    assert torch.equal(preprocessor.transform(X.iloc[order], torch.float64).tensor, code[order])
    assert torch.equal(preprocessor.transform(X.iloc[[0]], torch.float64).tensor, code[:1])


def test_spans_are_the_one_hot_groups(fitted):
    X, preprocessor = fitted
    code = preprocessor.transform(X, torch.float64).tensor
    spans = preprocessor.spec_.spans
    assert len(spans) == 9
    for start, stop in spans:
        assert torch.equal(code[:, start:stop].sum(1), torch.ones(N, dtype=torch.float64))
        assert set(code[:, start:stop].unique().tolist()) == {0.0, 1.0}


def test_collapse_sums_each_column_and_loses_nothing(fitted):
    X, preprocessor = fitted
    error = np.random.default_rng(0).random((5, *preprocessor.spec_.shape))
    collapsed = preprocessor.collapse(error)
    assert list(collapsed.columns) == list(X.columns)
    np.testing.assert_allclose(collapsed.sum(axis=1), error.sum(axis=1))


def test_streamed_chunks_give_the_same_codes(fitted):
    X, preprocessor = fitted
    whole = preprocessor.transform(X, torch.float64).tensor
    parts = [preprocessor.transform(X.iloc[i : i + 13], torch.float64).tensor for i in range(0, N, 13)]
    assert torch.equal(torch.cat(parts), whole)


def test_only_training_rows_set_the_scale_but_all_rows_are_known():
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0, 1e9, np.nan], "c": ["a", "b", "a", "c", None]})
    preprocessor = TablePreprocessor().fit(X, rows=np.arange(3))
    code = preprocessor.transform(X, torch.float64).tensor
    np.testing.assert_allclose(code[:3, 0], [-1.224744871, 0, 1.224744871])
    assert code.shape[1] == 2 + 4
    assert not preprocessor.account(X).unseen.any()


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("training", "scored", "message"),
    [
        (table(a=[1.0, 2.0]), table(a=[1.0, np.inf]), r"'a' contains infinity in 1 row"),
        (table(a=[1.0, 2.0]), table(a=["1", "oops"]), r"'a' changed type: .* numbers, but X has '1' \(str\)"),
        (table(a=["u", "v"]), table(a=[1, 2]), r"'a' changed type: .* text, but X has 1 \(int\)"),
        (table(a=[True, False]), table(a=["yes", "no"]), r"'a' changed type: .* true/false .* 'yes'"),
        (table(a=[True, False]), table(a=[2, 3]), r"'a' changed type: .* true/false .* 2"),
        (table(a=pd.to_datetime(["2020", "2021"])), table(a=["2020", "2021"]), r"'a' changed type: .* dates"),
        (table(a=pd.to_datetime(["2020", "2021"])), table(a=[1, 2]), r"'a' changed type: .* dates"),
        (
            table(a=pd.to_datetime(["2020", "2021"])),
            table(a=pd.to_datetime(["2020", "2021"], utc=True)),
            r"'a' has dates with a time zone; the model was fitted on dates without",
        ),
        (table(a=[1.0, 2.0]), table(a=pd.to_datetime(["2020", "2021"])), r"'a' changed type: .* numbers"),
        (table(a=[1.0, 2.0]), table(a=[1.0, 2.0])[:0], r"0 sample\(s\)"),
    ],
)
def test_bad_scoring_table_is_refused_by_name(training, scored, message):
    preprocessor = TablePreprocessor().fit(training)
    with pytest.raises(InputError, match=message):
        preprocessor.transform(scored, torch.float32)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (table(a=[1.0, np.inf]), r"'a' contains infinity"),
        (table(a=[f"id{i}" for i in range(60)]), r"No column is left .*'a' has 60 distinct texts in 60 rows"),
        (table(a=[1, "x"]), r"'a' mixes types \(int, str\)"),
        (table(a=pd.to_timedelta([1, 2], unit="s")), r"'a' is of type timedelta.*total_seconds"),
        (table(a=pd.Series(["\udcff", "b"], dtype=object)), r"Column 'a' has the text '\\udcff', which is not Unicode"),
        (pd.DataFrame([[1.0], [2.0]], columns=pd.Index(["\udcff"], dtype=object)), r"A column name has the text"),
        (pd.DataFrame([[1.0, 2.0]], columns=[True, False]), r"Column names must be text, got True"),
        (table(a=[1j, 2.0]), r"'a' is of type complex"),
        (table(a=[[1], [2]]), r"'a' holds several values in one cell \(list\)"),
        (table(a=pd.Categorical([1, "x"])), r"'a' has categories of type number, text"),
        (table(a=[datetime.time(3), datetime.time(4)]), r"'a' is of type object \(time\)"),
        (table(), r"0 feature\(s\)"),
        (table(a=[1.0])[:0], r"0 sample\(s\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"'a' occurs more than once"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), r"must be text"),
    ],
)
def test_bad_training_table_is_refused_by_name(training, message):
    with pytest.raises(InputError, match=message):
        TablePreprocessor().fit(training)


def test_column_names_are_checked_in_sklearns_words():
    preprocessor = TablePreprocessor().fit(table(src_bytes=[1.0, 2.0], dst_bytes=[1.0, 2.0], flag=["a", "b"]))
    start = "The feature names should match those that were passed during fit.\n"
    with pytest.raises(InputError) as extra:
        preprocessor.transform(table(src_byte=[1.0], dst_bytes=[1.0], flag=["a"]), torch.float32)
    assert str(extra.value) == (
        start + "Feature names unseen at fit time:\n- src_byte\n"
        "Feature names seen at fit time, yet now missing:\n- src_bytes\n"
        "Did you mean 'src_bytes' by 'src_byte'?\n"
    )
    with pytest.raises(InputError) as order:
        preprocessor.transform(table(dst_bytes=[1.0], src_bytes=[1.0], flag=["a"]), torch.float32)
    assert str(order.value) == start + "Feature names must be in the same order as they were in fit.\n"
    with pytest.raises(InputError) as missing:
        preprocessor.transform(table(src_bytes=[1.0]), torch.float32)
    assert str(missing.value).startswith(
        start + "Feature names seen at fit time, yet now missing:\n- dst_bytes\n- flag\n"
    )


def test_unseen_categories_are_all_zero_and_reported():
    preprocessor = TablePreprocessor().fit(table(c=["a", "b"], b=[True, False], x=[1.0, 2.0]))
    X = table(c=["a", "z", None, "z"], b=[True, None, False, True], x=[1.0, 1.0, np.nan, 1.0])
    samples = preprocessor.transform(X, torch.float64)
    code = samples.tensor
    np.testing.assert_array_equal(code[:, :2], [[1, 0], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(code[:, 2:4], [[0, 1], [0, 0], [1, 0], [0, 1]])
    assert code[:, 4].tolist() == [-1, -1, 0, -1]
    assert samples.unseen.tolist() == [[False] * 3, [True, True, False], [True, False, True], [True, False, False]]
    assert preprocessor.account(X).unseen.tolist() == samples.unseen.tolist()
    assert [codes.tolist() for codes in preprocessor.known_codes()] == [[[1, 0], [0, 1]]] * 2 + [[[-1], [1]]]


def test_the_known_values_of_a_number_reach_from_the_smallest_to_the_largest():
    X = table(few=[3.0, 1.0, 3.0] * 10, many=np.arange(30)[::-1])
    column = TablePreprocessor(columns={"many": "number"}).fit(X).columns_
    assert column[0].known == [1.0, 3.0]
    assert len(column[1].known) == 17
    assert (column[1].known[0], column[1].known[-1]) == (0.0, 29.0)


def test_a_chunk_without_values_is_read_as_missing_whatever_its_dtype():
    X = table(x=[1.0, np.nan], c=["a", None], d=[pd.Timestamp("2020"), pd.NaT], b=[True, None])
    preprocessor = TablePreprocessor().fit(X)
    empty = pd.DataFrame({name: pd.Series([None], dtype=object) for name in X.columns})
    code = preprocessor.transform(empty, torch.float64).tensor
    assert torch.equal(code, preprocessor.transform(X.iloc[[1]], torch.float64).tensor)
    assert preprocessor.inverse(code.numpy()).isna().all(axis=None)


def test_empty_columns_are_carried_along():
    X = table(x=[1.0, 2.0], nothing=[np.nan, np.nan], none=pd.Series([None, None], dtype=object))
    preprocessor = TablePreprocessor().fit(X)
    back = preprocessor.inverse(preprocessor.transform(X, torch.float64).tensor.numpy())
    pd.testing.assert_frame_equal(back, X)


def test_dates_remember_time_of_day_weekday_and_season_only_where_they_vary():
    clock = pd.date_range("2020-01-06", periods=100, freq="97min")  # a week
    noon = pd.date_range("2020-01-06 12:00", periods=20, freq="7D")  # always Monday noon
    years = pd.date_range("2000-01-01", periods=50, freq="100D")
    for dates, parts in ((clock, ["day", "week"]), (noon, []), (years, ["week", "year"])):
        preprocessor = TablePreprocessor(columns={"d": "trend"}).fit(table(d=dates))
        assert preprocessor.columns_[0].parts == parts
        back = preprocessor.inverse(preprocessor.transform(table(d=dates), torch.float32).tensor.numpy())
        assert (abs(back["d"] - pd.Series(dates)) < pd.Timedelta("1s")).all()


def test_an_array_may_stand_for_a_numeric_table():
    X = table(a=[1.0, 2.0], b=[3.0, 5.0])
    preprocessor = TablePreprocessor().fit(X)
    code = preprocessor.transform(X.to_numpy(), torch.float64).tensor
    assert torch.equal(code, preprocessor.transform(X, torch.float64).tensor)
    with pytest.raises(InputError, match="3 features, but the model is expecting 2 features"):
        preprocessor.transform(np.zeros((4, 3)), torch.float64)


def test_numbered_columns_are_allowed():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)))
    preprocessor = TablePreprocessor().fit(X)
    pd.testing.assert_frame_equal(preprocessor.inverse(preprocessor.transform(X, torch.float64).tensor.numpy()), X)


def test_column_types_say_how_to_read_a_file():
    X = mixed_table()[["int", "bool", "text", "numbered", "when", "zoned"]]
    assert TablePreprocessor().fit(X).column_types() == {
        "int": "double",
        "bool": "bool",
        "text": "string",
        "numbered": "double",
        "when": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]",
    }


@given(values=st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=2, max_size=30).filter(any))
def test_numbers_with_holes_come_back(values):
    X = table(x=pd.array([np.nan if value is None else value for value in values], dtype=np.float64))
    preprocessor = TablePreprocessor().fit(X)
    back = preprocessor.inverse(preprocessor.transform(X, torch.float64).tensor.numpy())
    pd.testing.assert_frame_equal(back, X, rtol=1e-9, atol=1e-4)


@given(values=st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=30))
def test_texts_with_holes_come_back(values):
    X = table(x=pd.Series(values, dtype="str"))
    preprocessor = TablePreprocessor(columns={"x": "category"}).fit(X)
    back = preprocessor.inverse(preprocessor.transform(X, torch.float64).tensor.numpy())
    pd.testing.assert_frame_equal(back, X)
