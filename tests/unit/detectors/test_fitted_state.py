"""Maps and scores in one pass, and what a fit assigns."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.exceptions import NotFittedError

import anogan
from anogan.detectors.fitted import FittedState
from anogan.engine.inference import Inference


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def fit(cls, X, **changes):
    fixed = {"random_state": 0, "device": "cpu", "n_members": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**cls.tiny | fixed | changes).fit(X)


def pictures(n, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, 3, 9, 12))


@pytest.mark.parametrize(
    "cls",
    [anogan.FeatureGAN, anogan.CycleGAN, anogan.AnoGAN, anogan.GANomaly, anogan.WGANGP],
    ids=lambda cls: cls.__name__,
)
def test_maps_and_scores_in_one_pass_are_those_of_two(cls, monkeypatch):
    detector, new = fit(cls, pictures(20)), pictures(40, 1)
    monkeypatch.setattr("anogan.engine.inference.VALUES_PER_BATCH", 1)  # several batches
    scores, maps = detector.predict_maps(new)
    assert_array_equal(scores, detector.anomaly_score(new))
    assert_array_equal(maps, detector.explain(new))


def test_scores_that_are_not_finite_are_refused_with_their_maps_too():
    learned = (255 * pictures(20)).astype(np.uint8)
    detector, picture = fit(anogan.GANomaly, learned), learned[0].transpose(1, 2, 0)
    with torch.no_grad():
        next(detector.module_.parameters()).fill_(float("nan"))
    for score in (
        lambda: detector.anomaly_score(learned),
        lambda: detector.predict_maps(learned),
        lambda: detector.score_picture(picture),
        lambda: detector.score_picture(picture, with_map=True),
    ):
        with pytest.raises(anogan.InputError, match="no finite score for sample 0"):
            score()


def test_each_picture_of_a_folder_is_decoded_once(tmp_path, monkeypatch):
    for number, picture in enumerate(pictures(12)):
        Image.fromarray((255 * picture.transpose(1, 2, 0)).astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    folder = anogan.ImageFolder(tmp_path, size=9)
    detector = fit(anogan.FeatureGAN, folder)
    opened, original = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **more: opened.append(args) or original(*args, **more))
    detector.anomaly_score(folder)
    once = len(opened)
    detector.predict_maps(folder)
    assert len(opened) == 2 * once > 0


def test_maps_of_rows_are_refused():
    detector = fit(anogan.WGANGP, np.random.default_rng(0).normal(size=(30, 4)))
    with pytest.raises(anogan.InputError, match="predict_maps needs pictures"):
        detector.predict_maps(np.zeros((2, 4)))
    with pytest.raises(NotFittedError):
        anogan.WGANGP().predict_maps(pictures(2))


def test_a_fit_assigns_one_attribute():
    X = np.random.default_rng(0).normal(size=(30, 4))
    detector = fit(anogan.WGANGP, X)
    assert vars(detector).keys() == {*detector.get_params(), "_state"}
    assert isinstance(detector.fitted_state, FittedState)
    assert (detector.n_features_in_, detector.seed_, detector.n_members_) == (4, 0, 2)
    assert not hasattr(detector, "feature_names_in_")
    assert list(fit(anogan.WGANGP, pd.DataFrame(X, columns=list("abcd"))).feature_names_in_) == list("abcd")
    for name in ("module_", "calibration_", "offset_", "history_", "n_features_in_"):
        assert not hasattr(anogan.WGANGP(), name)


def test_a_result_of_fit_cannot_be_set():
    detector = fit(anogan.WGANGP, np.random.default_rng(0).normal(size=(30, 4)))
    threshold = detector.offset_
    with pytest.raises(AttributeError, match=r"offset_ is a result of fit .* recalibrate"):
        detector.offset_ = 3.0
    assert detector.offset_ == threshold


def test_an_interrupted_first_fit_leaves_the_detector_unfitted():
    class Stop(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            raise KeyboardInterrupt

    detector = anogan.WGANGP(**anogan.WGANGP.tiny)
    before = dict(vars(detector))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(np.random.default_rng(0).normal(size=(30, 4)), callbacks=[Stop()])
    assert vars(detector) == before


@pytest.mark.parametrize(("contamination", "held_out"), [(0.1, False), ("auto", True)])
def test_a_threshold_from_training_rows_says_so(contamination, held_out, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 4))
    detector = fit(anogan.WGANGP, X, contamination=contamination)
    detector.save(tmp_path / "m.anogan")
    for each in (detector, anogan.load(tmp_path / "m.anogan", device="cpu")):
        assert each.calibration_.held_out is held_out
        assert each.drift(X).verdict.startswith("cannot be said") is not held_out
    assert detector.recalibrate(X).calibration_.held_out


def test_no_threshold_comes_from_scores_that_are_not_finite(monkeypatch):
    right, scored = Inference.score, []

    def score(self, samples):
        scored.append(samples)
        return right(self, samples) if len(scored) > wrong else np.full((1, 9), np.nan)

    monkeypatch.setattr(Inference, "score", score)
    X, wrong = np.random.default_rng(0).normal(size=(60, 4)), 10_000
    with pytest.raises(anogan.TrainingDivergedError, match="scores of normal samples are not finite"):
        fit(anogan.WGANGP, X)
    scored.clear()
    wrong = 1  # trained again, at a lower rate
    detector = fit(anogan.WGANGP, X)
    assert [attempt["kept"] for attempt in detector.attempts_][:2] == [False, True]
    assert np.isfinite(detector.calibration_.threshold)


def test_a_model_file_and_a_device_that_is_not_there(tmp_path):
    fit(anogan.WGANGP, np.random.default_rng(0).normal(size=(30, 4))).save(tmp_path / "m.anogan")
    with pytest.raises(anogan.InputError, match="device='warp drive'"):
        anogan.load(tmp_path / "m.anogan", device="warp drive")
