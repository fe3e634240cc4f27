"""No constructor parameter is idle: each changes what is learned, logged, scored or drawn."""

import itertools
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.testing import assert_array_equal

from ..errors import InputError
from ..parameters import Parameter
from .case import GREY, VECTOR, Case, on, raises

NOT_APPLICABLE = {
    ("device", VECTOR): "the same arithmetic on another device",
    ("device", GREY): "the same arithmetic on another device",
    ("backbone", VECTOR): "vectors have one backbone",
    ("backbone", GREY): "the style backbone changes only those networks of which it has its own",
    ("keep_rows", VECTOR): "it changes explanations alone",
    ("keep_rows", GREY): "pictures are explained without others",
    ("growing", VECTOR): "vectors have no resolution",
    ("augment", VECTOR): "no augmentation of vectors is known",
    ("scaling", GREY): "pictures have no columns to scale",
    ("features", VECTOR): "a vector is its own patch",
    ("columns", VECTOR): "it names columns of a table",
    ("columns", GREY): "it names columns of a table",
    ("condition", VECTOR): "it names a column of a table",
    ("condition", GREY): "pictures in an array lie in no folders",
}
"""(parameter, modality) -> why another value need not change anything."""

Changes = tuple[tuple[str, Any], ...]


def _other_values(parameter: Parameter, present: Any) -> list[Any]:
    """Return allowed values that differ from the present one, those most likely to matter first."""
    c = parameter.constraint
    values: list[Any] = []
    if c.kind is bool:
        values += [True, False]
    elif c.kind is int:
        step = present if isinstance(present, int) and present else 1
        # The lowest one comes first: it often turns something off.
        values += [int(c.low or 0), step + 1, 2 * step, max(step // 2, int(c.low or 0))]
    elif c.kind is float:
        low, high = c.low or 0.0, c.high
        values += [(low + high) / 2, low + 0.9 * (high - low)] if high is not None else [low + 0.37, low + 5.0]
    values += list(c.choices or ())
    return [value for value in values if value != present and (not isinstance(value, int) or value >= (c.low or 0))]


def _outcome(case: Case, changes: Changes) -> str:
    """Return everything that a user can see of a fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = case.fit(**dict(changes))
    drawn = np.asarray(detector.sample(3, random_state=0)) if detector.module_.can("sample") else None
    return repr(
        (
            detector.anomaly_score(case.new).tolist(),
            detector.history_,
            detector.calibration_.threshold,
            None if drawn is None else drawn.tolist(),
        )
    )


def _contexts(case: Case, parameter: str) -> list[Changes]:
    """Return settings in which a parameter may have an effect: each choice of each other parameter.

    Those of a detector's own parameters, which are declared last, come first, since they are most likely to matter.
    """
    contexts: list[Changes] = []
    for other in reversed(case.cls.parameters().values()):
        if other.name not in (parameter, "device", "backbone") and (other.name, case.modality) not in NOT_APPLICABLE:
            choices = other.constraint.choices or ((True, False) if other.constraint.kind is bool else ())
            contexts += [((other.name, choice),) for choice in choices]
    return contexts


def _changes_something(case: Case, parameter: Parameter, outcome: Callable[[Changes], str]) -> bool:
    values = _other_values(parameter, case.make().get_params()[parameter.name])
    plain = itertools.product(values, [()])
    tried = itertools.chain(plain, itertools.product(values, _contexts(case, parameter.name)))
    return any(outcome((*context, (parameter.name, value))) != outcome(context) for value, context in tried)


@on(VECTOR, GREY)
def check_every_parameter_changes_something(case: Case) -> None:
    """Every constructor parameter changes the scores, the history, the threshold or the samples of a fit."""
    outcome = cache(lambda changes: _outcome(case, changes))
    for name, parameter in case.cls.parameters().items():
        if (name, case.modality) not in NOT_APPLICABLE:
            assert _changes_something(case, parameter, outcome), f"the parameter {name} changes nothing"


@on(VECTOR, GREY)
def check_backbone_of_another_modality_is_refused(case: Case) -> None:
    """A backbone for other data is refused, and ``auto`` is the first one for these data."""
    accepted = {VECTOR: "mlp", GREY: "dcgan"}[case.modality]
    others = {VECTOR: {"dcgan", "style"}, GREY: {"mlp"}}[case.modality]
    scores = case.fitted.anomaly_score(case.new)
    assert_array_equal(case.fit(backbone=accepted).anomaly_score(case.new), scores)
    for other in others & set(case.cls.parameters()["backbone"].constraint.choices or ()):
        with raises(InputError, f"backbone '{other}' needs"):
            case.fit(backbone=other)


@on(VECTOR)
def check_parameters_of_pictures_are_refused_on_vectors(case: Case) -> None:
    """Growth and augmentation, where the detector has them, are refused on vectors."""
    changes: list[dict[str, Any]] = [{"growing": True}, {"augment": 0.5}, {"augment": "adaptive"}]
    applicable = [change for change in changes if change.keys() <= case.cls.parameters().keys()]
    if not applicable:
        raise SkipTest(f"{case.cls.__name__} neither grows nor augments.")
    for change in applicable:
        (parameter,) = change
        with raises(InputError, f"{parameter}=.* needs pictures"):
            case.fit(**change)


@on(VECTOR)
def check_unavailable_device_is_refused(case: Case) -> None:
    """A device that does not exist is refused by its name."""
    for device in ("cuda:99", "warp drive"):
        with raises(InputError, f"device='{device}'"):
            case.fit(device=device)
