"""The scikit-learn interface that all detectors share; a subclass adds parameters and builds its module."""

import contextlib
import inspect
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from ..data.choose import preprocessor_for
from ..data.condition import Conditioned
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..data.tiles import TiledSamples
from ..engine.callbacks import Callback
from ..engine.module import GANModule
from ..errors import CalibrationWarning, InputError, TrainingHealthWarning
from ..files.writing import locked
from ..nn.backbone import Backbone
from ..scoring.calibration import TAILS
from ..scoring.drift import Drift
from ..seeding import draw_seed, seeded
from ..sources.frames import as_frame
from ..sources.notes import in_words_of
from ..sources.table import TableFile
from .common import CommonParameters
from .estimator import BaseEstimator, OutlierMixin
from .fitted import plain
from .fitting import first_seed, fit_detector
from .inputs import check_input
from .model_file import ModelFileMixin, load_detector
from .monitoring import drift, equal_scores, recalibrated
from .preparing import prepare
from .registry import find_classes, register
from .row_sampler import Drafts
from .threshold_doubts import too_few_rows

if TYPE_CHECKING:
    import pandas as pd

    from ..data.image import ImagePreprocessor, ReadPicture
    from ..pyod import AsPyOD
    from ..scoring.picture_scores import PictureScore


class Detector(CommonParameters, ModelFileMixin, OutlierMixin, BaseEstimator):
    """Base class of all detectors.

    Attributes
    ----------
    module_ : GANModule
        The trained networks.
    preprocessor_ : Preprocessor
        Transforms the user's units to those of the networks and back.
    calibration_ : Calibration
        Threshold and p-values.
    offset_ : float
        The negative threshold: ``decision_function = score_samples - offset_``.
    diagnosis_ : Diagnosis
        How training went.
    attempts_ : list of dict
        One entry per training: ``seed``, ``learning_rate``, ``generator_learning_rate``, ``verdict``, and whether it
        was ``kept``.
    history_ : dict
        Training curves, ``stage -> term -> values``. The stage's name holds the loss terms and gradient norms of each
        phase; ``stage/held_out`` (``stage/training`` if no rows are held out) holds the monitor and the critic's
        accuracy.
    fitted_on_ : dict
        Number of ``samples``, and how many of them were used for ``training``, ``watched`` for early stopping and used
        for ``calibration``; how many of the latter were also trained on, and scored as if they had been ``left_out``,
        if there are such; the share of ``copies`` of other rows, if copies were held out together; the ``dependence``
        of samples that follow each other, if blocks of them were held out for it (what
        `anogan.scoring.exchangeability.unlike_in_blocks` returns); the ``versions`` of the packages.
    roles_ : dict
        The roles of columns that the fit was given, by name.
    n_members_ : int
        Number of networks in the ensemble.
    seed_ : int
        The seed that was used.
    n_features_in_, feature_names_in_
        As in scikit-learn, for arrays and tables.
    """

    name: ClassVar[str]
    tiny: ClassVar[dict[str, Any]] = {}
    """Parameters that make this detector cheap, for tests."""
    image_size: ClassVar[int] = 64
    """Side length in pixels to which the command line resizes the pictures of a folder by default."""
    uses_unlabeled: ClassVar[bool] = False
    """Whether `fit` takes X_unlabeled."""
    uses_masks: ClassVar[bool] = False
    """Whether pixels outside of the masks of an ImageFolder are ignored."""
    uses_condition: ClassVar[bool] = False
    """Whether samples may come with a condition that is given rather than scored."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(cls)

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the class's docstring."""
        return inspect.getdoc(cls).splitlines()[0]  # type: ignore[union-attr]

    @abstractmethod
    def build(self, backbone: Backbone) -> GANModule:
        """Return the untrained module for this backbone.

        `load` calls this on torch's meta device, where tensors have shapes and no values, and puts in the tensors of
        the file. All tensors that scoring needs are therefore parameters or buffers, and their sizes follow from the
        parameters and the backbone, or are those of a `LearnedBuffers`.
        """

    def make_preprocessor(self, X: Any) -> Preprocessor:
        """Return the unfitted preprocessor for X."""
        return preprocessor_for(X, scaling=self.scaling, columns=self.columns)

    # ---------------------------------------------------------------- fit

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        X_unlabeled: Any = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        restarts: int = 1,
        independent: bool = False,
        **unknown: Any,
    ) -> Self:
        """Learn what is normal. A fit that fails or is interrupted leaves the detector as it was.

        Parameters
        ----------
        X : array (n, d), DataFrame, images (n, C, H, W), ImageFolder, TableFile, or RowSample
            Normal samples only, n >= 2. A table of polars or Arrow counts as a DataFrame. Row numbers, identifiers and
            texts that differ in most rows are left out of tables with a `ColumnWarning`, unless `columns` gives them a
            role. A `TableFile` is read once and never held in memory: up to `SAMPLED_ROWS` of
            its rows are drawn uniformly, and the detector is fitted on these as on a DataFrame. Up to
            `CALIBRATION_ROWS` of them calibrate, if `calibration_fraction` of the file is that many; since a random
            part of a random sample represents the file, the target false-alarm rate holds. The categories of columns,
            and which columns have missing values, come from the whole file. A `RowSample` was drawn so by a cluster.
        y : None
            Ignored. A scorer of scikit-learn takes the larger label for normal, as in `predict`: with 1 for anomalies
            ``scoring="roc_auc"`` is one minus the AUROC, of which a warning tells. Give 1 for normal rows and -1 for
            anomalies, or the scorer ``lambda detector, X, y: anogan.metrics.auroc(y, detector.anomaly_score(X))``.
        X_unlabeled : like X, optional
            Samples that nobody has labelled, for detectors that also learn from such (`uses_unlabeled`).
        callbacks : sequence of Callback
            Called at each step of the training.
        checkpoint : path, optional
            A directory. If training is killed, calling fit with the same data and parameters resumes it and gives the
            result of an uninterrupted training (bit for bit on CPU). Only one fit at a time can use a directory.
        restarts : int
            How often training is repeated after it diverged or its generator collapsed, with another seed (derived
            from `random_state`) and 0.3 times the learning rate: that of the generator alone after a collapse, so that
            the critic keeps up with it, and that of all networks after a divergence. The attempt kept is one without
            divergence or collapse; among several, the one with the fewest issues, then the one whose samples cover
            more of the held-out rows. A warning and `attempts_` report all attempts.
        independent : bool
            Whether samples that follow each other or repeat each other are independent all the same, for instance
            since X is sorted. Otherwise copies are held out together, and blocks if neighbours are alike.

        Raises
        ------
        InputError
            The data or a parameter cannot be used, or there is a sample_weight: training draws all samples alike.
        TypeError
            An argument is unknown.
        TrainingDivergedError
            A loss became infinite or NaN in every attempt.
        """
        _check_no_more_arguments(unknown)
        if _is_zero_or_one(y):
            warnings.warn(
                "fit ignores y, but a scorer of scikit-learn takes its larger label for normal rows, as in predict. If "
                "1 stands for anomalies, give np.where(y == 1, -1, 1), or else roc_auc is one minus the AUROC.",
                UserWarning,
                stacklevel=2,
            )
        directory = None if checkpoint is None else Path(checkpoint)
        lock = contextlib.nullcontext() if directory is None else locked(directory, folder=True)
        self.check_parameters()
        if X_unlabeled is not None and not self.uses_unlabeled:
            suited = _detectors_with("uses_unlabeled")
            raise InputError(f"{type(self).__name__} learns from normal samples alone; X_unlabeled is for {suited}.")
        if restarts < 0:
            raise InputError(f"restarts must be at least 0, got {restarts}.")
        self._check_condition(X)
        self._check_condition(X_unlabeled)
        self._check_masks(X)
        self._check_masks(X_unlabeled)
        with lock:
            parameters = plain(self.get_params()) | {"random_state": first_seed(self.random_state, directory)}
            try:
                for callback in callbacks:
                    callback.on_fit_begin(parameters)
                prepared = prepare(self, X, X_unlabeled, parameters, callbacks=callbacks, independent=independent)
                state = fit_detector(self, prepared, callbacks=callbacks, checkpoint=directory, restarts=restarts)
            except BaseException:  # Ctrl-C too
                for callback in callbacks:
                    callback.on_fit_end(None)
                raise
        self._state = state
        for callback in callbacks:
            callback.on_fit_end(state.diagnosis)
        return self

    # ---------------------------------------------------------------- scores

    def anomaly_score(self, X: Any) -> np.ndarray:
        """Return how unusual each sample is: float64 ``(n,)``, higher = more anomalous.

        A value of a table that did not occur in fit is evidence: its row is scored with each of the known values in its
        place, and gets the highest score. Such a value is an unknown category, or a missing value in a column that had
        none in fit; for the latter in a column of numbers or dates, up to 17 values from the smallest to the largest
        training value stand in. A `TableFile` is read in parts and never held in memory.

        Values beyond the range of training, and pictures whose files, shape or size are unlike those of the fit, are
        reported by a `RangeWarning`.
        """
        X = as_frame(X)
        ranges, found = self.preprocessor_.range_counter(), []
        for part in self._parts(X) if isinstance(X, TableFile) else [X]:
            found.append(self.fitted_state.score(self._samples(part)))
            ranges.add(part)
        scores = np.concatenate(found)
        ranges.warn(stacklevel=2)
        if not isinstance(X, TableFile):
            self._warn_of_equal(X, scores)
        return scores

    def score_part(self, X: Any) -> np.ndarray:
        """Return `anomaly_score` of one part of the data; the caller counts what lies beyond the range of training.

        `Stream` counts them over all parts.
        """
        X = as_frame(X)
        scores = self.fitted_state.score(self._samples(X))
        self._warn_of_equal(X, scores)
        return scores

    def score_samples(self, X: Any) -> np.ndarray:
        """Return scikit-learn's score, higher = more normal: ``-anomaly_score(X)``."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``, which is negative for flagged samples."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for flagged samples and +1 for others: int ``(n,)``."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_value(self, X: Any, tail: str = "empirical") -> np.ndarray:
        """Return split-conformal p-values in (0, 1]: the probability that a normal sample scores at least as high.

        ``tail`` is that of `flag`.
        """
        _check_tail(tail)
        scores = self.anomaly_score(X)
        return self.calibration_.p_value(scores, tail)

    def flag(self, X: Any, fdr: float = 0.05, tail: str = "empirical") -> np.ndarray:
        """Flag samples so that at most a share ``fdr`` of them is normal in expectation.

        Parameters
        ----------
        X : like that of `anomaly_score`
        fdr : float
            False discovery rate, in (0, 1), of the procedure of Benjamini and Hochberg on all p-values.
        tail : {"empirical", "fitted"}
            Empirical p-values keep the rate whatever the data are (Bates 2023, arXiv:2104.08279), but with m
            calibration rows none is below ``1 / (m + 1)``, so that few anomalies among many rows cannot be flagged.
            "fitted" takes those of a generalised Pareto distribution of the highest calibration scores where they are
            smaller: a model, not a promise. benchmarks/results/discoveries.md measures both.

        Returns
        -------
        (n,) bool
            None is True, with a `CalibrationWarning`, if there are too few calibration rows to flag any.

        Raises
        ------
        InputError
            X or a parameter cannot be used, or there are too few calibration rows to fit a tail.
        """
        if not 0 < fdr < 1:
            raise InputError(f"fdr must be between 0 and 1, got {fdr}.")
        _check_tail(tail)
        scores = self.anomaly_score(X)
        p = self.calibration_.p_value(scores, tail)
        if tail == "empirical" and (note := self.calibration_.fdr_note(p, len(p), fdr)):
            ways = "Call recalibrate with more normal rows, raise fdr, or use tail='fitted' (a model, not a promise)."
            words = in_words_of(f"{note[0].upper()}{note[1:]} {ways}", is_image=self.preprocessor_.spec_.is_image)
            warnings.warn(words, CalibrationWarning, stacklevel=2)
        return self.calibration_.flag(scores, fdr, tail)

    def was_fitted_on(self, X: Any) -> np.ndarray:
        """Return which samples equal one of the fit, whose scores are lower than those of new samples.

        A model keeps a 32-bit digest of each sample of the fit, of at most 262,144 rows or 2,000 pictures, which are
        then drawn at random.

        Returns
        -------
        (n,) bool

        Raises
        ------
        InputError
            X cannot be used, or the model has no digests.
        """
        X = as_frame(X)
        if (digests := self.fitted_state.digests) is None:
            raise InputError("The model holds no digests of the rows that it was fitted on, since keep_rows was 0.")
        return digests.known(self._samples(X))

    def score_table(self, X: Any, *, on_gap: str = "score") -> "pd.DataFrame":
        """Return the score of each row that can be scored, and why others cannot; `anogan score` writes the same.

        The other methods raise for a row that cannot be scored: one with an infinite value, with a value of another
        type than its column, with an unknown condition, or, in an array, with a missing value.

        Parameters
        ----------
        X : array (n, d), DataFrame, or Conditioned
        on_gap : {"score", "skip"}
            Whether a row of a table with a missing value in a column that had none in fit is scored, as one with an
            unseen value, or cannot be scored.

        Returns
        -------
        DataFrame
            With the index of X, and the columns ``score`` and ``p_value`` (NaN where the row cannot be scored),
            ``flag`` (whether the score exceeds the threshold; NA there), ``unseen`` (the columns with values that did
            not occur in fit, separated by commas; missing where there are none) and ``status`` ("ok", or why the row
            cannot be scored).

        Raises
        ------
        InputError
            X as a whole cannot be used, such as a table without one of the columns.
        """
        from ..scoring.row_scores import score_table

        return score_table(self, X, on_gap)

    def score_picture(self, picture: Any, *, bgr: bool = False, with_map: bool = False) -> "PictureScore":
        """Return the score of one picture, such as a frame of a camera, which is resized like those of a folder.

        Parameters
        ----------
        picture : path, PIL image, or array (H, W) or (H, W, C)
            C is 1, 3 or 4 (with transparency). The array has dtype uint8 or uint16, or floats from 0 to 1. One whose
            shape, size or format is unlike that of the files of the fit is reported by a `RangeWarning`. A path is
            taken for JPEG by its suffix, a PIL image by its ``format``. Give a PIL image as it was opened: ``convert``
            forgets its format, ``load`` that its colours had 16 bits, and neither is reported then. The score of a
            JPEG with sides of at least 8 times the model's (3,072 pixels by default) differs by path and as an
            array, since noise does: files so large are decoded at a smaller size; see `ImageFolder`.
        bgr : bool
            Whether the channels of an array are blue, green, red, as OpenCV's are.
        with_map : bool
            Also return the anomaly map.

        Raises
        ------
        InputError
            If it is no such picture, or the detector was not fitted on pictures.
        """
        from ..scoring.picture_scores import score_picture

        state = self.fitted_state

        def score(preprocessor: "ImagePreprocessor", read: "ReadPicture") -> tuple[np.ndarray, np.ndarray | None]:
            sample = preprocessor.transform_picture(read, state.inference.weight.dtype)
            return state.predict_maps(sample) if with_map else (state.score(sample), None)

        return score_picture(self, picture, score, bgr=bgr)

    # ---------------------------------------------------------------- explanations

    def explain(self, X: Any) -> "np.ndarray | pd.DataFrame":
        """Return the contribution of each column or pixel to the scores: numbers >= 0 in X's shape.

        The contribution of a column is the fall of the score when the column takes the value of similar normal rows;
        this costs one scoring per column. The contribution of a pixel is the module's own anomaly map if it has one,
        the absolute residual in the networks' units if it reconstructs, otherwise integrated gradients.
        """
        X = as_frame(X)
        samples = self.fitted_state.as_scored(self._samples(X))
        return _with_index_of(X, self.fitted_state.explainer.errors(samples))

    def predict_maps(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and the anomaly maps of pictures in one pass of the networks.

        Each picture is decoded once, and networks that scores and maps share run once. The results are those of
        `anomaly_score` and `explain`.

        Parameters
        ----------
        X : images (n, C, H, W), ImageFolder, or Conditioned
            Pictures.

        Returns
        -------
        scores : (n,) float64
            Higher = more anomalous.
        maps : (n, C, H, W) float64
            Contribution of each pixel, >= 0.

        Raises
        ------
        InputError
            X cannot be used, or the detector was fitted on rows; their columns are explained by `explain`.
        """
        found = self.maps_of_part(X)
        ranges = self.preprocessor_.range_counter()
        ranges.add(X)
        ranges.warn(stacklevel=2)
        return found

    def maps_of_part(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return `predict_maps` of one part of the data; see `score_part`."""
        samples = self._samples(X)
        if not self.preprocessor_.spec_.is_image:
            raise InputError("predict_maps needs pictures, and this detector was fitted on rows. Use explain instead.")
        scores, maps = self.fitted_state.predict_maps(samples)
        self._warn_of_equal(X, scores)
        return scores, maps

    def reasons(self, X: Any, count: int = 3) -> "pd.DataFrame":
        """Return the columns that contributed most to each row's score, with the values of similar normal rows.

        Similar rows are the `SIMILAR` training rows that are nearest in all other columns, out of at most ``keep_rows``
        that the model keeps. With ``keep_rows=0`` they are `marginals`: the distribution of each column by itself.

        Parameters
        ----------
        X : array (n, d) or DataFrame
        count : int
            Number of columns per row, at most; columns that contribute nothing are left out.

        Returns
        -------
        DataFrame
            One line per reason, ordered by row and rank, with the fields of `anogan.explain.reasons.Reason`.

        Raises
        ------
        InputError
            X cannot be used, or holds pictures.
        """
        X = as_frame(X)
        samples = self._samples(X)
        if count < 1:
            raise InputError(f"count must be at least 1, got {count}.")
        if self.preprocessor_.spec_.is_image:
            raise InputError("Reasons name columns, and pictures have none; explain gives their heatmaps.")
        return self.fitted_state.explainer.reasons(self.fitted_state.as_scored(samples), X, count)

    def reconstruct(self, X: Any) -> "np.ndarray | pd.DataFrame":
        """Return the most similar normal samples that the model can generate, in X's own units.

        Raises
        ------
        InputError
            The detector has no reconstruction.
        """
        X = as_frame(X)
        self._require("reconstruct")
        samples = self._samples(X)
        if isinstance(samples, TiledSamples):
            raise InputError("Pictures that are scored in tiles cannot be reconstructed.")
        made = self.fitted_state.inference.mean(samples, self.module_.reconstruct)
        return _with_index_of(X, self.preprocessor_.inverse(made))

    def sample(self, n: int = 1, random_state: Any = None) -> "np.ndarray | pd.DataFrame":
        """Return ``n`` synthetic normal samples in the units of the training data.

        Rows of tables and arrays have values that their columns can have: exact zeros and other frequent values,
        decimals and whole numbers as in training, known categories and missing values at their rates, and nothing
        beyond the range of training. The generator's row decides what a row is like, and a decoder
        (`anogan.nn.autoregressive.RowDecoder`) draws its values given this and each other. ``diagnosis_`` tells how
        synthetic rows compare with real ones. They are not private: nothing keeps them from being close to training
        rows.

        Raises
        ------
        InputError
            The detector does not generate samples, or n is not a whole number of at least 1.
        """
        self._require("sample")
        if not isinstance(n, Integral) or n < 1:
            raise InputError(f"n must be a whole number of at least 1, got {n!r}.")
        state, each = self.fitted_state, -(-n // self.n_members_)
        with seeded(draw_seed(random_state)), torch.no_grad():
            if state.rows is not None:
                return self.preprocessor_.restore(state.rows.sample(Drafts(state.module, self.n_members_), n))
            fake = self.module_.sample(each)  # (K, each, *shape)
        rows = fake.transpose(0, 1).flatten(0, 1)[:n]  # each member contributes its share
        return self.preprocessor_.inverse(rows.cpu().double().numpy())

    # ---------------------------------------------------------------- new data after a while

    def recalibrate(self, X: Any) -> Self:
        """Set threshold and p-values with other normal samples; the networks and the scales of members stay.

        Parameters
        ----------
        X : like that of `fit`, or an iterator over parts of it
            Normal samples that `fit` did not see, since those it has learned from score too low. ``target_fpr`` and
            ``contamination`` may have been set since.

        Raises
        ------
        InputError
            X cannot be used. The detector stays as it was.
        """
        state = self.fitted_state
        self.check_parameters()
        state = recalibrated(state, map(self._samples, self._parts(X)), self)
        if message := too_few_rows(len(state.calibration.scores), self, "target_fpr"):
            words = in_words_of(message, is_image=state.preprocessor.spec_.is_image)
            warnings.warn(words, CalibrationWarning, stacklevel=2)
        self._state = state
        return self

    def drift(self, X: Any) -> Drift:
        """Test whether new samples still score like the normal ones that set the threshold.

        Parameters
        ----------
        X : like that of `anomaly_score`, or an iterator over parts of it

        Raises
        ------
        InputError
            X cannot be used.
        """
        return drift(self.fitted_state, map(self._samples, self._parts(X)))

    # ---------------------------------------------------------------- other interfaces

    @staticmethod
    def load(path: str | os.PathLike[str], *, device: str = "auto") -> "Detector":
        """Read a model file onto a device.

        Raises
        ------
        FormatError
            The file is not a model file, has another format version, or was altered or truncated.
        InputError
            The device cannot be used.
        """
        detector: Detector = load_detector(path, device)
        return detector

    def as_pyod(self) -> "AsPyOD":
        """Return this detector with PyOD's interface (``decision_scores_``, ``labels_``, ``predict_proba``, ...)."""
        from ..pyod import AsPyOD

        self.check_parameters()  # PyOD allows other values of contamination
        return AsPyOD(self)

    # ---------------------------------------------------------------- input

    def _samples(self, X: Any) -> Samples:
        """Check X against the data of the fit and bring it to model space."""
        state = self.fitted_state
        self._check_condition(X)
        self._check_masks(X)
        if isinstance(X, Conditioned) and not state.preprocessor.spec_.classes:
            raise InputError("X has a condition, but the model was fitted without one.")
        X = check_input(X, type(self).__name__, state.features)
        return state.preprocessor.transform(X, state.inference.weight.dtype)

    def _parts(self, X: Any) -> Iterator[Any]:
        """Yield X in parts: those of a file or an iterator; other data are one part."""
        if isinstance(X, TableFile):
            return X.in_units(self.preprocessor_.units()).frames(self.preprocessor_.column_types())
        return X if isinstance(X, Iterator) else iter([X])

    def _check_masks(self, X: Any) -> None:
        if getattr(X, "masks", None) is not None and not self.uses_masks:
            raise InputError(f"{type(self).__name__} takes no masks; {_detectors_with('uses_masks')} does.")

    def _check_condition(self, X: Any) -> None:
        if isinstance(X, Conditioned) and not self.uses_condition:
            raise InputError(f"{type(self).__name__} takes no condition; {_detectors_with('uses_condition')} does.")

    def _warn_of_equal(self, X: Any, scores: np.ndarray) -> None:
        if message := equal_scores(self.fitted_state, X, scores):
            words = in_words_of(message, is_image=self.preprocessor_.spec_.is_image)
            warnings.warn(words, TrainingHealthWarning, stacklevel=3)

    def _require(self, method: str) -> None:
        if not self.module_.can(method):
            raise InputError(f"{type(self).__name__} cannot {method}: its networks have no part that does.")


def _check_tail(tail: str) -> None:
    if tail not in TAILS:
        raise InputError(f"tail must be one of {', '.join(map(repr, TAILS))}, got {tail!r}.")


def _detectors_with(capability: str) -> str:
    """Return the names of the classes that have a capability."""
    return " or ".join(cls.__name__ for cls in find_classes().values() if getattr(cls, capability))


def _check_no_more_arguments(unknown: dict[str, Any]) -> None:
    """Refuse arguments of fit that it does not have; sample_weight is not among them, or scikit-learn would send it."""
    if unknown.get("sample_weight") is not None:
        raise InputError(
            "fit takes no sample_weight: training draws all samples alike, and the threshold counts each once. Leave "
            "out samples, or repeat those that weigh more."
        )
    if names := [name for name in unknown if name != "sample_weight"]:
        raise TypeError(f"fit() got an unexpected keyword argument '{names[0]}'")


def _is_zero_or_one(y: Any) -> bool:
    """Whether y has the two labels 0 and 1 (or false and true)."""
    labels = np.asarray([] if y is None else y)
    return labels.dtype.kind in "biuf" and np.array_equal(np.unique(labels), [0, 1])


def _with_index_of(X: Any, result: Any) -> Any:
    """Give a table the row labels of the table that it answers for."""
    if hasattr(result, "iloc") and hasattr(X, "iloc"):
        result.index = X.index
    return result
