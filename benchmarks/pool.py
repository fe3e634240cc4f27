"""CycleGAN with an unlabelled pool that holds some defects, beside FeatureGAN without one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anogan
from anogan import metrics

from .cell import Record, pixel_quality

SIZE = 256
DEFECTIVE_SHARE = 0.1  # of the pool
REACH = 2  # of 128: how far beside the mask a map's maximum may lie and still point at the defect
POINTING_SIDE = 128
VARIANTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "CycleGAN in features": ("cycle_gan", SIZE, {}),
    "FeatureGAN without pool": ("feature_gan", SIZE, {}),
    "CycleGAN in features without pool": ("cycle_gan", SIZE, {}),
    "CycleGAN in pixels": ("cycle_gan", 64, {"features": "pixels"}),
}


def run(folder: Path, seeds: list[int], variants: list[str]) -> Iterator[Record]:
    """Every variant on one folder in MVTec layout; half of its good training pictures are given as normal."""
    torch.set_num_threads(1)
    layout = anogan.MVTecFolder(folder)
    kinds = np.array([layout.kind_of(file) for file in layout.test.files])
    for seed in seeds:
        normal, pool, tested = split(len(layout.train), kinds, seed)
        pooled = [layout.train.files[i] for i in pool[0]] + [layout.test.files[i] for i in pool[1]]
        files = [layout.test.files[i] for i in tested]
        masks = [layout.mask_of(file) for file in files]
        for name in variants:
            detector_name, size, parameters = VARIANTS[name]
            given: dict[str, Any] = (
                {} if name.endswith("without pool") else {"X_unlabeled": anogan.ImageFolder(pooled, size=size)}
            )
            train = anogan.ImageFolder([layout.train.files[i] for i in normal], size=size)
            began = time.perf_counter()
            detector = anogan.detector_class(detector_name)(random_state=seed, **parameters).fit(train, **given)
            found: Record = {"dataset": folder.name, "method": name, "seed": seed}
            found |= {"normal": len(normal), "pool": len(pooled) if given else 0, "pool_defective": len(pool[1])}
            found |= {"tested": len(files), "size": size, "fit_s": round(time.perf_counter() - began, 1)}
            test = anogan.ImageFolder(files, size=size)
            scores, maps = detector.anomaly_score(test), np.asarray(detector.explain(test)).sum(axis=1)
            yield found | quality(kinds[tested], scores, maps, masks)


def split(n_train: int, kinds: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Numbers of the normal pictures, of the pool's (good training and defective test ones), of those tested."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_train)
    normal, good = order[: n_train // 2], order[n_train // 2 :]
    wanted = round(len(good) * DEFECTIVE_SHARE / (1 - DEFECTIVE_SHARE))
    defective = rng.permutation(np.flatnonzero(kinds != "good"))[:wanted]
    return normal, (good, defective), np.setdiff1d(np.arange(len(kinds)), defective)


def quality(kinds: np.ndarray, scores: np.ndarray, maps: np.ndarray, masks: list[np.ndarray | None]) -> Record:
    """Of pictures and of pixels, over all kinds of defect and of each."""
    labels = kinds != "good"
    pointing = np.array([mask is not None and _points(mask, values) for mask, values in zip(masks, maps, strict=True)])

    def of(chosen: np.ndarray) -> Record:
        rows = np.flatnonzero(chosen | ~labels)
        found = {"auroc": metrics.auroc(labels[rows], scores[rows])}
        found |= pixel_quality((masks[i] for i in rows), maps[rows])
        return {k: round(v, 4) for k, v in (found | {"pointing": float(pointing[chosen].mean())}).items()}

    return of(labels) | {"kinds": {kind: of(kinds == kind) for kind in sorted(set(kinds[labels]))}}


def _points(mask: np.ndarray, values: np.ndarray) -> bool:
    """Whether the largest value of a map (h, w) lies on the defect or next to it."""
    values = anogan.metrics.resized_map(values, (POINTING_SIDE, POINTING_SIDE))
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    sides = np.array(mask.shape) / POINTING_SIDE
    (top, bottom), (left, right) = (
        ((at - REACH) * side, (at + 1 + REACH) * side) for at, side in zip((row, column), sides, strict=True)
    )
    return bool(mask[max(int(top), 0) : int(np.ceil(bottom)), max(int(left), 0) : int(np.ceil(right))].any())


def report(records: list[Record]) -> str:
    """Means over seeds, of all kinds of defect together and of each."""
    lines = [
        "# An unlabelled pool with a tenth of defects",
        "",
        "Made by `python -m benchmarks pool`; see ../README.md. Half of the good training pictures are given as",
        "normal, the other half and defective test pictures, drawn at random, are the pool (a tenth defective); tested",
        "are the remaining test pictures. FeatureGAN gets the same normal pictures. *Pointing* is the share of",
        "defective pictures whose map has its maximum on the mask or next to it (within 2/128 of the picture's side).",
        "",
        "| data | method | defect | seeds | AUROC | pixel AUROC | AUPRO | pointing | fit s |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    records = list({(r["dataset"], r["method"], r["seed"]): r for r in records}.values())  # the newest of each
    for dataset, method in dict.fromkeys((r["dataset"], r["method"]) for r in records):
        cells = [r for r in records if (r["dataset"], r["method"]) == (dataset, method)]
        for kind in ("all", *cells[0]["kinds"]):
            found = [r if kind == "all" else r["kinds"].get(kind, {}) for r in cells]
            names = ("auroc", "pixel_auroc", "aupro", "pointing")
            means = " | ".join(f"{100 * np.mean([r[name] for r in found if name in r]):.1f}" for name in names)
            seconds = f"{np.mean([r['fit_s'] for r in cells]):.0f}" if kind == "all" else ""
            lines.append(f"| {dataset} | {method} | {kind} | {len(cells)} | {means} | {seconds} |")
    return "\n".join([*lines, ""])
