"""FeatureGAN beside two plain distances on the same frozen features, and with one part changed at a time."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import anogan
from anogan import metrics

from .cell import Record, pixel_quality

SIZE = 384
COVARIANCE_SHRINKAGE = 0.01  # PaDiM's epsilon, on standardised features
CANDIDATES, CORESET = 100_000, 4096  # patches that PatchCore's bank is chosen from, and that it keeps
AT_ONCE = 32  # pictures
TOP_SHARE = 0.01  # a picture's score is the mean of its most unusual patches, as FeatureGAN's
VARIANTS: dict[str, dict[str, Any]] = {
    "FeatureGAN": {},
    "FeatureGAN without adversary": {"adversarial_share": 0.0},
    "FeatureGAN never trained": {"steps": 1, "learning_rate": 1e-9},
}
Maps = tuple[np.ndarray, np.ndarray]  # scores (n,), maps (n, h, w)


def run(folder: Path, seeds: list[int], variants: list[str]) -> Iterator[Record]:
    """Every method on one folder in MVTec layout."""
    torch.set_num_threads(2)
    layout = anogan.MVTecFolder(folder, size=SIZE)
    kinds = np.array([layout.kind_of(file) for file in layout.test.files])
    labels = kinds != "good"

    def record(method: str, seed: int | None, fit_s: float, judge: Callable[[], Maps]) -> Record:
        began = time.perf_counter()
        scores, maps = judge()
        seconds = time.perf_counter() - began
        found = {"dataset": folder.name, "method": method, "seed": seed, "fit_s": round(fit_s, 1)}
        found |= {"pictures_per_s": round(len(labels) / seconds, 1), "auroc": round(metrics.auroc(labels, scores), 4)}
        return found | pixel_quality(map(layout.mask_of, layout.test.files), maps, kinds)

    began = time.perf_counter()
    features = anogan.pretrained("efficientnet_lite0")
    train, test = _features(features, layout.train), _features(features, layout.test)
    spread, mean = torch.std_mean(train, dim=(0, 2, 3), keepdim=True)
    train, test = (train - mean) / (spread + 1e-6), (test - mean) / (spread + 1e-6)
    extraction = time.perf_counter() - began
    yield record("Mahalanobis distance at each place (PaDiM)", None, extraction, partial(_maps, gaussian, train, test))
    yield record("nearest neighbours (PatchCore)", None, extraction, partial(_maps, neighbours, train, test))
    del train, test
    for name in variants:
        for seed in seeds:
            began = time.perf_counter()
            detector = anogan.detector_class("feature_gan")(random_state=seed, **VARIANTS[name]).fit(layout.train)
            seconds = time.perf_counter() - began
            yield record(name, seed, seconds, partial(_judged, detector, layout.test))


def gaussian(train: Tensor, test: Tensor) -> Tensor:
    """Defard 2021 (arXiv:2011.08785) with all features: ``(n, F, h, w)``, ``(m, F, h, w)`` -> ``(m, h * w)``."""
    train, test = (x.flatten(2).permute(2, 0, 1) for x in (train, test))  # (h * w, n, F)
    distances = []
    for normal, rows in zip(train, test, strict=True):
        centred = normal - normal.mean(0)
        covariance = centred.mT @ centred / (len(normal) - 1) + COVARIANCE_SHRINKAGE * torch.eye(normal.shape[1])
        factor = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(factor, (rows - normal.mean(0)).mT, upper=False)
        distances.append(torch.linalg.vector_norm(white, dim=0))
    return torch.stack(distances, dim=1)


def neighbours(train: Tensor, test: Tensor) -> Tensor:
    """Roth 2022 (arXiv:2106.08265): distance to the nearest patch of a greedy coreset, wherever seen; as above."""
    patches = train.permute(0, 2, 3, 1).flatten(0, 2)
    generator = torch.Generator().manual_seed(0)
    bank = anogan.k_center_greedy(patches[torch.randperm(len(patches), generator=generator)[:CANDIDATES]], CORESET)
    return torch.stack([torch.cdist(picture.flatten(1).mT, bank).amin(1) for picture in test])


def report(records: list[Record]) -> str:
    """The table; variants with several seeds as means."""
    lines = [
        "# Critic, neighbours and Mahalanobis distance on the same frozen features",
        "",
        "Made by `python -m benchmarks patches`; see ../README.md. EfficientNet-Lite0, strides 8 and 16, pictures of "
        f"{SIZE}x{SIZE} pixels.",
        "A picture's score is the mean of its most unusual 1 % of patches for every method. Pictures per second of the",
        "first two leave the network out; those of FeatureGAN are score and map together, from the file, each with",
        "its own pass of the network.",
        "",
        "| data | method | seeds | AUROC | pixel AUROC | AUPRO | fit s | pictures/s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    records = list({(r["dataset"], r["method"], r["seed"]): r for r in records}.values())  # the newest of each
    for dataset, method in dict.fromkeys((r["dataset"], r["method"]) for r in records):
        cells = [r for r in records if (r["dataset"], r["method"]) == (dataset, method)]
        means = {
            k: np.mean([r[k] for r in cells]) for k in ("auroc", "pixel_auroc", "aupro", "fit_s", "pictures_per_s")
        }
        quality = " | ".join(f"{100 * means[k]:.1f}" for k in ("auroc", "pixel_auroc", "aupro"))
        speed = f"{means['fit_s']:.0f} | {means['pictures_per_s']:.1f}"
        lines.append(f"| {dataset} | {method} | {len(cells)} | {quality} | {speed} |")
    lines += ["", "Pixel AUROC of each kind of defect beside the good pictures:", ""]
    for dataset, method in dict.fromkeys((r["dataset"], r["method"]) for r in records if "pixel_auroc_by_kind" in r):
        cells = [r["pixel_auroc_by_kind"] for r in records if (r["dataset"], r["method"]) == (dataset, method)]
        quality = ", ".join(f"{kind} {100 * np.mean([c[kind] for c in cells]):.1f}" for kind in cells[0])
        lines.append(f"- {dataset}, {method}: {quality}")
    return "\n".join([*lines, ""])


@torch.no_grad()
def _features(features: Any, folder: Any) -> Tensor:
    """``(n, F, h, w)`` of pictures in [-1, 1], as detectors see them."""
    parts = (folder[start : start + AT_ONCE] for start in range(0, len(folder), AT_ONCE))
    return torch.cat([features(torch.from_numpy(2 * np.stack(list(part)) - 1)) for part in parts])


def _maps(method: Callable[[Tensor, Tensor], Tensor], train: Tensor, test: Tensor) -> Maps:
    flat = method(train, test).flatten(1)
    scores = flat.topk(max(1, round(TOP_SHARE * flat.shape[1]))).values.mean(1)
    side = round(flat.shape[1] ** 0.5)
    return scores.numpy(), flat.reshape(-1, side, side).numpy()


def _judged(detector: Any, folder: Any) -> Maps:
    return detector.anomaly_score(folder), np.asarray(detector.explain(folder)).sum(axis=1)
