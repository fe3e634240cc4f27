"""The container of a model file, without a detector."""

import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

import anogan
from anogan import FormatError
from anogan.container import digests
from anogan.data.choose import preprocessor_for, preprocessor_from_state
from anogan.data.condition import Conditioned
from anogan.data.state import decode, encode
from anogan.data.vector import VectorPreprocessor
from anogan.persistence import (
    MANIFEST,
    PREPROCESSOR,
    WEIGHTS,
    ModelFile,
    read_model,
    write_model,
)

VERSION_1 = Path(__file__).with_name("version_1.anogan")


@pytest.fixture
def model():
    weights = {"a": torch.randn(3, 2), "b.c": torch.arange(4), "empty": torch.zeros(0)}
    preprocessor = VectorPreprocessor().fit(np.random.default_rng(0).normal(size=(9, 2)))
    return ModelFile({"detector": "toy", "threshold": 0.1 + 0.2, "names": ["ä", "b"]}, weights, preprocessor)


def repack(path, **parts):
    """Change parts and sign the file again, as somebody would who knows the format."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    names = {"weights": WEIGHTS, "preprocessor": PREPROCESSOR}
    new = {name: old[name] for name in (WEIGHTS, PREPROCESSOR)} | {names[k]: v for k, v in parts.items()}
    manifest = json.loads(old[MANIFEST])
    manifest.pop("sha256")
    manifest["sha256"] = digests(manifest, new)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, data in new.items():
            archive.writestr(name, data)


def part(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def test_what_was_written_is_read(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    read = read_model(path)
    assert {k: read.manifest[k] for k in model.manifest} == model.manifest
    assert read.weights.keys() == model.weights.keys()
    for key, tensor in model.weights.items():
        assert torch.equal(read.weights[key], tensor)
        assert read.weights[key].dtype == tensor.dtype
    X = np.random.default_rng(1).normal(size=(4, 2))
    assert torch.equal(
        read.preprocessor.transform(X, torch.float64).tensor,
        model.preprocessor.transform(X, torch.float64).tensor,
    )


def test_a_resigned_file_is_read(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    repack(path)
    read_model(path)


def test_a_state_of_another_kind_in_place_of_the_preprocessor_is_refused(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    repack(path, preprocessor=json.dumps({"kind": "sklearn.linear_model.LinearRegression"}).encode())
    with pytest.raises(FormatError, match=r"preprocessor\.kind is 'sklearn"):
        read_model(path)


def test_a_value_that_we_never_write_is_refused(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    state = json.loads(part(path, PREPROCESSOR))
    repack(path, preprocessor=json.dumps(state | {"intruder": "numpy.random.default_rng"}).encode())
    with pytest.raises(FormatError, match=r"never written.*intruder"):
        read_model(path)


def test_a_file_of_version_1_is_refused_with_advice():
    with pytest.raises(FormatError, match=r"format version 1; this anogan reads version 2\. Install .* or fit again"):
        anogan.load(VERSION_1)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x80\x04K\x01.", b"\xff" * 100, b"PK\x03\x04 and nothing"],
    ids=["empty", "a pickle", "ones", "half a zip"],
)
def test_garbage_in_a_part_is_refused_even_when_signed(model, tmp_path, garbage):
    path = tmp_path / "m.anogan"
    for part in ("weights", "preprocessor"):
        write_model(path, model)
        repack(path, **{part: garbage})
        with pytest.raises(FormatError):
            read_model(path)


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"format_version": "1"}', b'{"format_version": null}']
)
def test_a_strange_manifest_is_refused(model, tmp_path, manifest):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr(WEIGHTS, b"")
        archive.writestr(PREPROCESSOR, b"")
    with pytest.raises(FormatError):
        read_model(path)


def test_a_damaged_byte_anywhere_is_an_error_of_format_or_harmless(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    data = path.read_bytes()
    for position in range(0, len(data), max(len(data) // 150, 1)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        try:
            read = read_model(path)
        except FormatError:
            continue
        assert torch.equal(read.weights["a"], model.weights["a"]), position


def test_writing_replaces_whole_files_only(model, tmp_path, monkeypatch):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anogan.persistence.os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_model(path, model)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------ every field of the preprocessor's state


def fitted_preprocessors():
    """One fitted preprocessor of each kind, with each kind of column and of scaler, and its data."""
    rng = np.random.default_rng(0)
    n = 12
    X = rng.normal(size=(n, 2))
    table = pd.DataFrame(
        {
            "number": np.where(np.arange(n) % 5, X[:, 0], np.nan),
            7: rng.integers(0, 9, n),
            "text": rng.choice(["a", "b"], n),
            "bool": np.arange(n) % 2 == 0,
            "level": pd.Categorical(rng.choice([np.inf, 1.5], n), categories=[1.5, np.inf, 3.0], ordered=True),
            "when": pd.Series(pd.date_range("2020-01-01", periods=n, freq="7h", tz="Europe/Berlin")),
            "class": rng.choice(["x", "y"], n),
        }
    )
    yield "vector", preprocessor_for(X).fit(X), X
    for scaling in ("soft", "quantile"):
        yield f"table-{scaling}", preprocessor_for(table, scaling=scaling).fit(table), table
    yield "condition", preprocessor_for(table, condition="class").fit(table), table
    images = rng.random((n, 1, 4, 4))
    yield "image", preprocessor_for(images).fit(images), images
    given_classes = Conditioned(images, [True, False] * (n // 2))
    yield "condition-image", preprocessor_for(given_classes).fit(given_classes), given_classes


PREPROCESSORS = {name: (preprocessor, X) for name, preprocessor, X in fitted_preprocessors()}


def codes(preprocessor, X):
    samples = preprocessor.transform(X, torch.float64)
    return samples.batch(np.arange(len(samples)))


def written(path, preprocessor):
    write_model(path, ModelFile({}, {"a": torch.zeros(1)}, preprocessor))
    return json.loads(part(path, PREPROCESSOR)), load(part(path, WEIGHTS))


def fields(value, path=()):
    """The place of every value in a state, the containers among them."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield from fields(below, (*path, name))


