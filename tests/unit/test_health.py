"""Bad trainings are diagnosed as bad, good ones as healthy, and a second attempt is made and reported."""

import contextlib
import itertools
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits
from torch.optim.optimizer import register_optimizer_step_pre_hook

import anogan
from anogan.engine import stage_run
from anogan.engine.diagnostics import Diagnosis
from anogan.seeding import derived_seed, generators
from benchmarks import health

SEED = 0


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def benign():
    cancer = load_breast_cancer()
    return cancer.data[cancer.target == 1]


def few_columns():
    """Eight of the thirty columns: the sampler of rows takes as long as there are columns."""
    return benign()[:, :8]


def digits():
    """Rows of 64 pixels, without those of zeros."""
    found = load_digits()
    return found.data[found.target != 0]


def make(cls, **changes):
    return cls(**{"device": "cpu", "random_state": SEED, "target_fpr": 0.05} | changes)


def fit(cls, X=None, **changes):
    """Without a second attempt, unless it is asked for."""
    fit_params = {"restarts": 0} | {k: changes.pop(k) for k in ("restarts", "checkpoint", "callbacks") if k in changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        return make(cls, **changes).fit(few_columns() if X is None else X, **fit_params)


@pytest.fixture
def constant(monkeypatch):
    """Let a detector's network, called `part`, make the same row whatever it is given, if `when` says so."""

    def make_constant(cls, part, when=lambda: True):
        build = cls.build

        def built(self, backbone):
            module = build(self, backbone)
            if when():
                network = getattr(module, part)
                network.register_forward_hook(lambda net, given, out: out * 0 + out.mean(1, keepdim=True))
            return module

        monkeypatch.setattr(cls, "build", built)

    return make_constant


@contextmanager
def at_each_step_of_an_optimiser(change):
    handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: change(optimizer))
    try:
        yield
    finally:
        handle.remove()


def set_to_nan_if_fast(optimizer):
    """Set weights to NaN if the learning rate is that of a first attempt at WGAN-GP, whose first beta is 0."""
    group = optimizer.param_groups[0]
    if group["lr"] > 2e-3 and group["betas"][0] == 0:
        group["params"][0].data.fill_(torch.nan)


# EGBAD is left out of the digits, where its critic of pairs does win and its encoder learns nothing.
DEFAULTS = [*((cls, benign) for cls in (anogan.AnoGAN, anogan.WGANGP, anogan.ALAD, anogan.EGBAD, anogan.GANomaly))]
DEFAULTS += [*((cls, digits) for cls in (anogan.AnoGAN, anogan.WGANGP, anogan.GANomaly, anogan.DenoisingGAN))]


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "rows"), DEFAULTS)
def test_trainings_at_defaults_are_healthy(cls, rows):
    detector = fit(cls, rows())
    assert detector.diagnosis_.healthy, detector.diagnosis_.verdict


@pytest.mark.slow
def test_a_training_on_few_small_pictures_that_finds_every_anomaly_is_healthy():
    pictures, digit = (load_digits().images[:, None] / 16).astype(np.float32), load_digits().target
    split = anogan.protocol.PROTOCOLS["semi"].apply(pictures, digit != 0, np.random.default_rng(0))
    detector = fit(anogan.WGANGP, split.train, calibration_fraction=0.3)
    assert anogan.metrics.auroc(split.labels, detector.anomaly_score(split.test)) > 0.99
    assert detector.diagnosis_.healthy, detector.diagnosis_.verdict


@pytest.mark.parametrize(
    ("cls", "part"), [(anogan.AnoGAN, "generator"), (anogan.WGANGP, "generator"), (anogan.GANomaly, "decoder")]
)
def test_a_generator_that_makes_one_row_only_has_collapsed(cls, part, constant):
    constant(cls, part)
    diagnosis = fit(cls, steps=100).diagnosis_
    assert "mode collapse" in diagnosis.issues, diagnosis.verdict
    assert "spread 0%" in diagnosis.verdict


