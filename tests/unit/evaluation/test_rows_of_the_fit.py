"""A model recognises the rows that it was fitted on, so that no figure is too good without a word."""

import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan import CalibrationWarning, InputError, Stream, evaluate
from anogan.data import digests
from anogan.data.digests import RowDigests


def tiny(X, **parameters):
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny | parameters, random_state=0).fit(X)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=200), "b": rng.lognormal(size=200), "c": rng.choice(list("xyz"), 200)})


@pytest.fixture(scope="module")
def detector(table):
    return tiny(table[:80])


def labels_of(table):
    return np.arange(len(table)) >= 150


def test_rows_of_the_fit_are_counted_and_the_others_measured_by_themselves(detector, table):
    found = evaluate(detector, table, labels_of(table))
    assert found["fitted_on"] == {"rows": 80, "normal": 80, "estimated": False}
    alone = evaluate(detector, table[80:], labels_of(table)[80:])
    assert alone["fitted_on"] is None
    assert "held_out" not in alone
    assert found["held_out"]["metrics"] == {
        name: {part: pytest.approx(value, abs=1e-6) for part, value in entry.items()}
        for name, entry in alone["metrics"].items()
    }


def test_rows_are_recognised_in_a_file_and_after_saving(detector, table, tmp_path):
    detector.save(tmp_path / "m")
    table.assign(y=labels_of(table)).to_csv(tmp_path / "t.csv", index=False)
    loaded = anogan.load(tmp_path / "m")
    stream = Stream(loaded, tmp_path / "t.csv", label="y", chunk_rows=7)
    assert evaluate(loaded, stream)["fitted_on"]["rows"] == 80
    assert loaded.was_fitted_on(table).tolist() == [True] * 80 + [False] * 120


@pytest.mark.parametrize("scaling", ["standard", "quantile", "asinh", "soft"])
def test_a_row_has_one_digest_in_any_batch(table, scaling):
    fitted = tiny(table[:80], scaling=scaling)
    single = [fitted.was_fitted_on(table[row : row + 1])[0] for row in range(70, 90)]
    assert single == [True] * 10 + [False] * 10


def test_arrays_and_pictures_are_recognised(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    assert tiny(X[:40]).was_fitted_on(X).sum() == 40
    for index in range(12):
        pixels = np.random.default_rng(index).integers(0, 256, (9, 9), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index:02d}.png")
    pictures = anogan.ImageFolder(tmp_path, size=8)
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(pictures[:8])
    assert detector.was_fitted_on(pictures).tolist() == [True] * 8 + [False] * 4


def test_equal_rows_that_are_not_of_the_fit_are_no_warning():
    rng = np.random.default_rng(0)
    few = pd.DataFrame({name: rng.choice(list("ab"), 600) for name in "pqr"})  # eight different rows
    detector = tiny(few[:300])
    assert detector.was_fitted_on(few).all()
    found = evaluate(detector, few[300:], labels_of(few)[300:] & (np.arange(300) < 150))
    assert found["fitted_on"] is None
    some = pd.DataFrame({"n": rng.integers(0, 3000, 600)})  # a new row equals one of the fit in about a tenth
    detector = tiny(some[:300])
    assert detector.was_fitted_on(some[300:]).any()
    assert evaluate(detector, some[300:], np.arange(300) >= 200)["fitted_on"] is None
    found = evaluate(detector, some, np.arange(600) >= 500)["fitted_on"]
    assert found["estimated"]
    assert found["rows"] == pytest.approx(300, abs=25)


def test_of_many_rows_a_part_is_known_and_the_rest_estimated(monkeypatch, table):
    monkeypatch.setattr(digests, "MOST_ROWS", 40)
    detector = tiny(table[:160])
    assert detector.was_fitted_on(table).sum() == 40
    found = evaluate(detector, table, labels_of(table))
    assert found["fitted_on"]["estimated"]
    assert found["fitted_on"]["rows"] == 160
    assert "held_out" not in found


def test_recalibration_and_drift_on_rows_of_the_fit_warn(detector, table):
    with pytest.warns(CalibrationWarning, match="80 of 200 rows were part of the fit"):
        detector.drift(table)
    fitted = tiny(table[:80], target_fpr=0.1)
    with pytest.warns(CalibrationWarning, match="80 of 80 rows were part of the fit: .* false alarms"):
        fitted.recalibrate(table[:80])


def test_recalibration_with_rows_above_the_threshold_warns(table):
    fitted = tiny(table[:80], target_fpr=0.1)
    new = table[80:]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CalibrationWarning)
        fitted.recalibrate(new)
    fitted = tiny(table[:80], target_fpr=0.1)
    new = new.assign(a=new["a"] + 90.0 * (np.arange(120) < 50))
    with pytest.warns(CalibrationWarning, match=r"of 120 rows \(\d\d%\) lie above the threshold so far"):
        fitted.recalibrate(new)


def test_a_report_says_so(detector, table):
    assert any("80 of 200 rows" in note for note in anogan.Report.from_estimator(detector, table).facts["notes"])
    assert not anogan.Report.from_estimator(detector, table[80:]).facts["notes"]


def test_a_model_without_digests_says_nothing_about_its_rows(table):
    from dataclasses import replace

    detector = tiny(table[:80])
    detector._state = replace(detector.fitted_state, digests=None)
    assert evaluate(detector, table, labels_of(table))["fitted_on"] is None
    with pytest.raises(InputError, match="no digests"):
        detector.was_fitted_on(table)


def test_estimates_of_digests_are_never_more_than_the_rows():
    row = RowDigests(np.zeros(5, dtype=np.int32), 5, 0)  # all rows are equal
    assert row.estimated(10, 10) == 0
    assert RowDigests(np.arange(5, dtype=np.int32), 50, 0).estimated(5, 20) == 20