def replaced(state, path, value):
    state = copy.deepcopy(state)
    holder = state
    for name in path[:-1]:
        holder = holder[name]
    if value is DROP:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return state


DROP = object()
LATER = ("midnights", "unit")  # what files of earlier versions do not say
FOREIGN = [DROP, None, {}, [], {"a": 1}, [[]], -1, 10**9, 0.5, "os.system", "\ud800", {"float": "nan"}, ["x"] * 3]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


def restored(state, arrays):
    return preprocessor_from_state(decode(json.dumps(state).encode(), dict(arrays)))


def refused_or_usable(state, arrays, X):
    """What is read must code data or refuse it in words, and never fail in another way."""
    try:
        preprocessor = restored(state, arrays)
    except FormatError as error:
        assert "preprocessor" in str(error)  # noqa: PT017  (a state that is read is fine too)
        return
    try:
        code = codes(preprocessor, X)
    except anogan.InputError:
        return
    preprocessor.inverse(code.numpy())


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_every_preprocessor_comes_back_bit_for_bit(name, tmp_path):
    preprocessor, X = PREPROCESSORS[name]
    path = tmp_path / "m.anogan"
    state, tensors = written(path, preprocessor)
    read = read_model(path).preprocessor
    assert type(read) is type(preprocessor)
    assert read.spec_ == preprocessor.spec_
    assert torch.equal(codes(read, X), codes(preprocessor, X))
    again, same = written(path, read)
    assert again == state
    assert json.dumps(again) == json.dumps(state)  # 1, 1.0 and true are equal to Python
    for key, tensor in tensors.items():
        assert tensor.numpy().tobytes() == same[key].numpy().tobytes()


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_every_field_is_checked(name):
    preprocessor, X = PREPROCESSORS[name]
    text, arrays = encode(preprocessor.to_state())
    state = json.loads(text)
    for place in fields(state):
        for value in FOREIGN:
            refused_or_usable(replaced(state, place, value), arrays, X)
        if isinstance(place[-1], str) and place[-1] != "float":
            if place[-1] not in LATER:
                with pytest.raises(FormatError):
                    restored(replaced(state, place, DROP), arrays)
            with pytest.raises(FormatError, match="intruder"):
                restored(replaced(state, (*place[:-1], "intruder"), 1), arrays)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_value_in_any_field_does_more_than_be_refused(data):
    preprocessor, X = PREPROCESSORS[data.draw(st.sampled_from(list(PREPROCESSORS)))]
    text, arrays = encode(preprocessor.to_state())
    state = json.loads(text)
    place = data.draw(st.sampled_from(list(fields(state))))
    refused_or_usable(replaced(state, place, data.draw(JSON_VALUES)), arrays, X)


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_every_array_is_checked(name, tmp_path):
    preprocessor, _ = PREPROCESSORS[name]
    path = tmp_path / "m.anogan"
    _, tensors = written(path, preprocessor)
    arrays = [key for key in tensors if key.startswith("preprocessor.")]
    assert arrays or preprocessor.kind == "image"
    for key in arrays:
        old = tensors[key]
        longer = torch.cat([old, old[:1]])
        for new in (None, old.to(torch.float16), old[None], old.new_zeros(0), longer):
            changed = {k: v for k, v in tensors.items() if k != key} | ({} if new is None else {key: new.contiguous()})
            repack(path, weights=save(changed))
            with pytest.raises(FormatError, match=r"preprocessor\."):
                read_model(path)
        if old.is_floating_point():
            repack(path, weights=save(tensors | {key: torch.full_like(old, np.inf)}))
            with pytest.raises(FormatError, match=r"preprocessor\."):
                read_model(path)
    repack(path, weights=save(tensors | {"preprocessor.intruder": torch.zeros(1)}))
    with pytest.raises(FormatError, match="intruder"):
        read_model(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("scaler", "scaling"), "standard"),
        (("columns", 0, "channel"), 1),
        (("columns", 1, "name"), "number"),
        (("columns", 0, "dtype"), "datetime64[ns]"),
        (("columns", 5, "zone"), "dateutil//etc/localtime"),
        (("columns", 5, "zone"), "../../etc/localtime"),
        (("columns", 5, "zone"), "Europe/Nowhere"),
        (("columns", 5, "dtype"), "datetime64[ns, dateutil//etc/localtime]"),
        (("columns", 5, "parts"), ["day", "day"]),
        (("columns", 5, "time_of_day"), 86401.0),
        (("columns", 3, "categories"), [True, False]),
        (("columns", 4, "categories"), [1, {"float": "inf"}]),
        (("columns", 2, "categories"), ["a", 1]),
        (("columns", 2, "categories"), ["a", "a"]),
        (("columns", 2, "categories"), [str(i) for i in range(1001)]),
    ],
)
def test_values_that_fit_no_fit_are_refused(tmp_path, place, value):
    path = tmp_path / "m.anogan"
    state, _ = written(path, PREPROCESSORS["table-soft"][0])
    repack(path, preprocessor=json.dumps(replaced(state, place, value)).encode())
    with pytest.raises(FormatError, match=r"preprocessor\."):
        read_model(path)


@pytest.mark.parametrize(
    "text", ['{"kind": "vector", "kind": "vector"}', '{"kind": NaN}', "[" * 100_000, '{"kind": 1e999}']
)
def test_json_that_is_not_strict_is_refused(model, tmp_path, text):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    repack(path, preprocessor=text.encode())
    with pytest.raises(FormatError, match="preprocessor"):
        read_model(path)
