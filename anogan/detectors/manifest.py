"""The values that the manifest of a model file holds, and the check that a file holds no others.

The check matters because a manifest can be edited and its digests computed again. A threshold that is a text or NaN
would otherwise fail later, or flag nothing without a word.
"""

from dataclasses import is_dataclass
from math import isnan
from types import NoneType, UnionType
from typing import Any, NotRequired, TypedDict, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from ..engine.diagnostics import Diagnosis
from ..errors import FormatError

_QUOTED = 80  # characters of a value in a message


class Attempt(TypedDict):
    """An entry of `Detector.attempts_`."""

    seed: int
    learning_rate: float
    kept: bool
    verdict: str


class HeldOut(TypedDict):
    """The fields of `Holdout`."""

    share: float
    rows: int
    seed: int | None
    by: str | None
    first: int | float | str | None


class FittedOn(TypedDict):
    """`Detector.fitted_on_`."""

    samples: int
    training: int
    watched: int
    calibration: int
    versions: dict[str, str]
    recalibrated: NotRequired[int]
    holdout: NotRequired[HeldOut]


class Manifest(TypedDict):
    """A fitted state without its tensors and its preprocessor, as JSON holds it."""

    parameters: dict[str, bool | int | float | str | dict[str, str] | None]
    n_features_in: int | None
    feature_names_in: list[str | int] | None
    network: tuple[str, int, int]
    threshold: float
    map_threshold: float | None
    held_out: bool
    reference: bool
    diagnosis: Diagnosis
    history: dict[str, dict[str, list[int | float]]]
    attempts: list[Attempt]
    fitted_on: FittedOn
    background_rows: int
    digests: int
    digests_of: int


def checked_manifest(values: Any) -> dict[str, Any]:
    """Return the values of a manifest if they are those that `FittedState.to_file` writes.

    Raises
    ------
    FormatError
        A value is missing, unexpected, or of another type. The message names it.
    """
    _check(values, Manifest, "manifest")
    for name in ("threshold", "map_threshold"):
        if values[name] is not None and isnan(values[name]):
            raise FormatError(f"manifest.{name} is NaN; it must be a number.")
    for name, value in zip(("members", "width"), values["network"][1:], strict=True):
        if value < 1:
            raise FormatError(f"manifest.network has {value} for the {name}; it must be at least 1.")
    if not 0 <= values["digests"] <= values["digests_of"]:
        raise FormatError(f"manifest has {values['digests']} digests of {values['digests_of']} rows.")
    if not isinstance(values["parameters"].get("random_state"), int):
        raise FormatError("manifest.parameters has no random_state, which holds the seed of the fit.")
    names = values["feature_names_in"]
    if names is not None and len(names) != values["n_features_in"]:
        raise FormatError(f"manifest has {len(names)} feature names for {values['n_features_in']} features.")
    return cast(dict[str, Any], values)


def _check(value: Any, kind: Any, path: str) -> None:
    """Raise `FormatError` unless a JSON value has the type; a dataclass stands for an object with its fields."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind) or is_dataclass(kind):
        _require(isinstance(value, dict), value, "an object", path)
        fields = get_type_hints(kind)
        required = getattr(kind, "__required_keys__", fields.keys())
        for name in required - value.keys():
            raise FormatError(f"{path}.{name} is missing.")
        for name in value:
            _require(name in fields, name, f"one of {', '.join(fields)}", f"A name in {path}")
            _check(value[name], fields[name], f"{path}.{name}")
    elif origin is dict:
        _require(isinstance(value, dict), value, "an object", path)
        for name in value:
            _check(value[name], arguments[1], f"{path}.{name}")
    elif origin is list:
        _require(isinstance(value, list), value, "a list", path)
        for number, item in enumerate(value):
            _check(item, arguments[0], f"{path}[{number}]")
    elif origin is tuple:
        _require(isinstance(value, list) and len(value) == len(arguments), value, f"{len(arguments)} values", path)
        for number, (item, each) in enumerate(zip(value, arguments, strict=True)):
            _check(item, each, f"{path}[{number}]")
    elif origin in (Union, UnionType):
        scalar = next((each for each in arguments if _is(value, each)), None)
        others = [each for each in arguments if get_origin(each)]
        if scalar is None and others:
            _check(value, others[0], path)
        else:
            names = " or ".join("null" if each is NoneType else each.__name__ for each in arguments)
            _require(scalar is not None, value, names, path)
    else:
        _require(_is(value, kind), value, kind.__name__, path)


def _is(value: Any, kind: Any) -> bool:
    """Whether a scalar is of this type; true is not an integer here."""
    return isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _require(condition: bool, value: Any, needed: str, path: str) -> None:
    if not condition:
        text = repr(value)
        raise FormatError(f"{path} is {text[:_QUOTED]}{'...' * (len(text) > _QUOTED)}; it must be {needed}.")
