"""The part of a fit that learns to draw synthetic rows, and measures how they compare with real ones."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from ..data.bins import ColumnBins
from ..data.condition import Conditioned
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples, TensorSamples
from ..engine.diagnostics import FEWEST_ROWS
from ..engine.history import History
from ..engine.inference import Inference
from ..engine.row_fidelity import Rows, compare
from ..engine.settings import TrainerSettings
from ..engine.trainer import Trainer
from ..seeding import OwnInitialisation, seeded
from .row_sampler import Drafts, RowModule, RowSampler, decoder_for

LEARNING_RATE = 3e-3  # of the decoder; likelihood is not a game, so that one rate suits all data
TRAINING_ROWS = 2**14  # rows that the decoder learns from, at most
MONITORED_ROWS = 512  # rows that stop its training, at most
COMPARED_ROWS = 1024  # real rows that synthetic ones are compared with, at most


class SamplingDetector(Protocol):
    """The parameters of a detector on which its sampler of rows depends."""

    steps: int
    batch_size: int
    ema_decay: float
    patience: int
    keep_rows: int


@dataclass(frozen=True)
class KnownRows:
    """Rows of a fit in the user's values and in model space, in three parts.

    Attributes
    ----------
    training, monitoring, unseen : Rows
        Rows that train the networks, that stop training, and that no training sees; the latter two may be empty.
    categorical : (D,) bool
    names : list of str
        Of the columns.
    """

    training: Rows
    monitoring: Rows
    unseen: Rows
    categorical: np.ndarray
    names: list[str]


def known_rows(
    preprocessor: Preprocessor,
    X: Any,
    samples: Samples,
    training: np.ndarray,
    monitoring: np.ndarray,
    unseen: np.ndarray,
) -> KnownRows | None:
    """Return some rows of X of each part, whose indices are given; None for pictures."""
    if preprocessor.spec_.is_image:
        return None

    def rows(chosen: np.ndarray) -> Rows:
        codes = samples.batch(chosen).double().numpy()
        columns = len(preprocessor.value_columns_)
        return Rows(preprocessor.values(_taken(X, chosen)) if len(chosen) else np.empty((0, columns)), codes)

    return KnownRows(
        training=rows(training[:TRAINING_ROWS]),
        monitoring=rows(monitoring[:MONITORED_ROWS]),
        unseen=rows(unseen[:COMPARED_ROWS]),
        categorical=np.array([column.kind in ("category", "boolean") for column in preprocessor.value_columns_]),
        names=[str(column.name) for column in preprocessor.value_columns_],
    )


@dataclass(frozen=True)
class SyntheticRows:
    """A sampler of rows, the curves of its training, and rows that it has drawn.

    Attributes
    ----------
    sampler : RowSampler
    history : History
    drawn : Rows or None
        None if there are too few real rows to compare with.
    """

    sampler: RowSampler
    history: History
    drawn: Rows | None

    def compared(self, known: KnownRows) -> tuple[dict[str, float], dict[str, float]]:
        """Return measures and distances of columns, see `Diagnosis`; none with too few rows to compare with."""
        if self.drawn is None or len(known.unseen.values) < FEWEST_ROWS:
            return {}, {}
        return compare(known.unseen, self.drawn, known.training.codes, known.categorical, known.names)


def learn_to_draw_rows(
    inference: Inference,
    preprocessor: Preprocessor,
    known: KnownRows,
    detector: SamplingDetector,
    seed: int,
    of: Trainer,
    *,
    compared: bool,
) -> SyntheticRows:
    """Train a decoder of the rows that a trained generator makes.

    Parameters
    ----------
    inference : Inference
        Of the generator's module.
    preprocessor : Preprocessor
        Fitted.
    known : KnownRows
    detector : SamplingDetector
    seed : int
    of : Trainer
        The one that trained the generator.
    compared : bool
        Whether rows are drawn, for a comparison with real ones.
    """
    weight = inference.weight
    bins = ColumnBins.fit(known.training.values, known.categorical, single_values=detector.keep_rows > 0)
    drafts = Drafts(inference.module, inference.members)

    def samples(rows: Rows) -> TensorSamples:
        both = np.concatenate([bins.tokens(rows.values), rows.codes], axis=1)
        return TensorSamples(torch.from_numpy(both).to(weight.dtype))

    trainer = Trainer(
        TrainerSettings(detector.steps, detector.batch_size, LEARNING_RATE, detector.ema_decay, detector.patience),
        seed=seed,
        members=1,
        device=weight.device,
        callbacks=of.callbacks,
        checkpoint=None if of.checkpoint is None else of.checkpoint / "rows",
        run_key=of.run_key,
    )
    with seeded(seed):
        with OwnInitialisation():
            decoder = decoder_for(bins, known.training.codes.shape[1])
        module = RowModule(drafts, decoder.to(weight))
        held_out = samples(known.monitoring) if len(known.monitoring.values) else None
        history = trainer.fit(module, samples(known.training), held_out)
        sampler = RowSampler(bins, decoder)
        values = sampler.sample(drafts, 2 * COMPARED_ROWS) if compared else None
    if values is None:
        return SyntheticRows(sampler, history, None)
    codes = preprocessor.transform(preprocessor.restore(values), weight.dtype)
    return SyntheticRows(sampler, history, Rows(values, codes.batch(np.arange(len(values))).double().numpy()))


def _taken(X: Any, rows: np.ndarray) -> Any:
    """Some rows of a table, of an array, or of either with a condition."""
    if isinstance(X, Conditioned):
        return Conditioned(X.X[rows], X.labels.iloc[rows])
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
