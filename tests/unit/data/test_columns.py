"""Which columns are learned, as what, and what is said about the others, whatever the data come from."""

import hashlib
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone

import anogan
from anogan import ColumnWarning, DenoisingGAN, InputError, TableFile
from anogan.data.columns import doubts
from anogan.data.state import StateReader
from anogan.data.tabular import TablePreprocessor
from anogan.sources.text_dates import formats_of, numeric_formats_of, read_texts
from anogan.sources.text_numbers import partly_numbers

N = 500
RNG = np.random.default_rng(0)
BASE = pd.DataFrame({"amount": RNG.normal(50, 9, N), "size": RNG.integers(0, 60, N)})
DAYS = pd.date_range("2024-01-01", periods=N)
TINY = DenoisingGAN.tiny | {"random_state": 0}


def learned(column, name="x", columns=None):
    preprocessor = TablePreprocessor(columns=columns).fit(BASE.assign(**{name: column}))
    found = {c.name: c for c in preprocessor.columns_}.get(name)
    return found, [note.text() for note in preprocessor.notes_]


@pytest.fixture(params=["csv", "parquet", "frame"])
def source(request, tmp_path):
    def of(table):
        if request.param == "frame":
            return table
        path = tmp_path / f"table.{request.param}"
        table.to_csv(path, index=False) if request.param == "csv" else table.to_parquet(path)
        return TableFile(path)

    return of


NEAR_UNIQUE = {
    "IDs": [f"ID{i}" for i in range(N)],
    "e-mails": [f"a.b{i}@example.org" for i in range(N)],
    "free text": [" ".join(RNG.choice(list("abcdefg"), 8)) for _ in range(N)],
    "hashes": [hashlib.md5(str(i).encode()).hexdigest() for i in range(N)],
    "URLs": [f"https://example.org/{i % 300}" for i in range(N)],
}


@pytest.mark.parametrize("texts", NEAR_UNIQUE.values(), ids=list(NEAR_UNIQUE))
def test_a_text_that_differs_in_most_rows_is_not_learned_and_said(source, texts):
    with pytest.warns(ColumnWarning, match=r"Column 'x' has \d+ distinct texts in 500 rows .* not learned"):
        model = DenoisingGAN(**TINY).fit(source(BASE.assign(x=texts)))
    assert [column.name for column in model.preprocessor_.columns_] == ["amount", "size"]
    with_it = model.anomaly_score(BASE.assign(x=texts))
    np.testing.assert_array_equal(with_it, model.anomaly_score(BASE))


def test_a_text_with_many_values_is_learned_with_a_note(source):
    with pytest.warns(ColumnWarning, match=r"'x' has \d+ distinct texts in 500 rows; about \d+% of new rows"):
        model = DenoisingGAN(**TINY).fit(source(BASE.assign(x=RNG.choice([f"w{i}" for i in range(200)], N))))
    assert model.preprocessor_.columns_[2].kind == "category"


AMOUNTS = RNG.gamma(9, 5, N).round(1)
NOT_QUITE_NUMBERS = {
    "a unit": ([f"{v} kg" for v in AMOUNTS], "most of them numbers with 'kg'"),
    "a limit": ([f"{v}" if i % 5 else "<0.5" for i, v in enumerate(AMOUNTS)], "most of them numbers, but also '<0.5'"),
}


@pytest.mark.parametrize(("texts", "what"), NOT_QUITE_NUMBERS.values(), ids=list(NOT_QUITE_NUMBERS))
def test_texts_of_which_most_are_numbers_are_said_to_be_so(source, texts, what):
    with pytest.warns(ColumnWarning, match=re.escape(f"distinct texts in 500 rows ({what})")) as caught:
        DenoisingGAN(**TINY).fit(source(BASE.assign(x=texts)))
    assert any("write the numbers alone" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        ([f"{i / 7:.2f} kg" for i in range(3000)], "most of them numbers with 'kg'"),
        ([f"{i} rue de X" for i in range(60)], ""),
        ([f"{i}-A" for i in range(60)], ""),
        ([f"{i:05}" for i in range(60)] + ["A1"], ""),
        ([f"{i} °C" for i in range(60)] + ["off"], "most of them numbers with '°C'"),
        ([f"{i} {'kg' if i % 2 else 'Kg'}" for i in range(1, 61)], "most of them numbers with 'kg'"),
    ],
)
def test_what_is_no_amount_is_not_said_to_be_one(texts, what):
    assert partly_numbers(texts) == what


