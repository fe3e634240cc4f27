"""Detectors by name: the files of this folder, plug-ins, and classes that a running program has defined.

A file in this folder is found by itself. Another distribution adds a detector by an entry point::

    [project.entry-points."anogan.detectors"]
    my_gan = "my_package.my_gan:MyGAN"

What the command line shows of a detector comes from ``index.json``, because importing detectors imports torch. Each
entry of the index names the source files that it was made from, with their digests. A file that is new or has changed
since is imported instead, so the index cannot be wrong. ``make generate`` rewrites it.
"""

import difflib
import importlib
import json
import os
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from ..parameters import Parameter
from ..sources.frames import is_folder

GROUP = "anogan.detectors"
PICTURE_CHANNELS = (1, 3)  # grey, colour: those that feature_gan's pretrained network sees
INDEX = Path(__file__).with_name("index.json")

_T = TypeVar("_T")
_BY_NAME: dict[str, type[Any]] = {}
"""Classes that have been imported or defined."""


@dataclass(frozen=True)
class DetectorDescription:
    """What there is to know of a detector without importing it.

    Attributes
    ----------
    name : str
        Its name on the command line and in model files.
    class_name, module : str
        Where its class is.
    summary : str
        The first line of its docstring.
    image_size : int
        Side in pixels to which the command line resizes pictures by default.
    uses_unlabeled : bool
        Whether its `fit` takes X_unlabeled.
    parameters : dict of str to Parameter
        The constructor's parameters.
    """

    name: str
    class_name: str
    module: str
    summary: str
    image_size: int
    uses_unlabeled: bool
    parameters: dict[str, Parameter]

    @classmethod
    def of(cls, detector: type[Any]) -> "DetectorDescription":
        """The description of an imported class."""
        return cls(
            detector.name,
            detector.__name__,
            detector.__module__,
            detector.summary(),
            detector.image_size,
            detector.uses_unlabeled,
            detector.parameters(),
        )


def register(cls: type[Any]) -> None:
    """Enter a detector class under its ``name``.

    Raises
    ------
    TypeError
        Another detector has this name.
    """
    homes = {(cls.__module__, cls.__name__)}
    if (known := _BY_NAME.get(cls.name)) is not None:
        homes.add((known.__module__, known.__name__))
    elif not cls.__module__.startswith(f"{__package__}.") and (built_in := _built_in().get(cls.name)):
        homes.add((built_in.module, built_in.class_name))
    if len(homes) > 1:
        raise TypeError(f"Two detectors are called {cls.name!r}: {' and '.join(sorted(map('.'.join, homes)))}.")
    _BY_NAME[cls.name] = cls


def detector_names() -> list[str]:
    """The names of all detectors in alphabetical order; imports no plug-in."""
    return sorted({*_built_in(), *_plug_ins(), *_BY_NAME})


def default_detector(X: Any) -> str:
    """The name of the detector that suits data of this kind when none is named.

    For pictures of 1 or 3 channels it is "feature_gan", which is made for defects. For other data it is
    "denoising_gan", which ranks first on the tables that were used in its development.

    Parameters
    ----------
    X : DataFrame, array (n, d), images (n, C, H, W), ImageFolder, path or Source
        Of a path, only what kind of data it is is read.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> anogan.default_detector(np.zeros((5, 3))), anogan.default_detector(np.zeros((5, 3, 32, 32)))
    ('denoising_gan', 'feature_gan')
    """
    if isinstance(X, str | os.PathLike):
        from ..sources.registry import open_source  # imports all formats

        X = open_source(X)
    shape: tuple[int, ...] = getattr(X, "shape", ())
    on_disk = is_folder(X) or getattr(type(X), "kind", None) == "pictures"
    is_pictures = on_disk or (len(shape) == 4 and shape[1] in PICTURE_CHANNELS)
    return "feature_gan" if is_pictures else "denoising_gan"


def describe_detector(name: str) -> DetectorDescription:
    """The description of one detector; a plug-in is imported for it.

    Raises
    ------
    InputError
        There is no such detector, or the plug-in that has it cannot be used.
    """
    return _built_in().get(name) or DetectorDescription.of(find_class(name))


def describe_detectors(*, plug_ins: bool = True) -> dict[str, DetectorDescription]:
    """The descriptions of all detectors by name, in alphabetical order.

    Plug-ins are imported for their description, unless they are left out. One that cannot be used gives a warning
    instead.
    """
    return _usable(describe_detector) if plug_ins else _built_in()


