"""What the source may not contain: pickle, and gradients outside the trainer."""

import ast
from pathlib import Path

import pytest

import anogan
from anogan.detectors.registry import find_class, register

ROOT = Path(anogan.__file__).parent
SOURCES = sorted([*ROOT.rglob("*.py"), *(ROOT.parent / "cli").rglob("*.py")])

PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
PICKLING_CALLS = {("torch", "load"), ("torch", "save"), ("np", "load"), ("numpy", "load")}

GRADIENTS = {"backward", "step", "zero_grad", "requires_grad_", "grad"}
ALLOWED_GRADIENTS = {
    ("engine/phase_steps.py", "backward"): "the trainer",
    ("engine/phase_steps.py", "step"): "the trainer",
    ("engine/phase_steps.py", "zero_grad"): "the trainer",
    ("engine/phase_steps.py", "requires_grad_"): "the trainer",
    ("engine/trainer.py", "requires_grad_"): "switches gradients off in a trained module",
    ("detectors/anogan.py", "grad"): "the latent search differentiates by z, never by weights",
    ("detectors/anogan.py", "step"): "the latent search moves z, never weights",
    ("detectors/anogan.py", "requires_grad_"): "the latent search differentiates by z",
    ("detectors/fitted.py", "requires_grad_"): "switches gradients off in a loaded module",
    ("detectors/row_sampler.py", "requires_grad_"): "switches gradients off in a loaded decoder",
    ("losses/penalties.py", "grad"): "a penalty of the critic's input gradient",
    ("losses/penalties.py", "requires_grad_"): "a penalty of the critic's input gradient",
    ("testing/training.py", "backward"): "the contract computes each phase's gradients",
    ("testing/training.py", "zero_grad"): "the contract computes each phase's gradients",
    ("testing/training.py", "requires_grad_"): "the contract computes each phase's gradients",
    ("evaluation/ddae.py", "backward"): "a baseline from another paper, no detector of ours",
    ("evaluation/ddae.py", "step"): "a baseline from another paper, no detector of ours",
    ("evaluation/ddae.py", "zero_grad"): "a baseline from another paper, no detector of ours",
    ("evaluation/kdsm.py", "backward"): "a baseline from another paper, no detector of ours",
    ("evaluation/kdsm.py", "step"): "a baseline from another paper, no detector of ours",
    ("evaluation/kdsm.py", "zero_grad"): "a baseline from another paper, no detector of ours",
    ("explain/attribution.py", "grad"): "integrated gradients of the score by x",
    ("explain/attribution.py", "requires_grad_"): "integrated gradients of the score by x",
}


def relative(path):
    return path.relative_to(ROOT if path.is_relative_to(ROOT) else ROOT.parent).as_posix()


def calls(path):
    """Yield (owner, method) of each call ``owner.method(...)``; the owner is "" where it is no plain name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield (owner.id if isinstance(owner, ast.Name) else ""), node.func.attr


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_pickle(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        assert not {name.split(".")[0] for name in names} & PICKLING
    for owner, method in calls(path):
        if (owner, method) == ("torch", "load"):  # of an installed package's weights, never of a model file
            assert "weights_only=True" in path.read_text(), "torch.load must refuse anything but tensors by name"
            continue
        if (owner, method) in PICKLING_CALLS:
            assert owner in ("np", "numpy"), f"{owner}.{method}"
            assert "allow_pickle=False" in path.read_text(), "np.load must refuse pickles by name"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT)], ids=relative)
def test_only_the_trainer_touches_gradients(path):
    found = {(relative(path), method) for _, method in calls(path) if method in GRADIENTS}
    assert found <= set(ALLOWED_GRADIENTS)


def test_every_allowance_is_still_needed():
    found = {(relative(path), method) for path in SOURCES for _, method in calls(path)}
    assert set(ALLOWED_GRADIENTS) <= found


def test_two_detectors_of_one_name_are_refused():
    cls = next(iter(anogan.list_detectors().values()))
    impostor = type("Impostor", (), {"name": cls.name})
    with pytest.raises(TypeError, match=f"Two detectors are called '{cls.name}'"):
        register(impostor)
    assert find_class(cls.name) is cls


def test_an_unknown_detector_gets_a_suggestion(name):
    with pytest.raises(anogan.InputError, match=f"Did you mean '{name}'"):
        find_class(name + "s")


def test_names_and_classes_are_public(name):
    cls = anogan.list_detectors()[name]
    assert getattr(anogan, cls.__name__) is cls
    assert cls.__name__ in dir(anogan)
    assert name == name.lower()
    assert cls.__module__ == f"anogan.detectors.{name}"


def test_a_detector_file_knows_no_modality_and_no_device(name):
    source = (ROOT / "detectors" / f"{name}.py").read_text()
    for word in ("Conv2d", "ndim", ".view(-1", "cuda", "is_image", ".to(device"):
        assert word not in source, word
