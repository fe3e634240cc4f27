"""A fit of prepared data: networks are trained, and again if another attempt may help; the best attempt is kept."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.digests import RowDigests
from ..engine.callbacks import Callback
from ..engine.checkpoint import read_checkpoint
from ..engine.diagnostics import DIVERGED, Diagnosis
from ..engine.settings import TrainerSettings
from ..engine.trainer import Trainer
from ..errors import CalibrationWarning, FormatError, TrainingDivergedError, TrainingHealthWarning
from ..seeding import derived_seed, draw_seed, seeded
from ..sources.notes import FileNote
from .attempt import train
from .fitted import FittedState
from .preparing import FittableDetector, Prepared
from .threshold_doubts import note_of_copies

RESTART_RATE = 0.3  # factor of the generator's learning rate, or of both, at each further attempt


def first_seed(random_state: Any, checkpoint: Path | None) -> int:
    """Return the seed of the first attempt; an unseeded training that resumes takes it from its checkpoint."""
    if checkpoint is not None and random_state is None:
        for saved in map(read_checkpoint, (checkpoint, *sorted(checkpoint.glob("attempt-*")))):
            if saved is not None:
                seed = saved[1]["run_key"].partition("-")[0]
                if not seed.isdecimal():
                    raise FormatError(f"The checkpoint in {checkpoint} is damaged: its run_key has no seed.")
                return int(seed)
    return draw_seed(random_state)


def _run_key(prepared: Prepared) -> str:
    """Return what identifies this run in its checkpoint: the seed, then a digest of parameters and data."""
    parameters = {k: v for k, v in prepared.parameters.items() if k not in ("random_state", "device")}
    parts = [part for part in (prepared.samples, prepared.unlabeled) if part is not None]
    split = sorted({"copies", "dependence"} & set(prepared.fitted_on))
    facts = json.dumps([parameters, split, [(len(part), part.fingerprint()) for part in parts]], sort_keys=True)
    return f"{prepared.seed}-{hashlib.sha256(facts.encode()).hexdigest()}"


def fit_detector(
    detector: FittableDetector,
    prepared: Prepared,
    *,
    callbacks: Sequence[Callback],
    checkpoint: Path | None,
    restarts: int,
) -> FittedState:
    """Train, and again after a failure that another seed and a lower learning rate may avoid; keep the best attempt.

    A fit that resumes finds its earlier attempts complete in their checkpoints and repeats none of their steps.

    Raises
    ------
    TrainingDivergedError
        Every attempt diverged.
    """
    run_key = "" if checkpoint is None else _run_key(prepared)
    rate, generator_rate = prepared.parameters["learning_rate"], prepared.parameters["learning_rate"]
    attempts: list[dict[str, Any]] = []
    best: FittedState | None = None
    doubts: list[FileNote] = []
    for number in range(1, restarts + 2):
        seed = prepared.seed if number == 1 else derived_seed(prepared.seed, number)
        for callback in callbacks:
            callback.on_attempt_begin(number, seed, rate)
        trainer = Trainer(
            TrainerSettings(
                detector.steps, detector.batch_size, rate, detector.ema_decay, detector.patience, generator_rate / rate
            ),
            seed=seed,
            members=prepared.backbone.members,
            device=prepared.device,
            callbacks=callbacks,
            checkpoint=checkpoint if checkpoint is None or number == 1 else checkpoint / f"attempt-{number}",
            run_key=run_key,
        )
        attempt: dict[str, Any] = {
            "seed": seed,
            "learning_rate": rate,
            "generator_learning_rate": generator_rate,
            "kept": False,
        }
        attempts.append(attempt)
        try:
            with seeded(seed):
                state, found = train(detector, prepared, trainer)
        except TrainingDivergedError as error:
            attempt["verdict"] = f"diverged: {error}"
            if best is None and number > restarts:
                tried = f" {number} attempts did, the last at a rate of {rate:g}." if number > 1 else ""
                raise TrainingDivergedError(f"{error}{tried}") from None
            rate, generator_rate = RESTART_RATE * rate, RESTART_RATE * generator_rate
            continue
        attempt["verdict"] = state.diagnosis.verdict
        if best is None or state.diagnosis.better_than(best.diagnosis):
            best, doubts = state, found
            for each in attempts:
                each["kept"] = each is attempt
        if not state.diagnosis.remediable:
            break
        generator_rate *= RESTART_RATE
        if DIVERGED in state.diagnosis.issues:  # a generator that collapses is too fast for its critic instead
            rate *= RESTART_RATE
    assert best is not None
    if len(attempts) > 1 or not best.diagnosis.healthy:
        summary = _attempts_summary(attempts, best.diagnosis)
        warnings.warn(f"{type(detector).__name__}: {summary}", TrainingHealthWarning, stacklevel=3)
    samples, is_image = prepared.samples, prepared.preprocessor.spec_.is_image
    order = np.random.default_rng(prepared.seed).permutation(len(samples))
    digests = RowDigests.of(samples, order, prepared.seed, is_image=is_image) if detector.keep_rows else None
    if digests is not None and (copies := prepared.fitted_on.get("copies")):
        digests = digests.of_different(round(len(samples) * (1 - copies)))
    promised = is_image and (detector.contamination == "auto" or "left_out" in best.fitted_on)
    if promised and digests is not None and (copies := note_of_copies(digests)):
        doubts.append(copies)
    for doubt in doubts:
        warnings.warn(CalibrationWarning(doubt.text(), doubt.text(shell=True)), stacklevel=3)
    return replace(best, attempts=attempts, digests=digests)


def _attempts_summary(attempts: list[dict[str, Any]], diagnosis: Diagnosis) -> str:
    summary = attempts[0]["verdict"].rstrip(".") + "."
    for attempt in attempts[1:]:
        again = f"Trained again with seed {attempt['seed']} and a learning rate of {attempt['learning_rate']:g}"
        if attempt["generator_learning_rate"] != attempt["learning_rate"]:
            again += f", of the generator {attempt['generator_learning_rate']:g}"
        summary += f" {again}: {attempt['verdict'].rstrip('.')}{', kept' if attempt['kept'] else ''}."
    return f"{summary} {diagnosis.advice}".rstrip()
