"""One attempt of a fit: networks are built and trained, then calibrated and diagnosed."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..data.spec import SampleSpec
from ..data.tiles import TiledSamples, in_tiles
from ..engine.degenerate import column_issues, score_issues
from ..engine.device import torch_dtype
from ..engine.diagnostics import FEWEST_ROWS, Diagnosis
from ..engine.history import History
from ..engine.inference import Inference
from ..engine.memory import return_freed_memory
from ..engine.trainer import Trainer
from ..explain.marginals import marginals
from ..scoring.calibration import Calibration
from ..seeding import OwnInitialisation, derived_seed
from ..sources.notes import FileNote
from .calibrating import calibrate
from .diagnosing import diagnose_module
from .fitted import FittedState, NetworkConfig
from .preparing import FittableDetector, Prepared
from .synthetic_rows import SyntheticRows, learn_to_draw_rows
from .threshold_doubts import threshold_doubts

BASELINE_ROWS = 512  # training rows whose mean is the baseline, at most
MARGINAL_ROWS = 10_000  # training rows whose marginals are kept if no row is, at most


class _Calibrated(NamedTuple):
    """A calibration, and the rows that it comes from.

    Attributes
    ----------
    calibration : Calibration
    scores : (m,)
        Of the rows.
    rows : (m,) int
        Their positions among the samples of the fit.
    left_out : int
        How many of them, the last ones, are training rows that were scored as if they had been left out.
    """

    calibration: Calibration
    scores: np.ndarray
    rows: np.ndarray
    left_out: int


def train(detector: FittableDetector, prepared: Prepared, trainer: Trainer) -> tuple[FittedState, list[FileNote]]:
    """Build, train, calibrate and diagnose a module, in a `seeded` block.

    Also returns what the user should know of its threshold.
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
    return_freed_memory()
    first = samples.batch(split.training[:BASELINE_ROWS])
    baseline = first.nanmean(0).nan_to_num() if first.isnan().any() else first.mean(0)  # NaN: outside of a mask
    inference = Inference(module, backbone.members, spec.shape)
    calibrated = _calibrated(inference, detector, prepared, baseline)
    synthetic: SyntheticRows | None = None
    if prepared.known is not None and module.can("sample"):
        synthetic = learn_to_draw_rows(
            inference,
            prepared.preprocessor,
            prepared.known,
            detector,
            derived_seed(prepared.seed, 0),
            trainer,
            compared=len(split.assessed[0]) >= FEWEST_ROWS,
        )
    diagnosis = _diagnosis(inference, detector, prepared, history, calibrated, synthetic)
    calibration = calibrated.calibration
    if module.can("after_calibration") and split.held_out:
        module.after_calibration(in_tiles(samples.subset(np.concatenate([split.calibration, split.monitoring]))))
        if not calibrated.left_out:
            # The module has learned from these rows since, so they score differently now.
            scores = calibration.combine(inference.score(samples.subset(split.calibration)))
            calibration = replace(calibration, reference=np.sort(scores))
    module.unlabeled = None  # a model does not keep the user's data
    return_freed_memory()
    left_out = {"left_out": calibrated.left_out} if calibrated.left_out else {}
    state = FittedState(
        parameters=prepared.parameters,
        features=prepared.features,
        network=NetworkConfig(backbone.name, backbone.members, backbone.width),
        module=module,
        preprocessor=prepared.preprocessor,
        calibration=calibration,
        diagnosis=diagnosis,
        history=history if synthetic is None else history | synthetic.history,
        attempts=[],
        fitted_on=prepared.fitted_on | {"calibration": len(calibrated.rows)} | left_out,
        baseline=baseline,
        background=None if spec.is_image else _background(normal, prepared.preprocessor, detector.keep_rows),
        rows=None if synthetic is None else synthetic.sampler,
    )
    return state, threshold_doubts(
        calibration, calibrated.scores, calibrated.rows, detector, prepared, left_out=calibrated.left_out > 0
    )


def _calibrated(inference: Inference, detector: FittableDetector, prepared: Prepared, baseline: Tensor) -> _Calibrated:
    """Calibrate a trained module with the rows that were held out, and with those that it scores as if left out."""
    module, samples, split, spec = inference.module, prepared.samples, prepared.split, prepared.preprocessor.spec_
    # A contamination is the share of the training rows by their own scores, but those of pictures say little. Neither
    # do single rows that are left out of those that are like them.
    counts = not {"dependence", "copies"} & set(prepared.fitted_on) and (
        detector.contamination == "auto" or spec.is_image
    )
    left_out = module.left_out if counts else None
    module.left_out = None
    if left_out is not None and isinstance(samples, TiledSamples):
        left_out = left_out.of_pictures(samples.subset(split.training).counts())
    calibration, scores = calibrate(
        inference,
        prepared.preprocessor,
        samples.subset(split.calibration),
        baseline,
        detector,
        held_out=split.held_out,
        left_out=left_out,
    )
    learned = 0 if left_out is None else left_out.scores.shape[1]
    rows = np.concatenate([split.calibration[: len(scores) - learned], split.training[:learned]])
    return _Calibrated(calibration, scores, rows, learned)


def _diagnosis(
    inference: Inference,
    detector: FittableDetector,
    prepared: Prepared,
    history: History,
    calibrated: _Calibrated,
    synthetic: SyntheticRows | None,
) -> Diagnosis:
    """Diagnose a calibrated module, and compare its synthetic rows with real ones."""
    samples, spec = prepared.samples, prepared.preprocessor.spec_
    assessed, others = prepared.split.assessed
    calibration, columns = calibrated.calibration, len(prepared.preprocessor.places_)
    diagnosis = diagnose_module(
        inference,
        in_tiles(samples.subset(assessed)),
        in_tiles(samples.subset(others)),
        spec,
        history=history,
        steps=detector.steps,
        drawn=None if synthetic is None or synthetic.drawn is None else synthetic.drawn.codes,
        # It holds scores of whole pictures, which scores of tiles do not compare with.
        calibration=None if isinstance(samples, TiledSamples) else calibration,
        degenerate=column_issues(prepared.hidden, columns)
        | score_issues(
            calibration.scores, _different(samples.subset(calibrated.rows), spec), calibration.threshold, spec.unit
        ),
    )
    if synthetic is None or prepared.known is None:
        return diagnosis
    measures, distances = synthetic.compared(prepared.known)
    return replace(diagnosis, measures=diagnosis.measures | measures, columns=distances)


def _background(normal: Samples, preprocessor: Preprocessor, keep_rows: int) -> Tensor:
    """Return the first training rows, which are in random order, or their marginals if none may be kept."""
    rows = normal.batch(np.arange(min(len(normal), keep_rows or MARGINAL_ROWS)))
    return rows if keep_rows else marginals(rows, preprocessor.places_, preprocessor.spec_)


def _different(rows: Samples, spec: SampleSpec) -> int:
    """Return how many of the rows are different; pictures, which would have to be read once more, all count as such."""
    if spec.is_image:
        return len(rows)
    return len(pd.DataFrame(rows.batch(np.arange(len(rows))).numpy()).drop_duplicates())
