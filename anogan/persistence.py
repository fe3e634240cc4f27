"""The model file: a container of a manifest, the weights and the state of the preprocessor.

The tensors hold the arrays of the preprocessor beside the weights, under names that start with "preprocessor.".
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .container import MANIFEST, WEIGHTS, Container, open_container, write_container
from .data.choose import preprocessor_from_state
from .data.preprocessor import Preprocessor
from .data.state import ROOT, decode, encode
from .errors import FormatError
from .files.remote import local_file
from .files.writing import written_whole

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "PREPROCESSOR",
    "WEIGHTS",
    "ModelFile",
    "open_model",
    "read_model",
    "write_model",
]

FORMAT_VERSION = 2
PREPROCESSOR = "preprocessor.json"
_ARRAYS = f"{ROOT}."


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file.

    Attributes
    ----------
    manifest : dict
        JSON: the detector's name, parameters and fitted facts.
    weights : dict of str to Tensor
        On CPU, or on the meta device as long as they have not been read. No name starts with "preprocessor.".
    preprocessor : Preprocessor
        Fitted.
    """

    manifest: dict[str, Any]
    weights: dict[str, Tensor]
    preprocessor: Preprocessor

    def values(self) -> dict[str, Tensor]:
        """The weights on CPU, read if they have not been."""
        return self.weights


@dataclass(frozen=True)
class OpenModelFile(ModelFile):
    """A model file whose weights are on the meta device until `values` reads them.

    Attributes
    ----------
    container : Container
    """

    container: Container

    def values(self) -> dict[str, Tensor]:
        return _without_arrays(self.container.tensors())


def write_model(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Write the file whole or not at all (to a temporary name beside it, then renamed)."""
    state, arrays = encode(model.preprocessor.to_state())
    tensors = model.weights | {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    with written_whole(path) as file:
        write_container(file, FORMAT_VERSION, model.manifest, tensors, **{PREPROCESSOR: state})


@contextmanager
def open_model(path: str | os.PathLike[str]) -> Iterator[OpenModelFile]:
    """Open a file written by `write_model`.

    Raises
    ------
    FormatError
        Not a model file, another format version, a missing or altered part, or a value that is never written.
    FileNotFoundError
        There is no such file.
    """
    with (
        local_file(path) as local,
        open_container(local, "model file", FORMAT_VERSION, PREPROCESSOR) as container,
    ):
        arrays = {name: tensor.numpy() for name, tensor in container.tensors(_ARRAYS).items()}
        try:
            preprocessor = preprocessor_from_state(decode(container.texts[PREPROCESSOR], arrays))
        except FormatError as error:
            raise FormatError(f"{path} is damaged or holds something that is never written: {error}") from None
        yield OpenModelFile(container.manifest, _without_arrays(container.declared), preprocessor, container)


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file whole; see `open_model`."""
    with open_model(path) as model:
        return ModelFile(model.manifest, model.values(), model.preprocessor)


def _without_arrays(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_ARRAYS)}
