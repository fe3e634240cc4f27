"""Hostile model files are refused by one sentence, at once and within little memory; nothing is looked up for them."""

import importlib
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import types
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import anogan
from anogan.container import digests
from anogan.persistence import MANIFEST, PREPROCESSOR, WEIGHTS, open_model

from .model_files import Entry, Parts, changed, zeros, zip_of

SECONDS, MEGABYTES = 2.0, 300

MEASURE = """
import pickle, re, sys, time
import anogan
good, *paths = pickle.load(sys.stdin.buffer)
anogan.load(good, device="cpu")  # imports
def memory(field):
    return int(re.search(rf"{field}:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
for path in paths:
    open("/proc/self/clear_refs", "w").write("5")  # the peak is measured from here
    before, start = memory("VmRSS"), time.process_time()
    try:
        anogan.load(path, device="cpu")
        said = "loaded"
    except anogan.FormatError as error:
        said = f"FormatError: {error}"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(path, time.process_time() - start, memory("VmHWM") - before, said.replace("\\n", "\\\\n"), sep="\\t")
"""


def fitted(name, X, **parameters):
    cls = anogan.list_detectors()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**cls.tiny | {"n_members": 2, "random_state": 0, "device": "cpu"} | parameters).fit(X)


def saved(detector, path):
    detector.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=60), "b": rng.choice(["x", "y"], 60)})


@pytest.fixture(scope="module")
def table(folder, rows):
    return saved(fitted("mo_gaal", rows), folder / "table")


@pytest.fixture(scope="module")
def picture(folder):
    X = np.random.default_rng(0).uniform(size=(20, 1, 8, 8))
    return saved(fitted("denoising_gan", X), folder / "picture")


def archives(data):
    """Zips that lie about their entries, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest, weights, state = (Entry(name, parts[name]) for name in (MANIFEST, WEIGHTS, PREPROCESSOR))
    big = 2**29
    spaces = Entry(MANIFEST, size=big, raw=zeros(big, b" "), method=zipfile.ZIP_DEFLATED)
    deflated = replace(weights, method=zipfile.ZIP_DEFLATED)
    lies = {
        "a manifest of spaces": zip_of(spaces, weights, state),
        "a manifest of spaces said to be short": zip_of(replace(spaces, size=9), weights, state),
        "weights of zeros": zip_of(manifest, Entry(WEIGHTS, size=big, raw=zeros(big), method=8), state),
        "weights of zeros said to be short": zip_of(manifest, Entry(WEIGHTS, size=99, raw=zeros(big), method=8), state),
        "a state of zeros": zip_of(manifest, weights, Entry(PREPROCESSOR, size=2**24, raw=zeros(2**24), method=8)),
        "stored data larger than the file": zip_of(manifest, replace(weights, size=2**32 - 2), state),
        "an entry twice": zip_of(manifest, weights, state, manifest),
        "a manifest twice instead of a state": zip_of(manifest, weights, manifest),
        "overlapping entries": zip_of(manifest, replace(weights, offset=0), state),
        "an unknown entry": zip_of(manifest, weights, state, Entry("../../evil.py", b"import os")),
        "an unknown entry instead of the state": zip_of(manifest, weights, Entry("state.pickle", parts[PREPROCESSOR])),
        "an encrypted entry": zip_of(manifest, replace(weights, flags=1), state),
        "lzma": zip_of(manifest, replace(weights, method=14), state),
        "bzip2": zip_of(manifest, replace(weights, method=12), state),
        "another size in the entry": zip_of(manifest, replace(weights, local_size=7), state),
        "another name in the entry": zip_of(manifest, replace(weights, local_name="a"), state),
        "a wrong check sum": zip_of(manifest, replace(weights, crc=1), state),
        "bytes before the archive": zip_of(manifest, weights, state, before=b"#!/bin/sh\n"),
        "a comment": zip_of(manifest, weights, state, comment=b"PK\5\6" + bytes(18)),
        "a count of 65535": zip_of(manifest, weights, state, count=65535),
        "a count of 2": zip_of(manifest, weights, state, count=2),
        "65,535 entries": zip_of(*(Entry(f"{number}") for number in range(65535))),
        "damaged deflate": zip_of(manifest, replace(deflated, raw=b"\xff" * 99), state),
        "zeros": bytes(2**20),
        "nothing": b"",
    }
    for depth, text in {"lists": b"[" * 10**6, "objects": b'{"a":' * 10**6}.items():
        lies[f"a manifest of nested {depth}"] = zip_of(Entry(MANIFEST, text), weights, state)
    for what, text in {"empty lists": b"[" + b"[]," * (5 * 2**20) + b"0]", "digits": b"9" * 2**24}.items():
        lies[f"a manifest of {what}"] = zip_of(Entry(MANIFEST, text), weights, state)
    return lies


def tensors_of(data, header, body=b"\0" * 8):
    """The file with another header of its tensors, sealed."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    weights = len(text).to_bytes(8, "little") + text + body
    parts = Parts.of(data)
    state = json.dumps(parts.preprocessor).encode()
    manifest = parts.manifest | {"sha256": digests(parts.manifest, {WEIGHTS: weights, PREPROCESSOR: state})}
    return zip_of(Entry(MANIFEST, json.dumps(manifest).encode()), Entry(WEIGHTS, weights), Entry(PREPROCESSOR, state))


