"""What importing a detector and reading a model file do not import, since it would take most of a second."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import anogan

SLOW = ("PIL", "matplotlib", "pyarrow.csv", "pyarrow.parquet", "rich", "sklearn.decomposition", "sklearn.neighbors")
SCRIPT = """
import json, sys
import anogan
from anogan import DenoisingGAN
imported = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
scores = anogan.load(sys.argv[2], device="cpu").anomaly_score([[0.0, 1.0]])
scored = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
anogan.ScoreDisplay, anogan.Report
print(json.dumps([imported, scored, "matplotlib" in sys.modules]))
"""


def test_reading_a_model_of_pictures_imports_no_compiler(tmp_path):
    X = np.random.default_rng(0).random((12, 1, 32, 32))
    anogan.FeatureGAN(**anogan.FeatureGAN.tiny, random_state=0, device="cpu").fit(X).save(tmp_path / "m.anogan")
    script = (
        "import sys, anogan; anogan.load(sys.argv[1]); print('torch._dynamo' in sys.modules, 'sympy' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "m.anogan"], capture_output=True, check=True, text=True
    )
    assert run.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_that_wait_keep_a_processor_for_a_short_time_unless_the_user_says_how_long(given, expected):
    script = "import os, anogan; print(os.environ.get('GOMP_SPINCOUNT'))"
    others = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    run = subprocess.run([sys.executable, "-c", script], env=others | given, capture_output=True, check=True, text=True)
    assert run.stdout.strip() == expected


def test_importing_a_detector_and_scoring_an_array_import_nothing_slow_and_displays_do_not_draw(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2))
    anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, device="cpu").fit(X).save(tmp_path / "m.anogan")
    arguments = [json.dumps(SLOW), str(tmp_path / "m.anogan")]
    run = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, check=True, text=True)
    assert json.loads(run.stdout) == [[], [], False]