@pytest.mark.slow
@pytest.mark.parametrize("cls", [anogan.AnoGAN, anogan.WGANGP, anogan.EGBAD])
def test_a_critic_that_learns_a_hundred_times_as_fast_is_noticed(cls):
    with health.sabotaged(cls, health.FAST_CRITIC):
        assert not fit(cls, benign()).diagnosis_.healthy


def test_three_steps_are_too_few_and_no_reason_for_a_second_attempt():
    detector = fit(anogan.DenoisingGAN, steps=3, restarts=1)
    assert detector.diagnosis_.issues == ["under-trained"]
    assert len(detector.attempts_) == 1


def test_a_healthy_training_is_the_only_attempt():
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.TrainingHealthWarning)
        detector = make(anogan.DenoisingGAN, steps=300).fit(few_columns())
    rate = detector.learning_rate
    rates = {"learning_rate": rate, "generator_learning_rate": rate}
    assert detector.attempts_ == [{"seed": SEED, **rates, "verdict": "healthy", "kept": True}]


SHORT = {"steps": 100, "critic_steps": 1, "n_members": 1, "width": 32, "patience": 0, "learning_rate": 3e-3}
BAD = ["mode collapse"]
WANTED_RATE = 0.3 * SHORT["learning_rate"]


def test_a_training_that_diverged_is_repeated_at_a_lower_rate_with_a_warning():
    with at_each_step_of_an_optimiser(set_to_nan_if_fast), pytest.warns(anogan.TrainingHealthWarning) as caught:
        detector = make(anogan.WGANGP, **SHORT).fit(few_columns())
    (message,) = [str(w.message) for w in caught if w.category is anogan.TrainingHealthWarning]
    first, second = detector.attempts_
    assert first["verdict"].startswith("diverged: ")
    assert (first["seed"], first["learning_rate"], first["kept"]) == (SEED, detector.learning_rate, False)
    assert (second["seed"], second["kept"]) == (derived_seed(SEED, 2), True)
    assert second["learning_rate"] == second["generator_learning_rate"] == pytest.approx(WANTED_RATE)
    assert message.startswith("WGANGP: diverged: ")
    assert f"Trained again with seed {second['seed']} and a learning rate of {WANTED_RATE:g}" in message
    assert np.isfinite(detector.anomaly_score(few_columns())).all()
    assert detector.seed_ == SEED


def test_a_training_that_diverges_every_time_is_an_error_that_names_the_attempts():
    detector = make(anogan.WGANGP, **SHORT)

    def set_to_nan(optimizer):
        optimizer.param_groups[0]["params"][0].data.fill_(torch.nan)

    with (
        at_each_step_of_an_optimiser(set_to_nan),
        pytest.raises(anogan.TrainingDivergedError, match=r"3 attempts did, the last at a rate of 0.00027\.$"),
    ):
        detector.fit(few_columns(), restarts=2)
    assert not hasattr(detector, "attempts_")


FAST = SHORT | {"steps": 200, "learning_rate": 1e-2}


def test_a_collapse_that_another_seed_mends_is_mended(constant, tmp_path):
    def first_attempt():
        with contextlib.suppress(LookupError):  # a network that is loaded draws nothing
            return generators().seed == SEED
        return False

    constant(anogan.WGANGP, "generator", when=first_attempt)
    detector = fit(anogan.WGANGP, restarts=1, **FAST)
    first, second = detector.attempts_
    assert first["verdict"].startswith("mode collapse")
    assert second["learning_rate"] == FAST["learning_rate"]  # the critic is to keep up with the generator
    assert second["generator_learning_rate"] == pytest.approx(0.3 * FAST["learning_rate"])
    assert [attempt["kept"] for attempt in detector.attempts_] == [False, True]
    assert "mode collapse" not in detector.diagnosis_.issues
    assert len(np.unique(detector.sample(10, random_state=0)[:, 0])) == 10  # by the second attempt's networks
    detector.save(tmp_path / "model.anogan")
    loaded = anogan.load(tmp_path / "model.anogan", device="cpu")
    assert loaded.attempts_ == detector.attempts_
    assert loaded.diagnosis_ == detector.diagnosis_
    assert_array_equal(loaded.anomaly_score(few_columns()), detector.anomaly_score(few_columns()))