def headers(data):
    def one(dtype="F64", shape=(1,), offsets=(0, 8)):
        return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}

    faults = {
        "of a huge shape": one(shape=(10**12,)),
        "whose size overflows": one(shape=(2**62, 4)),
        "that is empty and huge": one(shape=(0, 2**62, 2**62), offsets=(0, 0)),
        "of negative length": one(shape=(-1,)),
        "of an unknown type": one(dtype="F8_E4M3"),
        "beyond the end": one(offsets=(8, 16)),
        "of half a size": one(shape=(0.5,)),
        "without a shape": {"a": {"dtype": "F64", "data_offsets": [0, 8]}},
        "in the place of another": one() | {"b": one()["a"]},
        "with metadata": one() | {"__metadata__": {"a": "b"}},
        "of 10,000 names": {str(n): one(shape=(0,), offsets=(0, 0))["a"] for n in range(10**4)} | one(),
        "that is a list": [1],
        "that is not JSON": b"\xff\xfe{",
    }
    return {f"a tensor {what}": tensors_of(data, header) for what, header in faults.items()}


def manifests(table, picture):
    """Files that declare more than they hold."""
    faults = {}
    for what, data, place, value in (
        ("a width of 30,000", table, ("network", 2), 30_000),
        ("a million members", table, ("network", 1), 10**6),
        ("a million members of pictures", picture, ("network", 1), 10**6),
        ("a width of 30,000 of pictures", picture, ("network", 2), 30_000),
        ("a billion generators", table, ("parameters", "n_generators"), 10**9),
        ("a latent dimension of 10^7", table, ("parameters", "latent_dim"), 10**7),
        ("a latent dimension of 10^15", picture, ("parameters", "latent_dim"), 10**15),
        ("a billion background rows", table, ("background_rows",), 10**9),
    ):
        parts = Parts.of(data)
        manifest = changed(parts.manifest, place, value)
        own = {"width": 2, "n_members": 1}  # parameters that agree with the network
        for name, index in own.items():
            manifest["parameters"][name] = manifest["network"][index]
        faults[what] = replace(parts, manifest=manifest).sealed()
    for shape in ([1, 2**20, 2**20], [2**20, 8, 8], [1, 10**4, 10**4]):
        parts = Parts.of(picture)
        faults[f"pictures of {shape}"] = replace(
            parts, preprocessor=changed(parts.preprocessor, ("shape",), shape)
        ).sealed()
    parts = Parts.of(table)
    faults["a history of half a million steps"] = replace(
        parts, manifest=changed(parts.manifest, ("history",), {"gan": {"step": [1] * 2**19}})
    ).sealed()
    for place, value in ((("sha256",), None), (("detector",), 5), (("detector",), "no_such"), (("detector",), None)):
        faults[f"{place[0]} {value}"] = replace(parts, manifest=parts.manifest | {place[0]: value}).sealed()
    return faults


