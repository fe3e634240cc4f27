"""Fits in threads of one process, as joblib and GridSearchCV run them."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

import anogan
from anogan.engine import inference, stage_run

X = np.random.default_rng(0).normal(size=(60, 3))


def make(**changes):
    return anogan.WGANGP(**{"steps": 30, "width": 8, "random_state": 0, "device": "cpu"} | changes)


def test_fits_with_one_seed_in_threads_give_one_threshold():
    alone = make().fit(X)
    fits = joblib.Parallel(n_jobs=4, prefer="threads")(joblib.delayed(make().fit)(X) for _ in range(6))
    assert {fit.offset_ for fit in fits} == {alone.offset_}
    for fit in fits:
        np.testing.assert_array_equal(fit.anomaly_score(X), alone.anomaly_score(X))


def test_a_grid_search_in_threads_equals_the_serial_one():
    def score(detector, X, y=None):
        return float(np.mean(detector.score_samples(X)))

    def search(**where):
        grid = {"latent_dim": [2, 4], "learning_rate": [1e-3, 1e-2]}
        with joblib.parallel_config(**where):
            return GridSearchCV(make(), grid, scoring=score, cv=2).fit(X)

    serial, threaded = search(n_jobs=1), search(backend="threading", n_jobs=4)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(threaded.cv_results_[name], serial.cv_results_[name])
    assert threaded.best_params_ == serial.best_params_
    np.testing.assert_array_equal(threaded.best_estimator_.anomaly_score(X), serial.best_estimator_.anomaly_score(X))


def test_one_detector_scores_and_explains_in_several_threads():
    detector = anogan.AnoGAN(steps=20, width=8, search_steps=5, random_state=0, device="cpu").fit(X)
    scores, reasons = detector.anomaly_score(X), detector.explain(X)
    work = [joblib.delayed(method)(X) for method in (detector.anomaly_score, detector.explain) * 4]
    for number, values in enumerate(joblib.Parallel(n_jobs=4, prefer="threads")(work)):
        np.testing.assert_array_equal(values, reasons if number % 2 else scores)


def test_samples_of_one_detector_follow_their_seed_in_several_threads():
    detector = make().fit(X)
    alone = [detector.sample(50, random_state=seed) for seed in range(8)]
    draw = joblib.delayed(detector.sample)
    together = joblib.Parallel(n_jobs=4, prefer="threads")(draw(50, random_state=seed) for seed in range(8))
    np.testing.assert_array_equal(together, alone)


def test_fits_in_threads_resume_from_their_checkpoints(tmp_path, monkeypatch):
    clock = itertools.count(0, 3600)  # each step is long enough for a checkpoint
    monkeypatch.setattr(stage_run, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Stop(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            if step == 25:
                raise KeyboardInterrupt

    def fit(seed, **given):
        return make(random_state=seed, patience=0).fit(X, **given)

    def resumed(seed):
        with pytest.raises(KeyboardInterrupt):
            fit(seed, checkpoint=tmp_path / str(seed), callbacks=[Stop()])
        return fit(seed, checkpoint=tmp_path / str(seed)).anomaly_score(X)

    work = joblib.delayed(resumed)
    for seed, scores in enumerate(joblib.Parallel(n_jobs=3, prefer="threads")(work(seed) for seed in range(3))):
        np.testing.assert_array_equal(scores, fit(seed).anomaly_score(X))


def test_draws_of_a_callback_change_neither_the_fit_nor_what_others_draw():
    drawn = []

    class Draw(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            drawn.append(float(torch.rand(1)))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        watched = make().fit(X, callbacks=[Draw()])
        torch.manual_seed(0)
        assert drawn == [float(torch.rand(1)) for _ in drawn]
    np.testing.assert_array_equal(watched.anomaly_score(X), make().fit(X).anomaly_score(X))


def test_rows_are_scored_on_several_threads_as_on_one(monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_PER_BATCH", 64)
    many = np.random.default_rng(1).normal(size=(500, 3))
    threads = torch.get_num_threads()
    try:
        for detector in (make(), anogan.DenoisingGAN(steps=30, width=8, random_state=0, device="cpu")):
            torch.set_num_threads(1)
            detector.fit(X)
            scores, reasons = detector.anomaly_score(many), detector.explain(many)
            torch.set_num_threads(3)
            np.testing.assert_array_equal(detector.anomaly_score(many), scores)
            np.testing.assert_array_equal(detector.explain(many), reasons)
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_rows_of_several_batches_are_computed_at_once(monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_PER_BATCH", 64)
    detector = make().fit(X)
    both = threading.Barrier(2, timeout=30)  # passes only when two batches are in it

    def score(x):
        both.wait()
        assert torch.get_num_threads() == 1
        return x.new_zeros(1, x.shape[1])

    monkeypatch.setattr(detector.module_, "score", score)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert len(detector.anomaly_score(np.zeros((128, 3)))) == 128
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_calls_from_other_threads_leave_the_number_of_threads_alone(monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_PER_BATCH", 64)
    detector, threads = make().fit(X), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        monkeypatch.setattr(torch, "set_num_threads", lambda number: pytest.fail("threads of others would have it too"))
        with ThreadPoolExecutor(1) as pool:
            assert len(pool.submit(detector.anomaly_score, np.zeros((128, 3))).result()) == 128
    finally:
        monkeypatch.undo()
        torch.set_num_threads(threads)
