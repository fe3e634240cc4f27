"""FeatureGAN beside two plain distances on the same frozen features, and with one part changed at a time."""

import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate, shift
from torch import Tensor

import anogan
from anogan import metrics

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .images import mvtec_folders
from .quality import pixel_quality
from .report import table

SIZE = 384
FEATURES = "efficientnet_lite2"
FORMER_FEATURES = "efficientnet_lite0"  # of records that do not name theirs
COVARIANCE_SHRINKAGE = 0.01  # PaDiM's epsilon, on standardised features
CANDIDATES, CORESET = 100_000, 4096  # patches that PatchCore's memory bank is chosen from, and that it keeps
AT_ONCE = 32  # images
TOP_SHARE = 0.01  # an image's score is the mean of its most unusual patches, as FeatureGAN's
VARIANTS: dict[str, dict[str, Any]] = {
    "FeatureGAN": {},
    "FeatureGAN without adversary": {"adversarial_share": 0.0},
    "FeatureGAN never trained": {"steps": 1, "learning_rate": 1e-9},
}
CHANGED_IMAGES = 160  # test images that are changed, at most
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    # By whole pixels: between them a shift would be a blur too.
    "shifted by 9 %": lambda image: shift(image, [round(0.09 * side) for side in image.shape], order=0, mode="nearest"),
    "light x1.25": lambda image: (1.25 * image).clip(0, 255),
    "light x0.8": lambda image: 0.8 * image,
    "turned by 5 degrees": lambda image: rotate(image, 5, reshape=False, order=1, mode="nearest"),
    "turned, mirrored corners": lambda image: rotate(image, 5, reshape=False, order=1, mode="mirror"),
    "blurred": lambda image: gaussian_filter(image, 1.5),
    "JPEG of quality 75": lambda image: jpeg(image, 75),
    "JPEG of quality 30": lambda image: jpeg(image, 30),
}
MOVED: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # what becomes of a mask (h, w)
    "shifted by 9 %": lambda mask: shift(mask, [round(0.09 * side) for side in mask.shape], order=0, mode="constant"),
    "turned by 5 degrees": lambda mask: rotate(mask, 5, reshape=False, order=0, mode="constant"),
    "turned, mirrored corners": lambda mask: rotate(mask, 5, reshape=False, order=0, mode="constant"),
}
STILL_SHOWN = 0.9  # of the pixels of a defect, at least
Maps = tuple[np.ndarray, np.ndarray]  # scores (n,), maps (n, h, w)


class Patches(Experiment):
    """Methods on the same frozen features of the images of one folder."""

    name = "patches"
    help = "FeatureGAN beside PaDiM's and PatchCore's distances on the same frozen features."
    axes = (
        names("dataset", lambda data: list(mvtec_folders(data))),
        names("method", lambda _: [*DISTANCES, *VARIANTS]),
        numbers("seed", "0"),
    )
    time_limit = 4 * 3600.0

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        return [
            {"dataset": dataset, "method": method, "seed": seed}
            for dataset in chosen["dataset"]
            for method in chosen["method"]
            for seed in (chosen["seed"] if method in VARIANTS else (None,))  # distances draw no random numbers
        ]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(2)
        layout = anogan.LabelledFolder(mvtec_folders(data_dir)[cell["dataset"]], size=SIZE)
        kinds = np.array([layout.kind_of(file) for file in layout.test.files])
        labels = kinds != "good"
        began = time.perf_counter()
        if cell["method"] in DISTANCES:
            train, test = standardised_features(layout)
            fitted = time.perf_counter()
            scores, maps = _maps(DISTANCES[cell["method"]], train, test)
        else:
            variant = VARIANTS[cell["method"]]
            detector = anogan.detector_class("feature_gan")(random_state=cell["seed"], **variant).fit(layout.train)
            fitted = time.perf_counter()
            scores, maps = detector.predict_maps(layout.test)
            maps = maps.sum(axis=1)
        seconds = time.perf_counter() - fitted
        found: Record = {"fit_s": round(fitted - began, 1), "images_per_s": round(len(labels) / seconds, 1)}
        found |= {"auroc": round(metrics.auroc(labels, scores), 4), "features": FEATURES}
        if cell["method"] == "FeatureGAN":
            found["changed"] = changed(detector, layout, labels)
        return found | pixel_quality(map(layout.mask_of, layout.test.files), maps, kinds)

    def outcome(self, record: Record) -> str:
        return f"AUROC {record['auroc']:.4f}"

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def changed(detector: Any, layout: Any, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the AUROC if all images are changed, and if only the good ones are, on evenly spaced test images.

    Also of the images whose defect is still shown after a change that moves it, with and without the change.
    """
    chosen = np.unique(np.linspace(0, len(labels) - 1, CHANGED_IMAGES).astype(int))
    y = labels[chosen]
    images = [np.asarray(layout.test.decode(int(index)), dtype=np.float64) for index in chosen]
    found, unchanged = {}, None
    for name, change in CHANGES.items():
        X = np.stack([[change(channel) for channel in image] for image in images]).round().astype(np.uint8)
        scores = detector.anomaly_score(X)
        unchanged = scores if unchanged is None else unchanged
        only_good = np.where(y, unchanged, scores)
        shown = np.array([still_shown(layout.mask_of(layout.test.files[index]), name) for index in chosen])
        found[name] = {
            "all": round(metrics.auroc(y, scores), 4),
            "good": round(metrics.auroc(y, only_good), 4),
            "shown": round(metrics.auroc(y[shown], scores[shown]), 4),
            "shown_unchanged": round(metrics.auroc(y[shown], unchanged[shown]), 4),
        }
    return found


def still_shown(mask: np.ndarray | None, change: str) -> bool:
    """Return whether a change leaves a defect in the picture, given its mask."""
    if change not in MOVED or mask is None or not np.any(mask):
        return True
    pixels = np.squeeze(mask).astype(float)
    return bool(MOVED[change](pixels).sum() >= STILL_SHOWN * pixels.sum())


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return one channel ``(h, w)`` in 0..255 as it is after being saved as JPEG."""
    buffer = BytesIO()
    Image.fromarray(image.round().astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), dtype=float)


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
    """Roth 2022 (arXiv:2106.08265): distance to the nearest patch of a greedy coreset at any place; shapes as above."""
    patches = train.permute(0, 2, 3, 1).flatten(0, 2)
    generator = torch.Generator().manual_seed(0)
    candidates = patches[torch.randperm(len(patches), generator=generator)[:CANDIDATES]]
    memory_bank = anogan.k_center_greedy(candidates, CORESET)
    return torch.stack([torch.cdist(image.flatten(1).mT, memory_bank).amin(1) for image in test])


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Mahalanobis distance at each place (PaDiM)": gaussian,
    "nearest neighbours (PatchCore)": neighbours,
}


