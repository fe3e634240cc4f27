import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from anogan import DenoisingGAN, InputError, TableFile
from anogan.detectors import preparing


def frame(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "amount": rng.gamma(2.0, size=n),
            "kind": rng.choice(["a", "b", "c"], n),
            "items": rng.integers(0, 9, n),
        }
    )


@pytest.fixture
def file(tmp_path):
    def written(table: pd.DataFrame, suffix: str = "parquet", **options) -> TableFile:
        path = tmp_path / f"table.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=700)
        else:
            table.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
        return TableFile(path, **options)

    return written


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz", "tsv"])
def test_a_sample_of_at_least_all_rows_is_the_file(file, suffix):
    table = frame(1500)
    drawn = file(table, suffix).sample(1500, seed=0)
    assert drawn.total == 1500
    pd.testing.assert_frame_equal(drawn.frame, table, check_dtype=False)


def test_each_row_is_drawn_equally_often_wherever_it_stands(file, monkeypatch):
    monkeypatch.setattr("anogan.sources.table_rows.ROWS_AT_ONCE", 37)
    source, times = file(frame(400)), np.zeros(400)
    draws, size = 200, 60
    for seed in range(draws):
        ids = source.sample(size, seed).frame["id"].to_numpy()
        assert len(np.unique(ids)) == size
        assert (np.diff(ids) > 0).all()
        times[ids] += 1
    share = size / 400
    spread = np.sqrt(draws * share * (1 - share))
    # Of ten stretches of the file none is drawn more often than chance allows (5 standard deviations), nor any row.
    assert np.abs(times - draws * share).max() < 5 * spread
    assert np.abs(times.reshape(10, 40).sum(1) - draws * size / 10).max() < 5 * spread * np.sqrt(40)
    # As even as chance, not more: chi-squared of 399 degrees of freedom, 5 standard deviations.
    assert abs(((times - draws * share) ** 2).sum() / spread**2 - 399) < 5 * np.sqrt(2 * 399)


def test_the_sample_depends_on_seed_and_rows_alone(file, monkeypatch):
    source = file(frame(3000))
    first = source.sample(100, 1).frame
    monkeypatch.setattr("anogan.sources.table_rows.ROWS_AT_ONCE", 13)
    monkeypatch.setattr("anogan.sources.sampling._PIECES", 3)
    pd.testing.assert_frame_equal(source.sample(100, 1).frame, first)
    assert not source.sample(100, 2).frame.equals(first)


def test_what_is_rare_is_known_though_not_drawn(file):
    table = frame(5000)
    table.loc[4321, "kind"] = "rare"
    table.loc[1234, "amount"] = np.nan
    drawn = file(table).sample(10, 0)
    assert len(drawn.frame) == 10
    assert "rare" in set(drawn.known["kind"])
    assert drawn.known["amount"].isna().sum() == 1
    assert len(drawn.known) < 20


def test_keep_and_drop_choose_rows_and_columns(file):
    table = frame(900).assign(label=np.where(np.arange(900) % 3, "1", "0"))
    for suffix in ("csv", "parquet"):
        options = {"drop": ["label", "id"], "text": ["label"], "keep": lambda rows: pc.equal(rows["label"], "1")}
        source = file(table, suffix, **options)
        assert source.columns == ["amount", "kind", "items"]
        assert source.sample(10, 0).total == 600
        assert source.read().num_rows == 600
    with pytest.raises(InputError, match="no row that is to be kept"):
        file(table, "csv", keep=lambda rows: np.zeros(len(rows), dtype=bool)).sample(10, 0)


