"""The model file: a zip of manifest.json, weights.safetensors and preprocessor.json, without pickle.

The tensors file holds the arrays of the preprocessor beside the weights, under names that start with "preprocessor.".
"""

import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .data.choose import preprocessor_from_state
from .data.preprocessor import Preprocessor
from .data.state import ROOT, decode, encode
from .errors import FormatError
from .sources.writing import written_whole

FORMAT_VERSION = 2
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, TypeError, ValueError)
"""What reading damaged bytes as a zip or as JSON may raise."""
MANIFEST, WEIGHTS, PREPROCESSOR = "manifest.json", "weights.safetensors", "preprocessor.json"
_ARRAYS = f"{ROOT}."


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file.

    Attributes
    ----------
    manifest : dict
        JSON: the detector's name, parameters and fitted facts.
    weights : dict of str to Tensor
        On CPU. No name starts with "preprocessor.".
    preprocessor : Preprocessor
        Fitted.
    """

    manifest: dict[str, Any]
    weights: dict[str, Tensor]
    preprocessor: Preprocessor


def write_model(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Write the file whole or not at all (to a temporary name beside it, then renamed)."""
    state, arrays = encode(model.preprocessor.to_state())
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.weights.items()}
    tensors |= {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    parts = {WEIGHTS: save_tensors(tensors), PREPROCESSOR: state}
    manifest = model.manifest | {"format_version": FORMAT_VERSION}
    manifest["sha256"] = _digests(manifest, parts)
    with written_whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
        for name, data in parts.items():
            # Compression takes seconds and saves less than a tenth of the weights.
            archive.writestr(name, data, zipfile.ZIP_STORED if name == WEIGHTS else None)


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a file written by `write_model`.

    Raises
    ------
    FormatError
        Not a model file, another format version, a missing or altered part, or a value that is never written.
    FileNotFoundError
        There is no such file.
    """
    data = Path(path).read_bytes()  # whole, so that an OSError is one of the disk and not of a damaged zip
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if not isinstance(manifest, dict):
                raise ValueError(f"{MANIFEST} is not a JSON object")
            version = manifest.get("format_version")
            if version == FORMAT_VERSION:
                parts = {name: archive.read(name) for name in (WEIGHTS, PREPROCESSOR)}
    except UNREADABLE as error:
        raise FormatError(f"{path} is not a model file of anogan ({error}).") from None
    if version != FORMAT_VERSION:
        raise FormatError(
            f"{path} has model format version {version}; this anogan reads version {FORMAT_VERSION}. "
            "Install the anogan that wrote it, or fit again."
        )
    written = manifest.pop("sha256", None)
    for name, digest in _digests(manifest, parts).items():
        if not isinstance(written, dict) or digest != written.get(name):
            raise FormatError(f"{path}: {name} was altered after the model was written.")
    try:
        tensors = load_tensors(parts[WEIGHTS])
        arrays = {name: tensors.pop(name).numpy() for name in list(tensors) if name.startswith(_ARRAYS)}
        preprocessor = preprocessor_from_state(decode(parts[PREPROCESSOR], arrays))
    except (SafetensorError, *UNREADABLE) as error:  # a FormatError too, which is a ValueError
        raise FormatError(f"{path} is damaged or holds something that is never written: {error}") from None
    del manifest["format_version"]  # belongs to the file and not to the model
    return ModelFile(manifest, tensors, preprocessor)


def _digests(manifest: dict[str, Any], parts: dict[str, bytes]) -> dict[str, str]:
    whole = parts | {MANIFEST: json.dumps(manifest, sort_keys=True).encode()}
    return {name: sha256(data).hexdigest() for name, data in whole.items()}
