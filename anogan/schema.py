"""Strict JSON: a parser with limits, and the check of parsed values against types.

What is read may come from anybody. The limits keep memory and time of a refusal small; the types are those that a
program would annotate: scalars, lists, tuples, dicts, unions, typed dicts and dataclasses.
"""

import json
import math
import re
import reprlib
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from .errors import FormatError

LARGEST_TEXT = 2**24  # bytes of a JSON text
MOST_VALUES = 2**19  # values in it, counted by its commas and brackets

Count = Annotated[int, 0]
"""An integer of at least 0."""
Positive = Annotated[int, 1]
"""An integer of at least 1."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SCALARS = (bool, int, float, str, NoneType)
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80
_REPR.maxlevel = 2


def is_too_large(text: bytes) -> bool:
    """Whether a JSON text is beyond the limits of `parse_json`."""
    return len(text) > LARGEST_TEXT or sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES


def parse_json(text: bytes, name: str) -> Any:
    """Return the value of a JSON text; ``name`` stands for it in messages.

    Raises
    ------
    FormatError
        The text is too large or not strict JSON in UTF-8: it has NaN or infinity, an integer of more than 64 bits, a
        name twice in one object, half of a character, or another syntax.
    """
    if is_too_large(text):
        raise FormatError(f"{name} is larger than any that is written ({len(text):,} bytes).")
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is not valid JSON: {error}") from None
    return value


def check_type(value: Any, kind: Any, path: str) -> None:
    """Raise `FormatError`, which names the place, unless a JSON value is of a type.

    A dataclass or typed dict stands for an object with its fields, and ``Annotated[int, low]`` for an integer that is
    not below ``low``.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind) or is_dataclass(kind):
        _require(isinstance(value, dict), value, "an object", path)
        fields = get_type_hints(kind, include_extras=True)
        required = getattr(kind, "__required_keys__", fields.keys())
        for name in sorted(required - value.keys()):
            raise FormatError(f"{path}.{name} is missing.")
        for name in value:
            _require(name in fields, name, f"one of {', '.join(fields)}", f"A name in {path}")
            hint = fields[name]
            check_type(value[name], get_args(hint)[0] if get_origin(hint) is NotRequired else hint, f"{path}.{name}")
    elif origin is Annotated:
        check_type(value, arguments[0], path)
        _require(value >= arguments[1], value, f"at least {arguments[1]}", path)
    elif origin is dict:
        _require(isinstance(value, dict), value, "an object", path)
        for name in value:
            check_type(value[name], arguments[1], f"{path}.{name}")
    elif origin is list:
        _require(isinstance(value, list), value, "a list", path)
        kinds = get_args(arguments[0]) if get_origin(arguments[0]) in (Union, UnionType) else arguments
        scalars = [kind for kind in kinds if kind in _SCALARS]
        for number, item in enumerate(value):
            if not any(_is(item, kind) for kind in scalars):  # a path takes longer than the rest
                check_type(item, arguments[0], f"{path}[{number}]")
    elif origin is tuple:
        _require(isinstance(value, list) and len(value) == len(arguments), value, f"{len(arguments)} values", path)
        for number, (item, each) in enumerate(zip(value, arguments, strict=True)):
            check_type(item, each, f"{path}[{number}]")
    elif origin in (Union, UnionType):
        scalar = next((each for each in arguments if _is(value, each)), None)
        others = [each for each in arguments if get_origin(each)]
        if scalar is None and others:
            check_type(value, others[0], path)
        else:
            names = " or ".join(map(_word, arguments))
            _require(scalar is not None, value, names, path)
    else:
        _require(_is(value, kind), value, _word(kind), path)


def with_nulls(values: Any) -> Any:
    """Return JSON values with null in place of numbers that are not finite, which JSON lacks."""
    if isinstance(values, dict):
        return {name: with_nulls(value) for name, value in values.items()}
    if isinstance(values, list):
        return [with_nulls(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def without_nulls(values: Any) -> Any:
    """Return JSON values with NaN in place of null; the inverse of `with_nulls` up to the kind of infinity."""
    if isinstance(values, dict):
        return {name: without_nulls(value) for name, value in values.items()}
    if isinstance(values, list):
        return [without_nulls(value) for value in values]
    return math.nan if values is None else values


def quoted(value: Any) -> str:
    """Return a value as a message shows it: the beginning of its repr."""
    return _REPR.repr(value)


def _is(value: Any, kind: Any) -> bool:
    """Whether a scalar is of this type; true is not an integer here, and infinity no float."""
    fits = isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return fits and (kind is not float or math.isfinite(value))


def _word(kind: Any) -> str:
    return {NoneType: "null", float: "float (finite)"}.get(kind, kind.__name__)


def _require(condition: bool, value: Any, needed: str, path: str) -> None:
    if not condition:
        raise FormatError(f"{path} is {quoted(value)}; it must be {needed}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same name twice")
    return values


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is beyond the range of a number")
    return value


def _integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{text[:20]}... is beyond 64 bits")
    return value
