"""Arguments of fit that scikit-learn's tools may give and that a detector does not use."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

import anogan


@pytest.fixture
def detector():
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0)


def test_labels_that_turn_a_scorer_of_scikit_learn_round_are_noticed(detector):
    rng = np.random.default_rng(0)
    X, y = np.append(rng.normal(size=(60, 2)), rng.normal(9.0, size=(6, 2)), axis=0), np.repeat([0, 1], [60, 6])
    with pytest.warns(UserWarning, match="If 1 stands for anomalies"):
        detector.fit(X, y)
    signs = np.where(y == 1, -1, 1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        detector.fit(X, signs)
    assert not any("stands for anomalies" in str(warning.message) for warning in seen)
    score = get_scorer("roc_auc")
    assert score(detector, X, signs) == pytest.approx(1 - score(detector, X, y))


class Recorder(anogan.Callback):
    def __init__(self):
        self.calls = []

    def on_fit_begin(self, parameters):
        self.calls.append("fit begins")

    def on_stage_begin(self, stage, total_steps):
        self.calls.append(stage)

    def on_fit_end(self, diagnosis):
        self.calls.append("fit fails" if diagnosis is None else "fit ends")


def test_callbacks_are_called_between_the_beginning_and_the_end_of_the_fit(detector, tmp_path):
    pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"]).to_csv(tmp_path / "t.csv")
    recorder = Recorder()
    detector.fit(anogan.open_source(tmp_path / "t.csv"), callbacks=[recorder])
    assert recorder.calls[:2] == ["fit begins", "reading"]
    assert recorder.calls[-1] == "fit ends"
    recorder.calls.clear()
    with pytest.raises(anogan.InputError, match="infinity"):
        detector.fit(np.full((60, 2), np.inf), callbacks=[recorder])
    assert recorder.calls == ["fit begins", "fit fails"]
    recorder.calls.clear()
    with pytest.raises(anogan.InputError, match="restarts"):
        detector.fit(np.ones((60, 2)), callbacks=[recorder], restarts=-1)
    assert not recorder.calls


def test_weights_of_samples_are_refused_in_a_sentence(detector):
    X = np.random.default_rng(0).normal(size=(60, 2))
    assert not has_fit_parameter(detector, "sample_weight")
    with pytest.raises(anogan.InputError, match="no sample_weight: training draws all samples alike"):
        detector.fit(X, sample_weight=np.ones(60))
    pipeline = make_pipeline(StandardScaler(), detector)
    with pytest.raises(anogan.InputError, match="no sample_weight"):
        pipeline.fit(X, denoisinggan__sample_weight=np.ones(60))
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        make_pipeline(scaler, detector).fit(X, sample_weight=np.ones(60))  # goes to the scaler alone
    detector.fit(X, sample_weight=None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'checkpont'"):
        detector.fit(X, checkpont="x")
