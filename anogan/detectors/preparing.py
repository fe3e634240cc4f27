"""The data of a fit: checked, drawn from a file, split, and brought to model space."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch

from ..data.condition import FOLDER, Conditioned
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..engine.callbacks import Callback
from ..engine.device import check_one_process, choose_device, torch_dtype
from ..engine.module import GANModule
from ..engine.validation import MONITOR_ROWS
from ..errors import ColumnWarning, InputError
from ..nn.backbone import Backbone, backbone_for
from ..scoring.exchangeability import copied_rows, unlike_in_blocks
from ..sources.frames import is_folder
from ..sources.said import NOTHING_SAID, said_of
from ..sources.sampling import RowSample
from ..sources.table import TableFile
from ..wording import counted
from .calibrating import ThresholdParameters
from .inputs import Features, check_input, check_training_input
from .synthetic_rows import KnownRows, known_rows

MONITORED_FRACTION = 0.1  # of the rows, at most MONITOR_ROWS, held out for early stopping
FEWEST_ROWS_TO_HOLD_OUT = 10
SAMPLED_ROWS = 2**18  # rows drawn from a file, at most
SAMPLED_VALUES = 2**25  # numbers in them, at most: files with more than 128 columns give fewer rows
CALIBRATION_ROWS = 100_000  # rows drawn from a file that calibrate, at most
DEPENDENT = 0.15  # share of rows that are unusual if blocks are left out, beyond which rows are not exchangeable
HELD_OUT_BLOCKS = 4  # of rows that are not; few, since a group may lie across the border of a block
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

    def in_blocks(self, seed: int) -> "Split":
        """Return a split that holds out as many rows, in blocks of rows that follow each other."""
        n, kept = sum(map(len, self)), len(self.calibration)
        rng = np.random.default_rng(seed)
        sizes = [len(part) for part in np.array_split(np.arange(kept), HELD_OUT_BLOCKS)]
        before = ((np.arange(HELD_OUT_BLOCKS) + rng.random(HELD_OUT_BLOCKS)) / HELD_OUT_BLOCKS * (n - kept)).astype(int)
        starts = before + np.cumsum([0, *sizes[:-1]])
        held_out = np.concatenate([start + np.arange(size) for start, size in zip(starts, sizes, strict=True)])
        others = rng.permutation(np.setdiff1d(np.arange(n), held_out))
        monitored = len(self.monitoring)
        return Split(others[monitored:], others[:monitored], rng.permutation(held_out))

    def with_copies(self, numbers: np.ndarray, seed: int) -> "Split":
        """Return this split of different rows as one of rows, whose copies have the same of the numbers (n,).

        Copies of rows that are held out are not trained on, and only one of them is held out.
        """
        different, first = np.unique(numbers, return_index=True)
        rng = np.random.default_rng(seed)
        training = rng.permutation(np.flatnonzero(np.isin(numbers, different[self.training])))
        return Split(training, first[self.monitoring], first[self.calibration])

    @property
    def assessed(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that a diagnosis is made with, and those that training has seen, beside which they are compared."""
        unseen = np.concatenate([self.monitoring, self.calibration]) if self.held_out else self.monitoring
        if len(unseen):
            return unseen, self.training
        first, second = np.array_split(self.training, 2)  # without unseen rows, those of training are compared
        return first, second


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


def prepare(
    detector: FittableDetector,
    X: Any,
    X_unlabeled: Any,
    parameters: dict[str, Any],
    *,
    callbacks: Sequence[Callback],
    independent: bool,
) -> Prepared:
    """Check the data of a fit, split them, and bring them to model space.

    `parameters` are those of the detector, with the seed of the first attempt as ``random_state``. For `independent`
    see `Detector.fit`.

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
    X, features = check_training_input(X, name)
    split = split_rows(detector, len(X), seed, total)
    preprocessor, samples = _in_model_space(detector, X, known, split, dtype)
    if detector.contamination == "auto" and not independent and not preprocessor.spec_.classes:
        # Samples with a condition are often sorted by it, and each class must be learned.
        other, found = _of_dependent(preprocessor, samples, detector, seed, total)
        if other is not None:
            split, noted = other, noted | found
            preprocessor, samples = _in_model_space(detector, X, known, split, dtype)
    for note in preprocessor.notes_:
        warnings.warn(ColumnWarning(note.text(), note.text(shell=True)), stacklevel=3)
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


def _in_model_space(
    detector: FittableDetector, X: Any, known: Any, split: Split, dtype: torch.dtype
) -> tuple[Preprocessor, Samples]:
    preprocessor = detector.make_preprocessor(X)
    preprocessor.fit(X if known is None else known, rows=split.training, sampled=len(X))
    if not detector.keep_rows:
        preprocessor.blur()
    return preprocessor, preprocessor.transform(X, dtype)


def _of_dependent(
    preprocessor: Preprocessor, samples: Samples, detector: FittableDetector, seed: int, total: int | None
) -> tuple[Split | None, dict[str, float]]:
    """Return another split of samples that are copies or come in groups, or None, and what `Detector.fitted_on_` says.

    A sample that is held out at random would have been seen in training then, nearly.
    """
    places: list[slice] = []
    if preprocessor.places_:
        columns = zip(preprocessor.columns_, preprocessor.places_, strict=True)
        places = [place for column, place in columns if column.kind != "date"]  # neighbours in time have similar dates
    units = None if preprocessor.spec_.is_image else copied_rows(samples, places, seed)
    different = samples if units is None else samples.subset(np.unique(units, return_index=True)[1])
    dependence = unlike_in_blocks(different, places, seed)
    if units is None and not dependence > DEPENDENT:
        return None, {}
    found = {} if units is None else {"copies": 1 - len(different) / len(samples)}
    # A file of which all rows were read is no larger than they are.
    larger = None if total is None or total <= len(samples) else round(total * len(different) / len(samples))
    split = split_rows(detector, len(different), seed, larger)
    if dependence > DEPENDENT:
        found["dependence"] = dependence
        split = split.in_blocks(seed)
    return split if units is None else split.with_copies(units, seed), found


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
