"""The scikit-learn face that all detectors share; a subclass adds parameters and builds its module."""

import hashlib
import inspect
import json
import os
import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..data.choose import preprocessor_for
from ..data.condition import Conditioned
from ..data.samples import Samples, TensorSamples
from ..data.scaling import SCALINGS
from ..engine.callbacks import Callback
from ..engine.checkpoint import read_checkpoint
from ..engine.diagnostics import FEWEST_ROWS, Diagnosis, diagnose
from ..engine.history import History
from ..engine.module import GANModule
from ..engine.trainer import MONITOR_ROWS, Trainer, TrainerSettings
from ..errors import FormatError, InputError, TrainingDivergedError
from ..nn import dcgan, mlp, style  # noqa: F401  (they enter themselves into the table of backbones)
from ..nn.backbone import Backbone, backbone_for
from ..nn.frozen import SHOWN_CHANNELS, pretrained
from ..parameters import Constraint, Parametrised, above, at_least, between, one_of, param
from ..persistence import ModelFile, read_model, write_model
from ..scoring.calibration import Calibration, conformal_threshold, member_scales
from ..scoring.drift import Drift, compare
from ..scoring.explain import error_map, occlusion
from ..scoring.reasons import describe, leading
from ..scoring.similar import SIMILAR, SimilarRows
from ..seeding import derived_seed, draw_seed, forked_torch_rng
from ..sources.table import TableFile
from .estimator import BaseEstimator, OutlierMixin
from .registry import find_class, register

if TYPE_CHECKING:
    import pandas as pd

    from ..pyod import AsPyOD

VALIDATION_FRACTION = 0.1  # of the rows, at most MONITOR_ROWS, watched for early stopping
FEWEST_ROWS_TO_HOLD_OUT = 10
SAMPLED_ROWS = 2**18  # of a file, at most
SAMPLED_VALUES = 2**25  # numbers in them: of more than 128 columns fewer rows
CALIBRATION_ROWS = 100_000  # of them, at most
VALUES_AT_ONCE = 2**20  # numbers in a scored batch, over all members
DIAGNOSED_ROWS = 512
RECONSTRUCTED_ROWS = 64  # of them, where reconstructions stand for samples
RESTART_RATE = 0.3  # of the learning rate, at each further attempt
PERCEPTION = "efficientnet_lite0"  # the network in whose features generated pictures are judged
NOTED_VERSIONS = ("anogan", "torch", "numpy")
MAPPED_PICTURES = 256  # whose error maps set the threshold of pixels, at most
EXPLAINED_ROWS = 200  # of each part, whose reasons are compared with those of normal rows, at most
NORMAL_ROWS = 1000  # training rows that are kept to compare others with, at most


class TrainingHealthWarning(UserWarning):
    """Training ended, but its diagnosis is not healthy, or only that of a further attempt is."""


class CalibrationWarning(UserWarning):
    """There are too few rows to keep the promised false-alarm rate."""