def test_a_unit_is_seen_among_more_texts_than_can_be_learned():
    texts = [f"{i / 7:.2f} kg" for i in range(3000)]
    with pytest.warns(ColumnWarning, match="more than 1,000 distinct texts in 3,000 rows \\(most of them numbers with"):
        DenoisingGAN(**TINY).fit(pd.DataFrame({"x": texts, "y": RNG.normal(size=3000)}))


def test_an_array_of_text_is_refused():
    with pytest.raises(InputError, match="could not convert string"):
        DenoisingGAN(**TINY).fit(np.array([[f"ID{i}", 1.0] for i in range(N)], dtype=object))


def test_one_infinity_is_one_row(source):
    with pytest.raises(InputError, match=r"'x' contains infinity in 1 row\."):
        DenoisingGAN(**TINY).fit(source(BASE.assign(x=np.where(np.arange(N) == 7, np.inf, BASE["amount"]))))


@pytest.mark.parametrize(
    ("name", "numbers", "why"),
    [
        ("x", np.arange(N) + 17, "numbers the rows in their order"),
        ("x", np.sort(RNG.choice(10**6, N, replace=False))[::-1], "numbers the rows in their order"),
        ("x", RNG.permutation(2 * N)[:N], "as identifiers have"),
        ("customer_id", RNG.integers(0, 10**9, N), "named like an identifier"),
        ("customer_id", RNG.integers(0, 100, N), "named like an identifier"),
        ("id_cliente", RNG.integers(0, 100, N), "named like an identifier"),
        ("account", RNG.integers(10**9, 10**10, N), "named like an identifier"),
        ("Card", RNG.integers(4 * 10**15, 5 * 10**15, N), "named like an identifier"),
        ("phone", RNG.integers(10**9, 10**10, N), "named like an identifier"),
        ("patient_nbr", RNG.integers(10**6, 10**8, N), "named like an identifier"),
        ("Unnamed: 0", RNG.integers(0, 10**9, N), "named like an identifier"),
        ("", RNG.integers(0, 10**9, N), "named like an identifier"),
        ("month", RNG.integers(1, 9, N), "holds only the months 1 to 8"),
        ("year", np.full(N, 2013), "holds the year 2013 alone"),
        ("date_num", 2016.5 + np.arange(N) / 365, "holds years with fractions (2016.500 to 2017.867)"),
    ],
)
def test_what_identifies_rows_is_not_learned_unless_it_has_a_role(name, numbers, why):
    column, notes = learned(numbers, name)
    assert column is None
    assert why in notes[0]
    assert f"columns={{{name!r}: 'number'}} learns it." in notes[0]
    column, notes = learned(numbers, name, columns={name: "number"})
    assert (column.kind, notes) == ("number", [])


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("x", RNG.normal(size=N)),  # a measurement is unique too
        ("x", np.sort(RNG.normal(size=N))),
        ("x", RNG.choice(10**7, N, replace=False)),  # unique by chance
        ("x", RNG.integers(0, 1000, N)),
        ("day_charge", RNG.normal(2000, 9, N)),
        ("paid", RNG.integers(0, 10**6, N)),
        ("paid", np.round(RNG.lognormal(17, 2, N))),
        ("account", RNG.integers(0, 400, N)),
        ("age", np.where(np.arange(N) % 50, RNG.integers(18, 98, N), 99)),
        ("balance", np.where(np.arange(N) % 50, RNG.integers(-5000, 5000, N), -999)),
        ("month", RNG.integers(1, 13, N)),
        ("hour", RNG.integers(8, 19, N)),
        ("year", RNG.integers(1990, 2024, N)),
        ("constant", np.full(N, 7)),  # another value in a new row is evidence
    ],
)
def test_what_measures_something_is_learned_without_a_word(name, numbers):
    column, notes = learned(numbers, name)
    assert (column.kind, notes) == ("number", [])


def test_a_repeated_identifier_is_a_number_with_a_note():
    column, notes = learned(RNG.integers(0, 20, N), "store_id")
    assert column.kind == "number"
    assert "columns={'store_id': 'category'} learns each value" in notes[0]


