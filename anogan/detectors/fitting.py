"""A fit: rows are split, networks trained, calibrated and diagnosed, and trained again if another attempt may help."""

import hashlib
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.condition import FOLDER, Conditioned
from ..data.digests import RowDigests
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..data.spec import SampleSpec
from ..data.tiles import TiledSamples, in_tiles
from ..engine.callbacks import Callback
from ..engine.checkpoint import read_checkpoint
from ..engine.degenerate import column_issues, score_issues
from ..engine.device import check_one_process, choose_device, torch_dtype
from ..engine.diagnostics import DIVERGED, Diagnosis
from ..engine.inference import Inference
from ..engine.module import GANModule
from ..engine.trainer import MONITOR_ROWS, Trainer, TrainerSettings
from ..errors import (
    CalibrationWarning,
    ColumnWarning,
    FormatError,
    InputError,
    TrainingDivergedError,
    TrainingHealthWarning,
)
from ..explain.marginals import marginals
from ..nn.backbone import Backbone, backbone_for
from ..seeding import OwnInitialisation, derived_seed, draw_seed, seeded
from ..sources.frames import is_folder
from ..sources.notes import FileNote, in_words_of
from ..sources.picture_files import JPEG_SHARE, jpeg_share
from ..sources.said import NOTHING_SAID, said_of
from ..sources.table import RowSample, TableFile
from ..sources.writing import as_text
from ..wording import counted
from .calibrating import ThresholdParameters, calibrate, too_few_rows, unusual
from .diagnosing import diagnose_module
from .fitted import FittedState, NetworkConfig
from .inputs import Features, check_input, check_training_input
from .synthetic_rows import KnownRows, SyntheticRows, known_rows, learn_to_draw_rows

MONITORED_FRACTION = 0.1  # of the rows, at most MONITOR_ROWS, held out for early stopping
FEWEST_ROWS_TO_HOLD_OUT = 10
SAMPLED_ROWS = 2**18  # rows drawn from a file, at most
SAMPLED_VALUES = 2**25  # numbers in them, at most: files with more than 128 columns give fewer rows
CALIBRATION_ROWS = 100_000  # rows drawn from a file that calibrate, at most
BASELINE_ROWS = 512  # training rows whose mean is the baseline, at most
MARGINAL_ROWS = 10_000  # training rows whose marginals are kept if no row is, at most
CALIBRATION_WAYS = "calibration_fraction or target_fpr"  # to a rate that few rows can keep
RESTART_RATE = 0.3  # factor of the generator's learning rate, or of both, at each further attempt
NAMED, FEWEST_NAMED = 20, 30  # unusual pictures that are named, of so many at least
MOST_REPEATED = 0.05  # share of pictures that equal others
NOTED_VERSIONS = ("anogan", "torch", "numpy")


class FittableDetector(ThresholdParameters, Protocol):
    """The parameters and the two factories of a detector that a fit uses."""

    width: int | None
    backbone: str
    n_members: int | None
    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    patience: int
    calibration_fraction: float
    columns: dict[Any, str] | None
    keep_rows: int
    precision: str
    device: str
    random_state: Any
    image_size: ClassVar[int]

    def get_params(self) -> dict[str, Any]: ...

    def make_preprocessor(self, X: Any) -> Preprocessor: ...

    def build(self, backbone: Backbone) -> GANModule: ...


class Split(NamedTuple):
    """Indices of the rows that train, that are monitored for early stopping, and that calibrate."""

    training: np.ndarray
    monitoring: np.ndarray
    calibration: np.ndarray

    @property
    def held_out(self) -> bool:
        """Whether training sees none of the calibration rows."""
        return not np.isin(self.calibration, self.training).any()


