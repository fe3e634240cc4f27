"""Models in production: ONNX Runtime beside torch, and a service under load."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
import psutil
import torch
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_sample_images

import anogan

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .process import kill_tree
from .report import table

ANOGAN = str(Path(sys.executable).with_name("anogan"))
TORCH_FREE = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
print(session.run(["score"], {session.get_inputs()[0].name: numpy.load(sys.argv[2])})[0])
"""
CONNECTIONS = 16
REQUESTS = {"rows": 10_000, "pictures": 160}
TIMES = {"rows": 100, "pictures": 10}  # that one sample is scored
SIDE = 128  # of pictures


class Production(Experiment):
    """Latency, size and equality of exported models; requests per second of a service."""

    name = "production"
    help = "ONNX Runtime beside torch, and a service under load."
    axes: ClassVar = (names("data", lambda _: list(REQUESTS)), numbers("repetition", "0-2"))
    needs_data = False

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        kind = cell["data"]
        with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = Path(home)
            detector, new = rows(folder) if kind == "rows" else pictures(folder)
            model, exported = folder / "m.anogan", folder / "m.onnx"
            detector.save(model)
            detector.to_onnx(exported)
            onnx = anogan.OnnxModel(exported, threads=1)
            expected, spread = detector.anomaly_score(new), float(np.ptp(detector.calibration_.scores))
            torch.set_num_threads(1)
            inputs = onnx.inputs(new[:1])
            np.save(folder / "input.npy", next(iter(inputs.values())))
            one = [ANOGAN, "score", str(folder / "one.csv" if kind == "rows" else new.files[0]), "-o", "-", "-q"]
            times = TIMES[kind]
            found: Record = {
                "bytes": {"model file": model.stat().st_size, "ONNX file": exported.stat().st_size},
                "difference": float(abs(onnx.anomaly_score(new) - expected).max()) / spread,
                "ms": {
                    "torch": latency(lambda: detector.anomaly_score(new[:1]), times),
                    "ONNX Runtime, anogan.OnnxModel": latency(lambda: onnx.anomaly_score(new[:1]), times),
                    "ONNX Runtime, bare": latency(lambda: onnx.session.run(["score"], inputs), times),
                    "torch, start included": latency(lambda: run([*one, "-m", str(model)]), 3),
                    "ONNX Runtime, start included": latency(lambda: run([*one, "-m", str(exported)]), 3),
                    "ONNX Runtime, bare, start included": latency(
                        lambda: run([sys.executable, "-c", TORCH_FREE, str(exported), str(folder / "input.npy")]), 3
                    ),
                },
                "batch_ms": latency(lambda: detector.anomaly_score(new), 5) / len(new),
            }
            bodies = [row_body(new, number) if kind == "rows" else picture_body(new, number) for number in range(20)]
            with service(model) as (port, process):
                began = sum(process.cpu_times()[:2])
                found["service"] = load(port, bodies, REQUESTS[kind])
                taken = sum(process.cpu_times()[:2]) - began
                found["service"]["cpu_ms"] = round(taken * 1000 / found["service"]["requests"], 2)
        return found

    def report(self, records: list[Record], folder: Path) -> str:
        parts = []
        for kind in REQUESTS:
            some = [record for record in measured(records) if record["data"] == kind]
            if not some:
                continue
            latencies = [[name, f"{median(r['ms'][name] for r in some):,.2f}"] for name in some[0]["ms"]]
            sizes = [[name, f"{some[0]['bytes'][name] / 2**20:,.2f}"] for name in some[0]["bytes"]]
            served = {name: median(r["service"][name] for r in some) for name in some[0]["service"]}
            load_table = table(
                [
                    "requests",
                    "answered",
                    "p50, ms",
                    "p99, ms",
                    "requests a second",
                    "CPU ms a request",
                    "in process, CPU ms a sample",
                ],
                [
                    [
                        f"{served['requests']:,.0f}",
                        f"{served['answered']:,.0f}",
                        f"{served['p50']:,.1f}",
                        f"{served['p99']:,.1f}",
                        f"{served['per_second']:,.0f}",
                        f"{served['cpu_ms']:,.1f}",
                        f"{median(r['batch_ms'] for r in some):,.2f}",
                    ]
                ],
            )
            parts.append(
                f"## {kind.capitalize()}\n\n{table(['one sample', 'CPU ms'], latencies)}\n\n"
                f"{table(['file', 'MB'], sizes)}\n\n"
                f"Largest difference between scores of ONNX Runtime and torch: "
                f"{max(r['difference'] for r in some):.1e} of the spread of the calibration scores.\n\n"
                f"The service, {CONNECTIONS} connections that send one sample a request:\n\n{load_table}\n"
            )
        return f"""\
# Production

{self.made_by} Rows are those of the breast cancer table (`denoising_gan`), pictures are pieces of a photograph of
{SIDE}x{SIDE} pixels (`feature_gan`). Medians of the repetitions. Times in CPU ms hardly depend on what else the machine
does; p50, p99 and requests a second do, and are those of two cores that clients, service and other processes share.

{chr(10).join(parts)}"""