def test_every_hostile_file_is_refused_at_once_within_little_memory(tmp_path, table, picture):
    (tmp_path / "good").write_bytes(table)
    files = archives(table) | headers(table) | manifests(table, picture)
    names = {}
    for number, (what, data) in enumerate(files.items()):
        names[str(tmp_path / f"{number}.anogan")] = what
        (tmp_path / f"{number}.anogan").write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURE],
        input=pickle.dumps([str(tmp_path / "good"), *names]),
        capture_output=True,
    )
    measured = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert len(measured) == len(names), run.stderr.decode()
    for path, seconds, megabytes, said in measured:
        fault = (names[path], seconds, megabytes, said)
        assert said.startswith("FormatError: "), fault
        assert path in said, fault
        assert len(said) < 800, fault
        assert "\\n" not in said, fault
        assert float(seconds) < SECONDS, fault
        assert float(megabytes) < MEGABYTES, fault


def test_a_file_names_nothing_that_is_looked_up_or_imported(tmp_path, monkeypatch, table, picture):
    """Neither a network nor a hub nor a module beyond this package's is asked for, whatever a file names."""
    path = tmp_path / "m.anogan"

    def asked(*args, **_):
        raise AssertionError(f"asked for {args}")

    imported = importlib.import_module

    def own(name, package=None):
        assert name.startswith("anogan."), name
        return imported(name, package)

    X = np.random.default_rng(0).uniform(size=(10, 1, 32, 32))
    patches = saved(fitted("feature_gan", X), tmp_path / "patches")
    monkeypatch.setattr(socket, "socket", asked)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", asked)
    monkeypatch.setattr(torch, "load", asked)
    monkeypatch.setattr(importlib, "import_module", own)
    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=asked, list_models=asked))
    for data in (table, picture, patches):
        path.write_bytes(data)
        anogan.load(path, device="cpu")
        parts = Parts.of(data)
        for place in (("detector",), ("network", 0), *(("parameters", name) for name in parts.manifest["parameters"])):
            # What is no name refuses one text like another.
            is_name = place[0] != "parameters" or isinstance(parts.manifest["parameters"][place[1]], str)
            values = ("timm:resnet18", "timm:hf-hub:a/b", "os", "os.system", "../../evil", "http://127.0.0.1/a")
            for value in values if is_name else values[:1]:
                if place == ("parameters", "condition"):
                    continue  # the name of a column
                path.write_bytes(replace(parts, manifest=changed(parts.manifest, place, value)).sealed())
                if place == ("parameters", "device"):
                    assert anogan.load(path, device="cpu").device == "cpu"
                    continue
                with pytest.raises(anogan.FormatError):
                    anogan.load(path, device="cpu")


def test_two_loads_at_once_draw_no_random_number(tmp_path, table, picture):
    paths = []
    for number, data in enumerate((table, picture) * 4):
        paths.append(tmp_path / f"{number}.anogan")
        paths[-1].write_bytes(data)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda path: anogan.load(path, device="cpu"), paths))
    assert torch.equal(torch.get_rng_state(), state)
    for detector, path in zip(loaded, paths, strict=True):
        detector.save(tmp_path / "again")
        again, data = Parts.of((tmp_path / "again").read_bytes()), Parts.of(path.read_bytes())
        assert again.manifest == data.manifest
        assert all(torch.equal(tensor, data.tensors[name]) for name, tensor in again.tensors.items())


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, table):
    path = tmp_path / "m.anogan"
    path.write_bytes(table)
    with open_model(path) as file:
        with open(path, "r+b") as other:
            other.seek(len(table) // 2)
            other.write(b"\0" * 999)
        os.utime(path, ns=(0, 0))
        with pytest.raises(anogan.FormatError, match=r"damaged|changed while it was read"):
            file.values()
    path.write_bytes(table)
    with open_model(path) as file:
        os.truncate(path, len(table) // 2)
        with pytest.raises(anogan.FormatError, match=r"damaged|changed while it was read"):
            file.values()


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(anogan.FormatError, match=r"but a (directory|special file)"):
            anogan.load(path)