@dataclass(frozen=True)
class Prepared:
    """Training data in model space, and the settings that follow from them.

    Attributes
    ----------
    parameters : dict
        Constructor parameters, with the seed as ``random_state``.
    seed : int
    features : Features
    preprocessor : Preprocessor
        Fitted.
    samples : Samples
    unlabeled : Samples or None
    split : Split
        Of `samples`.
    backbone : Backbone
    device : torch.device
    hidden : list of column names
        See `Preprocessor.hidden_columns`.
    known : KnownRows or None
        Rows that a sampler of rows learns from and is compared with; None for pictures.
    files : list of Path or None
        Those of the samples, if they are pictures in a folder.
    fitted_on : dict
        See `Detector.fitted_on_`.
    """

    parameters: dict[str, Any]
    seed: int
    features: Features
    preprocessor: Preprocessor
    samples: Samples
    unlabeled: Samples | None
    split: Split
    backbone: Backbone
    device: torch.device
    hidden: list[str | int]
    known: KnownRows | None
    files: list[Path] | None
    fitted_on: dict[str, Any]


# ---------------------------------------------------------------- data


def prepare(
    detector: FittableDetector,
    X: Any,
    X_unlabeled: Any,
    parameters: dict[str, Any],
    *,
    callbacks: Sequence[Callback],
) -> Prepared:
    """Check the data of a fit, split them, and bring them to model space.

    `parameters` are those of the detector, with the seed of the first attempt as ``random_state``.

    Raises
    ------
    InputError
        The data or a parameter cannot be used.
    """
    check_one_process()
    name = type(detector).__name__
    dtype = torch_dtype(detector.precision)
    seed = parameters["random_state"]
    known = total = None
    noted: dict[str, Any] = {}
    if isinstance(X, TableFile):
        said = said_of(X)
        noted = {} if said == NOTHING_SAID else {"file": said}
        noted |= {} if X.holdout is None else {"holdout": asdict(X.holdout)}
        X, known, total = _drawn_rows(X.in_roles(detector.columns), seed, callbacks)
    elif isinstance(X, RowSample):
        X, known, total = X
    X = _pictures_to_learn(detector, X)
    if is_folder(X) and X.normal is not None:
        noted = {"file": {**NOTHING_SAID, "normal": X.normal}}
    files = X.files if is_folder(X) else None
    if files is not None:
        noted["jpeg"] = jpeg_share(files) >= JPEG_SHARE
    X, features = check_training_input(X, name)
    split = split_rows(detector, len(X), seed, total)
    preprocessor = detector.make_preprocessor(X)
    preprocessor.fit(X if known is None else known, rows=split.training, sampled=len(X))
    for note in preprocessor.notes_:
        warnings.warn(ColumnWarning(note.text(), note.text(shell=True)), stacklevel=3)
    if not detector.keep_rows:
        preprocessor.blur()
    samples = preprocessor.transform(X, dtype)
    if len(samples) < 2:
        unit = "picture" if preprocessor.spec_.is_image else "sample"
        raise InputError(f"X has {counted(len(samples), unit)}; at least 2 are needed.")
    unlabeled = None
    if X_unlabeled is not None:
        if isinstance(X_unlabeled, TableFile):
            X_unlabeled, _, _ = _drawn_rows(X_unlabeled.in_roles(detector.columns), seed, callbacks)
        unlabeled = preprocessor.transform(check_input(X_unlabeled, name, features), dtype)
        _check_no_gaps(preprocessor, unlabeled)
    return Prepared(
        parameters=parameters,
        seed=seed,
        features=features,
        preprocessor=preprocessor,
        samples=samples,
        unlabeled=unlabeled,
        split=split,
        backbone=backbone_for(detector.backbone, preprocessor.spec_, detector.n_members, detector.width),
        device=choose_device(detector.device, detector.precision),
        hidden=preprocessor.hidden_columns(X, split.training),
        known=known_rows(
            preprocessor,
            X,
            samples,
            split.training,
            split.monitoring,
            split.calibration if split.held_out else split.calibration[:0],
        ),
        files=files,
        fitted_on={
            "samples": total or len(X),
            "training": len(split.training),
            "watched": len(split.monitoring),
            "calibration": len(split.calibration),
            "versions": {module: str(sys.modules[module].__version__) for module in NOTED_VERSIONS},
            **noted,
        },
    )


