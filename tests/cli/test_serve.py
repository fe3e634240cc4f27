"""`anogan serve`: what it refuses before it listens, and how it ends."""

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from .conftest import TINY

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

ROWS = "\n".join(["a,b", *(f"{number % 7},{number % 5 + 0.5}" for number in range(40))])


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    (folder / "rows.csv").write_text(ROWS)
    run("fit", folder / "rows.csv", "-m", folder / "m.anogan", *TINY)
    return folder / "m.anogan"


def test_what_cannot_be_served_is_one_line(run, model, tmp_path):
    (tmp_path / "bad.anogan").write_bytes(b"no model")
    (tmp_path / "empty").write_text(" \n")
    for arguments, words in {
        (tmp_path / "bad.anogan",): "bad.anogan",
        (tmp_path / "none.anogan",): "none.anogan",
        (model, model): "Two models are called 'm'",
        (model, "--token-file", tmp_path / "empty"): "must hold one token",
        (model, "--token-file", tmp_path / "none"): "none",
    }.items():
        said = run("serve", *arguments, code=2).stderr.strip().splitlines()
        assert len(said) == 1
        assert words in said[0]


def test_a_missing_package_is_named(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'anogan[serve]'" in run("serve", model, code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_service_answers_what_it_has_accepted(model, tmp_path, workers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", str(model), "--port", str(port), "--workers", str(workers), "-q"]
    script = "from anogan.cli.main import cli; cli()"
    with (tmp_path / "log").open("w") as log:
        service = subprocess.Popen([sys.executable, "-c", script, *arguments], stderr=log)
    address, statuses = f"http://127.0.0.1:{port}", []
    try:
        end = time.monotonic() + 90
        while True:
            try:
                assert httpx.get(f"{address}/ready").status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.2)

        def late():
            """A body that ends after the signal."""
            yield ROWS[:20].encode()
            time.sleep(2)
            yield ROWS[20:].encode()

        def ask():
            answer = httpx.post(f"{address}/score", content=late(), headers={"content-type": "text/csv"}, timeout=60)
            statuses.append(answer.status_code)

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        time.sleep(0.7)
        service.send_signal(signal.SIGTERM)
        for thread in asking:
            thread.join(60)
        assert statuses == [200] * 4
        assert service.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    finally:
        service.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()
