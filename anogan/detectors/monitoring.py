"""A fitted model and new data: thresholds by other normal rows, and a test of whether scores have changed."""

import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..data.samples import Samples, TensorSamples
from ..errors import CalibrationWarning, InputError
from ..scoring.drift import Drift, compare
from .calibrating import MAPPED_PICTURES, ThresholdParameters, map_peaks, with_levels
from .fitted import FittedState, plain

EXPLAINED_ROWS = 200  # rows of each part whose explanations are compared, at most


def recalibrated(state: FittedState, parts: Iterable[Samples], parameters: ThresholdParameters) -> FittedState:
    """Return the state with threshold and p-values of other normal samples that training has not seen.

    Raises
    ------
    InputError
        There are no samples.
    """
    score_parts, peak_parts, known = [np.empty(0)], [np.empty(0)], 0
    for samples in parts:
        room = MAPPED_PICTURES - sum(map(len, peak_parts))
        some = samples.subset(np.arange(min(len(samples), room)))
        peak_parts.append(map_peaks(state.inference, state.preprocessor, some, state.baseline))
        score_parts.append(state.score(samples))
        known += _known(state, samples)
    scores, peaks = np.concatenate(score_parts), np.concatenate(peak_parts)
    if not len(scores):
        raise InputError("There are no samples to calibrate with.")
    _warn_of_known(
        state, known, len(scores), "they score lower than new ones, so more false alarms than promised will follow."
    )
    changed = {"contamination": parameters.contamination, "target_fpr": parameters.target_fpr}
    scales = replace(state.calibration, held_out=True)
    return replace(
        state,
        calibration=with_levels(scales, scores, peaks, parameters, state.inference.weight.dtype),
        parameters=state.parameters | plain(changed),
        fitted_on=state.fitted_on | {"recalibrated": len(scores)},
    )


def drift(state: FittedState, parts: Iterable[Samples]) -> Drift:
    """Compare the scores of new samples with those of the calibration rows.

    Raises
    ------
    InputError
        There are no samples.
    """
    scores, after, known = [], [], 0
    for samples in parts:
        known += _known(state, samples)
        scores.append(state.score(samples))
        chosen = np.linspace(0, len(samples) - 1, min(len(samples), EXPLAINED_ROWS)).astype(int)
        after.append(state.explainer.column_errors(state.as_scored(samples.subset(chosen))))
    if not scores:
        raise InputError("There are no samples to compare.")
    _warn_of_known(state, known, sum(map(len, scores)), "they score lower than new ones, which hides a change.")
    before, names = after, []
    if state.background is not None:
        before = [state.explainer.column_errors(TensorSamples(state.background[:EXPLAINED_ROWS]))]
        names = [column.name for column in state.preprocessor.columns_]
    means = (np.concatenate(errors).mean(0) for errors in (before, after))
    return compare(state.calibration, np.concatenate(scores), names, *means)


def _known(state: FittedState, samples: Samples) -> int:
    """Return how many samples equal one of the fit, as far as the model knows."""
    return 0 if state.digests is None else int(state.digests.known(samples).sum())


def _warn_of_known(state: FittedState, known: int, count: int, consequence: str) -> None:
    if state.digests is not None and (message := state.digests.message(known, count, consequence)):
        warnings.warn(message[0].upper() + message[1:], CalibrationWarning, stacklevel=4)
