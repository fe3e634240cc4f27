"""Samples that follow each other and are alike: they are recognised, and set a threshold in blocks."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import anogan
from anogan.data.samples import TensorSamples
from anogan.detectors.preparing import DEPENDENT, Split
from anogan.scoring.exchangeability import FEWEST_SAMPLES, copied_rows, unlike_in_blocks

QUICK = {**anogan.WGANGP.tiny, "steps": 20, "random_state": 0}


def groups(n, *, of=10, columns=6, seed=0):
    """Return rows (n, columns) of which so many each are nearly equal."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(-(-n // of), columns)).repeat(of, 0)[:n] + 0.1 * rng.normal(size=(n, columns))


def dependence(rows, columns=()):
    return unlike_in_blocks(TensorSamples(torch.as_tensor(np.asarray(rows)).float()), columns, 0)


def independent(n=1000, columns=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, columns))


def test_independent_rows_are_exchangeable():
    assert dependence(independent()) == pytest.approx(0.05, abs=0.03)
    assert dependence(groups(1000)[np.random.default_rng(1).permutation(1000)]) == pytest.approx(0.05, abs=0.03)
    assert dependence(np.random.default_rng(0).poisson(1.0, (1000, 3))) < 0.1
    assert dependence(np.zeros((200, 3))) == 0


@pytest.mark.parametrize("n", [FEWEST_SAMPLES, 1000, 9000])
def test_rows_in_groups_are_not(n):
    assert dependence(groups(n)) > 2 * DEPENDENT
    assert dependence(independent(n)) < DEPENDENT


def test_series_are_not():
    rng = np.random.default_rng(0)
    assert dependence(np.cumsum(rng.normal(size=(1000, 3)), 0)) > 2 * DEPENDENT


def test_few_rows_say_nothing():
    assert np.isnan(dependence(groups(FEWEST_SAMPLES - 1)))


def test_sorted_columns_and_a_trend_make_no_groups():
    X = independent()
    for column in range(2):
        assert dependence(X[X[:, column].argsort()]) < DEPENDENT
        assert dependence(X[(-X[:, column]).argsort()]) < DEPENDENT
    categories = np.eye(30)[np.sort(np.random.default_rng(1).integers(0, 30, len(X)))]
    columns = [slice(0, 30), *(slice(30 + place, 31 + place) for place in range(X.shape[1]))]
    assert dependence(np.concatenate([categories, X], 1), columns) < DEPENDENT
    assert dependence(np.concatenate([categories, groups(len(X))], 1), [*columns, slice(35, 36)]) > 2 * DEPENDENT
    assert dependence(np.concatenate([categories, X], 1)) < DEPENDENT  # an array, whose every value is a column
    assert dependence(X + np.linspace(0, 5, len(X))[:, None]) < DEPENDENT
    assert dependence(np.sort(X[:, :1], 0)) == 0


@pytest.mark.parametrize("blemish", ["gaps", "one gap", "one value elsewhere", "gaps in a category"])
def test_a_table_that_is_nearly_sorted_has_no_groups(blemish):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(independent(1000, 3), columns=list("abc"))
    table["kind"] = rng.choice([f"kind {number}" for number in range(40)], 1000)
    table = table.sort_values("kind" if blemish == "gaps in a category" else "a", ignore_index=True)
    if blemish == "one value elsewhere":
        table.loc[500, "a"] = table["a"].max()
    else:
        table.loc[
            rng.permutation(1000)[: 1 if blemish == "one gap" else 100], "kind" if "category" in blemish else "a"
        ] = None
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Rows that follow")
        anogan.WGANGP(**QUICK, target_fpr=0.1).fit(table)


@pytest.mark.parametrize("rows", ["copied", "groups"])
def test_who_says_that_rows_are_independent_gets_those_that_are_held_out_at_random(rows):
    X = groups(300) if rows == "groups" else copied(300, 3)
    advice = r"give fit\(\.\.\., independent=True\)"
    with pytest.warns(anogan.CalibrationWarning, match=advice) as said:
        detector = anogan.WGANGP(**QUICK, target_fpr=0.1).fit(X)
    assert any("give --independent" in each.message.shell for each in said)
    assert {"copies", "dependence"} & set(detector.fitted_on_)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.CalibrationWarning)
        detector.fit(X, independent=True)
    assert not {"copies", "dependence"} & set(detector.fitted_on_)
    assert detector.fitted_on_["calibration"] == 60


def test_classes_that_a_table_is_sorted_by_are_all_learned_and_held_out():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=240), "b": rng.normal(size=240), "kind": np.repeat(list("abcdef"), 40)})
    table[["a", "b"]] += 5 * np.repeat(np.arange(6), 40)[:, None]
    detector = anogan.ConditionalGAN(**anogan.ConditionalGAN.tiny, condition="kind", random_state=0).fit(table)
    assert "dependence" not in detector.fitted_on_


def test_a_file_with_copies_is_held_out_like_the_same_table(tmp_path):
    table = pd.DataFrame(copied(1500, 5), columns=list("abcde"))
    table.to_csv(tmp_path / "t.csv", index=False)
    fitted = [anogan.WGANGP(**QUICK).fit(data).fitted_on_ for data in (table, anogan.TableFile(tmp_path / "t.csv"))]
    assert fitted[0]["calibration"] == fitted[1]["calibration"] == 60
    assert fitted[0]["training"] == fitted[1]["training"]


def test_a_number_with_gaps_counts():
    X = groups(1000)
    with_flags = np.stack([X, np.zeros_like(X)], -1).reshape(1000, -1)
    with_flags[::20, 1] = 1
    assert dependence(with_flags, [slice(place, place + 2) for place in range(0, 12, 2)]) > 2 * DEPENDENT


