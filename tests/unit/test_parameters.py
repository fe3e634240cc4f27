"""One declaration per parameter: constructor, validation and documentation follow from it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anogan import InputError
from anogan.parameters import (
    Constraint,
    Parameter,
    Parametrised,
    above,
    at_least,
    between,
    boolean,
    one_of,
    param,
)


class Base(Parametrised):
    width: int = param(8, at_least(1), help="Of the bed.")


class Bed(Base):
    legs: int | None = param(None, at_least(0, optional=True), help="By default none.")
    height: float = param(0.5, above(0.0), help="In metres.")
    slope: float = param(0.0, between(0.0, 1.0, open_high=True), help="Of the top.")
    wood: str = param("oak", one_of("oak", "pine"), help="Of the frame.")
    share: float | str = param("auto", Constraint(float, 0.0, 0.5, open_low=True, choices=("auto",)), help="Or auto.")
    soft: bool = param(True, boolean(), help="Or hard.")


def test_parameters_are_listed_in_order_with_those_of_the_parents_first():
    parameters = Bed.parameters()
    assert list(parameters) == ["width", "legs", "height", "slope", "wood", "share", "soft"]
    assert parameters["wood"].default == "oak"
    assert parameters["wood"].constraint.choices == ("oak", "pine")
    assert parameters["width"].help == "Of the bed."
    assert list(Base.parameters()) == ["width"]


def test_the_constructor_takes_keywords_only_and_stores_them_as_they_are():
    bed = Bed(width=3, wood="plastic")
    assert (bed.width, bed.wood, bed.legs) == (3, "plastic", None)
    with pytest.raises(TypeError):
        Bed(3)
    with pytest.raises(TypeError, match="wdith"):
        Bed(wdith=3)


def test_defaults_and_values_at_the_bounds_pass():
    Bed().check_parameters()
    Bed(legs=0, slope=0.0, height=1e-9, share=0.5, width=1).check_parameters()
    Bed(width=np.int64(3), height=2, soft=False).check_parameters()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("width", 1.5),
        ("width", "8"),
        ("width", None),
        ("legs", -1),
        ("height", 0.0),
        ("height", float("nan")),
        ("slope", 1.0),
        ("slope", -0.1),
        ("wood", "plastic"),
        ("wood", 3),
        ("share", 0.0),
        ("share", 0.51),
        ("share", "sometimes"),
        ("soft", "yes"),
    ],
)
def test_a_value_outside_its_constraint_is_named(name, value):
    with pytest.raises(InputError, match=f"The '{name}' parameter of Bed must be .* Got .* instead"):
        Bed(**{name: value}).check_parameters()


@given(st.floats(allow_nan=False), st.floats(-10, 10), st.floats(0.01, 10), st.booleans(), st.booleans())
def test_an_interval_accepts_what_lies_inside(value, low, length, open_low, open_high):
    class Thing(Parametrised):
        x: float = param(0.0, between(low, low + length, open_low=open_low, open_high=open_high), help=".")

    inside = (low < value if open_low else low <= value) and (
        value < low + length if open_high else value <= low + length
    )
    if inside:
        Thing(x=value).check_parameters()
    else:
        with pytest.raises(InputError):
            Thing(x=value).check_parameters()


def test_a_random_state_may_also_be_a_generator():
    class Thing(Parametrised):
        random_state: object = param(None, at_least(0, optional=True), help=".")

    for good in (None, 3, np.random.RandomState(0)):
        Thing(random_state=good).check_parameters()
    with pytest.raises(InputError):
        Thing(random_state="seven").check_parameters()


class Documented(Base):
    """A summary.

    Some text.

    Notes
    -----
    A note.

    Attributes
    ----------
    sum_ : float
        What is learned.
    """

    share: float | str = param("auto", Constraint(float, 0.0, 0.5, open_low=True, choices=("auto",)), help="Or auto.")


class Derived(Documented):
    """Another summary.

    Attributes
    ----------
    mean_ : float
        What is learned too.
    """


def test_the_docstring_gets_the_parameters_and_the_base_s_attributes_in_order():
    assert Documented.__doc__.startswith(
        "A summary.\n\nSome text.\n\nParameters\n----------\nwidth : int, at least 1, default=8\n"
    )
    assert "share : 'auto' or float, above 0, at most 0.5, default='auto'\n    Or auto.\n" in Documented.__doc__
    assert Documented.__doc__.index("Attributes") < Documented.__doc__.index("Notes")
    assert "sum_ : float\n    What is learned.\nmean_ : float" in Derived.__doc__
    assert "A note" not in Derived.__doc__


def test_an_unknown_section_is_refused():
    with pytest.raises(TypeError, match="Thing has sections"):

        class Thing(Parametrised):
            """A summary.

            Remarks
            -------
            Numpydoc has no such section.
            """


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (at_least(1), "int, at least 1"),
        (at_least(1, optional=True), "int, at least 1, or None"),
        (above(0.0), "float, above 0"),
        (between(0.0, 1.0, open_high=True), "float, at least 0, below 1"),
        (one_of("a", "b"), "{'a', 'b'}"),
        (boolean(), "bool"),
        (Constraint(str), "str"),
        (Constraint(str, optional=True), "str or None"),
    ],
)
def test_a_constraint_has_a_text(constraint, text):
    assert constraint.type_text == text


def test_declarations_survive_json():
    for parameter in Bed.parameters().values():
        again = Parameter.from_json(json.loads(json.dumps(parameter.to_json())))
        assert again == parameter
        assert type(again.default) is type(parameter.default)