def test_the_generator_of_a_second_attempt_learns_at_its_own_rate(constant):
    rates = []

    def note(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])

    constant(anogan.WGANGP, "generator")
    with at_each_step_of_an_optimiser(note):
        fit(anogan.WGANGP, restarts=1, **SHORT)
    steps, rate = SHORT["steps"], SHORT["learning_rate"]  # critic and generator in turn, in two attempts
    second = rates.index(pytest.approx(0.3 * rate)) - 1
    assert rates[: 2 * steps] == [rate, rate] * steps
    assert rates[second : second + 2 * steps] == [rate, pytest.approx(0.3 * rate)] * steps


def test_a_worse_second_attempt_is_not_kept(monkeypatch):
    bad, worse = (Diagnosis.of(dict.fromkeys(issues, "so"), {}) for issues in (BAD, [*BAD, "critic won"]))
    verdicts = iter([bad, bad, worse])
    monkeypatch.setattr("anogan.detectors.diagnosing.diagnose", lambda *_, **__: next(verdicts))
    once, twice = fit(anogan.WGANGP, **SHORT), fit(anogan.WGANGP, restarts=1, **SHORT)
    assert [attempt["kept"] for attempt in twice.attempts_] == [True, False]
    assert twice.diagnosis_.issues == bad.issues
    assert_array_equal(once.anomaly_score(few_columns()), twice.anomaly_score(few_columns()))
    assert once.history_ == twice.history_


def test_a_critic_that_won_is_no_reason_for_a_second_attempt(monkeypatch):
    won = Diagnosis.of({"critic won": "by a lot"}, {})
    monkeypatch.setattr("anogan.detectors.diagnosing.diagnose", lambda *_, **__: won)
    detector = fit(anogan.WGANGP, restarts=5, **SHORT)
    assert [attempt["verdict"] for attempt in detector.attempts_] == ["critic won: by a lot"]


def test_a_negative_number_of_restarts_is_refused():
    with pytest.raises(anogan.InputError, match="restarts must be at least 0, got -1"):
        make(anogan.WGANGP).fit(few_columns(), restarts=-1)


class Stop(anogan.Callback):
    """Interrupts the training in a step of an attempt, and records the steps of each attempt."""

    def __init__(self, attempt=None, step=None):
        self.at, self.steps = (attempt, step), {}

    def on_attempt_begin(self, number, seed, learning_rate):
        self.number = number

    def on_step_end(self, stage, step, terms):
        self.steps.setdefault(self.number, []).append(step)
        if (self.number, step) == self.at:
            raise KeyboardInterrupt


def test_a_second_attempt_that_is_killed_resumes_with_its_seed_and_ends_bit_equal(constant, tmp_path, monkeypatch):
    # Every tenth step or so writes the checkpoint.
    monkeypatch.setattr(stage_run, "time", SimpleNamespace(monotonic=itertools.count(0, 0.5).__next__))
    first = []
    constant(anogan.WGANGP, "generator", when=lambda: first[0] == generators().seed)

    class Remember(anogan.Callback):
        def on_attempt_begin(self, number, seed, learning_rate):
            if number == 1:
                first[:] = [seed]

    def again(seed, *callbacks, checkpoint=None):
        callbacks = [Remember(), *callbacks]
        return fit(anogan.WGANGP, restarts=1, callbacks=callbacks, checkpoint=checkpoint, random_state=seed, **SHORT)

    with pytest.raises(KeyboardInterrupt):
        again(None, Stop(2, 60), checkpoint=tmp_path)
    rest = Stop()
    resumed = again(None, rest, checkpoint=tmp_path)
    assert 1 not in rest.steps  # no step of the first attempt is repeated
    assert rest.steps[2][0] > 40
    whole = again(resumed.seed_)
    assert len(whole.attempts_) == 2
    assert resumed.attempts_ == whole.attempts_
    assert resumed.history_ == whole.history_
    assert_array_equal(resumed.anomaly_score(few_columns()), whole.anomaly_score(few_columns()))