def rows(folder: Path) -> tuple[Any, Any]:
    """Fit on benign tumours; return the detector and other rows."""
    data, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    normal = data[benign == 1]
    new = data.drop(normal.index[:250])
    new[:1].to_csv(folder / "one.csv", index=False)
    return anogan.DenoisingGAN(random_state=0, device="cpu").fit(normal[:250]), new


def pictures(folder: Path) -> tuple[Any, Any]:
    """Fit on pieces of a photograph; return the detector and pieces of another one."""
    for name, photograph in zip(("normal", "new"), load_sample_images().images, strict=True):
        (folder / name).mkdir()
        height, width = (side // SIDE for side in photograph.shape[:2])
        for number in range(height * width):
            top, left = number // width * SIDE, number % width * SIDE
            piece = photograph[top : top + SIDE, left : left + SIDE]
            Image.fromarray(piece).save(folder / name / f"{number:02d}.png")
    fitted = anogan.FeatureGAN(random_state=0, device="cpu", steps=200, target_fpr=0.2)
    fitted.fit(anogan.ImageFolder(folder / "normal", size=SIDE))
    return fitted, anogan.ImageFolder(folder / "new", size=SIDE)


def row_body(new: Any, number: int) -> tuple[bytes, str]:
    """Return the body and the type of a request with one row."""
    return json.dumps(
        {"rows": json.loads(new[number : number + 1].to_json(orient="records"))}
    ).encode(), "application/json"


def picture_body(new: Any, number: int) -> tuple[bytes, str]:
    """Return the body and the type of a request with one picture."""
    return new.files[number % len(new)].read_bytes(), "image/png"


def latency(function: Callable[[], Any], times: int) -> float:
    """Return the median of the milliseconds of CPU time that a call takes, after one that is not counted."""
    function()
    taken = []
    for _ in range(times):
        began = cpu_seconds()
        function()
        taken.append((cpu_seconds() - began) * 1000)
    return round(median(taken), 3)


def cpu_seconds() -> float:
    """Return the CPU time of this process, and of the processes that it has waited for."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def run(words: list[str]) -> None:
    """Run a process to its end."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def service(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run a service of a model; yields its port and its process."""
    port = 18_431
    process = subprocess.Popen([ANOGAN, "serve", str(model), "--port", str(port), "-q"])
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2)
                break
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        kill_tree(process.pid)


def load(port: int, bodies: list[tuple[bytes, str]], requests: int) -> dict[str, float]:
    """Send requests over some connections, each the next as soon as the last is answered."""
    taken: list[float] = []
    answered: list[int] = []

    def send(share: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for number in range(share):
            body, media = bodies[number % len(bodies)]
            began = time.perf_counter()
            connection.request("POST", "/score", body, {"Content-Type": media})
            answer = connection.getresponse()
            answer.read()
            taken.append((time.perf_counter() - began) * 1000)
            answered.append(answer.status == 200)
        connection.close()

    threads = [threading.Thread(target=send, args=(requests // CONNECTIONS,)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    return {
        "requests": len(taken),
        "answered": sum(answered),
        "p50": round(float(np.quantile(taken, 0.5)), 2),
        "p99": round(float(np.quantile(taken, 0.99)), 2),
        "per_second": round(len(taken) / seconds, 1),
    }