def test_csv_types_suit_all_rows_not_the_first_ones_alone(file):
    n = 60_000  # more than one block of the reader
    table = frame(n).astype({"items": object})
    table.loc[n - 1, "items"] = 0.5
    table["late"] = [None] * (n - 1) + ["word"]
    drawn = file(table, "csv").sample(n, 0).frame
    assert drawn["items"].iloc[-1] == 0.5
    assert drawn["late"].iloc[-1] == "word"
    assert drawn["id"].dtype == np.int64


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    whole = frame(300)
    for number, part in enumerate(np.array_split(np.arange(300), 3)):
        whole.iloc[part].to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    source = TableFile(tmp_path)
    assert source.total == 300
    np.testing.assert_array_equal(source.sample(300, 0).frame["id"], whole["id"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There are no"):
        TableFile(tmp_path / "empty")


def test_errors_name_file_and_column(file):
    with pytest.raises(InputError, match=r"no column 'amout'. Did you mean 'amount'"):
        file(frame(5), drop=["amout"])
    with pytest.raises(InputError, match="no columns left"):
        file(frame(5), drop=["id", "amount", "kind", "items"])


def test_of_a_text_that_no_model_learns_only_some_values_are_kept(file):
    drawn = file(frame(3000).assign(word=[f"w{i}" for i in range(3000)])).sample(10, 0)
    assert 1000 < drawn.known["word"].nunique() < 1020


def test_fitting_a_file_is_fitting_its_rows(file):
    table = frame(300)[["amount", "kind", "items"]]
    tiny = DenoisingGAN.tiny | {"random_state": 0}
    from_file, in_memory = DenoisingGAN(**tiny).fit(file(table)), DenoisingGAN(**tiny).fit(table)
    np.testing.assert_array_equal(from_file.anomaly_score(table), in_memory.anomaly_score(table))
    np.testing.assert_array_equal(from_file.anomaly_score(file(table)), in_memory.anomaly_score(table))


def test_a_model_of_an_array_refuses_a_file(file):
    X = frame(40)[["amount", "items"]]
    model = DenoisingGAN(**DenoisingGAN.tiny, random_state=0).fit(X.to_numpy())
    for method in (model.anomaly_score, model.recalibrate, model.drift):
        with pytest.raises(InputError, match="only models that were fitted on a DataFrame or a TableFile"):
            method(file(X))


def test_of_a_long_file_a_sample_is_learned_and_the_promise_holds(file, monkeypatch):
    monkeypatch.setattr(preparing, "SAMPLED_ROWS", 2000)
    monkeypatch.setattr(preparing, "CALIBRATION_ROWS", 800)
    table = frame(20_000)[["amount", "kind", "items"]]
    table.loc[19_999, "kind"] = "rare"
    table.loc[0, "items"] = np.nan
    detector = DenoisingGAN(**DenoisingGAN.tiny, random_state=0, target_fpr=0.05).fit(file(table))
    assert len(detector.calibration_.scores) == 800  # 20 % of the file would be 4,000
    scores = detector.anomaly_score(table)  # neither the rare category nor the gap is strange to it
    # 800 calibration rows: the rate's standard deviation is 0.008.
    assert abs((scores > detector.calibration_.threshold).mean() - 0.05) < 0.03


def test_files_of_a_folder_may_differ_in_the_width_of_a_type(tmp_path):
    pd.DataFrame({"amount": [1, 2], "kind": ["a", "b"]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"amount": [2.5, 3.75], "kind": ["a", None]}).to_parquet(tmp_path / "1.parquet")
    drawn = TableFile(tmp_path).sample(10, 0).frame
    assert drawn["amount"].tolist() == [1, 2, 2.5, 3.75]


def test_files_of_a_folder_that_do_not_fit_together_are_named(tmp_path):
    pd.DataFrame({"amount": [1, 2], "kind": ["a", "b"]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"amount": [1]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(InputError, match=r"1\.parquet has no column 'kind'"):
        TableFile(tmp_path)
    pd.DataFrame({"amount": ["one"], "kind": ["a"]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(InputError, match="amount"):
        TableFile(tmp_path)


def test_a_column_that_a_model_needs_must_be_there(tmp_path):
    pd.DataFrame({"amount": [1, 2]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="no column 'kind'"):
        next(TableFile(tmp_path / "a.csv").frames({"amount": "double", "kind": "string"}))
