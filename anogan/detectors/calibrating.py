"""Thresholds and p-values from the scores of normal rows."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..engine.inference import Inference
from ..engine.module import LeftOut
from ..errors import TrainingDivergedError
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
    left_out: LeftOut | None = None,
) -> tuple[Calibration, np.ndarray]:
    """Set the scales of members, the thresholds and the p-values with normal rows.

    Returns the calibration, and the scores of its rows in their order: the held-out ones, then those left out.

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
        Whether training has not seen these rows. Otherwise they are left out if there are others.
    left_out : LeftOut or None
        Training rows as if they were new, which calibrate too. The scores of a threshold from few rows depend on which
        ones were held out by chance.

    Raises
    ------
    TrainingDivergedError
        A score is not finite.
    """
    scores, peaks = [], []
    if held_out or left_out is None:
        scores.append(inference.score(samples))
        pictures = samples.subset(np.arange(min(len(samples), MAPPED_PICTURES)))
        peaks.append(map_peaks(inference, preprocessor, pictures, baseline))
    if left_out is not None:
        scores.append(left_out.scores.cpu().double().numpy())
        peaks.append(left_out.peaks.cpu().double().numpy())
    member_scores = np.concatenate(scores, axis=1)
    if not np.isfinite(member_scores).all():
        raise TrainingDivergedError("scores of normal samples are not finite, so that they set no threshold")
    is_new = held_out or left_out is not None
    scales = Calibration(*member_scales(member_scores), np.empty(0), 0.0, held_out=is_new)
    combined = scales.combine(member_scores)
    calibration = with_levels(scales, combined, np.concatenate(peaks), parameters, inference.weight.dtype)
    return calibration, combined


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


def _level(scores: np.ndarray, parameters: ThresholdParameters) -> float:
    """Return the threshold between normal and unusual scores of the calibration rows."""
    if parameters.contamination == "auto":
        return conformal_threshold(scores, parameters.target_fpr)
    return float(np.percentile(scores, 100 * (1 - float(parameters.contamination))))
