"""A model for each group of rows, in one folder; samples of the parts of a table."""

import json
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import anogan
from anogan.batch.drawing import drawn_part, key_limit, row_sample
from anogan.batch.worker import Work, model_file, opened

ALL = ("score", "p_value", "flag", "unseen", "status")


def tiny(**given):
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, **given)


def rows(n, seed, shops=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    shop = rng.choice(shops, n)
    return pd.DataFrame(
        {
            "shop": shop,
            "amount": rng.normal(size=n) + 10 * (shop == "b"),
            "items": rng.integers(1, 9, n),
            "kind": rng.choice(["x", "y"], n),
        }
    )


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups") / "models"
    one = pd.DataFrame({"shop": ["alone", None], "amount": [1.0, 2.0], "items": [1, 2], "kind": ["x", "y"]})
    with pytest.warns(anogan.ColumnWarning, match="1 row of 242 has no value in 'shop'"):
        return anogan.fit_per_group(pd.concat([rows(240, 0), one], ignore_index=True), "shop", tiny(), folder)


def test_each_row_has_the_score_of_the_model_of_its_group(groups):
    new = rows(60, 1, ("a", "b", "c", "other", "alone"))
    new.loc[7, "shop"] = None
    new.loc[[3, 9], "kind"] = "new"
    new.loc[5, "amount"] = np.inf
    scored = anogan.score_per_group(new, groups)
    assert list(scored.columns) == list(ALL)
    for shop in "abc":
        mine = new["shop"] == shop
        alone = tiny().fit(rows(240, 0).query("shop == @shop").drop(columns="shop"))
        expected = alone.score_table(new[mine].drop(columns="shop"))
        np.testing.assert_array_equal(scored.loc[mine, "score"], expected["score"])
        np.testing.assert_array_equal(scored.loc[mine, "p_value"], expected["p_value"])
        assert scored.loc[mine, "unseen"].equals(expected["unseen"])
        assert scored.loc[mine, "status"].equals(expected["status"])
    without = scored[new["shop"].isin(["other", "alone"])]
    assert without["score"].isna().all()
    assert without["flag"].isna().all()
    assert set(without["status"]) == {"no model of shop=other", "no model of shop=alone"}
    assert scored.loc[7, "status"] == "no value in 'shop'"


def test_the_index_says_what_each_group_got(groups):
    assert json.loads((groups.folder / "index.json").read_text())["by"] == "shop"
    assert list(groups.index) == ["a", "alone", "b", "c"]
    assert "at least 2" in groups.index["alone"]["error"]
    assert "parquet" not in groups.index["alone"]["error"]
    assert sum(facts["rows"] for facts in groups.index.values()) == 241
    assert {file.name for file in groups.folder.iterdir()} == {
        "index.json",
        *(facts["file"] for facts in groups.index.values() if "file" in facts),
    }


def test_the_warnings_of_the_fits_are_counted_and_stand_in_the_index(tmp_path):
    frame = rows(150, 0, ("a", "b")).assign(number=range(150))
    frame.loc[0, "shop"] = "alone"
    with pytest.warns(anogan.AnoganWarning) as warned:
        found = anogan.fit_per_group(frame, "shop", tiny(target_fpr=0.01), tmp_path / "models")
    said = [(warning.category, str(warning.message), warning.filename) for warning in warned]
    for category, words in [
        (anogan.ColumnWarning, "2 of 3 groups (such as 'a'): Column 'number' numbers the rows"),
        (anogan.CalibrationWarning, "2 of 3 groups (such as 'a'): target_fpr=0.01 cannot be kept"),
        (anogan.TrainingHealthWarning, "2 of 3 groups (such as 'a'): DenoisingGAN: under-trained"),
        (anogan.AnoganWarning, "1 of 3 groups without a model ('alone'): X has 1 sample"),
    ]:
        assert [(kind, file) for kind, text, file in said if text.startswith(words)] == [(category, __file__)]
    assert len(said) == 4
    for shop in "ab":
        with pytest.warns(anogan.AnoganWarning) as alone:
            tiny(target_fpr=0.01).fit(frame[frame["shop"] == shop].drop(columns="shop"))
        expected = [{"category": w.category.__name__, "text": str(w.message)} for w in alone]
        assert found.index[shop]["warnings"] == expected
    assert "warnings" not in found.index["alone"]


def test_many_kinds_of_warnings_are_not_all_said(tmp_path):
    frame = rows(260, 0, [f"shop {letter}" for letter in "abcdefghijklm"])
    for letter in "abcdefghijklm":  # each group has a column of numbers of its rows, of another name
        mine = frame["shop"] == f"shop {letter}"
        frame.loc[mine, f"number {letter}"] = np.arange(mine.sum(), dtype=float)
    with pytest.warns(anogan.AnoganWarning) as warned:
        anogan.fit_per_group(frame, "shop", tiny(), tmp_path / "models")
    said = [str(warning.message) for warning in warned]
    assert len(said) == 11
    assert re.match(r"There are \d+ other warnings", said[-1])


def test_rows_beyond_the_range_of_training_are_said_once_for_all_groups(groups):
    new = rows(240, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        anogan.score_per_group(new, groups)
    new["items"] *= 1000
    words = r"3 of 3 groups \(such as '[abc]'\): Column 'items' lies beyond the range of training .* in all \d+ rows"
    with pytest.warns(anogan.RangeWarning, match=words) as warned:
        anogan.score_per_group(new, groups)
    assert [warning.filename for warning in warned if warning.category is anogan.RangeWarning] == [__file__]
    table = pa.Table.from_pandas(new, preserve_index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        Work(ALL).checked(groups, table.schema).scored_part(groups, table)  # as the workers of a cluster do


def test_a_group_of_another_kind_is_one_without_a_model(tmp_path):
    frame = rows(120, 0).assign(shop=np.resize([0.0, 1.0, np.nan], 120))
    anogan.fit_per_group(frame, "shop", tiny(), tmp_path / "models")
    new = rows(9, 1).assign(shop=[0, 1, 0.5, np.inf, 1e300, -0.0, np.nan, 2.0**53, 7])
    status = list(anogan.score_per_group(new, tmp_path / "models")["status"])
    assert status[:2] == ["ok", "ok"]
    assert status[2] == "no model of shop=0.5"
    assert [text.startswith("no model of shop=") for text in status[3:5]] == [True, True]
    assert status[5:7] == ["ok", "no value in 'shop'"]
    assert status[7:] == ["no model of shop=9007199254740992", "no model of shop=7"]
    with pytest.raises(anogan.InputError, match=r"'shop' holds double such as 0.5; groups need texts"):
        anogan.fit_per_group(new[["shop", "amount"]], "shop", tiny(), tmp_path / "other")
    with pytest.raises(anogan.InputError, match="'shop' holds timestamp"):
        anogan.score_per_group(new.assign(shop=pd.Timestamp("2024-01-01")), tmp_path / "models")


def test_what_a_cluster_carries_gives_the_same_scores(groups):
    new = rows(60, 1, ("a", "b", "other"))
    with model_file(groups.folder) as path:
        model = opened(path)
    table = pa.Table.from_pandas(new, preserve_index=False)
    work = Work(ALL, ["kind"], reasons=2).checked(model, table.schema)
    found = work.scored(model, table).to_pandas()
    expected = anogan.score_per_group(new, groups)
    np.testing.assert_array_equal(found["score"], expected["score"])
    flagged = found["flag"].fillna(False).astype(bool)
    assert found.loc[flagged, "reason_1"].notna().all()
    assert found.loc[~flagged, "reason_1"].isna().all()


@pytest.mark.parametrize(
    ("shops", "kind"),
    [([1, 2], "int64"), ([1, 2], "float64"), ([True, False], "bool"), (["a", "b"], "category"), (["a", "b"], "object")],
)
def test_kinds_of_group_columns(tmp_path, shops, kind):
    frame = rows(80, 0)
    frame["shop"] = pd.Series(np.resize(shops, 80)).astype(kind)
    found = anogan.fit_per_group(frame, "shop", anogan.GANomaly(**anogan.GANomaly.tiny), tmp_path / "new" / "models")
    assert list(found.index) == sorted(str(shop).lower() for shop in shops)
    assert anogan.score_per_group(frame, found)["score"].notna().all()


@pytest.mark.parametrize(
    ("change", "by", "said"),
    [
        (lambda frame: frame, "shops", "no column 'shops'. Did you mean 'shop'"),
        (lambda frame: frame, "amount", "groups need texts, whole numbers or booleans"),
        (lambda frame: frame[["shop"]], "shop", "no column beside 'shop'"),
        (lambda frame: frame.assign(shop=None), "shop", "no row has a value in 'shop'"),
        (lambda frame: frame[:1], "shop", "No group can be fitted"),
    ],
)
def test_what_cannot_be_fitted_is_said_and_leaves_no_folder(tmp_path, change, by, said):
    with pytest.raises(anogan.InputError, match=said):
        anogan.fit_per_group(change(rows(20, 0)), by, tiny(), tmp_path / "models")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_folder_is_not_replaced(groups, tmp_path):
    with pytest.raises(anogan.InputError, match="is not empty"):
        anogan.fit_per_group(rows(20, 0), "shop", tiny(), groups.folder)
    with pytest.raises(anogan.InputError, match=r"no index\.json"):
        anogan.Groups(tmp_path)
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(anogan.FormatError, match="is damaged"):
        anogan.Groups(tmp_path)


def test_a_sample_of_parts_is_uniform_and_knows_all_values():
    table = pa.table({"x": np.arange(5000.0), "kind": ["rare" if i == 4321 else "x" for i in range(5000)]})
    limit, counts = key_limit(100, 5000), np.zeros(10)
    for seed in range(30):
        parts = [
            drawn_part([table.slice(first, 500)], np.random.default_rng([seed, first]), 100, limit)
            for first in range(0, 5000, 500)
        ]
        drawn = row_sample([part for part in parts if part], 100)
        assert (len(drawn.frame), drawn.total) == (100, 5000)
        assert drawn.frame["x"].is_monotonic_increasing
        assert "rare" in set(drawn.known["kind"])
        counts += np.histogram(drawn.frame["x"], 10, (0, 5000))[0]
    assert abs(counts / 30 - 10).max() < 3  # a standard error is 0.55
    assert drawn_part([table.slice(0, 0)], np.random.default_rng(0), 100, limit) is None
    with pytest.raises(anogan.InputError, match="no rows"):
        row_sample([], 100)


def test_a_detector_learns_from_a_sample():
    frame = rows(200, 0)
    drawn = anogan.RowSample(frame[:150], frame, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = tiny().fit(drawn)
    assert detector.fitted_on_["samples"] == 200
    assert len(detector.anomaly_score(frame)) == 200


def test_an_empty_folder_that_is_named_keeps_its_permissions_and_the_link_to_it(tmp_path):
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("private")
    anogan.fit_per_group(rows(240, 0), "shop", tiny(), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "private" / "index.json").exists()
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