def test_a_table_in_the_order_of_time_has_no_groups_for_its_dates():
    table = pd.DataFrame(independent(600), columns=list("abcde"))
    table["date"] = pd.date_range("2020-01-01", periods=600, freq="D")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Rows that follow")
        anogan.WGANGP(**QUICK, target_fpr=0.1).fit(table)


def test_pictures_of_one_part_are_recognised_in_any_light():
    rng = np.random.default_rng(0)
    parts = rng.uniform(0, 255, (30, 1, 20, 24)).repeat(5, 0)
    burst = parts * rng.uniform(0.7, 1.0, (150, 1, 1, 1)) + rng.normal(0, 3, parts.shape)
    assert dependence(burst) > 2 * DEPENDENT
    assert dependence(rng.uniform(0, 255, (150, 1, 20, 24))) < DEPENDENT


def test_a_split_in_blocks_holds_out_as_many_rows_that_follow_each_other():
    order = np.random.default_rng(0).permutation(200)
    split = Split(order[60:], order[:20], order[20:60])
    blocks = split.in_blocks(0)
    assert [len(part) for part in blocks] == [140, 20, 40]
    assert sorted(np.concatenate(blocks)) == list(range(200))
    assert (np.diff(np.sort(blocks.calibration)) > 1).sum() == 3
    assert (blocks.in_blocks(0).calibration == blocks.calibration).all()
    assert sorted(blocks.in_blocks(1).calibration) != sorted(blocks.calibration)


def test_rows_of_new_groups_are_flagged_as_seldom_as_promised():
    rows, new = groups(1500, of=25), groups(500, of=25, seed=1)
    flagged = {}
    for order in ("groups", "shuffled"):
        X = rows if order == "groups" else rows[np.random.default_rng(0).permutation(len(rows))]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            detector = anogan.FeatureGAN(steps=20, target_fpr=0.05, random_state=0).fit(X)
        alike = [str(each.message) for each in said if "follow each other are alike" in str(each.message)]
        assert len(alike) == (order == "groups")
        assert ("dependence" in detector.fitted_on_) == (order == "groups")
        flagged[order] = np.mean(detector.predict(new) < 0)
    assert flagged["groups"] < 0.15
    assert flagged["shuffled"] > 0.25


def test_a_contamination_sets_no_promise_and_holds_out_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.CalibrationWarning)
        detector = anogan.WGANGP(**QUICK, contamination=0.1).fit(groups(200))
    assert "dependence" not in detector.fitted_on_


def test_a_table_with_groups_is_saved_with_what_was_found(tmp_path):
    with pytest.warns(anogan.CalibrationWarning, match=r"Rows that follow .* Recalibrate with rows"):
        detector = anogan.WGANGP(**QUICK).fit(pd.DataFrame(groups(300), columns=list("abcdef")))
    detector.save(tmp_path / "m.anogan")
    assert anogan.load(tmp_path / "m.anogan").fitted_on_["dependence"] == detector.fitted_on_["dependence"] > DEPENDENT


def copied(n=1200, times=12, seed=0):
    """Return continuous rows of which each occurs so often, in random order."""
    rng = np.random.default_rng(seed)
    return rng.permutation(rng.normal(size=(n // times, 5)).repeat(times, 0))


def numbers_of(rows, columns=()):
    return copied_rows(TensorSamples(torch.as_tensor(rows).float()), columns, 0)


def test_copies_are_told_from_rows_that_are_equal_by_chance():
    rng = np.random.default_rng(0)
    X = copied()
    numbers = numbers_of(X)
    assert numbers.max() == 99
    assert (numbers[:, None] == numbers).sum() == 1200 * 12
    assert ((X[:, None] == X).all(-1) == (numbers[:, None] == numbers)).all()
    assert (np.diff(np.unique(numbers, return_index=True)[1]) > 0).all()  # in the order in which they first occur
    assert numbers_of(rng.normal(size=(500, 5))) is None
    assert numbers_of(rng.integers(0, 2, (500, 5))) is None
    assert numbers_of(rng.integers(0, 40, (500, 1))) is None
    celsius = rng.integers(0, 40, (500, 1))
    assert numbers_of(np.concatenate([celsius, 32 + 1.8 * celsius, rng.integers(0, 2, (500, 1))], 1)) is None
    few = np.concatenate([rng.normal(size=(490, 5)), np.zeros((10, 5))])
    assert numbers_of(few) is None
    assert numbers_of(np.repeat(rng.normal(size=(8, 5)), 20, 0)) is None


def test_copies_are_held_out_together():
    numbers = np.array([0, 1, 0, 2, 3, 3, 1, 4])
    split = Split(np.array([3, 0, 4]), np.array([2]), np.array([1])).with_copies(numbers, 0)
    assert sorted(split.training) == [0, 2, 4, 5, 7]
    assert split.monitoring.tolist() == [3]
    assert split.calibration.tolist() == [1]


@pytest.mark.parametrize("order", ["beside each other", "in random order"])
def test_new_rows_are_flagged_as_seldom_as_promised_although_rows_are_copied(order):
    X = copied(1500, 10)
    if order == "beside each other":
        X = X[np.lexsort(X.T)]
    with pytest.warns(anogan.CalibrationWarning, match=r"90% of the rows repeat .* and the \d\d different rows that"):
        detector = anogan.FeatureGAN(steps=20, target_fpr=0.1, random_state=0).fit(X)
    assert detector.fitted_on_["copies"] == pytest.approx(0.9)
    digests = detector.fitted_state.digests
    assert (
        digests.message(int(detector.was_fitted_on(X[:300]).sum()), 300, "so.")
        == "300 of 300 rows were part of the fit: so."
    )
    assert np.mean(detector.predict(np.random.default_rng(1).normal(size=(1000, 5))) < 0) < 0.25
