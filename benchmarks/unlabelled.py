"""CycleGAN with an unlabelled set that has some defects, beside FeatureGAN without one."""

import time
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch

import anogan
from anogan import metrics

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .images import mvtec_folders
from .quality import pixel_quality
from .report import table

SIZE = 256
DEFECTIVE_SHARE = 0.1  # of the unlabelled set
REACH = 2  # of 128: distance from the mask at which a map's maximum still points at the defect
POINTING_SIDE = 128
VARIANTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "CycleGAN in features": ("cycle_gan", SIZE, {}),
    "FeatureGAN without unlabelled set": ("feature_gan", SIZE, {}),
    "CycleGAN in features without unlabelled set": ("cycle_gan", SIZE, {}),
    "CycleGAN in pixels": ("cycle_gan", 64, {"features": "pixels"}),
}


class Unlabelled(Experiment):
    """Detectors on the images of one folder; half of its good training images are given as normal."""

    name = "unlabelled"
    help = "CycleGAN with an unlabelled set that has some defects, beside FeatureGAN on the same images."
    axes = (
        names("dataset", lambda data: list(mvtec_folders(data))),
        numbers("seed", "0"),
        names("method", lambda _: list(VARIANTS)),
    )
    time_limit = 4 * 3600.0

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        layout = anogan.LabelledFolder(mvtec_folders(data_dir)[cell["dataset"]])
        kinds = np.array([layout.kind_of(file) for file in layout.test.files])
        normal, (good, defective), tested = split(len(layout.train), kinds, cell["seed"])
        unlabelled = [layout.train.files[i] for i in good] + [layout.test.files[i] for i in defective]
        files = [layout.test.files[i] for i in tested]
        name, size, parameters = VARIANTS[cell["method"]]
        given: dict[str, Any] = {}
        if not cell["method"].endswith("without unlabelled set"):
            given["X_unlabeled"] = anogan.ImageFolder(unlabelled, size=size)
        train = anogan.ImageFolder([layout.train.files[i] for i in normal], size=size)
        began = time.perf_counter()
        detector = anogan.detector_class(name)(random_state=cell["seed"], **parameters).fit(train, **given)
        found: Record = {"normal": len(normal), "unlabelled": len(unlabelled) if given else 0}
        found |= {"unlabelled_defective": len(defective), "tested": len(files), "size": size}
        found["fit_s"] = round(time.perf_counter() - began, 1)
        test = anogan.ImageFolder(files, size=size)
        scores, maps = detector.anomaly_score(test), np.asarray(detector.explain(test)).sum(axis=1)
        return found | quality(kinds[tested], scores, maps, [layout.mask_of(file) for file in files])

    def outcome(self, record: Record) -> str:
        return f"AUROC {record['auroc']:.4f}"

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def split(n_train: int, kinds: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the numbers of normal images, of unlabelled (good training, defective test) images, and of tested ones."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_train)
    normal, good = order[: n_train // 2], order[n_train // 2 :]
    wanted = round(len(good) * DEFECTIVE_SHARE / (1 - DEFECTIVE_SHARE))
    defective = rng.permutation(np.flatnonzero(kinds != "good"))[:wanted]
    return normal, (good, defective), np.setdiff1d(np.arange(len(kinds)), defective)


def quality(kinds: np.ndarray, scores: np.ndarray, maps: np.ndarray, masks: list[np.ndarray | None]) -> Record:
    """Return the metrics of images and of pixels, over all kinds of defect and of each kind."""
    labels = kinds != "good"
    pointing = np.array([mask is not None and _points(mask, values) for mask, values in zip(masks, maps, strict=True)])

    def of(chosen: np.ndarray) -> Record:
        rows = np.flatnonzero(chosen | ~labels)
        found = {"auroc": metrics.auroc(labels[rows], scores[rows])}
        found |= pixel_quality((masks[i] for i in rows), maps[rows])
        return {k: round(v, 4) for k, v in (found | {"pointing": float(pointing[chosen].mean())}).items()}

    return of(labels) | {"kinds": {kind: of(kinds == kind) for kind in sorted(set(kinds[labels]))}}


def _points(mask: np.ndarray, values: np.ndarray) -> bool:
    """Return whether the largest value of a map (h, w) lies on the defect or next to it."""
    values = anogan.metrics.resized_map(values, (POINTING_SIDE, POINTING_SIDE))
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    sides = np.array(mask.shape) / POINTING_SIDE
    (top, bottom), (left, right) = (
        ((at - REACH) * side, (at + 1 + REACH) * side) for at, side in zip((row, column), sides, strict=True)
    )
    return bool(mask[max(int(top), 0) : int(np.ceil(bottom)), max(int(left), 0) : int(np.ceil(right))].any())


def report(records: list[Record], made_by: str) -> str:
    """Return the page: means over seeds, of all kinds of defect together and of each."""
    rows = []
    for dataset, method in dict.fromkeys((r["dataset"], r["method"]) for r in records):
        cells = [r for r in records if (r["dataset"], r["method"]) == (dataset, method)]
        for kind in ("all", *cells[0]["kinds"]):
            found = [r if kind == "all" else r["kinds"].get(kind, {}) for r in cells]
            metric_names = ("auroc", "pixel_auroc", "aupro", "pointing")
            means = [f"{100 * np.mean([r[name] for r in found if name in r]):.1f}" for name in metric_names]
            seconds = f"{np.mean([r['fit_s'] for r in cells]):.0f}" if kind == "all" else ""
            rows.append([dataset, method, kind, str(len(cells)), *means, seconds])
    head = ["data", "method", "defect", "seeds", "AUROC", "pixel AUROC", "AUPRO", "pointing", "fit s"]
    introduction = fill(
        f"{made_by} Half of the good training images are given as normal, the other half and defective test images, "
        "drawn at random, are the unlabelled set (a tenth is defective); the remaining test images are tested. "
        "FeatureGAN gets the same normal images. *Pointing* is the share of defective images whose map has its "
        "maximum on the mask or next to it (within 2/128 of the image's side).",
        width=119,
    )
    return f"# An unlabelled set of which a tenth is defective\n\n{introduction}\n\n{table(head, rows, texts=3)}"