def find_class(name: str) -> type[Any]:
    """The detector of this name.

    Raises
    ------
    InputError
        There is no such detector (names the closest one), or the plug-in that has it cannot be used.
    """
    if name not in _BY_NAME:
        if name in _built_in():
            importlib.import_module(_built_in()[name].module)
        elif name in _plug_ins():
            _import_plug_in(name, _plug_ins()[name])
        else:
            close = difflib.get_close_matches(name.lower(), detector_names(), n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InputError(f"Unknown detector {name!r}; there are {', '.join(detector_names())}.{hint}")
    return _BY_NAME[name]


def find_classes() -> dict[str, type[Any]]:
    """All detectors by name; a plug-in that cannot be used gives a warning instead."""
    return _usable(find_class)


def build_index() -> str:
    """The text of ``index.json``, made from the classes themselves; one line for each module."""
    modules, sources = {}, set()
    for module in _modules():
        importlib.import_module(module)
        classes = _defined_in(module)
        of = {module, *(b.__module__ for cls in classes for b in cls.__mro__ if b.__module__.startswith("anogan."))}
        parameters = [[p.to_json() for p in cls.parameters().values()] for cls in classes]
        entries = [
            vars(DetectorDescription.of(cls)) | {"parameters": declared}
            for cls, declared in zip(classes, parameters, strict=True)
        ]
        modules[module] = {"sources": sorted(map(_source, of)), "detectors": entries}
        sources |= set(map(_source, of))
    digests = {source: _digest(source) for source in sorted(sources)}
    lines = [f"{json.dumps(module)}: {json.dumps(entry, ensure_ascii=False)}" for module, entry in modules.items()]
    return f'{{"sources": {json.dumps(digests, indent=1)},\n"modules": {{\n' + ",\n".join(lines) + "\n}}\n"


@cache
def _built_in() -> dict[str, DetectorDescription]:
    """The detectors of this folder by name: from the index where it is up to date, otherwise imported."""
    index = json.loads(INDEX.read_text(encoding="utf-8"))
    unchanged = {source for source, digest in index["sources"].items() if _digest(source) == digest}
    found = {}
    for module in _modules():
        entry = index["modules"].get(module)
        if entry is not None and unchanged.issuperset(entry["sources"]):
            for values in entry["detectors"]:
                declared = map(Parameter.from_json, values["parameters"])
                description = DetectorDescription(**values | {"parameters": {p.name: p for p in declared}})
                found[description.name] = description
        else:
            importlib.import_module(module)
            found |= {cls.name: DetectorDescription.of(cls) for cls in _defined_in(module)}
    return found


@cache
def _plug_ins() -> dict[str, list[EntryPoint]]:
    """The entry points of other distributions by the name of their detector."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _import_plug_in(name: str, points: list[EntryPoint]) -> None:
    homes = " and ".join(sorted(point.dist.name for point in points if point.dist))
    if len(points) > 1:
        raise InputError(f"Detector {name!r} is in several distributions: {homes}. Uninstall all but one of them.")
    try:
        found = points[0].load()
    except Exception as error:
        raise InputError(
            f"Detector {name!r} of the distribution {homes} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if _BY_NAME.get(name) is not found:
        raise InputError(
            f"Detector {name!r} of the distribution {homes} cannot be used: its entry point leads to {found!r}, which "
            f"is not a Detector with name = {name!r}."
        )


def _usable(find: Callable[[str], _T]) -> dict[str, _T]:
    """What `find` returns for each detector, with a warning for each plug-in that cannot be used."""
    found = {}
    for name in detector_names():
        try:
            found[name] = find(name)
        except InputError as error:
            warnings.warn(str(error), stacklevel=3)
    for name in _plug_ins().keys() & _built_in().keys():
        homes = " and ".join(sorted(point.dist.name for point in _plug_ins()[name] if point.dist))
        warnings.warn(
            f"Detector {name!r} of the distribution {homes} is ignored: anogan has a detector of this name.",
            stacklevel=3,
        )
    return found


def _modules() -> list[str]:
    return [f"{__package__}.{info.name}" for info in pkgutil.iter_modules([str(INDEX.parent)])]


def _defined_in(module: str) -> list[type[Any]]:
    return [cls for cls in _BY_NAME.values() if cls.__module__ == module]


def _source(module: str) -> str:
    """The path of an anogan module's file below the package's folder: ``anogan.nn.mlp`` -> ``nn/mlp.py``."""
    return module.removeprefix("anogan.").replace(".", "/") + ".py"


def _digest(source: str) -> str:
    """The digest of a file's text, whatever its line ends; empty if there is no such file."""
    path = INDEX.parents[1] / source
    return sha256(path.read_text(encoding="utf-8").encode()).hexdigest()[:16] if path.is_file() else ""
