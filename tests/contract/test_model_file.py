"""The model file is read by another process, and a file that was altered is refused with its fault."""

import json
import pickle
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import anogan
from anogan.nn.efficientnet import EfficientNetLite
from anogan.persistence import FORMAT_VERSION, MANIFEST, PREPROCESSOR, WEIGHTS, read_model, write_model

from .conftest import CASES

IN_A_FRESH_PROCESS = """
import pickle, sys
import anogan
for path, data, expected in pickle.load(sys.stdin.buffer):
    detector = anogan.load(path, device="cpu")
    got = detector.anomaly_score(data)
    if (got != expected).any():
        print(path, abs(got - expected).max())
print("done")
"""


@pytest.fixture
def file(vector_case, tmp_path):
    path = tmp_path / "model.anogan"
    vector_case.fitted.save(path)
    return path


def rewrite(path, changes):
    """Replace (or, with None, drop) parts of the zip and nothing else."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(name, data)


def test_a_fresh_process_gives_the_same_scores(tmp_path, monkeypatch, exact_features):
    """One process reads all models, since starting one takes seconds; grey pictures are read like coloured ones."""
    cases = [case for case in CASES if case.modality != "grey"]
    for case in cases:
        case.fitted.save(tmp_path / f"{case}.anogan")
    monkeypatch.setattr(EfficientNetLite, "forward", exact_features)  # as in the other process
    jobs = [(str(tmp_path / f"{case}.anogan"), case.new, case.fitted.anomaly_score(case.new)) for case in cases]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_A_FRESH_PROCESS],
        input=pickle.dumps(jobs),
        capture_output=True,
    )
    assert run.stdout.decode() == "done\n", run.stdout.decode() + run.stderr.decode()


def test_the_file_holds_three_parts_and_no_pickle(case, tmp_path):
    path = tmp_path / "model.anogan"
    case.fitted.save(path)
    assert list(tmp_path.iterdir()) == [path]  # no temporary file stays
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [MANIFEST, WEIGHTS, PREPROCESSOR]
        manifest = json.loads(archive.read(MANIFEST))
        assert json.loads(archive.read(PREPROCESSOR))["kind"] in ("vector", "table", "image", "condition")
        weights = archive.read(WEIGHTS)
    assert json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert manifest["detector"] == case.name
    assert manifest["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize("modality", ["vector", "table"])
def test_the_file_holds_at_most_a_thousand_training_rows(vector_case, modality, tmp_path):
    path = tmp_path / "model.anogan"
    vector_case.on(modality).fitted.save(path)
    assert 0 < read_model(path).weights["background"].shape[0] <= 1000


@pytest.mark.parametrize("part", [MANIFEST, WEIGHTS, PREPROCESSOR])
def test_an_altered_part_is_refused(vector_case, file, part):
    with zipfile.ZipFile(file) as archive:
        data = archive.read(part)
    if part == MANIFEST:
        altered = json.dumps(json.loads(data) | {"threshold": 1e9}).encode()
    else:
        altered = data[:-1] + bytes([data[-1] ^ 1])
    rewrite(file, {part: altered})
    with pytest.raises(anogan.FormatError, match=f"{part} was altered"):
        anogan.load(file)


@pytest.mark.parametrize("part", [MANIFEST, WEIGHTS, PREPROCESSOR])
def test_a_missing_part_is_refused(vector_case, file, part):
    rewrite(file, {part: None})
    with pytest.raises(anogan.FormatError, match=part):
        anogan.load(file)


def test_another_format_version_is_refused_with_advice(vector_case, file):
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    rewrite(file, {MANIFEST: json.dumps(manifest | {"format_version": FORMAT_VERSION + 1}).encode()})
    with pytest.raises(
        anogan.FormatError, match=f"format version {FORMAT_VERSION + 1}.*reads version {FORMAT_VERSION}"
    ):
        anogan.load(file)


def test_an_unknown_detector_is_named(vector_case, file):
    model = read_model(file)
    model.manifest["detector"] = vector_case.name + "x"
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match=f"{vector_case.name}x.*Did you mean"):
        anogan.load(file)


def test_every_missing_tensor_is_named(vector_case, file):
    model = read_model(file)
    first = next(iter(model.weights))
    del model.weights[first]
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match=re.escape(first.removeprefix("module."))):
        anogan.load(file)
    whole = vector_case.fitted.fitted_state.to_file()  # the others in memory: writing takes most of the time
    for key in whole.weights:
        less = {name: tensor for name, tensor in whole.weights.items() if name != key}
        with pytest.raises((RuntimeError, ValueError), match=re.escape(key.removeprefix("module."))):
            vector_case.make().restore(replace(whole, weights=less))


def test_an_extra_tensor_and_a_wrong_shape_are_refused(vector_case, file):
    model = read_model(file)
    model.weights["module.intruder"] = torch.zeros(3)
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match="intruder"):
        anogan.load(file)
    del model.weights["module.intruder"]
    key = next(k for k, _ in vector_case.fitted.module_.named_parameters())
    model.weights[f"module.{key}"] = torch.zeros(1, 2, 3)
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match=key):
        anogan.load(file)


@pytest.mark.parametrize("change", [{"steps": -1}, {"no_such_parameter": 1}, {"n_members": "many"}])
def test_parameters_that_do_not_fit_are_refused(vector_case, file, change):
    model = read_model(file)
    model.manifest["parameters"] |= change
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match="|".join(change)):
        anogan.load(file)


@pytest.mark.parametrize("network", [["dcgan", 1, 8], ["mlp", 1, 9], ["mlp"]])
def test_networks_that_do_not_fit_are_refused(vector_case, file, network):
    model = read_model(file)
    model.manifest["network"] = network
    write_model(file, model)
    with pytest.raises(anogan.FormatError, match="does not fit"):
        anogan.load(file)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_refused(vector_case, file, keep):
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(anogan.FormatError, match="is not a model file"):
        anogan.load(file)


def test_another_file_and_no_file_are_told_apart(tmp_path):
    other = tmp_path / "data.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(anogan.FormatError, match=r"data\.csv is not a model file"):
        anogan.load(other)
    with pytest.raises(FileNotFoundError):
        anogan.load(tmp_path / "nowhere.anogan")


def test_a_failed_save_leaves_the_old_file(vector_case, file, monkeypatch):
    before = file.read_bytes()

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    with pytest.raises(OSError, match="No space left"):
        vector_case.fitted.save(file)
    assert file.read_bytes() == before
    assert list(Path(file.parent).iterdir()) == [file]
