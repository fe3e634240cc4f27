"""How well scores rank, and how well maps point at defects."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

import anogan
from anogan import protocol

from .datasets import Labels
from .experiment import Record


def quality(labels: Labels, scores: np.ndarray, protocol_name: str) -> Record:
    """Return ranking metrics, and those at the GAN papers' threshold if the protocol uses it."""
    found = protocol.quality(labels, scores)
    if protocol_name == "gan-papers":
        flagged = scores >= np.percentile(scores, 80)
        hits = float((flagged & labels).sum())
        found |= {"precision": hits / float(flagged.sum()), "recall": hits / float(labels.sum())}
        found["f1"] = 2 * hits / float(flagged.sum() + labels.sum())
    return {name: round(value, 6) for name, value in found.items()} | {"constant": bool(np.ptp(scores) == 0)}


def pixel_quality(masks: Iterator[np.ndarray | None], maps: np.ndarray, kinds: Labels | None = None) -> Record:
    """Return the pixel AUROC and AUPRO of maps (n, h, w) against masks of any sizes; empty if no mask marks a defect.

    With the kinds of the images (n,), "good" and others, the pixel AUROC of each kind against the good ones is added.
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