def test_keys_without_a_telling_name_and_codes_for_missing_values_are_numbers_with_a_note():
    column, notes = learned(RNG.integers(10**9, 10**10, N))
    assert column.kind == "number"
    assert "digits in each row, as keys have, but is learned as a number. columns={'x': 'id'}" in notes[0]
    for code in (-999, -9, 9999, 99999):
        column, notes = learned(np.where(np.arange(N) % 100, np.round(RNG.gamma(2, 200, N), 1), code))
        assert column.kind == "number"
        assert f"'x' holds {code} in 5 rows, apart from its other values" in notes[0]
        assert f"X['x'].mask(X['x'] == {code})" in notes[0]


@pytest.mark.parametrize(
    ("code", "form", "written"),
    [
        ("1900-01-01", "%Y-%m-%d", "'1900-01-01'"),
        ("1900-01-01", "%Y%m%d", "19000101"),
        ("1970-01-01", "%d.%m.%Y", "'01.01.1970'"),
        ("9999-12-31", "", "'9999-12-31 00:00:00'"),
    ],
)
def test_a_date_that_means_none_is_said(code, form, written):
    """A date far from the others, as texts, as numbers and by type."""
    days = pd.Series(pd.DatetimeIndex(RNG.choice(DAYS, N)))
    days[::50] = pd.Timestamp(code)
    x = days.dt.strftime(form) if form else days
    x = x.astype(int) if form == "%Y%m%d" else x
    column, notes = learned(x.to_numpy())
    assert column.kind == "date"
    assert f"'x' holds {code} in 10 rows, apart from its other dates (" in notes[0]
    assert notes[0].endswith(f"X['x'].mask(X['x'] == {written}).")
    assert masked_as_said(notes[0], x).isna().sum() == 10


def masked_as_said(note, x):
    """Return a column as the advice of a note replaces its values."""
    name, code = re.search(r"^Column '(\w+)' .* replace it: (X\[.*\]\.mask\(.*\))\.$", note).groups()
    return eval(code, {"X": pd.DataFrame({name: x})})


DATE_TYPES = {
    "time zone": lambda days: days.dt.tz_localize("UTC"),
    "nanoseconds": lambda days: days.astype("datetime64[ns]"),
    "date": lambda days: pd.Series([day.date() for day in days], dtype=object),
    "datetime": lambda days: pd.Series([day.to_pydatetime() for day in days], dtype=object),
    "Timestamp": lambda days: pd.Series(list(days.dt.tz_localize("UTC")), dtype=object),
    "Arrow date": lambda days: pd.Series([day.date() for day in days], dtype=pd.ArrowDtype(pa.date32())),
    "Arrow timestamp": lambda days: days.astype(pd.ArrowDtype(pa.timestamp("ns"))),
    "Arrow time zone": lambda days: days.dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
}


@pytest.mark.parametrize("convert", DATE_TYPES.values(), ids=list(DATE_TYPES))
def test_the_advice_for_a_date_that_means_none_fits_the_type_of_the_column(convert):
    days = pd.Series(pd.DatetimeIndex(RNG.choice(DAYS, N)))
    days[::50] = pd.Timestamp("1900-01-01")
    x = convert(days)
    (note,) = learned(x)[1]
    x = masked_as_said(note, x)
    assert np.flatnonzero(x.isna()).tolist() == list(range(0, N, 50))
    assert learned(x)[1] == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("%d.%m.%Y", "31.12.9999"),
        ("%Y-%m-%d", "0000-00-00"),
        ("%Y-%m-%d %H:%M:%S", "0001-01-01 00:00:00"),
        ("%Y%m%d", 99991231),
        ("%Y%m%d", 0),
    ],
)
def test_dates_that_are_none_for_a_code_are_said(form, code):
    x = pd.Series(pd.DatetimeIndex(RNG.choice(DAYS, N))).dt.strftime(form)
    x = x.astype(object if isinstance(code, str) else int)
    x[::50] = code
    _, notes = learned(x.to_numpy(), "seen")
    assert f"but also {code!r} in 10 rows, so that it is not read as dates" in notes[0]
    assert f"X['seen'].mask(X['seen'].isin([{code!r}]))" in notes[0]
    column, notes = learned(masked_as_said(notes[0], x), "seen")
    assert (column.kind, notes) == ("date", [])


