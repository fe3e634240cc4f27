"""One declaration per parameter: it becomes the constructor, the validation, the docs and the command-line option."""

import dataclasses
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, dataclass_transform

from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

from .errors import InputError


@dataclass(frozen=True)
class Constraint:
    """The values that a parameter may take.

    Parameters
    ----------
    kind : type
        ``bool``, ``int``, ``float`` or ``str``: the type of an ordinary value.
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
            options.append(str)
        if self.choices is not None:
            options.append(StrOptions(set(self.choices)))
        if self.optional:
            options.append(None)
        return options


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


def param(default: Any, constraint: Constraint, *, help: str) -> Any:
    """Declare a constructor parameter in the body of a `Parametrised` class."""
    return dataclasses.field(default=default, metadata={"constraint": constraint, "help": help})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(param,))
class Parametrised:
    """Gives subclasses a keyword-only constructor made from their `param` declarations."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        cls._parameter_constraints = {p.name: p.constraint.as_sklearn() for p in cls.parameters().values()}
        # random_state also takes a generator object, which no command line or model file can name.
        if "random_state" in cls._parameter_constraints:
            cls._parameter_constraints["random_state"] = ["random_state"]

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The declared parameters by name, in order of declaration."""
        return {
            f.name: Parameter(f.name, f.default, f.metadata["constraint"], f.metadata["help"])
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        }

    def check_parameters(self) -> None:
        """Raise `InputError` for the first parameter outside its constraint."""
        values = {name: getattr(self, name) for name in self.parameters()}
        try:
            validate_parameter_constraints(self._parameter_constraints, values, caller_name=type(self).__name__)
        except InvalidParameterError as error:
            raise InputError(str(error)) from None
