"""Thresholds and p-values from the scores of normal rows."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..engine.inference import Inference
from ..explain.attribution import error_map
from ..scoring.calibration import Calibration, conformal_threshold, member_scales, rounding

MAPPED_PICTURES = 256  # pictures whose error maps set the threshold of pixels, at most
PLAIN_PICTURES = 0.9  # share of normal pictures whose maps have no colour


class ThresholdParameters(Protocol):
    """The parameters of a detector that determine its threshold."""

    contamination: float | str
    target_fpr: float


def calibrate(
    inference: Inference,
    preprocessor: Preprocessor,
    samples: Samples,
    baseline: Tensor,
    parameters: ThresholdParameters,
    *,
    held_out: bool,
) -> Calibration:
    """Set the scales of members, the thresholds and the p-values with normal rows.

    Parameters
    ----------
    inference : Inference
    preprocessor : Preprocessor
    samples : m rows
        In random order.
    baseline : (*shape) tensor
        A typical sample; see `error_map`.
    parameters : ThresholdParameters
    held_out : bool
        Whether training has not seen these rows.
    """
    member_scores = inference.score(samples)
    scales = Calibration(*member_scales(member_scores), np.empty(0), 0.0, held_out=held_out)
    pictures = samples.subset(np.arange(min(len(samples), MAPPED_PICTURES)))
    peaks = map_peaks(inference, preprocessor, pictures, baseline)
    return with_levels(scales, scales.combine(member_scores), peaks, parameters, inference.weight.dtype)


def with_levels(
    calibration: Calibration, scores: np.ndarray, peaks: np.ndarray, parameters: ThresholdParameters, dtype: torch.dtype
) -> Calibration:
    """Return a calibration with the same scales and the thresholds and p-values of other normal rows.

    Parameters
    ----------
    calibration : Calibration
    scores : (n,)
        Combined scores of the rows.
    peaks : (m,)
        Result of `map_peaks`.
    parameters : ThresholdParameters
    dtype : torch.dtype
        Number format that the scores were computed in.
    """
    scores = np.sort(scores)
    threshold = _level(scores, parameters)
    # Rounding must not decide about a row that lies exactly at the threshold.
    threshold += float(rounding(threshold, scores, torch.finfo(dtype).eps))
    map_threshold = map_start = None
    if len(peaks):
        map_threshold = _level(peaks, parameters)
        map_start = min(float(np.quantile(peaks, PLAIN_PICTURES)), map_threshold)
    return replace(
        calibration,
        scores=scores,
        threshold=threshold,
        map_threshold=map_threshold,
        map_start=map_start,
        reference=None,
    )


def map_peaks(inference: Inference, preprocessor: Preprocessor, samples: Samples, baseline: Tensor) -> np.ndarray:
    """Return the largest error among the pixels of each picture ``(n,)``; empty for non-image data."""
    if not len(samples) or not preprocessor.spec_.is_image:
        return np.empty(0)
    error = inference.mean_map(samples, lambda x: error_map(inference.module, x, baseline.to(x)))  # (n, C, H, W)
    return np.asarray(np.asarray(preprocessor.collapse(error)).sum(1).max((1, 2)))


def too_few_rows(rows: int, parameters: ThresholdParameters, alternatives: str) -> str | None:
    """Return a warning if so many calibration rows cannot keep the target false-alarm rate, otherwise None.

    Parameters
    ----------
    rows : int
    parameters : ThresholdParameters
    alternatives : str
        What a user can raise instead of giving more rows.
    """
    smallest = 1 / (rows + 1)
    if parameters.contamination != "auto" or smallest <= parameters.target_fpr:
        return None
    needed = int(np.ceil(1 / parameters.target_fpr)) - 1
    return (
        f"target_fpr={parameters.target_fpr:g} cannot be kept: with {rows} calibration rows the smallest rate is "
        f"{smallest:.2g}. It takes {needed:,}: give more rows, or raise {alternatives}."
    )


def _level(scores: np.ndarray, parameters: ThresholdParameters) -> float:
    """Return the threshold between normal and unusual scores of the calibration rows."""
    if parameters.contamination == "auto":
        return conformal_threshold(scores, parameters.target_fpr)
    return float(np.percentile(scores, 100 * (1 - float(parameters.contamination))))
