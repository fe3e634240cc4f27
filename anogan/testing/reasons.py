"""What a detector says of its rows beyond the score: reasons, recalibration and drift."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

from ..detectors.base import Detector
from ..errors import CalibrationWarning, InputError
from .case import GREY, ONE_OF_EACH, ROWS, VECTOR, Case, on, raises, rows_of, sample_data, warns


@on(*ROWS)
def check_reasons_agree_with_explain(case: Case) -> None:
    """Reasons are the columns that `explain` ranks highest, with the user's own values."""
    detector, new = case.fitted, case.new
    table = new if isinstance(new, pd.DataFrame) else pd.DataFrame(new)
    errors = np.asarray(detector.explain(new), dtype=float)
    found = detector.reasons(new, 2)
    assert (errors > 0).sum(1).clip(max=2).sum() == len(found) > 0, len(found)
    for _, reason in found.iterrows():
        of_row = errors[reason["row"]]
        place = list(table.columns).index(reason["column"])
        assert_allclose(reason["share"], of_row[place] / of_row.sum(), rtol=1e-6)
        assert of_row[place] == np.sort(of_row)[-reason["rank"]]
        value = table.iloc[reason["row"], place]
        assert (reason["value"] is None and pd.isna(value)) or reason["value"] == value
        label = f"column {reason['column']}" if isinstance(reason["column"], int) else reason["column"]
        assert reason["text"].startswith(f"{label} "), reason["text"]
        assert "; similar normal rows: " in reason["text"], reason["text"]


@on(*ROWS)
def check_reasons_do_not_depend_on_other_rows(case: Case) -> None:
    """The reasons of a row are the same alone and among others."""
    detector, new = case.fitted, case.new
    alone, among = detector.reasons(rows_of(new, slice(-1, None))), detector.reasons(new)
    among = among[among["row"] == len(new) - 1]
    assert alone["text"].tolist() == among["text"].tolist()


@on(GREY)
def check_pictures_have_no_reasons(case: Case) -> None:
    """`reasons` refuses pictures, which have no columns."""
    with raises(InputError, "pictures have none"):
        case.fitted.reasons(case.new)


@on(*ROWS)
def check_reasons_are_loaded(case: Case) -> None:
    """A loaded detector gives the reasons of the saved one."""
    with TemporaryDirectory() as directory:
        case.fitted.save(Path(directory) / "m.anogan")
        loaded = Detector.load(Path(directory) / "m.anogan", device="cpu")
    assert loaded.reasons(case.new)["text"].tolist() == case.fitted.reasons(case.new)["text"].tolist()


@on(*ONE_OF_EACH)
def check_recalibration_sets_the_threshold(case: Case) -> None:
    """`recalibrate` sets the threshold from the new rows alone, and the file keeps it."""
    detector, other = copy.deepcopy(case.fitted), sample_data(case.modality, 40, seed=3)
    before, scores = detector.calibration_, detector.anomaly_score(other)
    detector.set_params(target_fpr=0.1)
    assert detector.recalibrate(other) is detector
    assert_array_equal(detector.anomaly_score(other), scores)  # networks and scales stay
    assert_array_equal(detector.calibration_.scores, np.sort(scores))
    assert (scores > detector.calibration_.threshold).sum() <= 0.1 * 41
    assert detector.offset_ == -detector.calibration_.threshold
    assert (detector.calibration_.map_threshold is None) == (before.map_threshold is None)
    with TemporaryDirectory() as directory:
        detector.save(Path(directory) / "m.anogan")
        loaded = Detector.load(Path(directory) / "m.anogan", device="cpu")
    assert loaded.target_fpr == 0.1
    assert loaded.calibration_.map_threshold == detector.calibration_.map_threshold
    assert_array_equal(loaded.predict(case.new), detector.predict(case.new))


@on(*ONE_OF_EACH)
def check_recalibration_in_parts(case: Case) -> None:
    """`recalibrate` with an iterator over parts equals that with the whole."""
    whole, parts = copy.deepcopy(case.fitted), copy.deepcopy(case.fitted)
    other = sample_data(case.modality, 120, seed=3)
    whole.recalibrate(other)
    parts.recalibrate(iter([rows_of(other, slice(50)), rows_of(other, slice(50, None))]))
    assert_allclose(parts.calibration_.scores, whole.calibration_.scores, rtol=1e-9)
    of_parts, of_whole = parts.calibration_.map_threshold, whole.calibration_.map_threshold
    if of_parts is None or of_whole is None:
        assert of_parts is of_whole
    else:
        assert_allclose(of_parts, of_whole, rtol=1e-6)


@on(VECTOR)
def check_recalibration_with_few_rows_warns(case: Case) -> None:
    """`recalibrate` with too few rows for the promised false-alarm rate warns with the smallest possible one."""
    detector = copy.deepcopy(case.fitted)
    with warns(CalibrationWarning, r"smallest rate is 0\.1\. .*It takes 99: .*or raise target_fpr\."):
        detector.recalibrate(case.new)


@on(VECTOR)
def check_failed_recalibration_changes_nothing(case: Case) -> None:
    """`recalibrate` with unusable rows raises and leaves the calibration as it was."""
    detector = copy.deepcopy(case.fitted)
    before = detector.calibration_
    unusable: tuple[Any, ...] = (np.full((3, 5), np.nan), iter([]))
    for bad in unusable:
        with raises(InputError, ""):
            detector.recalibrate(bad)
    assert detector.calibration_ is before


@on(*ONE_OF_EACH)
def check_drift(case: Case) -> None:
    """`drift` finds none in rows like those that set the threshold, in one part or several."""
    both = sample_data(case.modality, 240, seed=3)
    usual, new = rows_of(both, slice(120)), rows_of(both, slice(120, None))
    detector = copy.deepcopy(case.fitted).recalibrate(usual)
    same = detector.drift(new)
    assert same.verdict == "still fits", same
    assert (same.rows, same.calibration_rows) == (120, 120)
    assert_allclose(same.flagged, (detector.predict(new) == -1).mean(), rtol=1e-6, atol=1e-12)
    assert detector.drift(iter([new, new])).rows == 240
    few = detector.drift(new[:9])
    assert few.verdict == "too few rows to say" or few.p_value < 0.005 or few.flagged_p_value < 0.005, few
    assert {name for name, _ in few.columns} <= set(new.columns if isinstance(new, pd.DataFrame) else range(5))
