"""No constructor parameter is idle: each changes what is learned, logged, scored or drawn."""

import warnings
from functools import cache

import numpy as np
import pytest

import anogan
from anogan.nn.style import StyleCritic, StyleDecoder

NOT_APPLICABLE = {
    ("device", "vector"): "the same arithmetic elsewhere; only one device is here",
    ("device", "grey"): "the same arithmetic elsewhere; only one device is here",
    (
        "backbone",
        "vector",
    ): "vectors have one backbone; a test below sees the other ones refused",
    ("backbone", "grey"): "a test below sees mlp refused, and style change something where it has a part",
    ("growing", "vector"): "vectors have no resolution; a test below sees it refused",
    ("augment", "vector"): "no augmentation of vectors is known; a test below sees it refused",
    ("scaling", "grey"): "pictures have no columns to scale",
    ("features", "vector"): "a vector is its own patch",
    ("features", "grey"): "one network is installed; tests/unit/nn/test_frozen.py sees others",
    ("condition", "vector"): "names a column of a table; tests/unit/data/test_condition.py sees it",
    ("condition", "grey"): "pictures here lie in no folders; tests/unit/data/test_condition.py sees it",
}


def other_values(parameter, present):
    """Allowed values that differ from the present one, the likeliest to matter first."""
    c = parameter.constraint
    values = []
    if c.kind is bool:
        values += [True, False]
    elif c.kind is int:
        step = present if isinstance(present, int) and present else 1
        values += [step + 1, 2 * step, max(step // 2, int(c.low or 0)), int(c.low or 0)]
    elif c.kind is float:
        low, high = c.low or 0.0, c.high
        values += [(low + high) / 2, low + 0.9 * (high - low)] if high is not None else [low + 0.37, low + 5.0]
    values += list(c.choices or ())
    return [value for value in values if value != present and (not isinstance(value, int) or value >= (c.low or 0))]


@cache
def outcome(case, changes):
    """Everything that a user can see of a fit."""
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


def contexts(cls, parameter):
    """Settings in which a parameter may wake up: as it is, then each choice of each other parameter."""
    yield ()
    for other in cls.parameters().values():
        if other.name in (parameter, "device", "backbone"):
            continue
        for choice in other.constraint.choices or ((True, False) if other.constraint.kind is bool else ()):
            yield ((other.name, choice),)


def changes_something(case, parameter):
    declared = case.cls.parameters()[parameter]
    for context in contexts(case.cls, parameter):
        present = case.make(**dict(context)).get_params()[parameter]
        for value in other_values(declared, present):
            if outcome(case, (*context, (parameter, value))) != outcome(case, context):
                return True
    return False


def test_every_constructor_parameter_changes_something(parameter_case, parameter):
    reason = NOT_APPLICABLE.get((parameter, parameter_case.modality))
    assert reason or changes_something(parameter_case, parameter), f"{parameter} changes nothing"


@pytest.mark.parametrize("modality", ["vector", "grey"])
def test_another_modality_s_backbone_is_refused_with_advice(name, vector_case, modality):
    case = vector_case.__class__(name, modality)
    accepted, *others = {"vector": ["mlp"], "grey": ["dcgan", "style"]}[modality]
    scores = case.fitted.anomaly_score(case.new)
    np.testing.assert_array_equal(case.fit(backbone=accepted).anomaly_score(case.new), scores)
    for other in others:
        fitted = case.fit(backbone=other)
        # U-Nets and their critics are those of dcgan in style too.
        own = any(isinstance(part, StyleDecoder | StyleCritic) for part in fitted.module_.modules())
        assert ((fitted.anomaly_score(case.new) != scores) == own).all()
    for other in set(case.cls.parameters()["backbone"].constraint.choices) - {"auto", accepted, *others}:
        with pytest.raises(anogan.InputError, match=f"backbone '{other}' needs"):
            case.fit(backbone=other)


@pytest.mark.parametrize("change", [{"growing": True}, {"augment": 0.5}, {"augment": "adaptive"}], ids=str)
def test_what_only_pictures_have_is_refused_on_vectors(vector_case, change):
    (parameter,) = change
    if parameter in vector_case.cls.parameters():
        with pytest.raises(anogan.InputError, match=f"{parameter}=.* needs pictures"):
            vector_case.fit(**change)


def test_a_device_that_is_not_there_is_refused(vector_case):
    for device in ("cuda:99", "warp drive"):
        with pytest.raises(anogan.InputError, match=f"device='{device}'"):
            vector_case.fit(device=device)