def report(records: list[Record], made_by: str) -> str:
    """Return the tables; variants with several seeds as means."""
    rows, kinds = [], []
    for dataset, method in dict.fromkeys((r["dataset"], r["method"]) for r in records):
        cells = [r for r in records if (r["dataset"], r["method"]) == (dataset, method)]
        means = {k: np.mean([r[k] for r in cells]) for k in ("auroc", "pixel_auroc", "aupro", "fit_s", "images_per_s")}
        quality = [f"{100 * means[k]:.1f}" for k in ("auroc", "pixel_auroc", "aupro")]
        speed = [f"{means['fit_s']:.0f}", f"{means['images_per_s']:.1f}"]
        rows.append([dataset, method, str(len(cells)), *quality, *speed])
        by_kind = [r["pixel_auroc_by_kind"] for r in cells if "pixel_auroc_by_kind" in r]
        if by_kind:
            means_of_kinds = ", ".join(f"{kind} {100 * np.mean([c[kind] for c in by_kind]):.1f}" for kind in by_kind[0])
            kinds.append(f"- {dataset}, {method}: {means_of_kinds}")
    head = ["data", "method", "seeds", "AUROC", "pixel AUROC", "AUPRO", "fit s", "images/s"]
    networks = " and ".join(dict.fromkeys(r.get("features", FORMER_FEATURES) for r in records))
    introduction = fill(
        f"{made_by} Features of {networks}, strides 8 and 16, images of {SIZE}x{SIZE} pixels. An image's score is the "
        "mean of its most unusual 1 % of patches for every method. Images per second of the two distances leave the "
        "frozen network out; those of FeatureGAN are score and map together, from the file.",
        width=119,
    )
    listed = "\n".join(kinds)
    of_changes = fill(
        f"AUROC of FeatureGAN on up to {CHANGED_IMAGES} test images, of which all are changed, or only the good ones. "
        f"A shift moves some defects out of the picture: the last columns leave out those of which less than "
        f"{STILL_SHOWN:.0%} is still shown.",
        width=119,
    )
    changes = [
        [
            dataset,
            change,
            *(
                f"{100 * np.mean([r['changed'][change].get(which, np.nan) for r in cells]):.1f}"
                for which in ("all", "good", "shown", "shown_unchanged")
            ),
        ]
        for dataset in dict.fromkeys(r["dataset"] for r in records)
        if (cells := [r for r in records if r["dataset"] == dataset and "changed" in r])
        for change in CHANGES
    ]
    return f"""\
# Critic, neighbours and Mahalanobis distance on the same frozen features

{introduction}

{table(head, rows, texts=2)}

{of_changes}

{table(["data", "change", "all changed", "good ones changed", "still shown", "the same unchanged"], changes, texts=2)}

Pixel AUROC of each kind of defect against the good images:

{listed}"""


@torch.no_grad()
def standardised_features(layout: Any) -> tuple[Tensor, Tensor]:
    """Return the features ``(n, F, h, w)`` of the training and the test images of a folder in MVTec layout."""
    network = anogan.pretrained(FEATURES)

    def features(folder: Any) -> Tensor:
        parts = (folder[start : start + AT_ONCE] for start in range(0, len(folder), AT_ONCE))
        return torch.cat([network(torch.from_numpy(2 * np.stack(list(part)) - 1)) for part in parts])  # from [-1, 1]

    train, test = features(layout.train), features(layout.test)
    spread, mean = torch.std_mean(train, dim=(0, 2, 3), keepdim=True)
    return (train - mean) / (spread + 1e-6), (test - mean) / (spread + 1e-6)


def _maps(method: Callable[[Tensor, Tensor], Tensor], train: Tensor, test: Tensor) -> Maps:
    flat = method(train, test).flatten(1)
    scores = flat.topk(max(1, round(TOP_SHARE * flat.shape[1]))).values.mean(1)
    side = round(flat.shape[1] ** 0.5)
    return scores.numpy(), flat.reshape(-1, side, side).numpy()
