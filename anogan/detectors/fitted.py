"""What a fit produces: the one list of fitted state that fit, save, load and pickle share."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, Self, TypeVar, overload

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.digests import RowDigests
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples, TensorSamples
from ..engine.device import torch_dtype
from ..engine.diagnostics import Diagnosis
from ..engine.history import History
from ..engine.inference import Inference
from ..engine.module import GANModule
from ..errors import FormatError, InputError
from ..explain.explainer import Explainer
from ..layout import check_layout, check_unknown
from ..nn.backbone import Backbone, backbone_for
from ..persistence import ModelFile
from ..schema import quoted, with_nulls, without_nulls
from ..scoring.calibration import Calibration, rounding
from ..scoring.unseen import with_farthest_known
from .inputs import Features
from .manifest import checked_manifest
from .row_sampler import RowSampler, rows_from_tensors, rows_layout
from .tensors import (
    MODULE,
    calibration_layout,
    check_finite,
    check_scores,
    digests_layout,
    module_layout,
    sample_layout,
    without_values,
)

T = TypeVar("T")
CALIBRATION_ARRAYS = ("location", "scale", "scores")


class NetworkConfig(NamedTuple):
    """The backbone that was used, with its defaults resolved: a later change of a default leaves saved models valid."""

    name: str
    members: int
    width: int


@dataclass(frozen=True, eq=False)
class FittedState:
    """All that a fitted detector knows beside its constructor parameters.

    Attributes
    ----------
    parameters : dict
        Constructor parameters of the fit, with the seed as ``random_state``.
    features : Features
        Names and number of the columns.
    network : NetworkConfig
    module : GANModule
        The trained networks, in eval mode.
    preprocessor : Preprocessor
        Fitted.
    calibration : Calibration
    diagnosis : Diagnosis
    history : History
        Curves of the training.
    attempts : list of dict
        See `Detector.attempts_`.
    fitted_on : dict
        See `Detector.fitted_on_`.
    baseline : (*shape) tensor
        Mean of training samples.
    background : (m, D) tensor or None
        Training rows that others are compared with, or `marginals` if ``keep_rows`` is 0; None for pictures.
    digests : RowDigests or None
        Recognises the rows of the fit.
    rows : RowSampler or None
        Draws synthetic rows; None for pictures and for modules that cannot sample.
    """

    parameters: dict[str, Any]
    features: Features
    network: NetworkConfig
    module: GANModule
    preprocessor: Preprocessor
    calibration: Calibration
    diagnosis: Diagnosis
    history: History
    attempts: list[dict[str, Any]]
    fitted_on: dict[str, Any]
    baseline: Tensor
    background: Tensor | None
    digests: RowDigests | None = None
    rows: RowSampler | None = None

    @property
    def seed(self) -> int:
        """The seed of the fit."""
        return int(self.parameters["random_state"])

    @property
    def roles(self) -> dict[str, str]:
        """The roles of columns that the fit was given."""
        return self.parameters.get("columns") or {}

    @cached_property
    def inference(self) -> Inference:
        """The module, to be evaluated in batches."""
        return Inference(self.module, self.network.members, self.preprocessor.spec_.shape)

    @cached_property
    def explainer(self) -> Explainer:
        """Explanations of the module's scores."""
        are_marginals = self.parameters["keep_rows"] == 0
        return Explainer(
            self.inference, self.preprocessor, self.calibration, self.baseline, self.background, are_marginals
        )

    def score(self, samples: Samples) -> np.ndarray:
        """Return the combined score of each sample: float64 ``(n,)``, higher = more anomalous.

        A row with an unseen value never scores lower than the same row with any of the known values
        (`Preprocessor.known_codes`) in its place.

        Raises
        ------
        InputError
            A score is not finite. NaN would be neither above nor below the threshold.
        """
        scores = self._combined(self.as_scored(samples))
        if samples.unseen is None:
            return scores
        # Known values may have been scored in another batch.
        return scores + samples.unseen.sum(1) * rounding(scores, self.calibration.scores, self.inference.eps)

    def predict_maps(self, pictures: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores ``(n,)`` and the maps ``(n, C, H, W)`` of pictures, which are decoded once.

        Raises
        ------
        InputError
            A score is not finite.
        """
        member_scores, maps = self.explainer.predict_maps(pictures)
        return self._finite(self.calibration.combine(member_scores)), maps

    def as_scored(self, samples: Samples) -> Samples:
        """Return the samples with the known value in place of each unseen one that gives the highest score."""
        if samples.unseen is None or not samples.unseen.any():
            return samples
        preprocessor = self.preprocessor
        x = samples.batch(np.arange(len(samples))).numpy()
        x = with_farthest_known(
            lambda rows: self._combined(TensorSamples(torch.from_numpy(rows))),
            x,
            samples.unseen,
            preprocessor.places_,
            preprocessor.known_codes(),
        )
        return TensorSamples(torch.from_numpy(x))

    def _combined(self, samples: Samples) -> np.ndarray:
        return self._finite(self.calibration.combine(self.inference.score(samples)))

    @staticmethod
    def _finite(scores: np.ndarray) -> np.ndarray:
        if not np.isfinite(scores).all():
            first = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise InputError(
                f"The networks give no finite score for sample {first} (counted from 0): their numbers overflow. "
                "Check its values, or fit again with a lower learning_rate."
            )
        return scores

    def to_file(self) -> ModelFile:
        """Return the state as JSON values, tensors and the preprocessor."""
        calibration = self.calibration
        manifest = {
            "parameters": self.parameters,
            "n_features_in": self.features.number,
            "feature_names_in": None if self.features.names is None else list(self.features.names),
            "network": list(self.network),
            "threshold": calibration.threshold,
            "map_threshold": calibration.map_threshold,
            "map_start": calibration.map_start,
            "held_out": calibration.held_out,
            "reference": calibration.reference is not None,
            "diagnosis": with_nulls(asdict(self.diagnosis)),
            "history": with_nulls(self.history),
            "attempts": self.attempts,
            "fitted_on": self.fitted_on,
            "background_rows": 0 if self.background is None else len(self.background),
            "digests": 0 if self.digests is None else len(self.digests.values),
            "digests_of": 0 if self.digests is None else self.digests.rows,
            "samples_rows": self.rows is not None,
        }
        weights = {f"{MODULE}{name}": weight.cpu() for name, weight in self.module.state_dict().items()}
        weights["baseline"] = self.baseline
        arrays = CALIBRATION_ARRAYS if calibration.reference is None else (*CALIBRATION_ARRAYS, "reference")
        weights |= {f"calibration.{name}": torch.from_numpy(getattr(calibration, name)) for name in arrays}
        if self.background is not None:
            weights["background"] = self.background
        if self.rows is not None:
            weights |= self.rows.tensors()
        if self.digests is not None:
            weights["digests"] = torch.from_numpy(self.digests.values)
        return ModelFile(manifest, weights, self.preprocessor)

    @classmethod
    def from_file(cls, file: ModelFile, build: Callable[[Backbone], GANModule], device: torch.device) -> "FittedState":
        """Rebuild the state that `to_file` returned.

        The networks are built without values and compared with the tensors that the file declares, before any of these
        is read.

        Parameters
        ----------
        file : ModelFile
        build : callable
            `Detector.build` of a detector with the parameters of the fit.
        device : torch.device

        Raises
        ------
        FormatError, ValueError, KeyError, TypeError, RuntimeError
            The file does not hold a state of this version.
        """
        manifest, spec = checked_manifest(file.manifest), file.preprocessor.spec_
        network, features = NetworkConfig(*manifest["network"]), _checked_features(manifest, file.preprocessor)
        dtype = torch_dtype(manifest["parameters"]["precision"])
        layout = sample_layout(manifest, spec, dtype)
        check_layout(file.weights, layout)  # first, since networks are built for this shape
        with without_values(len(file.weights)):
            module = build(backbone_for(network.name, spec, network.members, network.width)).to(dtype)
        layout |= calibration_layout(manifest, 1 if module.joint else network.members)
        layout |= digests_layout(manifest) | module_layout(module, file.weights)
        if manifest["samples_rows"]:
            layout |= rows_layout(file.weights, dtype)
        check_unknown(file.weights, layout)
        check_layout(file.weights, layout)
        weights = file.values()
        check_finite(weights)
        own = {name.removeprefix(MODULE): tensor for name, tensor in weights.items() if name.startswith(MODULE)}
        module.load_state_dict(own, assign=True)
        module.requires_grad_(False).eval()
        check_scores(module, network.members, weights["baseline"])
        columns = 0 if spec.is_image else len(file.preprocessor.value_columns_)
        return cls(
            parameters=manifest["parameters"],
            features=features,
            network=network,
            module=module.to(device),
            preprocessor=file.preprocessor,
            calibration=_calibration(manifest, weights, is_image=spec.is_image),
            diagnosis=Diagnosis(**without_nulls(manifest["diagnosis"])),
            history=without_nulls(manifest["history"]),
            attempts=manifest["attempts"],
            fitted_on=manifest["fitted_on"],
            baseline=weights["baseline"],
            background=weights.get("background"),
            digests=_digests(manifest, weights),
            rows=rows_from_tensors(weights, columns, device) if manifest["samples_rows"] else None,
        )


class FittedAttribute(Generic[T]):
    """A public attribute of a fitted detector, which reads from its state and does not exist before a fit.

    Parameters
    ----------
    read : callable of FittedState -> T or None
        None stands for an attribute that this fit did not set.
    """

    def __init__(self, read: Callable[[FittedState], T | None]) -> None:
        self.read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, detector: None, owner: type) -> Self: ...

    @overload
    def __get__(self, detector: "FittedAttributes", owner: type) -> T: ...

    def __get__(self, detector: "FittedAttributes | None", owner: type) -> Self | T:
        if detector is None:
            return self
        if (value := self.read(detector.fitted_state)) is None:
            raise AttributeError(f"This {owner.__name__} was fitted on data without {self.name}.")
        return value

    def __set__(self, detector: "FittedAttributes", value: object) -> None:
        # A value of its own would outlive the next fit.
        raise AttributeError(f"{self.name} is a result of fit and cannot be set. Call fit or recalibrate instead.")


class FittedAttributes:
    """The public attributes of a fitted detector, which all read from its state."""

    _state: FittedState  # assigned by a fit when it has succeeded

    module_ = FittedAttribute(lambda state: state.module)
    preprocessor_ = FittedAttribute(lambda state: state.preprocessor)
    calibration_ = FittedAttribute(lambda state: state.calibration)
    offset_ = FittedAttribute(lambda state: -state.calibration.threshold)
    diagnosis_ = FittedAttribute(lambda state: state.diagnosis)
    attempts_ = FittedAttribute(lambda state: state.attempts)
    history_ = FittedAttribute(lambda state: state.history)
    roles_ = FittedAttribute(lambda state: state.roles)
    fitted_on_ = FittedAttribute(lambda state: state.fitted_on)
    n_members_ = FittedAttribute(lambda state: state.network.members)
    seed_ = FittedAttribute(lambda state: state.seed)
    n_features_in_ = FittedAttribute(lambda state: state.features.number)
    feature_names_in_ = FittedAttribute(lambda state: state.features.names)

    @property
    def fitted_state(self) -> FittedState:
        """All that the last fit produced; raises `NotFittedError` before a fit."""
        check_is_fitted(self)
        return self._state

    def __sklearn_is_fitted__(self) -> bool:
        return "_state" in vars(self)


def _checked_features(manifest: dict[str, Any], preprocessor: Preprocessor) -> Features:
    """Return the features of a manifest; raise `FormatError` unless they are the columns of the preprocessor."""
    number, names = manifest["n_features_in"], manifest["feature_names_in"]
    known = None if preprocessor.spec_.is_image else preprocessor.names_
    if number != (None if known is None else len(known)):
        raise FormatError(f"manifest.n_features_in is {number}, and the preprocessor has the columns {quoted(known)}.")
    if preprocessor.kind == "table" and names != known:
        raise FormatError("manifest.feature_names_in are not the names of the preprocessor's columns.")
    return Features(number, None if names is None else np.asarray(names, dtype=object))


def _digests(manifest: dict[str, Any], weights: dict[str, Tensor]) -> RowDigests | None:
    if not manifest["digests"]:
        return None
    return RowDigests(weights["digests"].numpy(), manifest["digests_of"], manifest["parameters"]["random_state"])


def _calibration(manifest: dict[str, Any], weights: dict[str, Tensor], *, is_image: bool) -> Calibration:
    """Return the calibration of a file; raise `FormatError` unless its values are such as a calibration gives."""
    names = (*CALIBRATION_ARRAYS, "reference") if manifest["reference"] else CALIBRATION_ARRAYS
    arrays = {name: weights[f"calibration.{name}"].numpy() for name in names}
    if (arrays["scale"] <= 0).any():
        raise FormatError("calibration.scale has a number that is not positive.")
    for name in names[2:]:
        if (arrays[name][:-1] > arrays[name][1:]).any():
            raise FormatError(f"calibration.{name} must be ascending numbers.")
    levels = manifest["map_start"], manifest["map_threshold"]
    if (manifest["background_rows"] == 0) != is_image or any((level is None) == is_image for level in levels):
        raise FormatError(
            "manifest.background_rows is for models of rows, map_start and map_threshold for those of pictures."
        )
    if is_image and levels[0] > levels[1]:
        raise FormatError("manifest.map_start is greater than map_threshold.")
    return Calibration(
        **arrays,
        threshold=manifest["threshold"],
        map_threshold=manifest["map_threshold"],
        map_start=manifest["map_start"],
        held_out=manifest["held_out"],
    )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers of numpy as Python's, and names in dicts as texts, as JSON holds them."""
    found = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
    return {k: {str(name): role for name, role in v.items()} if isinstance(v, dict) else v for k, v in found.items()}