def test_the_option_for_a_code_makes_a_column_of_dates(tmp_path):
    days = pd.Series(pd.DatetimeIndex(RNG.choice(DAYS, N))).dt.strftime("%Y%m%d")
    days[::50] = "99991231"
    BASE.assign(x=days).to_csv(tmp_path / "t.csv", index=False)
    seen = {p.name: p for p in anogan.preview_columns(tmp_path / "t.csv")}["x"]
    assert seen.kind == "number"
    assert seen.notes[0].text(shell=True).endswith("If 99991231 means a missing value, give --na-values=99991231.")
    file = TableFile(tmp_path / "t.csv", dialect=anogan.CSVDialect(na_values=("99991231",)))
    seen = {p.name: p for p in anogan.preview_columns(file)}["x"]
    assert (seen.kind, seen.missing, seen.notes) == ("date", 10, [])


def test_days_of_spreadsheets_are_said_and_read_by_their_role():
    x = RNG.integers(44_000, 45_000, N)
    column, notes = learned(x, "Sale date")
    assert column.kind == "number"
    assert notes[0].startswith("Column 'Sale date' holds numbers that may be days as spreadsheets count them (2020-06-")
    assert notes[0].endswith("columns={'Sale date': 'date:excel'} reads them so.")
    assert learned(x, "Sale date", columns={"Sale date": "date:excel"})[0].kind == "date"
    assert learned(x, "price")[1] == []
    assert learned(x - 44_000, "date lag")[1] == []


def test_dates_of_which_some_are_old_are_not_said():
    days = pd.date_range("1940-01-01", "2010-01-01", periods=N).to_numpy().copy()
    days[[3, 60]] = np.array(["1970-01-01", "1900-01-01"], dtype="datetime64[D]")
    assert learned(days)[1] == []


def test_phone_numbers_are_text_and_times_of_day_are_periods(source, tmp_path):
    X = BASE.assign(
        phone=[f"+49 {v}" for v in RNG.integers(10**8, 10**9, N)], at=[f"{i % 24:02}:{i % 60:02}" for i in range(N)]
    )
    with pytest.warns(ColumnWarning, match="'phone' has 500 distinct texts"):
        model = DenoisingGAN(**TINY).fit(source(X))
    assert [(c.name, c.kind) for c in model.preprocessor_.columns_][2:] == [("at", "date")]
    assert model.preprocessor_.columns_[2].parts == ["day"]
    np.testing.assert_array_equal(model.anomaly_score(source(X)), model.anomaly_score(X))
    times = X[["amount"]].assign(at=pd.to_datetime(X["at"], format="%H:%M").dt.time)
    with pytest.raises(InputError, match=r"X\['at'\]\.astype\(str\)"):
        DenoisingGAN(**TINY).fit(times)
    times.to_parquet(tmp_path / "times.parquet")
    model = DenoisingGAN(**TINY).fit(TableFile(tmp_path / "times.parquet"))
    assert model.preprocessor_.columns_[1].parts == ["day"]
    assert np.isfinite(model.anomaly_score(TableFile(tmp_path / "times.parquet"))).all()


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("%d.%m.%Y", ["week", "year"]),
        ("%m/%d/%Y", ["week", "year"]),
        ("%d/%m/%Y", ["week", "year"]),
        ("%d.%m.%y", ["week", "year"]),
        ("%Y-%m-%d %H:%M", ["day", "week", "year"]),
        ("%Y-%m-%dT%H:%M:%S%z", ["day", "week", "year"]),
        ("%m/%d/%Y %I:%M %p", ["day", "week", "year"]),
        ("%b-%Y", ["year"]),
        ("%Y-%m", ["year"]),
        ("%Y%m%d", ["week", "year"]),
        ("%H:%M", ["day"]),
    ],
)
def test_dates_written_as_text_are_read(form, parts):
    dates = (DAYS + pd.to_timedelta(np.arange(N) * 7919 % 86400, unit="s")).tz_localize("UTC")
    texts = [date.strftime(form) for date in dates]
    column, notes = learned(texts)
    assert (column.kind, column.format, column.parts, notes) == ("date", form, parts, [])
    preprocessor = TablePreprocessor().fit(BASE.assign(x=texts))
    back = preprocessor.inverse(preprocessor.transform(BASE.assign(x=texts), torch.float64).tensor.numpy())["x"]
    assert formats_of(back.tolist())[0] == form
    with pytest.raises(InputError, match=r"'x' should hold dates in the format .*, but has 'soon'"):
        preprocessor.transform(BASE.assign(x="soon"), torch.float64)


