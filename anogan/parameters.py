"""One declaration per parameter: it becomes the constructor, the validation, the documentation and the CLI option.

Reading declarations needs neither torch nor scikit-learn, so that a command's help appears at once.
"""

import dataclasses
import inspect
import re
import textwrap
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self, dataclass_transform

from .errors import InputError

SECTIONS = (
    "Parameters",
    "Attributes",
    "Methods",
    "Raises",
    "Warns",
    "Warnings",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
"""Sections of a class's docstring, in numpydoc's order."""

_KINDS = {kind.__name__: kind for kind in (bool, int, float, str, dict)}
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


@dataclass(frozen=True)
class Constraint:
    """The values that a parameter may take.

    Parameters
    ----------
    kind : type
        ``bool``, ``int``, ``float``, ``str`` or ``dict``: the type of an ordinary value.
    low, high : float or None
        Inclusive bounds of a number, unless the matching ``open_*`` is set.
    choices : tuple of str or None
        Words that are allowed (beside numbers within the bounds, if ``kind`` is a number).
    optional : bool
        Whether None is allowed.
    """

    kind: type
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] | None = None
    optional: bool = False

    def as_sklearn(self) -> list[Any]:
        """The same constraint in scikit-learn's own form."""
        from sklearn.utils._param_validation import Interval, StrOptions

        options: list[Any] = []
        if self.kind is bool:
            options.append("boolean")
        elif self.kind in (int, float):
            closed = {(0, 0): "both", (1, 0): "right", (0, 1): "left", (1, 1): "neither"}
            if self.high is None:
                side = "neither" if self.open_low else "left"
            else:
                side = closed[self.open_low, self.open_high]
            options.append(Interval(Integral if self.kind is int else Real, self.low, self.high, closed=side))
        elif self.choices is None:
            options.append(self.kind)
        if self.choices is not None:
            options.append(StrOptions(set(self.choices)))
        if self.optional:
            options.append(None)
        return options

    @property
    def bounds(self) -> str:
        """The range of a number in words, such as ``at least 0, below 1``; empty if there is none."""
        low = "" if self.low is None else f"{'above' if self.open_low else 'at least'} {self.low:g}"
        high = "" if self.high is None else f"{'below' if self.open_high else 'at most'} {self.high:g}"
        return ", ".join(part for part in (low, high) if part)

    @property
    def type_text(self) -> str:
        """The allowed values as numpydoc's type, such as ``int, at least 1, or None``."""
        words = [repr(choice) for choice in self.choices or ()]
        kinds = ["{" + ", ".join(words) + "}"] if len(words) > 1 else words
        if not words or self.kind is not str:
            kinds.append(", ".join(part for part in (self.kind.__name__, self.bounds) if part))
        text = " or ".join(kinds)
        return text + (", or None" if self.bounds else " or None") * self.optional

    def to_json(self) -> dict[str, Any]:
        """The constraint as JSON holds it; `from_json` reads it again."""
        return dataclasses.asdict(self) | {"kind": self.kind.__name__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The constraint that `to_json` wrote."""
        choices = values["choices"]
        return cls(**values | {"kind": _KINDS[values["kind"]], "choices": choices and tuple(choices)})


def at_least(low: float, *, optional: bool = False) -> Constraint:
    """A number of ``low``'s own type that is not below it."""
    return Constraint(type(low), low=low, optional=optional)


def above(low: float) -> Constraint:
    """A float strictly greater than ``low``."""
    return Constraint(float, low=low, open_low=True)


def between(low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> Constraint:
    """A float from ``low`` to ``high``."""
    return Constraint(float, low=low, high=high, open_low=open_low, open_high=open_high)


def boolean() -> Constraint:
    """True or False."""
    return Constraint(bool)


def one_of(*choices: str) -> Constraint:
    """One of these words."""
    return Constraint(str, choices=choices)


@dataclass(frozen=True)
class Parameter:
    """A declared parameter, as documentation and the command line read it."""

    name: str
    default: Any
    constraint: Constraint
    help: str

    def to_json(self) -> dict[str, Any]:
        """The declaration as JSON holds it; `from_json` reads it again."""
        return vars(self) | {"constraint": self.constraint.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The declaration that `to_json` wrote."""
        return cls(**values | {"constraint": Constraint.from_json(values["constraint"])})


def param(default: Any, constraint: Constraint, *, help: str) -> Any:
    """Declare a constructor parameter in the body of a `Parametrised` class."""
    return dataclasses.field(default=default, metadata={"constraint": constraint, "help": help})


# Without field specifiers a type checker takes each `param(...)` as a default, and so no parameter as required.
@dataclass_transform(kw_only_default=True, eq_default=False)
class Parametrised:
    """Makes the keyword-only constructor of a subclass from its `param` declarations, and documents it.

    The docstring of the subclass gets a Parameters section, and its Attributes follow those of its base.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        cls._parameter_constraints = {p.name: p.constraint.as_sklearn() for p in cls.parameters().values()}
        # random_state also takes a generator object, which no command line or model file can name.
        if "random_state" in cls._parameter_constraints:
            cls._parameter_constraints["random_state"] = ["random_state"]
        if cls.__doc__:  # None under python -OO
            cls.__doc__ = _documented(cls)

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The declared parameters by name, in order of declaration."""
        return {
            f.name: Parameter(f.name, f.default, f.metadata["constraint"], f.metadata["help"])
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        }

    def check_parameters(self) -> None:
        """Raise `InputError` for the first parameter outside its constraint."""
        from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

        values = {name: getattr(self, name) for name in self.parameters()}
        try:
            validate_parameter_constraints(self._parameter_constraints, values, caller_name=type(self).__name__)
        except InvalidParameterError as error:
            raise InputError(str(error)) from None


def _documented(cls: type[Parametrised]) -> str:
    """The class's docstring with its parameters, the attributes of its base, and all sections in order."""
    text, sections = _sections(cls.__doc__ or "")
    sections["Parameters"] = "\n".join(map(_entry, cls.parameters().values()))
    _, inherited = _sections(cls.__base__.__doc__ or "" if cls.__base__ else "")
    attributes = [part["Attributes"] for part in (inherited, sections) if "Attributes" in part]
    if attributes:
        sections["Attributes"] = "\n".join(attributes)
    if unknown := sections.keys() - set(SECTIONS):
        raise TypeError(f"The docstring of {cls.__name__} has sections that are not in {SECTIONS}: {unknown}.")
    parts = [f"{title}\n{'-' * len(title)}\n{sections[title]}" for title in SECTIONS if sections.get(title)]
    return "\n\n".join([text, *parts]) + "\n"


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """The text before the first section of a docstring, and the sections by title."""
    text, *rest = _HEADING.split(inspect.cleandoc(docstring))
    return text.strip(), {title: body.strip("\n") for title, body in zip(rest[::2], rest[1::2], strict=True)}


def _entry(parameter: Parameter) -> str:
    """A parameter as numpydoc lists it."""
    type_text = parameter.constraint.type_text
    if parameter.name == "random_state":
        type_text = type_text.replace(", or None", ", RandomState or None")
    help = "\n".join(textwrap.wrap(parameter.help, 115, initial_indent="    ", subsequent_indent="    "))
    return f"{parameter.name} : {type_text}, default={parameter.default!r}\n{help}"
