"""Columns that go to the output beside the scores, and outputs in the order of the scores."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anogan

from .conftest import TINY, mixed_table


@pytest.fixture
def keyed(tmp_path):
    """A new table with columns of many types that the model does not know, as CSV and Parquet."""
    frame = mixed_table(30, seed=1)
    frame["customer"] = np.arange(30) + 2**60
    frame["opened"] = pd.date_range("2020-01-01", periods=30).date
    frame["note"] = ['a, "b"', None, "ü"] * 10
    frame.to_csv(tmp_path / "new.csv", index=False)
    frame.to_parquet(tmp_path / "new.parquet", index=False)
    return tmp_path


KEPT = ["--keep", "customer", "--keep", "opened", "--keep", "note"]


@pytest.mark.parametrize("read", ["csv", "parquet"])
@pytest.mark.parametrize("written", ["csv", "parquet"])
def test_kept_columns_keep_their_values_and_the_types_of_the_file(run, keyed, table_model, read, written):
    new, output = keyed / f"new.{read}", keyed / f"scores.{written}"
    run("score", new, "-m", table_model, "-o", output, *KEPT, "--keep", "items", "--chunk-rows", 7)
    given = pq.read_table(keyed / "new.parquet")
    if written == "parquet":
        found = pq.read_table(output)
        if read == "csv":  # which stores text alone
            for name in ("customer", "opened"):
                place = given.column_names.index(name)
                given = given.set_column(place, name, pa.array(map(str, given[name].to_pylist())))
        else:
            assert found.schema.field("customer").type == pa.int64()
            assert pa.types.is_date(found.schema.field("opened").type)
        assert found.schema.field("items").type == pa.int64()
        for name in ("customer", "opened", "note", "items"):
            assert found[name].to_pylist() == given[name].to_pylist()
    else:
        found = pd.read_csv(output)
        assert found["customer"].tolist() == given["customer"].to_pylist()
        assert found["opened"].tolist() == [str(day) for day in given["opened"].to_pylist()]
        assert found["note"].fillna("").tolist() == [note or "" for note in given["note"].to_pylist()]
    assert found.shape[1] == 10


def test_the_index_that_pandas_wrote_is_not_learned_and_is_kept(run, tmp_path):
    frame = mixed_table(40)
    frame[frame["items"] > 2].to_parquet(tmp_path / "part.parquet")  # the row numbers that are left
    named = frame.set_index(pd.Index([f"C{i}" for i in range(40)], name="customer"))
    named.to_parquet(tmp_path / "named.parquet")
    run("fit", tmp_path / "named.parquet", "-m", tmp_path / "m", *TINY)
    for name, column, keys in (("part", "index", frame[frame["items"] > 2].index), ("named", "customer", named.index)):
        run("score", tmp_path / f"{name}.parquet", "-m", tmp_path / "m", "-o", tmp_path / "s.parquet", "-q")
        assert pd.read_parquet(tmp_path / "s.parquet")[column].tolist() == keys.tolist()


def test_what_was_left_out_at_fit_is_left_out_again_and_ids_are_kept(run, tmp_path):
    frame = mixed_table(60).assign(customer=[f"{i:04d}" for i in range(60)], kind="ok", note="x")
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ["--label", "kind", "--normal", "ok", "--id", "customer", "--drop", "note"]
    run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", *options, *TINY)
    frame["note"] = 5.0
    for left_out in ([], ["kind"], ["kind", "note"], ["customer"]):
        frame.drop(columns=left_out).to_csv(tmp_path / "new.csv", index=False)
        run("score", tmp_path / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv")
        scores = pd.read_csv(tmp_path / "s.csv", dtype={"customer": str})
        kept = [] if "customer" in left_out else ["customer"]
        assert [*scores.columns][: len(kept) + 4] == ["row", *kept, "score", "p_value", "flag"]
        assert not kept or scores["customer"].tolist() == frame["customer"].tolist()
        run("explain", tmp_path / "new.csv", "-m", tmp_path / "m")
        run("report", tmp_path / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "r.html")
        run("recalibrate", tmp_path / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "m2")
        run("inspect", tmp_path / "m", "--against", tmp_path / "new.csv")


@pytest.mark.parametrize("options", [[], ["--fdr", "0.9"]])
@pytest.mark.parametrize("read", ["csv", "parquet"])
def test_the_highest_scores_come_with_all_columns(run, data, table_model, tmp_path, read, options, monkeypatch):
    monkeypatch.setattr(anogan.ordering, "BLOCK_ROWS", 4)
    new, reasons = data / f"new.{read}", ["--reasons", 2, "--chunk-rows", 7]
    run("score", new, "-m", table_model, "-o", tmp_path / "all.parquet", *options, *reasons)
    every = pd.read_parquet(tmp_path / "all.parquet").sort_values("score", ascending=False, kind="stable")
    original = pd.read_parquet(data / "new.parquet")
    for chosen, count in ((["--top", 10], 10), (["--top", 99], 30), (["--sort"], 30)):
        output = tmp_path / "top.parquet"
        shown = run("score", new, "-m", table_model, "-o", output, *options, *reasons, *chosen).output
        found = pd.read_parquet(output)
        assert ("highest scores" in shown) == (count < 30)
        pd.testing.assert_frame_equal(found[every.columns], every[:count].reset_index(drop=True), rtol=1e-3)
        found["day"] = pd.to_datetime(found["day"])
        beside = original.iloc[found["row"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[original.columns], beside, check_dtype=False)


def test_the_highest_scores_go_to_standard_output(run, data, table_model):
    lines = run("score", data / "new.csv", "-m", table_model, "-o", "-", "--top", 3).stdout.splitlines()
    assert lines[0] == "row,amount,items,shop,member,day,score,p_value,flag,unseen,status"
    assert len(lines) == 4


def test_the_highest_pictures(run, data, picture_model, tmp_path):
    run("score", data / "parts", "-m", picture_model, "-o", tmp_path / "top.csv", "--top", 3)
    found = pd.read_csv(tmp_path / "top.csv")
    assert list(found.columns) == ["file", "score", "p_value", "flag"]
    assert found["score"].is_monotonic_decreasing
    assert len(found) == 3


def test_columns_with_names_of_the_output_are_left_out_with_a_warning(run, data, table_model, tmp_path):
    frame = pd.read_parquet(data / "new.parquet")
    frame.set_index(pd.Index(frame.index**2, name="row")).to_parquet(tmp_path / "new.parquet")
    done = run("score", tmp_path / "new.parquet", "-m", table_model, "-o", tmp_path / "s.csv")
    assert "not copied to it: row" in done.stderr
    assert pd.read_csv(tmp_path / "s.csv")["row"].tolist() == list(range(30))


def test_highest_is_a_stable_descending_sort_in_any_parts(monkeypatch):
    monkeypatch.setattr(anogan.ordering, "BLOCK_ROWS", 100)
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 1000).astype(float)
    scores[::100] = np.nan
    expected = np.lexsort((np.arange(1000), -scores))
    for count in (None, 1, 30, 5000):
        found = anogan.ordering.highest(np.array_split(scores, 13), count)
        assert found.tolist() == expected[:count].tolist()


TEXTS = {
    "account": ["89490000000000000087", "89490000000000000088", "1", "2"],
    "postcode": ["1067", "10115", "01067", "80331"],
    "version": ["1.10", "1.1", "2.0", "2"],
    "code": ["1e5", "NA", "NULL", "true"],
    "day": ["2024-01-01", "2024-01-02 10:00", "n/a", "12:30"],
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
def test_kept_columns_of_text_keep_their_characters(run, tmp_path, table_model, suffix):
    frame = mixed_table(4, seed=1).assign(**TEXTS)
    new = tmp_path / f"new.{suffix}"
    if suffix == "csv":
        frame.to_csv(new, index=False)
    elif suffix == "jsonl":
        frame.to_json(new, orient="records", lines=True, date_format="iso", date_unit="s")
    else:
        frame.to_excel(new, index=False)
    kept = [option for name in TEXTS for option in ("--keep", name)]
    run("score", new, "-m", table_model, "-o", tmp_path / "s.csv", *kept)
    found = pd.read_csv(tmp_path / "s.csv", dtype=str, keep_default_na=False)
    assert found[list(TEXTS)].to_dict("list") == TEXTS


def test_leading_zeros_in_the_middle_of_a_long_file_are_kept(run, tmp_path, table_model):
    frame = mixed_table(6000, seed=1).assign(postcode=[f"{place:05d}" for place in 10_000 + np.arange(6000)])
    frame.loc[3000, "postcode"] = "01067"
    frame.to_csv(tmp_path / "new.csv", index=False)
    assert (tmp_path / "new.csv").stat().st_size > 160_000
    run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--keep", "postcode")
    found = pd.read_csv(tmp_path / "s.csv", dtype=str)
    assert found["postcode"].tolist() == frame["postcode"].tolist()
