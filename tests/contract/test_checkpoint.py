"""Training that stops in the middle resumes where it was; what `anogan.testing.resuming` does not check."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import anogan
from anogan.engine.checkpoint import FILE_NAME
from anogan.testing import Case
from anogan.testing.resuming import check_interrupted_training

from .conftest import DETECTORS


@dataclass(frozen=True)
class LargerPictures(Case):
    """Pictures large enough for three resolutions."""

    @property
    def X(self):
        return np.repeat(np.repeat(super().X, 2, 2), 2, 3)

    @property
    def new(self):
        return np.repeat(np.repeat(super().new, 2, 2), 2, 3)


@pytest.mark.parametrize("backbone", ["dcgan", "style"])
@pytest.mark.parametrize("name", ["anogan", "f_anogan"])
def test_a_training_that_grows_and_augments_resumes_bit_equal_too(name, backbone):
    more = {"growing": True, "augment": "adaptive", "r1_weight": 1.0, "backbone": backbone}
    applicable = {k: v for k, v in more.items() if k in DETECTORS[name].parameters()}
    check_interrupted_training(LargerPictures(DETECTORS[name], "colour"), **applicable)


def test_a_damaged_checkpoint_is_refused(vector_case, tmp_path):
    fit_params = {"checkpoint": tmp_path}
    vector_case.fit(fit_params=fit_params)
    file = tmp_path / FILE_NAME
    data = file.read_bytes()
    for damaged in (b"", data[:100], data[: len(data) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(anogan.FormatError, match="checkpoint"):
            vector_case.fit(fit_params=fit_params)


TRAINING = """
import sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import torch
torch.set_num_threads(1)
import anogan
from anogan.engine import settings

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
original = settings.TrainerSettings
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
        process.stdout.readline()  # training has started
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = start("killed", "killed.npy")
    steps_of_last = last.communicate()[0].splitlines()
    assert last.returncode == 0
    assert len(steps_of_last) < len(steps_of_whole)  # it did resume
    assert_array_equal(np.load(tmp_path / "killed.npy"), np.load(tmp_path / "whole.npy"))
