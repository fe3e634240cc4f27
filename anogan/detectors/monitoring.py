"""A fitted model and new data: equal scores, thresholds by other normal rows, and a test of whether scores changed."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.condition import Conditioned
from ..data.digests import WITHOUT
from ..data.samples import Samples, TensorSamples
from ..engine.degenerate import ENOUGH_ROWS, ROUNDING
from ..errors import CalibrationWarning, InputError
from ..scoring.drift import Drift, compare
from ..sources.frames import is_folder
from ..sources.notes import in_words_of
from ..wording import counted
from .calibrating import MAPPED_PICTURES, ThresholdParameters, map_peaks, with_levels
from .fitted import FittedState, plain

COMPARED_ROWS = 1000  # rows of equal scores that are compared with each other, at most
EXPLAINED_ROWS = 200  # rows of each part whose explanations are compared, at most


def equal_scores(state: FittedState, X: Any, scores: np.ndarray) -> str | None:
    """Return a warning if all scores ``(n,)`` are equal and at least `ENOUGH_ROWS` rows of X are different."""
    scores = scores[~np.isnan(scores)]
    if len(scores) < ENOUGH_ROWS or np.ptp(scores) > ROUNDING * abs(scores[0]):
        return None
    rows = X.X if isinstance(X, Conditioned) else X
    if hasattr(rows, "iloc"):
        learned = [column.name for column in state.preprocessor.columns_ if column.name in rows.columns]
        rows = rows.iloc[:COMPARED_ROWS][learned].drop_duplicates()
    elif not is_folder(rows):
        rows = np.unique(np.asarray(rows)[:COMPARED_ROWS].reshape(min(len(rows), COMPARED_ROWS), -1), axis=0)
    if len(rows) < ENOUGH_ROWS:
        return None
    return (
        f"All {state.preprocessor.spec_.unit}s have the same score, {scores[0]:.3g}, though they are different: the "
        "model cannot tell them apart. See its diagnosis, and fit again with other parameters or another detector."
    )


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
    found = compare(state.calibration, scores, [], np.empty(0), np.empty(0))
    if state.calibration.held_out and found.more_flagged:
        unit = state.preprocessor.spec_.unit
        warnings.warn(
            f"{round(found.flagged * found.rows):,} of {counted(found.rows, unit)} ({found.flagged:.0%}) lie above the "
            f"threshold so far, which {found.expected:.2%} of normal {unit}s do. If some are anomalies, the new "
            "threshold hides their like: inspect the highest scores first.",
            CalibrationWarning,
            stacklevel=3,
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
    if state.background is not None and state.parameters["keep_rows"]:  # marginals combine columns as no row does
        before = [state.explainer.column_errors(TensorSamples(state.background[:EXPLAINED_ROWS]))]
        names = [column.name for column in state.preprocessor.columns_]
    means = (np.concatenate(errors).mean(0) for errors in (before, after))
    return compare(state.calibration, np.concatenate(scores), names, *means)


def _known(state: FittedState, samples: Samples) -> int:
    """Return how many samples equal one of the fit, as far as the model knows."""
    return 0 if state.digests is None else int(state.digests.known(samples).sum())


def _warn_of_known(state: FittedState, known: int, count: int, consequence: str) -> None:
    message = WITHOUT + consequence if state.digests is None else state.digests.message(known, count, consequence)
    message = message and in_words_of(message, is_image=state.preprocessor.spec_.is_image)
    if message:
        warnings.warn(message[0].upper() + message[1:], CalibrationWarning, stacklevel=4)
