"""The score of one picture, as a program at a camera needs it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..data.image import ImagePreprocessor, ReadPicture
from ..data.preprocessor import Preprocessor
from ..errors import InputError, RangeWarning
from .calibration import Calibration


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

    preprocessor_: Preprocessor
    calibration_: Calibration


Score = Callable[[ImagePreprocessor, ReadPicture], tuple[np.ndarray, np.ndarray | None]]


def score_picture(detector: FittedDetector, picture: Any, score: Score, *, bgr: bool) -> PictureScore:
    """See `Detector.score_picture`; ``score`` returns the score (1,) and, if asked for, the map (1, C, H, W)."""
    preprocessor = detector.preprocessor_
    if not isinstance(preprocessor, ImagePreprocessor):
        raise InputError("score_picture needs a detector that was fitted on pictures without a condition.")
    read = preprocessor.read_picture(picture, bgr=bgr)
    scores, maps = score(preprocessor, read)
    for note in preprocessor.picture_notes(picture, read):
        warnings.warn(RangeWarning(note.text(), note.text(shell=True)), stacklevel=3)
    calibration = detector.calibration_
    return PictureScore(
        float(scores[0]),
        float(calibration.p_value(scores)[0]),
        bool(scores[0] > calibration.threshold),
        None if maps is None else maps[0].sum(0).astype(np.float32),
    )
