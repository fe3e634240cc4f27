"""Fitted detectors in model files and pickles, which both hold the contents of `FittedState.to_file`."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from ..engine.device import choose_device
from ..engine.module import GANModule
from ..errors import FormatError
from ..nn.backbone import Backbone
from ..persistence import ModelFile, open_model, write_model
from ..schema import quoted
from .estimator import BaseEstimator
from .fitted import FittedAttributes, FittedState
from .manifest import checked_manifest
from .registry import find_class


class ModelFileMixin(FittedAttributes, BaseEstimator):
    """Saves and pickles a detector, and restores it."""

    name: ClassVar[str]
    device: str

    @abstractmethod
    def build(self, backbone: Backbone) -> GANModule:
        """Return the untrained module for this backbone."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, which holds no code; the file is written completely or not at all."""
        file = self.fitted_state.to_file()
        write_model(path, replace(file, manifest={"detector": self.name} | file.manifest))

    def to_onnx(self, path: str | os.PathLike[str], *, with_map: bool = True) -> None:
        """Write an ONNX file that scores with everything inside; `anogan.OnnxModel` and any ONNX runtime run it.

        The graph leads from the user's rows or pictures to ``score``, ``p_value``, ``flag`` and, of pictures, ``map``:
        preprocessing, all members, memory bank and calibration are part of it. The metadata "anogan.schema" says what
        the inputs are. Rows come as float64 ``(n, d)``: a number as it is, NaN for a missing one, a date as seconds
        since 1970, a category as its place in the schema's list. The score of a row with an unseen value is NaN.
        Pictures come as uint8 ``(n, h, w, C)`` of any size if the detector was fitted on a folder.

        Parameters
        ----------
        path : path
            The file appears completely or not at all.
        with_map : bool
            Whether pictures get a map, where one pass of the networks gives one.

        Raises
        ------
        InputError
            The score takes a search in the latent space, or a package is missing.
        """
        from ..export.onnx_file import write_onnx

        write_onnx(path, self.name, self.fitted_state, with_map=with_map)

    def __getstate__(self) -> dict[str, Any]:
        # torch does not pickle modules with parametrised weights (spectral norm), so the contents of a file stand in.
        state = dict(super().__getstate__())
        if "_state" in state:
            state["_state"] = self._state.to_file()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_state" in state:
            self.restore(state["_state"])

    def restore(self, file: ModelFile) -> None:
        """Rebuild the networks with the parameters of the fit, whatever was set since."""
        parameters = file.manifest["parameters"]
        self._state = FittedState.from_file(
            file, type(self)(**parameters).build, choose_device(self.device, parameters["precision"])
        )


def load_detector(path: str | os.PathLike[str], device: str) -> Any:
    """Return the detector of a model file; see `Detector.load`."""
    with open_model(path) as file:
        with _format_errors(path):
            detector = _unfitted(file.manifest)
        detector.device = device
        choose_device(device, detector.precision)
        with _format_errors(path):
            detector.restore(file)
    return detector


def _unfitted(manifest: dict[str, Any]) -> Any:
    """Return the detector that a manifest names, with its parameters; its name is taken out of the manifest.

    Only detectors of this package and of installed plug-ins have names.
    """
    name = manifest.pop("detector", None)
    if not isinstance(name, str):
        raise FormatError(f"manifest.detector is {quoted(name)}; it must be a text.")
    cls, parameters = find_class(name), checked_manifest(manifest)["parameters"]
    if unlike := cls.parameters().keys() ^ parameters.keys():
        raise FormatError(f"manifest.parameters has {', '.join(sorted(unlike))} too much or too little.")
    detector = cls(**parameters)
    detector.check_parameters()
    return detector


@contextmanager
def _format_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Report errors of contents that this version cannot have written as `FormatError`."""
    try:
        yield
    except (ValueError, LookupError, TypeError, RuntimeError, AttributeError, ArithmeticError) as error:
        text = str(error)
        raise FormatError(
            text if str(path) in text else f"{path} does not fit this version of anogan: {text}"
        ) from None