class Detector(Parametrised, OutlierMixin, BaseEstimator):
    """What every detector does; see the subclasses.

    Attributes
    ----------
    module_ : GANModule
        The trained networks.
    preprocessor_ : Preprocessor
        From the user's units to the networks' and back.
    calibration_ : Calibration
        Threshold and p-values.
    offset_ : float
        Minus the threshold; ``decision_function = score_samples - offset_``.
    diagnosis_ : Diagnosis
        How training went.
    attempts_ : list of dict
        Of each training: ``seed``, ``learning_rate``, ``verdict``, and whether it is the one that was ``kept``.
    history_ : dict
        Curves, ``stage -> term -> values``: loss terms and gradient norms of each phase under the stage's name, and
        under ``stage/held_out`` (``stage/training``, where no rows are held out) the monitor and the critic's accuracy.
    fitted_on_ : dict
        ``samples`` in all, of which ``training``, ``watched`` for early stopping and ``calibration``, and the
        ``versions`` of what fitted them; empty for models saved by an anogan that did not note it.
    n_members_ : int
        Networks in the ensemble.
    seed_ : int
        The seed that was used.
    n_features_in_, feature_names_in_
        As in scikit-learn, for arrays and tables.
    """

    name: ClassVar[str]
    tiny: ClassVar[dict[str, Any]] = {}
    """Parameters that make this detector cheap, for tests."""
    image_size: ClassVar[int] = 64
    """Side in pixels to which the command line resizes a folder's pictures, unless told otherwise."""
    uses_unlabeled: ClassVar[bool] = False
    """Whether `fit` takes X_unlabeled."""

    width: int | None = param(
        None,
        at_least(1, optional=True),
        help="Hidden units (tables, default 128) or channels of the first level (pictures, default 16).",
    )
    backbone: str = param(
        "auto",
        one_of("auto", "mlp", "dcgan", "style"),
        help="Kind of network; auto: mlp for vectors, dcgan for pictures; style: StyleGAN2's generators and critics.",
    )
    n_members: int | None = param(
        None,
        at_least(1, optional=True),
        help="Networks trained side by side; they judge together (default: 4 on tables, 1 on pictures).",
    )
    steps: int = param(1000, at_least(1), help="Training budget of each stage, in batches.")
    batch_size: int = param(64, at_least(1), help="Rows per training step.")
    learning_rate: float = param(1e-3, above(0.0), help="Of Adam.")
    ema_decay: float = param(
        0.99, between(0.0, 1.0, open_high=True), help="Averaging of the weights over steps; 0 takes the last ones."
    )
    patience: int = param(
        5,
        at_least(0),
        help="Looks at held-out rows (20 in a stage) without improvement until training stops; 0: never.",
    )
    scaling: str = param("asinh", one_of(*SCALINGS), help="How numeric columns are brought to one scale.")
    contamination: float | str = param(
        "auto",
        Constraint(float, 0.0, 0.5, open_low=True, choices=("auto",)),
        help="auto: threshold from held-out rows and target_fpr; a number: that share of the training rows is flagged.",
    )
    target_fpr: float = param(
        0.01, between(0.0, 1.0, open_low=True, open_high=True), help="Promised false-alarm rate on normal rows."
    )
    calibration_fraction: float = param(
        0.2,
        between(0.0, 1.0, open_low=True, open_high=True),
        help="Share of the rows held out of training to set threshold and p-values.",
    )
    precision: str = param("float32", one_of("float32", "float64"), help="Of all network arithmetic.")
    device: str = param("auto", Constraint(str), help="auto, cpu, cuda, cuda:1, mps, ...")
    random_state: Any = param(None, at_least(0, optional=True), help="Seed; the same seed gives the same scores.")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(cls)

    @classmethod
    def summary(cls) -> str:
        """The first line of the class's docstring."""
        return inspect.getdoc(cls).splitlines()[0]  # type: ignore[union-attr]

    @abstractmethod
    def build(self, backbone: Backbone) -> GANModule:
        """The untrained module for this backbone."""

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
    ) -> Self:
        """Learn what is normal. If that fails or is interrupted, the detector is as it was before.

        Parameters
        ----------
        X : array (n, d), DataFrame, images (n, C, H, W), ImageFolder, or TableFile
            Normal samples only, n >= 2. A `TableFile` is read once and never held: up to `SAMPLED_ROWS` of its rows
            are drawn uniformly, and all is learned from these, as from a DataFrame of them (with fewer rows in the
            file: from all). A random part of a random sample is as good as one of the file for calibration, so the
            promised false-alarm rate holds. It may be up to `CALIBRATION_ROWS`, if `calibration_fraction` of the file
            is that many. Exact over the whole file is what can occur: which columns have gaps, and all categories.
        y : None
            Ignored.
        X_unlabeled : like X, optional
            Samples that nobody has labelled, for detectors that learn from such a unlabeled too (`uses_unlabeled`).
        callbacks : sequence of Callback
            Told of each step.
        checkpoint : path, optional
            A directory. Training that was killed resumes from it when called again with the same data and
            parameters, and ends as if it had never stopped (bit for bit on CPU).
        restarts : int
            How often training may begin anew, with another seed (that follows from `random_state`) and 0.3 times the
            learning rate, after it diverged or its generator collapsed. Kept is an attempt that did neither, of several
            that with the fewest issues, then that whose samples cover more of the held-out rows. A warning and
            `attempts_` tell.

        Raises
        ------
        InputError
            The data or a parameter cannot be used.
        TrainingDivergedError
            A loss became infinite or NaN.
        """
        self.check_parameters()
        if X_unlabeled is not None and not self.uses_unlabeled:
            raise InputError(f"{type(self).__name__} learns from normal samples alone; X_unlabeled is for CycleGAN.")
        if restarts < 0:
            raise InputError(f"restarts must be at least 0, got {restarts}.")
        before = dict(self.__dict__)
        try:
            self._fit(X, X_unlabeled, callbacks, checkpoint, restarts)
        except BaseException:  # Ctrl-C too: parts of two fits together would give scores of neither
            self.__dict__.clear()
            self.__dict__.update(before)
            for callback in callbacks:
                callback.on_fit_end(None)
            raise
        for callback in callbacks:
            callback.on_fit_end(self.diagnosis_)
        return self

    def _fit(
        self,
        X: Any,
        X_unlabeled: Any,
        callbacks: Sequence[Callback],
        checkpoint: str | os.PathLike[str] | None,
        restarts: int,
    ) -> None:
        self._fitted_with = _plain(self.get_params())
        directory = None if checkpoint is None else Path(checkpoint)
        self.seed_ = self._first_seed(directory)
        known = total = None
        if isinstance(X, TableFile):
            X, known, total = self._drawn(X, callbacks)
        X = self._checked(X, reset=True)
        known = X if known is None else known
        parts = self._split(len(X), total)
        self.fitted_on_ = {
            "samples": total or len(X),
            **dict(zip(("training", "watched", "calibration"), map(len, parts), strict=True)),
            "versions": {name: str(sys.modules[name].__version__) for name in NOTED_VERSIONS},
        }
        condition = getattr(self, "condition", None)  # a parameter of those that know what that is
        self.preprocessor_ = preprocessor_for(X, scaling=self.scaling, condition=condition).fit(known, rows=parts[0])
        samples = self.preprocessor_.transform(X, self._dtype)
        if len(samples) < 2:
            raise InputError(f"X has {len(samples)} samples; at least 2 are needed.")
        unlabeled = None
        if isinstance(X_unlabeled, TableFile):
            X_unlabeled, _, _ = self._drawn(X_unlabeled, callbacks)
        if X_unlabeled is not None:
            unlabeled = self.preprocessor_.transform(self._checked(X_unlabeled, reset=False), self._dtype)
        self._device()  # says so before anything is begun
        for callback in callbacks:
            callback.on_fit_begin(self._fitted_with | {"random_state": self.seed_})
        self._train(samples, unlabeled, parts, callbacks, directory, restarts)

    def _first_seed(self, directory: Path | None) -> int:
        """The seed, which an unseeded training that resumes has from its checkpoint."""
        if directory is not None and self.random_state is None:
            for saved in map(read_checkpoint, (directory, *sorted(directory.glob("attempt-*")))):
                if saved is not None:
                    return int(saved[1]["run_key"].split("-")[0])
        return draw_seed(self.random_state)

    def _train(
        self,
        samples: Samples,
        unlabeled: Samples | None,
        parts: tuple[np.ndarray, np.ndarray, np.ndarray],
        callbacks: Sequence[Callback],
        directory: Path | None,
        restarts: int,
    ) -> None:
        """Train, and again after a failure that another seed and a lower rate may mend; keep the best attempt.

        An earlier attempt of a fit that resumes is finished in its checkpoint, so that nothing of it is played again.
        """
        run_key = "" if directory is None else self._run_key(samples, unlabeled)
        self.attempts_: list[dict[str, Any]] = []
        best: dict[str, Any] | None = None
        for number in range(1, restarts + 2):
            seed = self.seed_ if number == 1 else derived_seed(self.seed_, number)
            rate = self._fitted_with["learning_rate"] * RESTART_RATE ** (number - 1)
            for callback in callbacks:
                callback.on_attempt_begin(number, seed, rate)
            settings = TrainerSettings(self.steps, self.batch_size, rate, self.ema_decay, self.patience)
            home = directory if directory is None or number == 1 else directory / f"attempt-{number}"
            attempt: dict[str, Any] = {"seed": seed, "learning_rate": rate, "kept": False}
            self.attempts_.append(attempt)
            try:
                with forked_torch_rng(seed, self._device()):
                    self._attempt(samples, unlabeled, parts, settings, seed, callbacks, home, run_key)
            except TrainingDivergedError as error:
                attempt["verdict"] = f"diverged: {error}"
                if best is None and number > restarts:
                    tried = f" {number} attempts did, the last at a rate of {rate:g}." if number > 1 else ""
                    raise TrainingDivergedError(f"{error}{tried}") from None
                continue
            attempt["verdict"] = self.diagnosis_.verdict
            if best is None or self.diagnosis_.better_than(best["diagnosis_"]):
                best = dict(self.__dict__)
                for each in self.attempts_:
                    each["kept"] = each is attempt
            if not self.diagnosis_.remediable:
                break
        assert best is not None
        self.__dict__.update(best)
        if len(self.attempts_) > 1 or not self.diagnosis_.healthy:
            warnings.warn(f"{type(self).__name__}: {self._attempts_summary()}", TrainingHealthWarning, stacklevel=4)

    def _attempts_summary(self) -> str:
        """What became of the attempts."""
        story = self.attempts_[0]["verdict"].rstrip(".") + "."
        for attempt in self.attempts_[1:]:
            again = f"Begun anew with seed {attempt['seed']} and a learning rate of {attempt['learning_rate']:g}"
            story += f" {again}: {attempt['verdict'].rstrip('.')}{', kept' if attempt['kept'] else ''}."
        return f"{story} {self.diagnosis_.advice}".rstrip()

    def _attempt(
        self,
        samples: Samples,
        unlabeled: Samples | None,
        parts: tuple[np.ndarray, np.ndarray, np.ndarray],
        settings: TrainerSettings,
        seed: int,
        callbacks: Sequence[Callback],
        directory: Path | None,
        run_key: str,
    ) -> None:
        """Train, calibrate and diagnose, under a seeded generator."""
        train, validation, calibration = parts
        device = self._device()
        backbone = backbone_for(self.backbone, self.preprocessor_.spec_, self.n_members, self.width)
        self.n_members_ = backbone.members
        self._network = (backbone.name, backbone.members, backbone.width)
        module = self.build(backbone).to(device=device, dtype=self._dtype)
        module.unlabeled = unlabeled
        trainer = Trainer(
            settings,
            seed=seed,
            members=self.n_members_,
            device=device,
            callbacks=callbacks,
            checkpoint=directory,
            run_key=run_key,
        )
        normal = samples.subset(train)
        trained_on = module.before_training(normal)
        held_out = module.as_trained_on(samples.subset(validation)) if len(validation) else None
        self.history_: History = trainer.fit(module, trained_on, held_out)
        module.after_training(normal)
        self.module_ = module
        self._baseline = samples.batch(train[:DIAGNOSED_ROWS]).mean(0)
        is_image = self.preprocessor_.spec_.is_image
        self._normal_rows = None if is_image else samples.batch(train[:NORMAL_ROWS])
        kept_apart = not np.isin(calibration, train).any()
        self._calibrate(samples, calibration, held_out=kept_apart)
        if module.can("after_calibration") and kept_apart:
            module.after_calibration(samples.subset(np.concatenate([calibration, validation])))
            self._refer_to(samples.subset(calibration))
        self.diagnosis_ = self._diagnose(samples.subset(validation if len(validation) else train))
        module.unlabeled = None  # the model does not keep the user's data

    def _drawn(self, file: TableFile, callbacks: Sequence[Callback]) -> "tuple[pd.DataFrame, pd.DataFrame, int]":
        """Random rows of a file; these and then some that show what occurs in it; how many rows it has."""
        total = file.total or 0
        for callback in callbacks:
            callback.on_stage_begin("reading", total)

        def told(done: int) -> None:
            for callback in callbacks:
                callback.on_step_end("reading", done, None)

        drawn = file.sample(min(SAMPLED_ROWS, SAMPLED_VALUES // len(file.columns)), self.seed_, told)
        for callback in callbacks:
            callback.on_stage_end("reading", drawn.total)
        return drawn.frame, drawn.known, drawn.total

    def _split(self, n: int, total: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the rows that train, that are watched for early stopping, and that calibrate.

        Of n rows that were drawn from `total`, a file's share for calibration may be larger than the drawn rows' share.
        """
        order = np.random.default_rng(self.seed_).permutation(n)
        if n < FEWEST_ROWS_TO_HOLD_OUT:
            if self.contamination == "auto":
                warnings.warn(
                    f"Only {n} rows: none is held out, so threshold and p-values come from the training rows "
                    f"and are too optimistic. Give at least {FEWEST_ROWS_TO_HOLD_OUT}.",
                    CalibrationWarning,
                    stacklevel=4,
                )
            return order, order[:0], order
        watched = min(round(VALIDATION_FRACTION * n), MONITOR_ROWS) if self.patience else 0
        wanted = max(round(self.calibration_fraction * n), 1)
        if total is not None and total > n:
            wanted = min(round(self.calibration_fraction * total), max(wanted, CALIBRATION_ROWS * n // SAMPLED_ROWS))
        kept = min(wanted, n - watched - 1) if self.contamination == "auto" else 0
        calibration = order[watched : watched + kept] if kept else order
        return order[watched + kept :], order[:watched], calibration

    def _calibrate(self, samples: Samples, rows: np.ndarray, *, held_out: bool) -> None:
        member_scores = self._member_scores(samples.subset(rows))
        scales = Calibration(*member_scales(member_scores), np.empty(0), 0.0, held_out=held_out)
        if self.contamination == "auto":
            self._warn_of_few_rows(len(rows), "calibration_fraction or target_fpr", stacklevel=7)
        self._set_levels(scales, scales.combine(member_scores), self._peaks(samples.subset(rows[:MAPPED_PICTURES])))

    def _set_levels(self, scales: Calibration, scores: np.ndarray, peaks: np.ndarray) -> None:
        """Thresholds and p-values from the scores of normal rows ``(n,)`` and the peaks of normal pictures' maps."""
        scores = np.sort(scores)
        threshold = self._level(scores)
        # Rounding differs between batches; it must not decide on a row that lies exactly at the threshold.
        threshold += 64 * torch.finfo(self._dtype).eps * (abs(threshold) + float(np.ptp(scores)))
        map_threshold = self._level(peaks) if len(peaks) else None
        self.calibration_: Calibration = Calibration(scales.location, scales.scale, scores, threshold, map_threshold)
        self.offset_ = -threshold

    def _refer_to(self, calibration_rows: Samples) -> None:
        """Score them again, by a module that has learned from them."""
        scores = self.calibration_.combine(self._member_scores(calibration_rows))
        self.calibration_ = replace(self.calibration_, reference=np.sort(scores))

    def _level(self, scores: np.ndarray) -> float:
        """The threshold between normal and unusual scores of the calibration rows."""
        if self.contamination == "auto":
            return conformal_threshold(scores, self.target_fpr)
        return float(np.percentile(scores, 100 * (1 - float(self.contamination))))

    def _peaks(self, samples: Samples) -> np.ndarray:
        """The largest error among each picture's pixels ``(n,)``; what is no picture has none."""
        if not len(samples) or not self.preprocessor_.spec_.is_image:
            return np.empty(0)
        error = self._mapped(samples, self._error)  # (n, C, H, W)
        return np.asarray(self.preprocessor_.collapse(error)).sum(1).max((1, 2))

    def _warn_of_few_rows(self, calibration_rows: int, parameters: str, stacklevel: int) -> None:
        least = 1 / (calibration_rows + 1)
        if least > self.target_fpr:
            needed = int(np.ceil(1 / self.target_fpr)) - 1
            warnings.warn(
                f"target_fpr={self.target_fpr:g} cannot be promised: with {calibration_rows} calibration rows the "
                f"smallest rate is {least:.2g}. It takes {needed:,}: give more rows, or raise {parameters}.",
                CalibrationWarning,
                stacklevel=stacklevel,
            )

    def _diagnose(self, samples: Samples) -> Diagnosis:
        n = min(len(samples), DIAGNOSED_ROWS)
        x = self._expand(samples.batch(np.arange(n)))
        fake = features = reconstructed = None
        module, spec = self.module_, self.preprocessor_.spec_
        with torch.no_grad():
            bare = x[:, :, : spec.shape[0]]  # without the number of a class, which is no coordinate
            if module.can("sample"):
                made = module.sample(n)[:, :, : spec.shape[0]]
                fake = _rows(made)
                if spec.is_image and spec.shape[0] in SHOWN_CHANNELS and n >= FEWEST_ROWS:
                    seen = pretrained(PERCEPTION).to(made)
                    pooled = [seen.pooled(rows[0]).cpu().double().numpy() for rows in (bare, made)]
                    features = pooled[0], pooled[1]
            elif module.can("reconstruct"):
                reconstructed = _rows(module.reconstruct(x[:, :RECONSTRUCTED_ROWS])[:, :, : spec.shape[0]])
            as_trained = module.as_trained_on(samples.subset(np.arange(n)))
            judged = module.critic_logits(
                self._expand(as_trained.batch(np.arange(min(len(as_trained), DIAGNOSED_ROWS))))
            )
        return diagnose(
            _rows(bare)[0],
            fake=fake,
            reconstructed=reconstructed,
            features=features,
            logits=judged,
            curves=self.history_,
            steps=self.steps,
            expects_equilibrium=module.expects_equilibrium,
        )

    def _run_key(self, samples: Samples, unlabeled: Samples | None) -> str:
        """Names this run for its checkpoint: the seed, then a digest of parameters and data."""
        parameters = {k: v for k, v in self._fitted_with.items() if k not in ("random_state", "device")}
        data = [(len(part), part.fingerprint()) for part in (samples, unlabeled) if part is not None]
        facts = json.dumps([parameters, data], sort_keys=True)
        return f"{self.seed_}-{hashlib.sha256(facts.encode()).hexdigest()}"

    # ---------------------------------------------------------------- score

    def anomaly_score(self, X: Any) -> np.ndarray:
        """How unusual each sample is: float64 ``(n,)``, higher = more anomalous; a `TableFile` is never held whole."""
        if isinstance(X, TableFile):
            check_is_fitted(self)
            return np.concatenate([self.anomaly_score(part) for part in self._parts(X)])
        member_scores = self._member_scores(self._transform(X))  # says so if this is not fitted
        return self.calibration_.combine(member_scores)

    def score_samples(self, X: Any) -> np.ndarray:
        """scikit-learn's convention, higher = more normal: ``-anomaly_score(X)``."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """``score_samples(X) - offset_``: negative for flagged samples."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for flagged samples, +1 for others: int ``(n,)``."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_value(self, X: Any) -> np.ndarray:
        """Split-conformal p-value of each sample, in (0, 1]: P(a normal one scores at least this)."""
        scores = self.anomaly_score(X)
        return self.calibration_.p_value(scores)

    def flag(self, X: Any, fdr: float = 0.05) -> np.ndarray:
        """Samples flagged so that at most a share ``fdr`` of them is normal in expectation: bool ``(n,)``."""
        if not 0 < fdr < 1:
            raise InputError(f"fdr must be between 0 and 1, got {fdr}.")
        scores = self.anomaly_score(X)
        return self.calibration_.flag(scores, fdr)

    def explain(self, X: Any) -> "np.ndarray | pd.DataFrame":
        """What made each score: numbers >= 0 of X's own shape (columns of a table, pixels of a picture).

        Of a column: how far the score falls when its value is what similar normal rows have there (a scoring for each
        column). Of pixels: the module's own map where it has one, absolute residuals in the networks' units where it
        reconstructs, else integrated gradients.
        """
        error = self._map(X, self._error)
        return _indexed_as(X, self.preprocessor_.collapse(error))

    def reasons(self, X: Any, count: int = 3) -> "pd.DataFrame":
        """The columns that made each row's score, with their values and what similar normal rows have there.

        Similar are the `SIMILAR` rows of at most `NORMAL_ROWS` training rows, which the model keeps, that are nearest
        in all other columns.

        Parameters
        ----------
        X : array (n, d) or DataFrame
        count : int
            Columns of each row, at most; those that add nothing to its score are left out.

        Returns
        -------
        DataFrame
            A line for each reason, ordered by row and rank, with the fields of `anogan.scoring.reasons.Reason`.

        Raises
        ------
        InputError
            X holds pictures, or the model comes from a file without normal rows.
        """
        samples = self._transform(X)  # says so if this is not fitted
        if count < 1:
            raise InputError(f"count must be at least 1, got {count}.")
        if self.preprocessor_.spec_.is_image:
            raise InputError("Reasons name columns, and pictures have none; explain gives their heatmaps.")
        if self._similar is None:
            raise InputError("The model's file is from before reasons and holds no normal rows. Fit it again.")
        errors, nearest = [], []
        for x in self._batches(samples):
            errors.append(self._error(x)[0].cpu().double().numpy())
            order, _ = leading(self.preprocessor_.collapse(errors[-1]), count)
            nearest.append(self._nearest(x[0], order))
        order, shares = leading(self.preprocessor_.collapse(np.concatenate(errors)), count)
        normal = self.preprocessor_.inverse(self._similar.rows.cpu().double().numpy())
        columns = self.preprocessor_.columns_
        return describe(columns, _as_table(X), _as_table(normal), order, shares, np.concatenate(nearest))

    def _nearest(self, x: Tensor, columns: np.ndarray) -> np.ndarray:
        """The similar normal rows for some columns of each row: ``(B, D)``, ``(B, k)`` -> int64 ``(B, k, R)``."""
        similar = cast(SimilarRows, self._similar)
        distances = similar.distances(x)
        found = np.zeros((*columns.shape, min(SIMILAR, len(similar.rows))), dtype=np.int64)
        for number in similar.judged:
            rows, ranks = np.nonzero(columns == number)
            chosen = torch.from_numpy(rows).to(x.device)
            found[rows, ranks] = similar.nearest(x[chosen], number, distances[chosen]).cpu().numpy()
        return found

    def reconstruct(self, X: Any) -> "np.ndarray | pd.DataFrame":
        """The most similar normal samples that the model can make, in X's own units.

        Raises
        ------
        InputError
            The method has no reconstruction.
        """
        self._require("reconstruct")
        return _indexed_as(X, self.preprocessor_.inverse(self._map(X, self.module_.reconstruct)))

    def sample(self, n: int = 1, random_state: Any = None) -> "np.ndarray | pd.DataFrame":
        """``n`` synthetic normal samples in the units of the training data.

        Raises
        ------
        InputError
            The method does not generate.
        """
        self._require("sample")
        if n < 1:
            raise InputError(f"n must be at least 1, got {n}.")
        each = -(-n // self.n_members_)
        with forked_torch_rng(draw_seed(random_state), self._weight.device), torch.no_grad():
            fake = self.module_.sample(each)  # (K, each, *shape)
        rows = fake.transpose(0, 1).flatten(0, 1)[:n]  # every member gives its share
        return self.preprocessor_.inverse(rows.cpu().double().numpy())

    # ---------------------------------------------------------------- after a while

    def recalibrate(self, X: Any) -> Self:
        """Set threshold and p-values anew with other normal samples; networks and the scales of members stay.

        Parameters
        ----------
        X : like that of `fit`, or an iterator over parts of it
            Normal samples that `fit` did not see: those it has learned score too low. ``target_fpr`` and
            ``contamination`` may have been set since.

        Raises
        ------
        InputError
            X cannot be used. The detector stays as it was.
        """
        check_is_fitted(self)
        self.check_parameters()
        scores, peaks = [np.empty(0)], [np.empty(0)]
        for samples in map(self._transform, self._parts(X)):
            room = MAPPED_PICTURES - sum(map(len, peaks))
            peaks.append(self._peaks(samples.subset(np.arange(min(len(samples), room)))))
            scores.append(self.calibration_.combine(self._member_scores(samples)))
        rows = sum(map(len, scores))
        if not rows:
            raise InputError("There are no samples to calibrate with.")
        if self.contamination == "auto":
            self._warn_of_few_rows(rows, "target_fpr", stacklevel=3)
        scales = replace(self.calibration_, held_out=True)
        self._set_levels(scales, np.concatenate(scores), np.concatenate(peaks))
        self.fitted_on_ = self.fitted_on_ | {"recalibrated": rows}
        self._fitted_with |= _plain({name: getattr(self, name) for name in ("contamination", "target_fpr")})
        return self

    def drift(self, X: Any) -> Drift:
        """Whether new samples still score like the normal ones that the threshold was set with.

        Parameters
        ----------
        X : like that of `anomaly_score`, or an iterator over parts of it

        Raises
        ------
        InputError
            X cannot be used.
        """
        check_is_fitted(self)
        scores, errors = [], []
        for samples in map(self._transform, self._parts(X)):
            scores.append(self.calibration_.combine(self._member_scores(samples)))
            chosen = np.linspace(0, len(samples) - 1, min(len(samples), EXPLAINED_ROWS)).astype(int)
            errors.append(self._collapsed(samples.subset(chosen)))
        if not scores:
            raise InputError("There are no samples to compare.")
        known = self._normal_rows
        before = errors if known is None else [self._collapsed(TensorSamples(known[:EXPLAINED_ROWS]))]
        names = [column.name for column in self.preprocessor_.columns_] if known is not None else []
        means = (np.concatenate(part).mean(0) for part in (before, errors))
        return compare(self.calibration_, np.concatenate(scores), names, *means)

    def _collapsed(self, samples: Samples) -> np.ndarray:
        """What `explain` says, of rows: ``(n, d)``; of pictures, and in files of before, nothing: ``(n, 0)``."""
        if self._normal_rows is None:
            return np.empty((len(samples), 0))
        return np.asarray(self.preprocessor_.collapse(self._mapped(samples, self._error)))

    # ---------------------------------------------------------------- save, load, other faces

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file (a zip without pickle); whole or not at all."""
        check_is_fitted(self)
        manifest = {
            "detector": self.name,
            "parameters": self._fitted_with | {"random_state": self.seed_},
            "network": self._network,  # as resolved: a default that changes later does not change this file
            "threshold": self.calibration_.threshold,
            "map_threshold": self.calibration_.map_threshold,
            "diagnosis": vars(self.diagnosis_),
            "history": self.history_,
            "attempts": self.attempts_,
            "fitted_on": self.fitted_on_,
            "n_features_in": getattr(self, "n_features_in_", None),
            "feature_names_in": list(getattr(self, "feature_names_in_", [])),
            "reference": self.calibration_.reference is not None,
            "held_out": self.calibration_.held_out,
            "normal_rows": 0 if self._normal_rows is None else len(self._normal_rows),
        }
        calibration = self.calibration_
        weights = {f"module.{k}": v for k, v in self.module_.state_dict().items()} | {
            "baseline": self._baseline,
            "calibration.location": torch.from_numpy(calibration.location),
            "calibration.scale": torch.from_numpy(calibration.scale),
            "calibration.scores": torch.from_numpy(calibration.scores),
        }
        if calibration.reference is not None:
            weights["calibration.reference"] = torch.from_numpy(calibration.reference)
        if self._normal_rows is not None:
            weights["normal_rows"] = self._normal_rows
        write_model(path, ModelFile(manifest, weights, self.preprocessor_))

    @staticmethod
    def load(path: str | os.PathLike[str], *, device: str = "auto") -> "Detector":
        """Read a model file, onto another device if wanted.

        Raises
        ------
        FormatError
            Not a model file, another format version, altered, or incomplete.
        """
        file = read_model(path)
        manifest, weights = file.manifest, file.weights
        try:
            self = find_class(manifest["detector"])(**manifest["parameters"] | {"device": device})
            self.check_parameters()
            self._fitted_with = self.get_params()
            self._network = tuple(manifest["network"])
            self.seed_ = self.random_state
            self.preprocessor_ = file.preprocessor
            self._baseline = weights.pop("baseline")
            # Files of anogan before reasons have none.
            self._normal_rows = weights.pop("normal_rows") if manifest.get("normal_rows") else None
            names = ["location", "scale", "scores", *["reference"] * bool(manifest.get("reference"))]
            parts = {part: weights.pop(f"calibration.{part}").numpy() for part in names}
            self.calibration_ = Calibration(
                **parts,
                threshold=manifest["threshold"],
                map_threshold=manifest.get("map_threshold"),  # files from before it have none
                held_out=manifest.get("held_out", manifest["parameters"]["contamination"] == "auto"),
            )
            self.offset_ = -self.calibration_.threshold
            self.diagnosis_ = Diagnosis(**manifest["diagnosis"])
            self.history_ = manifest["history"]
            self.attempts_ = manifest.get("attempts", [])  # files of anogan before restarts have none
            self.fitted_on_ = manifest.get("fitted_on", {})
            if manifest["n_features_in"] is not None:
                self.n_features_in_ = manifest["n_features_in"]
            if manifest["feature_names_in"]:
                self.feature_names_in_ = np.asarray(manifest["feature_names_in"], dtype=object)
            self._rebuild({k.removeprefix("module."): v for k, v in weights.items()})
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise FormatError(f"{path} does not fit this version of anogan: {error}") from None
        return self

    def as_pyod(self) -> "AsPyOD":
        """This detector behind PyOD's names (``decision_scores_``, ``labels_``, ``predict_proba``, ...)."""
        from ..pyod import AsPyOD

        return AsPyOD(self)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibration_")

    def __getstate__(self) -> dict[str, Any]:
        """Weights instead of the module, since torch does not pickle parametrised ones (spectral norm)."""
        state = dict(super().__getstate__())
        if "module_" in state:
            state["module_"] = {k: v.cpu() for k, v in self.module_.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "module_" in state:
            self._rebuild(state["module_"])

    def _rebuild(self, weights: dict[str, Tensor]) -> None:
        """The trained module from its weights, by the parameters of `fit`, whatever was set since."""
        fitted = type(self)(**self._fitted_with)
        device = self._device()
        name, members, width = self._network
        with forked_torch_rng(0, device):
            backbone = backbone_for(name, self.preprocessor_.spec_, members, width)
            self.n_members_ = members
            self.module_ = fitted.build(backbone).to(device=device, dtype=fitted._dtype)
        self.module_.load_state_dict(weights)
        self.module_.requires_grad_(False).eval()

    # ---------------------------------------------------------------- between arrays and tensors

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "float64" else torch.float32

    def _device(self) -> torch.device:
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
            if torch.backends.mps.is_available() and self.precision == "float32":
                name = "mps"
        try:
            device = torch.device(name)
            torch.empty(0, dtype=self._dtype, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            wanted = f"device={self.device!r} with precision={self.precision!r}"
            raise InputError(f"{wanted} cannot be used: {error}") from None
        return device

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """scikit-learn's checks for arrays; tables and pictures are checked by their preprocessors."""
        if isinstance(X, TableFile):
            raise InputError("A TableFile can be fitted, scored, recalibrated with and compared; here give its rows.")
        if isinstance(X, Conditioned):
            if "condition" not in self.parameters():
                raise InputError(f"{type(self).__name__} takes no condition; ConditionalGAN does.")
            if not reset and not self.preprocessor_.spec_.classes:
                raise InputError("X has a condition, but the model was fitted without one.")
            return Conditioned(self._checked(X.X, reset=reset), X.labels)
        if hasattr(X, "iloc") or hasattr(X, "files") or getattr(X, "ndim", 2) >= 3:
            if hasattr(X, "iloc") and X.ndim != 2:
                raise InputError("X is a Series; a table is needed: X.to_frame().")
            if reset:
                for stale in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(stale, None)
                if hasattr(X, "iloc"):
                    self.n_features_in_ = X.shape[1]
                    self.feature_names_in_ = np.asarray(X.columns, dtype=object)
            return X
        try:
            return validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        except ValueError as error:
            raise InputError(str(error)) from None

    def _parts(self, X: Any) -> Iterator[Any]:
        """What is no iterator is one part, but for a file."""
        if isinstance(X, TableFile):
            return X.frames(self.preprocessor_.column_types())
        return X if isinstance(X, Iterator) else iter([X])

    def _transform(self, X: Any) -> Samples:
        check_is_fitted(self)
        return self.preprocessor_.transform(self._checked(X, reset=False), self._weight.dtype)

    @property
    def _weight(self) -> Tensor:
        """A weight of the trained module: it knows device and precision."""
        return next(self.module_.parameters())

    def _expand(self, batch: Tensor) -> Tensor:
        return batch.to(self._weight.device).expand(self.n_members_, *batch.shape)  # (K, B, *shape)

    def _batches(self, samples: Samples) -> Iterator[Tensor]:
        numbers = int(np.prod(self.preprocessor_.spec_.shape)) * self.n_members_
        rows = int(np.clip(VALUES_AT_ONCE // numbers, 16, 8192))
        indices = np.arange(len(samples))
        for batch in samples.batches(indices[i : i + rows] for i in range(0, len(indices), rows)):
            yield self._expand(batch)

    @torch.no_grad()
    def _member_scores(self, samples: Samples) -> np.ndarray:
        parts = [self.module_.score(x).cpu().double().numpy() for x in self._batches(samples)]
        return np.concatenate(parts, axis=1)  # (K, n)

    @property
    def _similar(self) -> SimilarRows | None:
        if self._normal_rows is None:
            return None
        spec = self.preprocessor_.spec_
        return SimilarRows(self._normal_rows.to(self._weight), self.preprocessor_.places_, spec)

    def _error(self, x: Tensor) -> Tensor:
        if (similar := self._similar) is None:
            return error_map(self.module_, x, self._baseline.to(x))

        def score(rows: Tensor) -> Tensor:
            member_scores = self.module_.score(rows.expand(len(x), *rows.shape)).cpu().double().numpy()
            return torch.from_numpy(self.calibration_.combine(member_scores)).to(x)

        with torch.no_grad():
            return occlusion(score, x[0], similar)[None]

    def _map(self, X: Any, function: Any) -> np.ndarray:
        return self._mapped(self._transform(X), function)

    @torch.no_grad()
    def _mapped(self, samples: Samples, function: Any) -> np.ndarray:
        """A tensor function of each sample, averaged over members: ``(n, *shape)``."""
        return np.concatenate([function(x).mean(0).cpu().double().numpy() for x in self._batches(samples)])

    def _require(self, method: str) -> None:
        check_is_fitted(self)
        if not self.module_.can(method):
            raise InputError(f"{type(self).__name__} cannot {method}: its networks have no part that does.")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """numpy's numbers as Python's."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def _rows(x: Tensor) -> np.ndarray:
    """``(K, B, *shape)`` -> ``(K, B, d)``."""
    return x.flatten(2).cpu().double().numpy()


def _as_table(X: Any) -> "pd.DataFrame":
    import pandas as pd

    X = X.X if isinstance(X, Conditioned) else X
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X, dtype=np.float64))


def _indexed_as(X: Any, result: Any) -> Any:
    """A table's answer with the table's own row labels."""
    if hasattr(result, "iloc") and hasattr(X, "iloc"):
        result.index = X.index
    return result