def test_dates_written_as_numbers_are_read():
    column, _ = learned([int(f"{day:%Y%m%d}") for day in DAYS])
    assert (column.kind, column.format) == ("date", "%Y%m%d")
    column, _ = learned([int(f"{day:%y%m%d}") for day in DAYS], "when")
    assert (column.kind, column.format) == ("date", "%y%m%d")
    seconds = (pd.date_range("2024-01-01", periods=N, freq="2h") - pd.Timestamp(0)) // pd.Timedelta(1, "s")
    column, _ = learned(np.asarray(seconds), "created_at")
    assert (column.format, column.parts) == ("epoch:s", ["day", "week"])


def test_gaps_among_dates_are_missing_dates():
    column, _ = learned([f"{day:%d.%m.%Y}" if i % 50 else "n/a" for i, day in enumerate(DAYS)])
    assert (column.kind, column.missing) == ("date", True)


@pytest.mark.parametrize(
    ("form", "dtype"),
    [("%d%m%Y", int), ("%d%m%Y", str), ("%m%d%Y", int), ("%m%d%Y", str), ("%m%Y", int), ("%d%m%y", int)],
)
def test_days_and_months_before_the_year_are_dates_in_digits(form, dtype):
    """A whole number has lost the leading zero of its day: 1022024 is the first of February."""
    days = pd.Series(pd.date_range("1995-01-01", periods=N, freq="9D"))
    column, notes = learned(days.dt.strftime(form).astype(dtype).to_numpy(), "start date")
    assert (column.format, notes) == (form, [])
    assert pd.Timestamp(column.low, unit="s") == pd.Timestamp("1995-01-01")


@pytest.mark.parametrize("x", [[31012024, 1022024], RNG.integers(1_011_900, 31_122_100, 60), np.arange(1, 60)], ids=str)
def test_other_numbers_are_no_days(x):
    assert numeric_formats_of(np.unique(x), dated=True) == []


def test_what_does_not_decide_between_day_and_month_is_said():
    texts = [f"{day:%m/%d/%Y}" for day in pd.DatetimeIndex(RNG.choice(pd.date_range("2024-01-01", periods=12), N))]
    column, notes = learned(texts)
    assert column.format == "%m/%d/%Y"
    assert "columns={'x': 'date:%d/%m/%Y'} reads them so" in notes[0]
    column, notes = learned(texts, columns={"x": "date:%d/%m/%Y"})
    assert (column.format, column.parts, notes) == ("%d/%m/%Y", ["week"], [])  # eleven months are no year


@pytest.mark.parametrize("text", ["10.5.3", "1.75", "A-1", "12", "2024", "106,91", "May", ""])
def test_other_texts_are_no_dates(text):
    assert formats_of([text] * 3) == []


def test_of_two_weeks_the_season_is_not_learned_and_of_one_day_nothing_is():
    column, _ = learned(pd.date_range("2024-01-01", periods=N, freq="40min"))
    assert column.parts == ["day", "week"]
    column, notes = learned(pd.date_range("2024-01-01", periods=N, freq="1min"))
    assert column is None
    assert "'trend'} learns the time itself" in notes[0]


