"""What a user of the package sees: public names, their types, and what the classes say about themselves."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import anogan
from anogan.parameters import SECTIONS

SCRIPT = """
import numpy as np
import anogan
from anogan import DenoisingGAN

X = np.zeros((100, 3))
detector = DenoisingGAN(steps=3, random_state=0).fit(X)
reveal_type(detector)
reveal_type(detector.anomaly_score(X))
reveal_type(anogan.load("model.anogan"))
reveal_type(anogan.detector_class("alad"))
reveal_type(anogan.metrics)
DenoisingGAN(stpes=3)  # misspelt
DenoisingGAN(steps="many")  # of another type
DenoisingGAN(3)  # by position
anogan.importlib  # not public
"""


def test_names_have_static_types(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    config = Path(__file__).parents[1] / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), str(script)]
    # In the repository, so that it finds the cache of `make test`.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=config.parent)
    lines = dict.fromkeys(SCRIPT.splitlines(), "")
    for number, message in re.findall(r"script.py:(\d+): (.*)", done.stdout):
        lines[SCRIPT.splitlines()[int(number) - 1]] += message
    errors = {text: line for text, line in lines.items() if "error" in line}
    assert "denoising_gan.DenoisingGAN" in lines["reveal_type(detector)"]
    assert "numpy.ndarray" in lines["reveal_type(detector.anomaly_score(X))"]
    assert "detectors.base.Detector" in lines['reveal_type(anogan.load("model.anogan"))']
    assert "type[anogan.detectors.base.Detector]" in lines['reveal_type(anogan.detector_class("alad"))']
    assert "Module" in lines["reveal_type(anogan.metrics)"]
    assert "stpes" in errors["DenoisingGAN(stpes=3)  # misspelt"]
    assert "expected" in errors['DenoisingGAN(steps="many")  # of another type']
    assert "positional" in errors["DenoisingGAN(3)  # by position"]
    assert "importlib" in errors["anogan.importlib  # not public"]
    assert len(errors) == 4, done.stdout


def test_public_names_are_listed_and_there() -> None:
    assert dir(anogan) == sorted(anogan.__all__)
    assert not [name for name in dir(anogan) if name.startswith("_") and name != "__version__"]
    assert not {"importlib", "Path", "Any", "nn", "errors"} & set(dir(anogan))
    for name in anogan.__all__:
        assert getattr(anogan, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        anogan.nonsense  # noqa: B018


def test_everything_public_can_be_imported_at_once() -> None:
    namespace: dict[str, object] = {}
    exec("from anogan import *", namespace)
    assert set(anogan.__all__) <= set(namespace)


def test_a_model_file_is_read_in_one_way() -> None:
    assert anogan.load is anogan.Detector.load


@pytest.mark.parametrize("cls", anogan.list_detectors().values(), ids=lambda cls: cls.__name__)
def test_a_class_documents_its_parameters_and_attributes(cls: type[anogan.Detector]) -> None:
    doc = inspect.getdoc(cls) or ""
    found = re.findall(r"^(.+)\n-{3,}$", doc, re.MULTILINE)
    assert found == [title for title in SECTIONS if title in found], "sections are not in numpydoc's order"
    assert {"Parameters", "Attributes", "Notes", "References"} <= set(found)
    parameters = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    documented = re.findall(r"^(\w+) : .+, default=.+\n    \S", parameters, re.MULTILINE)
    assert documented == list(cls.parameters())
    assert set(documented) == set(cls().get_params())
    attributes = doc.partition("Attributes\n----------\n")[2].partition("\n\n")[0]
    assert attributes.count("history_ : dict") == 1


@pytest.mark.parametrize(
    "code",
    ["import anogan", "import anogan; anogan.describe_detectors()", "import anogan.parameters"],
)
def test_reading_declarations_imports_no_big_library(code: str) -> None:
    check = f"{code}; import sys, json; print(json.dumps(sorted({{'torch', 'sklearn', 'pandas'}} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_detector_whose_file_has_changed_is_read_from_its_class() -> None:
    """The index may be slow, never wrong."""
    code = """
import json, sys
from anogan.detectors import registry
right = registry._digest
registry._digest = lambda source: "" if source == "detectors/alad.py" else right(source)
found = registry.describe_detectors()
imported = [name for name in ("alad", "so_gaal") if f"anogan.detectors.{name}" in sys.modules]
print(json.dumps([len(found), imported]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [len(anogan.list_detectors()), ["alad"]]


def test_descriptions_are_those_of_the_classes() -> None:
    for name, cls in anogan.list_detectors().items():
        found = anogan.describe_detector(name)
        assert found == found.of(cls)
