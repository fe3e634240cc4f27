"""What every detector says of its rows beyond the score: reasons, drift, and a threshold set anew."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import anogan
from anogan.persistence import read_model

from .conftest import Case, sample_data


@pytest.fixture(params=["vector", "table"])
def rows_case(name, request):
    """Every detector on what has columns."""
    return Case(name, request.param)


def test_reasons_are_those_of_explain_with_the_user_s_own_values(rows_case):
    detector, new = rows_case.fitted, rows_case.new
    table = new if isinstance(new, pd.DataFrame) else pd.DataFrame(new)
    errors = np.asarray(detector.explain(new), dtype=float)
    found = detector.reasons(new, 2)
    assert (errors > 0).sum(1).clip(max=2).sum() == len(found) > 0
    for reason in found.itertuples():
        of_row = errors[reason.row]
        place = list(table.columns).index(reason.column)
        assert reason.share == pytest.approx(of_row[place] / of_row.sum())
        assert of_row[place] == np.sort(of_row)[-reason.rank]
        value = table.iloc[reason.row, place]
        assert (reason.value is None and pd.isna(value)) or reason.value == value
        label = f"column {reason.column}" if isinstance(reason.column, int) else reason.column
        assert reason.text.startswith(f"{label} ")
        assert "; similar normal rows: " in reason.text


def test_a_row_s_reasons_do_not_depend_on_the_others(rows_case):
    detector, new = rows_case.fitted, rows_case.new
    last = new[-1:] if isinstance(new, np.ndarray) else new.iloc[-1:]
    alone, among = detector.reasons(last), detector.reasons(new)
    among = among[among["row"] == len(new) - 1]
    assert alone["text"].tolist() == among["text"].tolist()


def test_pictures_have_no_columns_to_name(name):
    with pytest.raises(anogan.InputError, match="pictures have none"):
        Case(name, "grey").fitted.reasons(Case(name, "grey").new)


def test_reasons_come_back_from_the_file(rows_case, tmp_path):
    path = tmp_path / "m.anogan"
    rows_case.fitted.save(path)
    loaded = anogan.load(path, device="cpu")
    assert loaded.reasons(rows_case.new)["text"].tolist() == rows_case.fitted.reasons(rows_case.new)["text"].tolist()
    assert read_model(path).weights["background"].shape[0] <= 1000


def test_recalibration_sets_the_threshold_by_the_new_rows_alone(case, tmp_path):
    detector, other = copy.deepcopy(case.fitted), sample_data(case.modality, 40, seed=3)
    before, scores = detector.calibration_, detector.anomaly_score(other)
    detector.set_params(target_fpr=0.1)
    assert detector.recalibrate(other) is detector
    assert_array_equal(detector.anomaly_score(other), scores)  # networks and scales are the same
    assert_array_equal(detector.calibration_.scores, np.sort(scores))
    assert (scores > detector.calibration_.threshold).sum() <= 0.1 * 41
    assert detector.offset_ == -detector.calibration_.threshold
    assert (detector.calibration_.map_threshold is None) == (before.map_threshold is None)
    detector.save(tmp_path / "m.anogan")
    loaded = anogan.load(tmp_path / "m.anogan", device="cpu")
    assert loaded.target_fpr == 0.1
    assert loaded.calibration_.map_threshold == detector.calibration_.map_threshold
    assert_array_equal(loaded.predict(case.new), detector.predict(case.new))


def test_recalibration_in_parts_is_that_of_the_whole(case):
    whole, parts = copy.deepcopy(case.fitted), copy.deepcopy(case.fitted)
    other = sample_data(case.modality, 120, seed=3)
    halves = (other.iloc[:50], other.iloc[50:]) if isinstance(other, pd.DataFrame) else (other[:50], other[50:])
    whole.recalibrate(other)
    parts.recalibrate(iter(halves))
    np.testing.assert_allclose(parts.calibration_.scores, whole.calibration_.scores, rtol=1e-9)
    assert parts.calibration_.map_threshold == pytest.approx(whole.calibration_.map_threshold)


def test_a_recalibration_with_few_rows_names_the_smallest_rate(vector_case):
    detector = copy.deepcopy(vector_case.fitted)
    with pytest.warns(anogan.CalibrationWarning, match=r"smallest rate is 0\.1\. It takes 99: .*or raise target_fpr\."):
        detector.recalibrate(vector_case.new)


def test_a_recalibration_that_fails_changes_nothing(vector_case):
    detector = copy.deepcopy(vector_case.fitted)
    before = detector.calibration_
    for bad in (np.full((3, 5), np.nan), iter([])):
        with pytest.raises(anogan.InputError):
            detector.recalibrate(bad)
    assert detector.calibration_ is before


def test_drift_of_the_same_rows_and_of_others(case):
    both = sample_data(case.modality, 240, seed=3)
    usual, new = (both.iloc[:120], both.iloc[120:]) if isinstance(both, pd.DataFrame) else (both[:120], both[120:])
    detector = copy.deepcopy(case.fitted).recalibrate(usual)
    same = detector.drift(new)
    assert same.verdict == "still fits"
    assert (same.rows, same.calibration_rows) == (120, 120)
    assert same.flagged == pytest.approx((detector.predict(new) == -1).mean())
    assert detector.drift(iter([new, new])).rows == 240
    few = detector.drift(new[:9])
    assert few.verdict == "too few rows to say" or few.p_value < 0.005 or few.flagged_p_value < 0.005
    assert {name for name, _ in few.columns} <= set(new.columns if isinstance(new, pd.DataFrame) else range(5))