def test_a_later_period_of_the_same_kind_scores_alike():
    """A timestamp every two hours; training ends, and the next 500 rows and those of nine months later follow."""

    def rows(start):
        rng = np.random.default_rng(1)
        return pd.DataFrame({"amount": rng.normal(size=N), "when": pd.date_range(start, periods=N, freq="2h")})

    model = DenoisingGAN(**TINY).fit(rows("2024-01-01"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        scores = model.anomaly_score(rows("2024-01-01"))
    said = r"'when' lies beyond the range of training \(2024-01-01 00:00 to 2024-02-11 14:00\) in all 500 rows"
    with pytest.warns(anogan.RangeWarning, match=said):
        later = model.anomaly_score(rows("2024-10-07"))
    np.testing.assert_allclose(later, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("empty", [np.nan, None], ids=str)
def test_a_column_without_a_value_is_said_and_a_first_value_counts(empty):
    X = BASE[:100].assign(gone=empty)
    with pytest.warns(anogan.ColumnWarning, match="'gone' has no value"):
        model = anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(X)
    assert np.isfinite(model.anomaly_score(X)).all()
    assert model.sample(4)["gone"].isna().all()
    if empty is np.nan:
        with pytest.warns(anogan.RangeWarning, match=r"\(no value\) in all 100 rows"):
            model.anomaly_score(X.assign(gone=0.0))


@pytest.mark.parametrize("dtype", ["float64", "object", "boolean", "category", "datetime64[ns]"])
def test_a_column_without_a_value_is_said_whatever_its_dtype(dtype):
    empty = pd.Series([None] * 100, dtype=dtype)
    preprocessor = TablePreprocessor().fit(BASE[:100].assign(gone=empty))
    ending = "and is not learned" if "date" in dtype else "so that a row with one will count as unusual"
    assert [note.seen.removeprefix("has no value").strip(", ") for note in preprocessor.notes_] == [ending]
    account = preprocessor.account(BASE[:2].astype(object).assign(gone=[["x"], None]))
    assert len(account.refused) <= 1  # a list is no value of any column


def test_rows_beyond_the_range_are_said_once_per_call_and_only_if_they_are_no_chance(tmp_path):
    model = DenoisingGAN(**TINY).fit(BASE[:100])
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        for _ in range(20):
            model.anomaly_score(pd.DataFrame({"amount": rng.normal(50, 9, 40), "size": rng.integers(0, 60, 40)}))
        model.anomaly_score(BASE[:1] * 1000)  # one row is an anomaly, not a period
    path = tmp_path / "later.csv"
    BASE.assign(amount=BASE["amount"] + 100).to_csv(path, index=False)
    with pytest.warns(anogan.RangeWarning, match="'amount' lies beyond .* in all 500 rows") as said:
        model.anomaly_score(TableFile(path))
    assert len(said) == 1
    stream = anogan.Stream(model, path, chunk_rows=60)
    assert not stream.notes()
    list(stream)
    assert [note for note in stream.notes() if "in all 500 rows" in note]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([f"{v:.2f}".replace(".", ",") for v in BASE["amount"]], "decimal commas"),
        ([f"{v * 1000:,.2f}" for v in BASE["amount"]], "commas between thousands"),
        ([f"€{v:.2f}" for v in BASE["amount"]], "the sign '€'"),
        (["?", *(f"{v:.2f}" for v in BASE["amount"][1:])], "numbers as text"),
    ],
)
def test_numbers_as_text_are_numbers_in_a_frame_too(texts, words):
    column, notes = learned(texts)
    assert column.kind == "number"
    assert words in notes[0]
    column, notes = learned([f"{v:05d}" for v in RNG.integers(1000, 1020, N)])
    assert (column.kind, notes) == ("category", [])
    with pytest.raises(InputError, match=r"'x' holds numbers, but also 'oops' \(row 499\)"):
        learned([*(f"{v:.2f}" for v in BASE["amount"][1:]), "oops"])


def test_roles_are_a_parameter_that_is_cloned_saved_and_obeyed(tmp_path):
    X = BASE.assign(plz=RNG.choice(["01000", "80331"], N), mcc=RNG.choice([5411, 5812], N), name=NEAR_UNIQUE["IDs"])
    roles = {"plz": "category", "mcc": "category", "size": "drop", "name": "id"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ColumnWarning)
        model = clone(DenoisingGAN(**TINY, columns=roles)).fit(X)
    model.save(tmp_path / "model.anogan")
    loaded = anogan.load(tmp_path / "model.anogan")
    assert loaded.columns == model.columns == roles
    assert [(c.name, c.kind) for c in loaded.preprocessor_.columns_][1:] == [("plz", "category"), ("mcc", "category")]
    assert list(loaded.feature_names_in_) == list(X.columns)
    scores = model.anomaly_score(X)
    for new in (X, X.drop(columns=["size", "name"])):
        np.testing.assert_array_equal(loaded.anomaly_score(new), scores)
    assert loaded.explain(X[:2]).columns.tolist() == ["amount", "plz", "mcc"]
    assert set(loaded.reasons(X[:2])["column"]) <= {"amount", "plz", "mcc"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"amuont": "number"}, "no column 'amuont'.* Did you mean 'amount'"),
        ({"amount": "categry"}, "role of column 'amount' is 'categry'.* Did you mean 'category'"),
        ({"amount": "date"}, "no known format of dates"),
        ({"text": "number"}, "role 'number', but holds other texts, such as 'ID0'"),
        ({"text": "category"}, "'text' has 500 distinct values in 500 rows"),
        ({"text": "date:%d.%m.%Y"}, "dates in the format '%d.%m.%Y', but has 'ID0'"),
        ({"text": "date:dd.mm.yyyy"}, "'dd.mm.yyyy' is no format of dates"),
        ({"text": "drop", "amount": "id", "size": "drop"}, "No column is left to learn"),
    ],
)
def test_a_role_that_does_not_fit_is_one_sentence(columns, message):
    with pytest.raises(InputError, match=message):
        TablePreprocessor(columns=columns).fit(BASE.assign(text=NEAR_UNIQUE["IDs"]))


