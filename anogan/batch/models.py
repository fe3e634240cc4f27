"""Opening a model file of either kind."""

from pathlib import Path
from typing import Any


def read_model(path: Path, **given: Any) -> Any:
    """Return the detector of a model file, or that of an ONNX file, which is scored without torch."""
    if path.suffix.lower() == ".onnx":
        from ..export.onnx_model import OnnxModel

        return OnnxModel(path)
    from ..detectors.lookup import load

    return load(path, **given)
