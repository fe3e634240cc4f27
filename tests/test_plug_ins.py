"""A detector is one file: in a distribution of its own, found by its entry point, with all that the others have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import anogan

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
MODULE = (GALLERY / "plot_14_own_detector.py").read_text().partition("\n# %%\n")[0]


def distribution(folder: Path, name: str, module: str, entry: str) -> None:
    """Write an installed distribution with one module and one entry point into `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[anogan.detectors]\n{entry}\n")


def python(code: str, *folders: Path, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `code` where the distributions of `folders` are installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


COMMANDS = """
import json, sys
from click.testing import CliRunner
from anogan.cli.main import cli
done = [CliRunner().invoke(cli, words) for words in json.loads(sys.argv[1])]
assert not any(result.exit_code for result in done), [result.output for result in done]
import anogan
detector = anogan.load(sys.argv[2])
print(json.dumps([result.stdout for result in done] + [[detector.name, detector.code_dim]]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    distribution(folder, "bottleneck_gan", MODULE, "bottleneck = bottleneck_gan:Bottleneck")
    return folder


def test_it_is_listed_has_its_own_help_and_is_fitted_and_loaded_with_its_own_option(
    installed: Path, tmp_path: Path
) -> None:
    """One process runs all commands, since starting one takes seconds."""
    data, model = tmp_path / "normal.npy", tmp_path / "model.anogan"
    np.save(data, np.random.default_rng(0).normal(size=(60, 4)))
    own = ["--detector", "bottleneck", "--code-dim", "3", "--steps", "3", "--width", "8", "--random-state", "0"]
    commands = [
        ["list", "--json"],
        ["fit", "--detector", "bottleneck", "--help"],
        ["fit", str(data), "-m", str(model), *own],
    ]
    done = python(COMMANDS, installed, arguments=(json.dumps(commands), str(model)))
    assert done.returncode == 0, done.stderr
    listed, help_of_fit, _, loaded = json.loads(done.stdout)
    rows = json.loads(listed)
    assert {"name": "bottleneck", "class": "Bottleneck", "summary": "An autoencoder with a narrow middle."} in rows
    assert len(rows) == len(anogan.list_detectors()) + 1
    assert "--code-dim" in help_of_fit
    assert loaded == ["bottleneck", 3]
    with pytest.raises(anogan.FormatError, match="Unknown detector 'bottleneck'"):
        anogan.load(model)


CHECK = """
import torch
from bottleneck_gan import Bottleneck
from anogan.testing import check_detector
torch.set_num_threads(1)
results = check_detector(Bottleneck, modalities={modalities})
print(sum(result.status == "passed" for result in results))
"""


@pytest.mark.parametrize(
    "modalities", [("table",), pytest.param(("vector", "grey", "colour", "style"), marks=pytest.mark.slow)]
)
def test_it_keeps_the_contract(installed: Path, modalities: tuple[str, ...]) -> None:
    done = python(CHECK.format(modalities=modalities), installed)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


BROKEN = {
    "missing": ("import missing_library", "missing = missing:Broken", "cannot be imported: ModuleNotFoundError"),
    "other_class": ("Broken = dict", "other_class = other_class:Broken", "is not a Detector with name = 'other_class'"),
    "empty": ("", "empty = empty:Broken", "cannot be imported: AttributeError"),
    "twice": (MODULE, "bottleneck = twice:Bottleneck", "is in several distributions: bottleneck_gan and twice"),
    "known": (MODULE, "alad = known:Bottleneck", "is ignored: anogan has a detector of this name"),
}
"""Distribution -> its module, its entry point, and what is said about it."""


def test_broken_plug_ins_and_a_name_that_anogan_has_are_refused_and_the_others_work(
    installed: Path, tmp_path: Path
) -> None:
    distribution(tmp_path, "works", MODULE.replace('"bottleneck"', '"works"'), "works = works:Bottleneck")
    for name, (module, entry, _) in BROKEN.items():
        distribution(tmp_path, name, module, entry)
    code = """
import anogan
try:
    class Other(anogan.Detector):
        name = "alad"
except TypeError as error:  # also if anogan's own detector has not been imported yet
    print(error)
found = anogan.list_detectors()
print(*found, found["alad"].__module__)
"""
    done = python(code, installed, tmp_path)
    warnings = done.stderr.splitlines()
    for name, (_, _, said) in BROKEN.items():
        assert any(said in line and name in line for line in warnings), name
    refused, found = done.stdout.splitlines()
    assert refused.startswith("Two detectors are called 'alad': __main__.Other and anogan.detectors.alad.ALAD.")
    assert set(found.split()) == {*anogan.list_detectors(), "works", "anogan.detectors.alad"}
