"""The score of one picture, as a program at a camera needs it."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..data.image import ImagePreprocessor
from ..errors import ColumnWarning, InputError
from ..scoring.calibration import Calibration
from .fitted import FittedState
from .inputs import jpeg_note


@dataclass(frozen=True)
class PictureScore:
    """What `Detector.score_picture` returns.

    Attributes
    ----------
    score : float
        Anomaly score, higher = more anomalous.
    p_value : float
        The probability that a normal picture has at least this score, in (0, 1].
    flag : bool
        Whether the score exceeds the detector's threshold.
    map : (h, w) float32 or None
        Contribution of each pixel at the size of the model's samples; above ``calibration_.map_threshold`` a pixel is
        part of a defect.
    """

    score: float
    p_value: float
    flag: bool
    map: np.ndarray | None = None


class FittedDetector(Protocol):
    """What `score_picture` uses of a detector."""

    calibration_: Calibration

    @property
    def fitted_state(self) -> FittedState: ...


def score_picture(detector: FittedDetector, picture: Any, *, bgr: bool, with_map: bool) -> PictureScore:
    """See `Detector.score_picture`."""
    state = detector.fitted_state
    if not isinstance(state.preprocessor, ImagePreprocessor):
        raise InputError("score_picture needs a detector that was fitted on pictures without a condition.")
    file = picture if isinstance(picture, str | os.PathLike) else f"picture.{getattr(picture, 'format', '')}"
    if note := jpeg_note(state.fitted_on, [Path(file)]):
        warnings.warn(note, ColumnWarning, stacklevel=3)
    sample = state.preprocessor.transform_picture(picture, state.inference.weight.dtype, bgr=bgr)
    found = None
    if with_map:
        scores, maps = state.predict_maps(sample)
        score = float(scores[0])
        found = maps[0].sum(0).astype(np.float32)
    else:
        score = float(state.score(sample)[0])
    calibration = detector.calibration_
    return PictureScore(score, float(calibration.p_value(np.array([score]))[0]), score > calibration.threshold, found)
