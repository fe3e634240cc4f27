"""The container of a model file, without a detector."""

import json
import zipfile

import numpy as np
import pytest
import skops.io
import torch
from sklearn.linear_model import LinearRegression

from anogan import FormatError
from anogan.data.vector import VectorPreprocessor
from anogan.persistence import (
    MANIFEST,
    PREPROCESSOR,
    WEIGHTS,
    ModelFile,
    _digests,
    read_model,
    write_model,
)


@pytest.fixture
def model():
    weights = {"a": torch.randn(3, 2), "b.c": torch.arange(4), "empty": torch.zeros(0)}
    preprocessor = VectorPreprocessor().fit(np.random.default_rng(0).normal(size=(9, 2)))
    return ModelFile({"detector": "toy", "threshold": 0.1 + 0.2, "names": ["ä", "b"]}, weights, preprocessor)


def repack(path, **parts):
    """Change parts and sign the file anew, as somebody would who knows the format."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    names = {"weights": WEIGHTS, "preprocessor": PREPROCESSOR}
    new = {name: old[name] for name in (WEIGHTS, PREPROCESSOR)} | {names[k]: v for k, v in parts.items()}
    manifest = json.loads(old[MANIFEST])
    manifest.pop("sha256")
    manifest["sha256"] = _digests(manifest, new)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, data in new.items():
            archive.writestr(name, data)


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


def test_a_foreign_object_in_place_of_the_preprocessor_is_refused(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    repack(path, preprocessor=skops.io.dumps(LinearRegression()))
    with pytest.raises(FormatError, match="holds no preprocessor"):
        read_model(path)


def test_a_type_that_we_never_write_is_refused(model, tmp_path):
    path = tmp_path / "m.anogan"
    write_model(path, model)
    preprocessor = VectorPreprocessor().fit(np.ones((3, 2)))
    preprocessor.intruder = np.random.default_rng  # a function that skops does not trust
    repack(path, preprocessor=skops.io.dumps(preprocessor))
    with pytest.raises(FormatError, match="never write"):
        read_model(path)


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
