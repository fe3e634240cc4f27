"""One measurement: one detector on one data set with one seed, in a process of its own."""

import hashlib
import json
import multiprocessing
import os
import platform
import resource
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anogan
from anogan import baselines, protocol

from . import speed
from .datasets import Labels, datasets_of

Record = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What identifies a measurement.

    Parameters
    ----------
    params : dict
        Of the detector, where they differ from its defaults.
    limits : dict
        ``max_rows``, ``max_train``, ``max_test``, those that were set.
    """

    suite: str
    protocol: str
    dataset: str
    detector: str
    seed: int
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def identity(self) -> Record:
        """The start of the cell's record; ``config`` digests all parameters, defaults included."""
        parameters = baselines.settings(self.detector, _of_class(self.params))
        if not baselines.is_ours(self.detector):
            entry = baselines.baseline(self.detector)
            parameters |= {"path": entry.path, "max_train": entry.max_train, "scaling": baseline_scaling(self)}
        text = json.dumps(parameters, sort_keys=True, default=str)
        return asdict(self) | {"config": hashlib.sha256(text.encode()).hexdigest()[:8]}


def key(record: Record) -> str:
    """Equal for two records of the same measurement."""
    names = ("suite", "protocol", "dataset", "detector", "seed", "params", "limits", "config")
    return json.dumps([record[name] for name in names], sort_keys=True)


def baseline_scaling(cell: Cell) -> str:
    """Plain tables are standardised; mixed ones are encoded as the detectors do by default."""
    default = anogan.Detector.parameters()["scaling"].default if cell.suite == "intrusion" else "standard"
    return str(cell.params.get("scaling", default))


def _of_class(params: dict[str, Any]) -> dict[str, Any]:
    """A baseline's ``scaling`` is done for it."""
    return {name: value for name, value in params.items() if name != "scaling"}


def measure(cell: Cell, data_dir: Path) -> Record:
    """Run the cell in this process; its record without the `provenance`."""
    dataset = datasets_of(cell.suite, data_dir, cell.protocol)[cell.dataset]
    record = cell.identity()
    if cell.suite == "speed":
        return record | speed.measure(cell.detector, cell.params, int(cell.dataset[0])) | _peak()
    torch.set_num_threads(1)
    split = dataset.load(data_dir, np.random.default_rng(cell.seed), cell.limits)
    train, test, labels = split.train, split.test, split.labels
    ours = baselines.is_ours(cell.detector)
    if ours:
        detector = baselines.build(cell.detector, cell.params, n_features=0, seed=cell.seed)
        train, test = (_at_size(X, detector.image_size) for X in (train, test))
    else:
        record["scaling"] = baseline_scaling(cell)
        train, test = protocol.encoded(train, test, record["scaling"])
        train = train[baselines.training_rows(cell.detector, len(train))]
        params = _of_class(cell.params)
        detector = baselines.build(cell.detector, params, n_features=train.shape[1], seed=cell.seed)
    outcome = protocol.run(detector, train, test, cell.seed)
    record |= {"n_train": len(train), "n_test": len(test), "anomalous": round(float(labels.mean()), 4)}
    record |= quality(labels, outcome.scores, cell.protocol)
    if ours:
        flagged = outcome.scores > detector.calibration_.threshold
        record["false_alarms"] = round(float(flagged[~labels].mean()), 5)
        record |= {"members": detector.n_members_, "healthy": detector.diagnosis_.healthy}
    if dataset.masks is not None and hasattr(detector, "explain"):
        maps = np.asarray(detector.explain(test), dtype=np.float64)
        record |= pixel_quality(
            dataset.masks(data_dir, split), maps.reshape(len(maps), *(test if ours else split.test).shape).sum(axis=1)
        )
    record |= {"fit_s": outcome.fit_s, "score_s": outcome.score_s} | _peak()
    return record | {"data": _digest([data_dir / file for file in dataset.files])}


def _at_size(X: Any, side: int) -> Any:
    """A folder's pictures at the size that a detector wants; other data as they are."""
    return X.resized((X.channels, side, side)) if isinstance(X, anogan.ImageFolder) else X


def quality(labels: Labels, scores: np.ndarray, protocol_name: str) -> Record:
    """Ranking metrics, and the GAN papers' threshold where the protocol asks for it."""
    found = protocol.quality(labels, scores)
    if protocol_name == "gan-papers":
        flagged = scores >= np.percentile(scores, 80)
        hits = float((flagged & labels).sum())
        found |= {"precision": hits / float(flagged.sum()), "recall": hits / float(labels.sum())}
        found["f1"] = 2 * hits / float(flagged.sum() + labels.sum())
    return {name: round(value, 6) for name, value in found.items()} | {"constant": bool(np.ptp(scores) == 0)}


def pixel_quality(masks: Iterator[np.ndarray | None], maps: np.ndarray, kinds: Labels | None = None) -> Record:
    """Pixel AUROC and AUPRO of maps (n, h, w) against masks of any sizes; nothing if no mask marks a defect.

    With the kinds of the pictures (n,), "good" and others, also the pixel AUROC of each kind beside the good ones.
    """
    curves: dict[str, Any] = defaultdict(anogan.metrics.PixelCurve)
    for index, (mask, values) in enumerate(zip(masks, maps, strict=True)):
        if mask is not None:
            kind = "" if kinds is None else str(kinds[index])
            curves[kind].add(mask, anogan.metrics.resized_map(values, mask.shape))
    curve = sum(curves.values(), anogan.metrics.PixelCurve())
    if not curve.regions:
        return {}
    found: Record = {"pixel_auroc": round(curve.auroc(), 6), "aupro": round(curve.aupro(), 6)}
    if kinds is not None:
        good = curves.pop("good")
        found["pixel_auroc_by_kind"] = {kind: round((own + good).auroc(), 4) for kind, own in sorted(curves.items())}
    return found


def run_in_worker(cell: Cell, data_dir: Path, answer: Connection) -> None:
    """Entry of a worker process: send the record, or what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        record = measure(cell, data_dir)
    except Exception as error:
        record = {"error": f"{type(error).__name__}: {error}".replace(str(data_dir), "DATA")}
    answer.send(record)
    answer.close()


def _end_with_parent() -> None:
    """A parent that was killed outright cannot end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def provenance(jobs: int) -> Record:
    """Versions, commit (with + if the tree differs from it) and machine of this run."""

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True)
        except OSError:
            return ""
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "../anogan", ".", ":!results")
    packages = ("torch", "numpy", "scikit-learn", "pyod")
    return {
        "versions": {"anogan": anogan.__version__} | {name: version(name) for name in packages},
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if changed else ""),
        "machine": {"cpu": _cpu_name(), "cores": os.cpu_count(), "jobs": jobs},
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _peak() -> Record:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10))}


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