def test_roles_need_column_names():
    with pytest.raises(InputError, match=r"X has no column names\. Give a DataFrame"):
        DenoisingGAN(**TINY, columns={"amount": "number"}).fit(BASE.to_numpy())


def test_an_array_never_loses_a_column():
    X = np.column_stack([np.arange(N), BASE["amount"]])
    assert DenoisingGAN(**TINY).fit(X).n_features_in_ == 2


@pytest.mark.parametrize("name", ["heat_index", "paid", "valid", "grid", "covid", "monkey", "Number of bedrooms", 0])
def test_names_that_only_look_like_identifiers(name):
    assert not doubts.names_identifier(name)


def frames(table):
    import polars
    import pyarrow as pa

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    return [polars.from_pandas(table), arrow, arrow.to_batches()[0], table.convert_dtypes(dtype_backend="pyarrow")]


def test_tables_of_other_libraries_are_fitted_and_scored_like_those_of_pandas():
    X = BASE.assign(kind=RNG.choice(["a", "b"], N), when=pd.date_range("2024-01-01", periods=N, freq="7h"))
    expected = DenoisingGAN(**TINY).fit(X).anomaly_score(X)
    for frame in frames(X):
        model = DenoisingGAN(**TINY).fit(frame)
        np.testing.assert_array_equal(model.anomaly_score(frame), expected)
        assert model.reasons(frame[:2])["column"].isin(X.columns).all()
        assert len(model.explain(frame)) == N
        assert anogan.TopK.of(anogan.Stream(model, frame), highest=1).scores.tolist() == expected.tolist()


def test_other_data_are_refused_with_the_way_out():
    import polars
    import scipy.sparse

    model = DenoisingGAN(**TINY)
    for X, way_out in (
        (scipy.sparse.csr_matrix(BASE.to_numpy()), r"X\.toarray\(\)"),
        (polars.from_pandas(BASE).lazy(), r"X\.collect\(\)"),
        (BASE.to_dict("list"), r"pandas\.DataFrame\(X\)"),
        (BASE.assign(x=[[1, 2]] * N), "several values in one cell"),
        (BASE.assign(x=[b"text"] * N), r"\.str\.decode"),
        (BASE.assign(x=pd.to_timedelta(np.arange(N), unit="s")), r"\.dt\.total_seconds"),
        (BASE.assign(x=[1, "a"] * (N // 2)), r"'x' mixes types \(int, str\)"),
    ):
        with pytest.raises(InputError, match=way_out):
            model.fit(X)


def test_iso_dates_with_and_without_a_time_zone_are_other_formats():
    bare, zoned = ["2024-01-05", "2024-01-05T10:11:12.5"], ["2024-01-05T10:11Z", "2024-01-05T10:11:12.5+09:00"]
    assert formats_of(bare) == ["ISO8601"]
    assert formats_of(zoned) == ["ISO8601%z"]
    assert formats_of([*bare, *zoned]) == []
    assert read_texts(pd.Series(zoned), "ISO8601%z").dt.hour.tolist() == [10, 1]
    for texts, form in ((bare, "ISO8601%z"), (zoned, "ISO8601")):
        with pytest.raises(ValueError, match="time zone"):
            read_texts(pd.Series(texts), form)


def test_dates_without_a_time_of_day_are_said_where_training_had_times(tmp_path):
    rng = np.random.default_rng(0)
    when = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90 * 86400, 300), unit="s"))
    X = pd.DataFrame({"when": when, "amount": rng.normal(size=300)})
    detector = DenoisingGAN(**TINY).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        detector.score_table(X)
    days = {"datetime64": X["when"].dt.normalize(), "date": X["when"].dt.date}
    for values in days.values():
        with pytest.warns(anogan.RangeWarning, match="'when' is at midnight in all 300 rows"):
            detector.score_table(X.assign(when=values))
    X.assign(when=X["when"].dt.strftime("%Y-%m-%d"))[:1].to_csv(tmp_path / "t.csv", index=False)
    stream = anogan.Stream(detector, tmp_path / "t.csv")
    list(stream)
    assert "is at midnight in its only row" in stream.notes()[0]
    hourly = X.assign(when=when.dt.floor("6h"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        DenoisingGAN(**TINY).fit(hourly).score_table(hourly[hourly["when"].dt.hour == 0][:1])


@pytest.mark.parametrize("every", ["h", "30min"])
def test_midnights_among_regular_times_are_not_said(every):
    when = pd.Series(pd.date_range("2023-01-01 05:00", periods=1000, freq=every))
    X = pd.DataFrame({"when": when, "amount": np.random.default_rng(0).normal(size=1000)})
    detector = DenoisingGAN(**TINY).fit(X)
    midnight = X[when == when.dt.normalize()][3:4]
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        detector.score_table(midnight)
        detector.score_table(pd.concat([midnight] * 20))  # the readings of many devices at one time
    with pytest.warns(anogan.RangeWarning, match="'when' is at midnight in all 1,000 rows"):
        detector.score_table(X.assign(when=when.dt.normalize()))


def test_the_share_of_midnights_is_that_of_all_training_rows():
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90 * 86400, 500), unit="s")
    mixed = pd.Series(np.where(np.arange(500) % 4 == 0, when.normalize(), when))
    column, _ = learned(mixed)
    assert column.midnights == 126 / 501
    assert of_older_file(column, "midnights").midnights == 1.0  # midnights are never a surprise


