"""Detectors by name and from model files, with their type; the registry does not know the base class."""

from . import registry
from .base import Detector

load = Detector.load


def detector_class(name: str) -> type[Detector]:
    """The detector of this name.

    Raises
    ------
    InputError
        There is no such detector (names the closest one), or the plug-in that has it cannot be used.
    """
    return registry.find_class(name)


def list_detectors() -> dict[str, type[Detector]]:
    """All detectors by name, in alphabetical order; a plug-in that cannot be used gives a warning instead."""
    return registry.find_classes()
