"""GAN-based anomaly detection: fit on normal data, rank, flag and explain what is unusual."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the others are Any to a type checker: detectors are found at run time
    from .evaluation import baselines as baselines
    from .evaluation import metrics as metrics
    from .evaluation import protocol as protocol

__version__ = "0.1.0"

_HOMES = {
    "AnoganError": "errors",
    "InputError": "errors",
    "FormatError": "errors",
    "TrainingDivergedError": "errors",
    "Conditioned": "data.condition",
    "open_source": "sources.registry",
    "Source": "sources.source",
    "Chunk": "sources.source",
    "TableFile": "sources.table",
    "ArrayFile": "sources.arrays",
    "ImageFolder": "sources.images",
    "MVTecFolder": "sources.mvtec",
    "PictureSource": "sources.pictures",
    "Stream": "sources.stream",
    "TopK": "sources.stream",
    "pretrained": "nn.frozen",
    "Callback": "engine.callbacks",
    "TensorBoardLogger": "engine.callbacks",
    "MLflowLogger": "engine.callbacks",
    "k_center_greedy": "scoring.patch_memory",
    "Detector": "detectors.base",
    "CalibrationWarning": "detectors.base",
    "TrainingHealthWarning": "detectors.base",
    "detector_class": "detectors.registry",
    "list_detectors": "detectors.registry",
    "from_pyod": "pyod",
}
"""Where the public names live; each is imported when it is first used. Detectors are found by their folder."""

_MODULES = {
    **{name: f"evaluation.{name}" for name in ("metrics", "protocol", "baselines")},
    **{name: f"sources.{name}" for name in ("labels", "writing")},
}
"""Public modules."""


def load(path: Any, *, device: str = "auto") -> Any:
    """Read a detector from a model file, onto another device if wanted; see `Detector.load`."""
    from .detectors.base import Detector

    return Detector.load(path, device=device)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{_MODULES[name]}", __name__)
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    if not name.startswith("_"):
        from .detectors.registry import list_detectors

        for cls in list_detectors().values():
            if cls.__name__ == name:
                return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from .detectors.registry import list_detectors

    return sorted({*globals(), *_HOMES, *_MODULES, *(cls.__name__ for cls in list_detectors().values())})
