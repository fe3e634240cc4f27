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
from ..errors import FormatError
from ..explain.explainer import Explainer
from ..nn.backbone import Backbone, backbone_for
from ..persistence import ModelFile
from ..scoring.calibration import Calibration
from ..scoring.unseen import with_farthest_known
from ..seeding import OwnInitialisation, seeded
from .calibrating import rounding
from .inputs import Features
from .manifest import checked_manifest

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
        Training rows that others are compared with; None for pictures.
    digests : RowDigests or None
        Recognises the rows of the fit.
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

    @property
    def seed(self) -> int:
        """The seed of the fit."""
        return int(self.parameters["random_state"])

    @cached_property
    def inference(self) -> Inference:
        """The module, to be evaluated in batches."""
        return Inference(self.module, self.network.members, self.preprocessor.spec_.shape)

    @cached_property
    def explainer(self) -> Explainer:
        """Explanations of the module's scores."""
        return Explainer(self.inference, self.preprocessor, self.calibration, self.baseline, self.background)

    def score(self, samples: Samples) -> np.ndarray:
        """Return the combined score of each sample: float64 ``(n,)``, higher = more anomalous.

        A row with an unseen value never scores lower than the same row with any of the known values
        (`Preprocessor.known_codes`) in its place.
        """
        scores = self._combined(self.as_scored(samples))
        if samples.unseen is None:
            return scores
        # Known values may have been scored in another batch.
        return scores + samples.unseen.sum(1) * rounding(scores, self.calibration.scores, self.inference.weight.dtype)

    def as_scored(self, samples: Samples) -> Samples:
        """Return the samples with the known value in place of each unseen one that gives the highest score."""
        if samples.unseen is None or not samples.unseen.any():
            return samples
        preprocessor = self.preprocessor
        known = [torch.from_numpy(codes) for codes in preprocessor.known_codes()]
        x = samples.batch(np.arange(len(samples)))
        x = with_farthest_known(
            lambda rows: self._combined(TensorSamples(rows)), x, samples.unseen, preprocessor.places_, known
        )
        return TensorSamples(x)

    def _combined(self, samples: Samples) -> np.ndarray:
        return self.calibration.combine(self.inference.score(samples))

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
            "held_out": calibration.held_out,
            "reference": calibration.reference is not None,
            "diagnosis": asdict(self.diagnosis),
            "history": self.history,
            "attempts": self.attempts,
            "fitted_on": self.fitted_on,
            "background_rows": 0 if self.background is None else len(self.background),
            "digests": 0 if self.digests is None else len(self.digests.values),
            "digests_of": 0 if self.digests is None else self.digests.rows,
        }
        weights = {f"module.{name}": weight.cpu() for name, weight in self.module.state_dict().items()}
        weights["baseline"] = self.baseline
        arrays = CALIBRATION_ARRAYS if calibration.reference is None else (*CALIBRATION_ARRAYS, "reference")
        weights |= {f"calibration.{name}": torch.from_numpy(getattr(calibration, name)) for name in arrays}
        if self.background is not None:
            weights["background"] = self.background
        if self.digests is not None:
            weights["digests"] = torch.from_numpy(self.digests.values)
        return ModelFile(manifest, weights, self.preprocessor)

    @classmethod
    def from_file(cls, file: ModelFile, build: Callable[[Backbone], GANModule], device: torch.device) -> "FittedState":
        """Rebuild the state that `to_file` returned.

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
        manifest, weights = checked_manifest(file.manifest), dict(file.weights)
        network = NetworkConfig(*manifest["network"])
        if network.members * network.width > sum(weight.numel() for weight in weights.values()):
            raise FormatError(f"manifest.network has {network.members} members of width {network.width}, too many.")
        spec, dtype = file.preprocessor.spec_, torch_dtype(manifest["parameters"]["precision"])
        columns = None if spec.is_image else len(file.preprocessor.names_)
        if manifest["n_features_in"] != columns:
            raise FormatError(f"manifest.n_features_in is {manifest['n_features_in']}; the preprocessor has {columns}.")
        with seeded(0), OwnInitialisation():
            backbone = backbone_for(network.name, spec, network.members, network.width)
            module = build(backbone).to(device=device, dtype=dtype)
        arrays = (*CALIBRATION_ARRAYS, "reference") if manifest["reference"] else CALIBRATION_ARRAYS
        calibration = Calibration(
            **{name: weights.pop(f"calibration.{name}").numpy() for name in arrays},
            threshold=manifest["threshold"],
            map_threshold=manifest["map_threshold"],
            held_out=manifest["held_out"],
        )
        _check_calibration(calibration, 1 if module.joint else network.members)
        shape = (spec.shape[0] + bool(spec.classes), *spec.shape[1:])
        baseline = _checked_tensor(weights, "baseline", dtype, shape)
        rows = manifest["background_rows"]
        background = _checked_tensor(weights, "background", dtype, (rows, *shape)) if rows else None
        digests = None
        if count := manifest["digests"]:
            values = _checked_tensor(weights, "digests", torch.int32, (count,)).numpy()
            digests = RowDigests(values, manifest["digests_of"], manifest["parameters"]["random_state"])
        if (background is None) != spec.is_image or (calibration.map_threshold is None) == spec.is_image:
            raise FormatError("manifest.background_rows is for models of rows, map_threshold for those of pictures.")
        module.load_state_dict({name.removeprefix("module."): weight for name, weight in weights.items()})
        module.requires_grad_(False).eval()
        for name, weight in module.state_dict().items():
            written = weights[f"module.{name}"]
            if written.dtype != weight.dtype or written.isnan().any():
                raise FormatError(f"module.{name} has NaN or is of type {written.dtype}; needed is {weight.dtype}.")
        names = manifest["feature_names_in"]
        return cls(
            parameters=manifest["parameters"],
            features=Features(manifest["n_features_in"], None if names is None else np.asarray(names, dtype=object)),
            network=network,
            module=module,
            preprocessor=file.preprocessor,
            calibration=calibration,
            diagnosis=Diagnosis(**manifest["diagnosis"]),
            history=manifest["history"],
            attempts=manifest["attempts"],
            fitted_on=manifest["fitted_on"],
            baseline=baseline,
            background=background,
            digests=digests,
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


def _check_calibration(calibration: Calibration, rows: int) -> None:
    """Raise `FormatError` unless the arrays are such as a calibration gives for scores ``(rows, n)``."""
    location, scale, scores, reference = (
        calibration.location,
        calibration.scale,
        calibration.scores,
        calibration.reference,
    )
    for name, array in (("location", location), ("scale", scale)):
        if array.dtype != np.float64 or array.shape != (rows,) or not np.isfinite(array).all():
            raise FormatError(f"calibration.{name} must be {rows} finite numbers of type float64.")
    if (scale <= 0).any():
        raise FormatError("calibration.scale has a number that is not positive.")
    for name, array in (("scores", scores), ("reference", scores if reference is None else reference)):
        ascending = array.ndim == 1 and array.size and array[-1] == array[-1] and (array[:-1] <= array[1:]).all()
        if array.dtype != np.float64 or array.shape != scores.shape or not ascending:
            raise FormatError(f"calibration.{name} must be ascending numbers of type float64, at least one.")


def _checked_tensor(weights: dict[str, Tensor], name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Take a tensor out of the weights of a file; raise `FormatError` unless it has this type and shape."""
    tensor = weights.pop(name)
    if tensor.dtype != dtype or tensor.shape != shape or not tensor.isfinite().all():
        got = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
        raise FormatError(f"{name} must be finite numbers of type {dtype} and shape {shape}, got {got}.")
    return tensor


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers of numpy as Python's, and names in dicts as texts, as JSON holds them."""
    found = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
    return {k: {str(name): role for name, role in v.items()} if isinstance(v, dict) else v for k, v in found.items()}
