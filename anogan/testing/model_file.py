"""A model file gives back the same detector."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from ..detectors.base import Detector
from ..nn.backbone import BACKBONES
from .case import DATA, NETWORKS, ONE_OF_EACH, TRAINED, VECTOR, Case, on


@contextmanager
def _new_path() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        yield Path(directory) / "model.anogan"


def _read_again(detector: Detector) -> Detector:
    with _new_path() as path:
        detector.save(path)
        return Detector.load(path, device="cpu")


@on(*DATA)
def check_loaded_detector_equals_the_saved_one(case: Case) -> None:
    """A loaded detector gives every result of the saved one, bit for bit."""
    saved = case.fitted
    loaded = _read_again(saved)
    assert type(loaded) is type(saved)
    for _ in range(2):
        assert_array_equal(loaded.anomaly_score(case.new), saved.anomaly_score(case.new))
    assert_array_equal(loaded.predict(case.X), saved.predict(case.X))
    assert_array_equal(loaded.p_value(case.new), saved.p_value(case.new))
    assert_array_equal(loaded.flag(case.new, 0.5), saved.flag(case.new, 0.5))
    assert_array_equal(np.asarray(loaded.explain(case.new)), np.asarray(saved.explain(case.new)))
    assert loaded.get_params() == saved.get_params()
    assert loaded.calibration_.map_threshold == saved.calibration_.map_threshold
    assert loaded.history_ == saved.history_
    assert loaded.diagnosis_ == saved.diagnosis_
    assert getattr(loaded, "n_features_in_", None) == getattr(saved, "n_features_in_", None)
    assert list(getattr(loaded, "feature_names_in_", [])) == list(getattr(saved, "feature_names_in_", []))
    if saved.module_.can("sample"):
        samples = [np.asarray(detector.sample(3, random_state=0), dtype=object) for detector in (loaded, saved)]
        assert_frame_equal(*(pd.DataFrame(rows.reshape(3, -1)) for rows in samples))


@on(*ONE_OF_EACH)
def check_loaded_detector_can_be_saved_again(case: Case) -> None:
    """A loaded detector can be saved again."""
    again = _read_again(_read_again(case.fitted))
    assert again.get_params() == case.fitted.get_params()
    assert_array_equal(again.anomaly_score(case.new), case.fitted.anomaly_score(case.new))


@on(VECTOR)
def check_loaded_detector_can_be_fitted_again(case: Case) -> None:
    """A fit of a loaded detector gives the scores of the saved one."""
    again = _read_again(case.fitted).fit(case.X)
    assert_array_equal(again.anomaly_score(case.new), case.fitted.anomaly_score(case.new))


@on(*NETWORKS)
def check_later_parameters_do_not_change_the_networks(case: Case) -> None:
    """Neither parameters set after `fit` nor other defaults of a later version change a fitted or loaded detector."""
    saved = case.fit(n_members=None, width=None)
    scores = saved.anomaly_score(case.new)
    saved.set_params(width=5, n_members=2, precision="float32")
    with _new_path() as path, ExitStack() as later:
        saved.save(path)
        for backbone in BACKBONES.values():
            later.enter_context(patch.object(backbone, "default_members", 7))
            later.enter_context(patch.object(backbone, "default_width", 9))
        loaded = Detector.load(path, device="cpu")
        for twin in (saved, loaded):
            assert_array_equal(twin.anomaly_score(case.new), scores)
        assert loaded.width != 5


@on(*TRAINED)
def check_ensemble_and_float32_are_loaded(case: Case) -> None:
    """A loaded ensemble, and a loaded detector in float32, score as the saved ones, bit for bit."""
    for changes in ({"n_members": 3}, {"precision": "float32"}):
        saved = case.shared(**changes)
        assert_array_equal(_read_again(saved).anomaly_score(case.new), saved.anomaly_score(case.new))


@on(VECTOR)
def check_numpy_parameters_are_saved(case: Case) -> None:
    """Parameters that are numpy scalars can be saved."""
    detector = case.fit(width=np.int64(8), learning_rate=np.float32(0.5**10))
    assert _read_again(detector).width == 8
