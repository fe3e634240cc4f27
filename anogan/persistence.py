"""The model file: a zip of manifest.json, weights.safetensors and preprocessor.skops. No pickle anywhere."""

import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import skops.io
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .data.preprocessor import TRUSTED_TYPES, Preprocessor
from .errors import FormatError

FORMAT_VERSION = 1
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What reading damaged bytes as a zip, as JSON or as a preprocessor may raise."""
MANIFEST, WEIGHTS, PREPROCESSOR = "manifest.json", "weights.safetensors", "preprocessor.skops"


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file.

    Attributes
    ----------
    manifest : dict
        JSON: the detector's name, parameters and fitted facts.
    weights : dict of str to Tensor
        On CPU.
    preprocessor : Preprocessor
        Fitted.
    """

    manifest: dict[str, Any]
    weights: dict[str, Tensor]
    preprocessor: Preprocessor


def write_model(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Write the file whole or not at all (to a temporary name beside it, then renamed)."""
    target = Path(path)
    parts = {
        WEIGHTS: save_tensors({k: t.detach().cpu().contiguous().clone() for k, t in model.weights.items()}),
        PREPROCESSOR: skops.io.dumps(model.preprocessor),
    }
    manifest = model.manifest | {"format_version": FORMAT_VERSION}
    manifest["sha256"] = _digests(manifest, parts)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
            for name, data in parts.items():
                archive.writestr(name, data)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a file written by `write_model`.

    Raises
    ------
    FormatError
        Not a model file, another format version, a missing or altered part, or a type that we never write.
    FileNotFoundError
        There is no such file.
    """
    data = Path(path).read_bytes()  # whole, so that what a damaged file makes zipfile do is no error of the disk
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read(MANIFEST))
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
    written = manifest.pop("sha256", {})
    for name, digest in _digests(manifest, parts).items():
        if digest != written.get(name):
            raise FormatError(f"{path}: {name} was altered after the model was written.")
    try:
        weights = load_tensors(parts[WEIGHTS])
        preprocessor = skops.io.loads(parts[PREPROCESSOR], trusted=TRUSTED_TYPES)
    except (SafetensorError, *UNREADABLE) as error:
        raise FormatError(f"{path} is damaged or holds something we never write: {error}") from None
    # skops trusts many of scikit-learn's types; only a preprocessor of ours may stand at the top.
    if not isinstance(preprocessor, Preprocessor):
        raise FormatError(f"{path}: {PREPROCESSOR} holds no preprocessor.")
    return ModelFile(manifest, weights, preprocessor)


def _digests(manifest: dict[str, Any], parts: dict[str, bytes]) -> dict[str, str]:
    whole = parts | {MANIFEST: json.dumps(manifest, sort_keys=True).encode()}
    return {name: sha256(data).hexdigest() for name, data in whole.items()}
