"""Training that stops in the middle goes on where it was, and ends as if nothing had happened."""

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import anogan
from anogan.engine import trainer
from anogan.engine.checkpoint import FILE_NAME

from .conftest import Case

STEPS = 5


@pytest.fixture(autouse=True)
def _a_checkpoint_at_every_look(monkeypatch):
    """The clock runs an hour a look, so that the least time between two checkpoints has always passed."""
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=itertools.count(0, 3600).__next__))


class Interrupt(anogan.Callback):
    """Pulls the plug in the ``after``-th step counted over all stages; None never."""

    def __init__(self, after=None):
        self.after, self.steps = after, []

    def on_step_end(self, stage, step, terms):
        self.steps.append((stage, step))
        if len(self.steps) == self.after:
            raise KeyboardInterrupt


def fit(case, directory=None, interrupt=None, **changes):
    callbacks = [interrupt] if interrupt else []
    return case.fit(steps=STEPS, fit_params={"callbacks": callbacks, "checkpoint": directory}, **changes)


def test_an_interrupted_training_ends_bit_equal_wherever_it_stopped(network_case, tmp_path):
    watch = Interrupt()
    whole = fit(network_case, interrupt=watch)
    total = len(watch.steps)
    for after in range(2, total + 1, 2 if total <= STEPS else 3):
        directory = tmp_path / str(after)
        with pytest.raises(KeyboardInterrupt):
            fit(network_case, directory, Interrupt(after))
        rest = Interrupt()
        resumed = fit(network_case, directory, rest)
        # The step of the interruption itself had not been saved.
        assert rest.steps == watch.steps[after - 1 :], after
        assert resumed.history_ == whole.history_
        assert_array_equal(resumed.anomaly_score(network_case.new), whole.anomaly_score(network_case.new))
        assert resumed.calibration_.threshold == whole.calibration_.threshold


@pytest.mark.parametrize("backbone", ["dcgan", "style"])
@pytest.mark.parametrize("name", ["anogan", "f_anogan"])
def test_a_training_that_grows_and_augments_resumes_bit_equal_too(name, backbone, tmp_path):
    test_an_interrupted_training_ends_bit_equal_wherever_it_stopped(Growing(name, "colour", backbone), tmp_path)


@dataclass(frozen=True)
class Growing(Case):
    """Three resolutions, to grow through."""

    backbone: str

    @property
    def X(self):
        return np.repeat(np.repeat(super().X, 2, 2), 2, 3)

    @property
    def new(self):
        return np.repeat(np.repeat(super().new, 2, 2), 2, 3)

    def make(self, **changes):
        more = {"growing": True, "augment": "adaptive", "r1_weight": 1.0, "backbone": self.backbone}
        return super().make(**{k: v for k, v in more.items() if k in self.cls.parameters()} | changes)


def test_checkpoints_change_nothing(vector_case, tmp_path):
    assert_array_equal(
        fit(vector_case, tmp_path).anomaly_score(vector_case.new),
        fit(vector_case).anomaly_score(vector_case.new),
    )
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_finished_training_is_not_repeated(vector_case, tmp_path):
    first, watch = fit(vector_case, tmp_path), Interrupt()
    second = fit(vector_case, tmp_path, watch)
    assert watch.steps == []
    assert_array_equal(second.anomaly_score(vector_case.new), first.anomaly_score(vector_case.new))


def test_an_unseeded_training_resumes_with_its_own_seed(vector_case, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(vector_case, tmp_path, Interrupt(3), random_state=None)
    resumed = fit(vector_case, tmp_path, random_state=None)
    whole = fit(vector_case, random_state=resumed.seed_)
    assert_array_equal(resumed.anomaly_score(vector_case.new), whole.anomaly_score(vector_case.new))


@pytest.mark.filterwarnings("ignore:Only 9 rows")
def test_a_checkpoint_of_other_data_is_refused(case, tmp_path):
    fit(case, tmp_path)
    for other in (case.X[:-1], case.new):
        with pytest.raises(anogan.InputError, match="belongs to other data or parameters"):
            case.fit(other, steps=STEPS, fit_params={"checkpoint": tmp_path})


def test_a_checkpoint_of_other_parameters_is_refused(vector_case, tmp_path):
    fit(vector_case, tmp_path)
    for changes in ({"learning_rate": 0.5}, {"random_state": 1}, {"width": 5}):
        with pytest.raises(anogan.InputError, match="belongs to other data or parameters"):
            fit(vector_case, tmp_path, **changes)


def test_a_damaged_checkpoint_is_refused(vector_case, tmp_path):
    fit(vector_case, tmp_path)
    file = tmp_path / FILE_NAME
    data = file.read_bytes()
    for damaged in (b"", data[:100], data[: len(data) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(anogan.FormatError, match="checkpoint"):
            fit(vector_case, tmp_path)


TRAINING = """
import sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import torch
torch.set_num_threads(1)
import anogan
from anogan.engine import trainer

name, directory, out = sys.argv[1:]
steps = 400

class Slow(anogan.Callback):
    def on_step_end(self, stage, step, terms):
        time.sleep(0.005)
        if step == 1 or step % 20 == 0:
            print(stage, step, flush=True)

cls = anogan.list_detectors()[name]
X = np.random.default_rng(0).normal(size=(64, 5))
# Every few steps, instead of every five seconds.
original = trainer.TrainerSettings
trainer_settings = lambda *args: original(*args, checkpoint_seconds=0.05)
import anogan.detectors.fitting as fitting
fitting.TrainerSettings = trainer_settings
fixed = {"random_state": 0, "device": "cpu", "n_members": 1, "patience": 0}
detector = cls(**cls.tiny | fixed | {"steps": steps}).fit(X, callbacks=[Slow()], checkpoint=directory)
np.save(out, detector.anomaly_score(X))
"""


@pytest.mark.slow
def test_a_killed_process_resumes_bit_equal(vector_case, tmp_path):
    """kill -9 at several moments of one training, each time resumed by a new process."""

    def start(directory, out):
        command = [
            sys.executable,
            "-c",
            TRAINING,
            vector_case.name,
            str(tmp_path / directory),
            str(tmp_path / out),
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    untouched = start("whole", "whole.npy")
    steps_of_whole = untouched.communicate()[0].splitlines()
    assert untouched.returncode == 0
    for delay in (0.3, 0.6):
        process = start("killed", "killed.npy")
        process.stdout.readline()  # training has begun
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = start("killed", "killed.npy")
    steps_of_last = last.communicate()[0].splitlines()
    assert last.returncode == 0
    assert len(steps_of_last) < len(steps_of_whole)  # it did resume
    assert_array_equal(np.load(tmp_path / "killed.npy"), np.load(tmp_path / "whole.npy"))
