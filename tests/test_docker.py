"""The steps of the Dockerfile without a builder: what is copied suffices, and the command serves as another user."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import anogan

pytest.importorskip("uvicorn")
ROOT = Path(__file__).parents[1]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
NOBODY = 65534


def arguments(instruction):
    """The arguments of each line of the Dockerfile with an instruction."""
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def test_the_image_is_slim_and_runs_as_a_user():
    assert {line.split()[0] for line in arguments("FROM")} == {"python:3.11-slim"}
    assert arguments("USER") == ["anogan"]
    extras = re.search(r'"\.\[(.*)\]"', arguments("RUN")[0])
    assert extras
    assert extras[1] == "serve"


def can_run_as(user):
    """Whether another user can start this Python, which a virtual environment below /root prevents."""
    try:
        return subprocess.run([sys.executable, "-c", ""], user=user, check=False).returncode == 0
    except PermissionError:
        return False


@pytest.mark.slow
def test_the_steps_make_a_service(tmp_path):
    source, installed, models = (tmp_path / name for name in ("source", "installed", "models"))
    source.mkdir()
    models.mkdir()
    for line in arguments("COPY"):
        *names, target = shlex.split(line)
        for name in [] if "--from" in line else names:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, source / target, ignore=ignored)
            else:
                shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", installed]
    subprocess.run([*pip, source], check=True)
    X = np.random.default_rng(0).normal(size=(40, 2))
    anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0, device="cpu").fit(X).save(models / "model.anogan")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (entry,) = arguments("ENTRYPOINT")
    (command,) = (json.loads(line) for line in arguments("CMD"))
    assert json.loads(entry) == ["anogan"]
    command = [part.replace("/models", str(models)) for part in command]
    script = f"import sys; sys.path.insert(0, {str(installed)!r}); from anogan.cli.main import cli; cli()"
    user = {"user": NOBODY} if can_run_as(NOBODY) else {}
    service = subprocess.Popen([sys.executable, "-c", script, *command, "--port", port], cwd="/", **user)
    (check,) = arguments("HEALTHCHECK")
    probe = json.loads(check.removeprefix("CMD "))
    probe[0], probe[2] = sys.executable, probe[2].replace("8000", port)
    try:
        end = time.monotonic() + 90
        while subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode:
            assert service.poll() is None
            assert time.monotonic() < end
            time.sleep(0.3)
    finally:
        service.terminate()
        assert service.wait(60) in (0, -15, 143)