def _pictures_to_learn(detector: FittableDetector, X: Any) -> Any:
    """Return the normal pictures of a folder at the detector's size; other data as they are."""
    if isinstance(X, Conditioned):
        return Conditioned(_at_size_of(detector, X.X), X.labels)
    if not is_folder(X):
        return X
    if getattr(detector, "condition", None) != FOLDER:  # whose folders are no labels
        from ..sources.labelled import normal_pictures  # imports Pillow, which users of tables do not need

        X, notes = normal_pictures(X)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=4)
    return _at_size_of(detector, X)


def _at_size_of(detector: FittableDetector, X: Any) -> Any:
    return X.at_default(detector.image_size) if is_folder(X) else X


def _check_no_gaps(preprocessor: Preprocessor, unlabeled: Samples) -> None:
    """Raise `InputError` if a number or date is missing in a column of X that has no missing values."""
    if unlabeled.unseen is None:
        return
    for column, gaps in zip(preprocessor.columns_, unlabeled.unseen.sum(0), strict=True):
        if gaps and column.kind in ("number", "date"):
            raise InputError(
                f"X_unlabeled has {counted(gaps, 'missing value')} in column {column.name!r}, and X has none there. "
                "Fill them, or leave those rows out."
            )


def split_rows(detector: FittableDetector, n: int, seed: int, total: int | None = None) -> Split:
    """Split n rows at random.

    Parameters
    ----------
    detector : FittableDetector
    n : int
    seed : int
    total : int or None
        Number of rows that the n rows were drawn from. A large file gives more rows for calibration than its share in
        the drawn rows.
    """
    order = np.random.default_rng(seed).permutation(n)
    if n < FEWEST_ROWS_TO_HOLD_OUT:
        return Split(order, order[:0], order)
    monitored = min(round(MONITORED_FRACTION * n), MONITOR_ROWS) if detector.patience else 0
    wanted = max(round(detector.calibration_fraction * n), 1)
    if total is not None and total > n:
        most = max(wanted, CALIBRATION_ROWS * n // SAMPLED_ROWS)
        wanted = min(round(detector.calibration_fraction * total), most)
    kept = min(wanted, n - monitored - 1) if detector.contamination == "auto" else 0
    calibration = order[monitored : monitored + kept] if kept else order
    return Split(order[monitored + kept :], order[:monitored], calibration)


def _doubts(detector: FittableDetector, prepared: Prepared, state: FittedState, apart: np.ndarray) -> list[FileNote]:
    """Return what the user should know of the threshold, which pictures that are far ``apart`` set."""
    calibration, learned = state.calibration, "left_out" in state.fitted_on
    is_image = prepared.preprocessor.spec_.is_image
    doubts: list[str] = []
    if not calibration.held_out and detector.contamination == "auto":
        doubts.append(
            f"Only {len(prepared.samples)} rows: none is held out, so threshold and p-values come from the training "
            f"rows and are too optimistic. Give at least {FEWEST_ROWS_TO_HOLD_OUT}."
        )
    few = too_few_rows(len(calibration.scores), detector, "target_fpr" if learned else CALIBRATION_WAYS)
    notes = [FileNote(in_words_of(doubt, is_image=is_image)) for doubt in [*doubts, *([few] if few else [])]]
    if len(apart) and len(calibration.scores) >= FEWEST_NAMED:
        names = [str(number) if prepared.files is None else _name_of(prepared.files, number) for number in apart]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        scores, threshold = calibration.scores, calibration.threshold
        share = np.ceil(1000 * len(apart) / (len(scores) - 1)) / 1000  # the quantile between n scores has n - 1 steps
        lower = np.percentile(scores, 100 * (1 - share))
        others = (
            f"Leave out what is not good, or set the threshold without them, to {lower:.3g} instead of {threshold:.3g}"
        )
        notes.append(
            FileNote(
                f"{len(apart)} of {len(scores):,} pictures {'is' if len(apart) == 1 else 'are'} so unusual as to set "
                f"the threshold, which hides anomalies: {', '.join(names[:NAMED])}{more}.",
                f"{others}, by contamination={share:g}.",
                f"{others}, by --contamination {share:g}.",
            )
        )
    return notes


def _name_of(files: list[Path], number: int) -> str:
    """Return the name of a picture's file, with that of its folder if there are several folders."""
    file = files[number]
    several = any(other.parent != file.parent for other in files)
    return as_text(f"{file.parent.name}/{file.name}" if several else file.name)


def _drawn_rows(file: TableFile, seed: int, callbacks: Sequence[Callback]) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return random rows of a file, these and further rows that show all its values, and its number of rows."""
    for callback in callbacks:
        callback.on_stage_begin("reading", file.total or 0)

    def report(done: int) -> None:
        for callback in callbacks:
            callback.on_step_end("reading", done, None)

    drawn = file.sample(min(SAMPLED_ROWS, SAMPLED_VALUES // len(file.columns)), seed, report)
    for callback in callbacks:
        callback.on_stage_end("reading", drawn.total)
    return drawn.frame, drawn.known, drawn.total


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
    facts = json.dumps([parameters, [(len(part), part.fingerprint()) for part in parts]], sort_keys=True)
    return f"{prepared.seed}-{hashlib.sha256(facts.encode()).hexdigest()}"


# ---------------------------------------------------------------- attempts


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
                state, apart = _train(detector, prepared, trainer)
        except TrainingDivergedError as error:
            attempt["verdict"] = f"diverged: {error}"
            if best is None and number > restarts:
                tried = f" {number} attempts did, the last at a rate of {rate:g}." if number > 1 else ""
                raise TrainingDivergedError(f"{error}{tried}") from None
            rate, generator_rate = RESTART_RATE * rate, RESTART_RATE * generator_rate
            continue
        attempt["verdict"] = state.diagnosis.verdict
        if best is None or state.diagnosis.better_than(best.diagnosis):
            best, doubts = state, _doubts(detector, prepared, state, apart)
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
    is_image = prepared.preprocessor.spec_.is_image
    for doubt in doubts:
        warnings.warn(CalibrationWarning(doubt.text(), doubt.text(shell=True)), stacklevel=3)
    samples, seed = prepared.samples, prepared.seed
    order = np.random.default_rng(seed).permutation(len(samples))
    digests = RowDigests.of(samples, order, seed, is_image=is_image) if detector.keep_rows else None
    promised = is_image and (detector.contamination == "auto" or "left_out" in best.fitted_on)
    if promised and digests is not None and digests.repeated > MOST_REPEATED:
        warnings.warn(
            f"{digests.repeated:.0%} of the pictures equal another one. Copies that set the threshold were seen in "
            "training, so that it is too low for new pictures: leave copies out.",
            CalibrationWarning,
            stacklevel=3,
        )
    return replace(best, attempts=attempts, digests=digests)


def _attempts_summary(attempts: list[dict[str, Any]], diagnosis: Diagnosis) -> str:
    summary = attempts[0]["verdict"].rstrip(".") + "."
    for attempt in attempts[1:]:
        again = f"Trained again with seed {attempt['seed']} and a learning rate of {attempt['learning_rate']:g}"
        if attempt["generator_learning_rate"] != attempt["learning_rate"]:
            again += f", of the generator {attempt['generator_learning_rate']:g}"
        summary += f" {again}: {attempt['verdict'].rstrip('.')}{', kept' if attempt['kept'] else ''}."
    return f"{summary} {diagnosis.advice}".rstrip()


def _train(detector: FittableDetector, prepared: Prepared, trainer: Trainer) -> tuple[FittedState, np.ndarray]:
    """Build, train, calibrate and diagnose a module, in a `seeded` block.

    Also returns the numbers of the pictures that are so unusual that they set the threshold.
    """
    samples, split, backbone, spec = prepared.samples, prepared.split, prepared.backbone, prepared.preprocessor.spec_
    with OwnInitialisation():
        module = detector.build(backbone).to(device=prepared.device, dtype=torch_dtype(detector.precision))
    module.unlabeled = prepared.unlabeled
    normal, monitored = (in_tiles(samples.subset(rows)) for rows in (split.training, split.monitoring))
    # What is trained on has no name, so that it is gone afterwards: it may fill a large part of the memory.
    history = trainer.fit(
        module, module.before_training(normal), module.as_trained_on(monitored) if len(monitored) else None
    )
    module.after_training(normal)
    first = samples.batch(split.training[:BASELINE_ROWS])
    baseline = first.nanmean(0).nan_to_num() if first.isnan().any() else first.mean(0)  # NaN: outside of a mask
    inference = Inference(module, backbone.members, spec.shape)
    rows = samples.subset(split.calibration)
    # A contamination is the share of the training rows by their own scores, but those of pictures say little.
    left_out = module.left_out if detector.contamination == "auto" or spec.is_image else None
    module.left_out = None
    if left_out is not None and isinstance(samples, TiledSamples):
        left_out = left_out.of_pictures(samples.subset(split.training).counts())
    calibration, scores = calibrate(
        inference, prepared.preprocessor, rows, baseline, detector, held_out=split.held_out, left_out=left_out
    )
    learned = 0 if left_out is None else left_out.scores.shape[1]
    calibrating = np.concatenate([split.calibration[: len(scores) - learned], split.training[:learned]])
    fitted_on = prepared.fitted_on | {"calibration": len(calibrating)} | ({"left_out": learned} if learned else {})
    unseen = np.concatenate([split.monitoring, split.calibration]) if split.held_out else split.monitoring
    # Without unseen rows, those of training are compared with each other.
    assessed, others = (unseen, split.training) if len(unseen) else np.array_split(split.training, 2)
    synthetic: SyntheticRows | None = None
    compared: dict[str, float] = {}
    distances: dict[str, float] = {}
    if prepared.known is not None and module.can("sample"):
        own_seed = derived_seed(prepared.seed, 0)
        synthetic = learn_to_draw_rows(inference, prepared.preprocessor, prepared.known, detector, own_seed, trainer)
        compared, distances = synthetic.compared(prepared.known)
    diagnosis = diagnose_module(
        inference,
        in_tiles(samples.subset(assessed)),
        in_tiles(samples.subset(others)),
        spec,
        history=history,
        steps=detector.steps,
        drawn=None if synthetic is None else synthetic.drawn.codes,
        # It holds scores of whole pictures, which scores of tiles do not compare with.
        calibration=None if isinstance(samples, TiledSamples) else calibration,
        degenerate=column_issues(prepared.hidden, len(prepared.preprocessor.places_))
        | score_issues(
            calibration.scores, _different(samples.subset(calibrating), spec), calibration.threshold, spec.unit
        ),
    )
    if module.can("after_calibration") and split.held_out:
        module.after_calibration(in_tiles(samples.subset(np.concatenate([split.calibration, split.monitoring]))))
        if left_out is None:
            # The module has learned from these rows since, so they score differently now.
            calibration = replace(calibration, reference=np.sort(calibration.combine(inference.score(rows))))
    module.unlabeled = None  # a model does not keep the user's data
    state = FittedState(
        parameters=prepared.parameters,
        features=prepared.features,
        network=NetworkConfig(backbone.name, backbone.members, backbone.width),
        module=module,
        preprocessor=prepared.preprocessor,
        calibration=calibration,
        diagnosis=replace(diagnosis, measures=diagnosis.measures | compared, columns=distances),
        history=history if synthetic is None else history | synthetic.history,
        attempts=[],
        fitted_on=fitted_on,
        baseline=baseline,
        background=None if spec.is_image else _background(normal, prepared.preprocessor, detector.keep_rows),
        rows=None if synthetic is None else synthetic.sampler,
    )
    return state, calibrating[unusual(scores, calibration.threshold)] if learned and spec.is_image else calibrating[:0]


def _background(normal: Samples, preprocessor: Preprocessor, keep_rows: int) -> Tensor:
    """Return the first training rows, which are in random order, or their marginals if none may be kept."""
    rows = normal.batch(np.arange(min(len(normal), keep_rows or MARGINAL_ROWS)))
    return rows if keep_rows else marginals(rows, preprocessor.places_, preprocessor.spec_)


def _different(rows: Samples, spec: SampleSpec) -> int:
    """Return how many of the rows are different; pictures, which would have to be read once more, all count as such."""
    if spec.is_image:
        return len(rows)
    return len(pd.DataFrame(rows.batch(np.arange(len(rows))).numpy()).drop_duplicates())
