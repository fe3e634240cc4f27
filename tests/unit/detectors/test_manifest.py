"""A model file whose manifest or tensors were edited, and signed again, gives a FormatError."""

import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import anogan
from anogan.detectors.manifest import checked_manifest
from anogan.persistence import read_model, write_model

WRONG = [None, True, -1, 1.5, float("nan"), "x", [], [[]], {}, {"x": {}}]
FREE = ("parameters", "history")  # objects whose names depend on the detector


def fitted(cls, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**cls.tiny | {"n_members": 2, "random_state": 0, "device": "cpu"}).fit(X)


@pytest.fixture(scope="module", params=["rows", "pictures"])
def detector(request):
    rng = np.random.default_rng(0)
    if request.param == "rows":
        return fitted(anogan.ALAD, rng.normal(size=(40, 3)))
    return fitted(anogan.GANomaly, rng.uniform(size=(20, 1, 8, 8)))


@pytest.fixture
def model(detector, tmp_path):
    detector.save(tmp_path / "saved.anogan")
    return read_model(tmp_path / "saved.anogan")


def load(path, model):
    write_model(path, model)
    return anogan.load(path, device="cpu")


def places(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for number in range(min(len(value), 3)):
            yield from places(value[number], (*path, number))


def holder(values, path):
    for name in path[:-1]:
        values = values[name]
    return values


def same_type(value, other):
    """Whether both are scalars of one type, or empty or free containers of one type; null fits some numbers."""
    return type(value) is type(other) or {type(value), type(other)} <= {int, float}


def test_every_value_of_the_manifest_has_its_type(model):
    manifest = {name: value for name, value in model.manifest.items() if name != "detector"}
    assert checked_manifest(manifest) == manifest
    for path in places(manifest):
        old = holder(manifest, path)[path[-1]]
        for wrong in WRONG:
            optional = path[0] in ("feature_names_in", "map_threshold", "map_start", "n_features_in", "parameters")
            if wrong is None and (path[0] == "history" or "measures" in path):
                continue  # a number that is not finite
            if same_type(old, wrong) or (optional and len(path) <= 1 + (path[0] == "parameters")):
                continue
            changed = copy.deepcopy(manifest)
            holder(changed, path)[path[-1]] = wrong
            with pytest.raises(anogan.FormatError, match="manifest"):
                checked_manifest(changed)
        if isinstance(path[-1], str) and path[0] not in FREE and "measures" not in path and "versions" not in path:
            changed = copy.deepcopy(manifest)
            del holder(changed, path)[path[-1]]
            with pytest.raises(anogan.FormatError, match=f"{path[-1]} is missing"):
                checked_manifest(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector": None}, "manifest.detector is None"),
        ({"threshold": "0.5"}, r"threshold is '0\.5'; it must be float"),
        ({"held_out": 1}, "held_out is 1; it must be bool"),
        ({"intruder": 1}, "intruder"),
        ({"network": ["auto", 0, 8]}, r"network\[1\] is 0; it must be at least 1"),
        ({"network": ["mlp", 2, 10**12]}, "parameters.width is 8, and manifest.network has 10"),
        ({"fitted_on": {"samples": 9, "training": 10, "watched": 0, "calibration": 1, "versions": {}}}, "in a part"),
        ({"n_features_in": 17}, "n_features_in is 17|17 features"),
        ({"feature_names_in": ["a"] * 17}, "17 feature names"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused(model, tmp_path, change, message):
    with pytest.raises(anogan.FormatError, match=message):
        load(tmp_path / "m.anogan", replace(model, manifest=model.manifest | change))


@pytest.mark.parametrize("name", ["threshold", "map_threshold"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_threshold_is_finite(model, name, value):
    manifest = {key: value for key, value in model.manifest.items() if key != "detector"}
    with pytest.raises(anogan.FormatError, match=f"{name} is .*; it must be .*finite"):
        checked_manifest(manifest | {name: value})


def test_parameters_must_be_complete(model, tmp_path):
    for name in list(model.manifest["parameters"]):
        parameters = {k: v for k, v in model.manifest["parameters"].items() if k != name}
        with pytest.raises(anogan.FormatError, match=name):
            load(tmp_path / "m.anogan", replace(model, manifest=model.manifest | {"parameters": parameters}))


def test_every_tensor_outside_the_module_is_checked(model, tmp_path):
    for name, old in model.weights.items():
        if name.startswith("module."):
            continue
        bad = torch.where(torch.arange(old.numel()).reshape(old.shape) == 0, torch.nan, old)
        for new in (bad, old.half(), old[None], old[:0]):
            with pytest.raises(anogan.FormatError, match=name):
                load(tmp_path / "m.anogan", replace(model, weights=model.weights | {name: new}))


def test_a_calibration_out_of_order_is_refused(model, tmp_path):
    scores = model.weights["calibration.scores"].flip(0)
    with pytest.raises(anogan.FormatError, match="scores must be ascending"):
        load(tmp_path / "m.anogan", replace(model, weights=model.weights | {"calibration.scores": scores}))
    scale = -model.weights["calibration.scale"]
    with pytest.raises(anogan.FormatError, match="not positive"):
        load(tmp_path / "m.anogan", replace(model, weights=model.weights | {"calibration.scale": scale}))


def test_weights_with_nan_or_of_another_type_are_refused(detector, model, tmp_path):
    name = next(f"module.{name}" for name, _ in detector.module_.named_parameters())
    old = model.weights[name]
    for new in (torch.full_like(old, torch.nan), old.double()):
        with pytest.raises(anogan.FormatError, match=name):
            load(tmp_path / "m.anogan", replace(model, weights=model.weights | {name: new}))


def test_the_unchanged_file_and_a_pickle_are_read(detector, model, tmp_path):
    for each in (load(tmp_path / "m.anogan", model), pickle.loads(pickle.dumps(detector))):
        assert each.offset_ == detector.offset_
        assert each.attempts_ == detector.attempts_