def of_older_file(column, *later):
    """The column as a file holds it that was written before some fields were added."""
    state = {name: value for name, value in column.to_state().items() if name not in ("kind", *later)}
    return type(column).from_state(StateReader(state, {}), 100)


@pytest.mark.parametrize("zone", ["", "+02:00"])
def test_iso_dates_of_older_files_may_have_a_zone(zone):
    texts = [f"2024-0{i}-1{j}T12:0{j}:00{'.5' * (j % 2)}{zone}" for i in range(1, 9) for j in range(10)]
    series = pd.Series(texts * 5)[: len(BASE)]
    column, _ = learned(series)
    expected = column.values(series)
    column.format = "ISO8601"  # older files told no zones apart
    older = of_older_file(column, "midnights")
    np.testing.assert_array_equal(older.values(series), expected)
    again = type(column).from_state(StateReader({k: v for k, v in older.to_state().items() if k != "kind"}, {}), 100)
    np.testing.assert_array_equal(again.values(series), expected)


def test_an_older_file_says_no_unit_of_its_numbers(tmp_path):
    percentages = BASE.assign(x=[f"{i % 50} %" for i in range(len(BASE))])
    percentages.to_csv(tmp_path / "t.csv", index=False)
    detector = DenoisingGAN(**TINY).fit(TableFile(tmp_path / "t.csv"))
    expected = detector.anomaly_score(TableFile(tmp_path / "t.csv"))
    columns = detector.preprocessor_.columns_
    columns[:] = [of_older_file(c, "unit") if c.kind == "number" else c for c in columns]
    assert detector.preprocessor_.units() == {}
    np.testing.assert_array_equal(detector.anomaly_score(TableFile(tmp_path / "t.csv")), expected)


def test_words_for_a_missing_value_among_texts_are_said():
    texts = pd.Series(["NA", "DE", "ZA", None] * 100)
    column, notes = learned(texts)
    assert column.categories == ["DE", "NA", "ZA"]
    assert "has 'NA' (100 rows) among its texts, learned as a value like the others" in notes[0]
    column, notes = learned(pd.Series(["31.12.2023", "NA", "05.02.2024", "08.11.2025"] * 100))
    assert column.kind == "date"
    assert not notes


@pytest.mark.parametrize("name", ["call_duration", "Dauer", "elapsedTime", "wait time", "start_time", "opening hours"])
def test_clock_times_in_a_column_that_is_named_like_a_duration_are_said(name):
    seconds = np.random.default_rng(0).gamma(2, 9000, N).astype(int)
    times = [f"{s // 3600 % 24:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in seconds]
    column, notes = learned(times, name)
    assert column.parts == ["day"]
    assert any("convert them to seconds" in note for note in notes) == (name not in ("start_time", "opening hours"))


def test_durations_of_more_than_a_day_are_said_to_be_such():
    column, notes = learned([f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(0, N * 1000, 1000)])
    assert column is None
    assert "If they are durations, convert them to seconds" in notes[0]
