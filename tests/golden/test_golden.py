"""Every detector gives its recorded results on every kind of data, so that no score changes by accident.

``golden.json`` holds a digest and the first values of scores, explanations and samples of tiny fits. On the machine and
with the versions that recorded it, results must be equal bit for bit. Elsewhere arithmetic rounds differently; there
the values must be equal to a tolerance, except for those that jump (such as a sampled category).

``python tests/golden/test_golden.py`` records them again, after a change that is meant to change scores.
"""

import hashlib
import json
import platform
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose

import anogan

RECORD = Path(__file__).with_name("golden.json")
PRECISIONS = ("float32", "float64")
MODALITIES = ("vector", "table", "grey", "colour", "style")
FIRST = 4  # values of each result that are recorded beside its digest
TOLERANCES = {"float32": 5e-2, "float64": 1e-3}  # Adam enlarges rounding errors of gradients that are nearly zero

# What a default fit does not reach: other games, growth, augmentation, conditions and unlabelled data.
VARIANTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "anogan-growing": ("anogan", "colour", {"growing": True, "augment": "adaptive", "r1_weight": 1.0}),
    "anogan-style-growing": ("anogan", "style", {"growing": True, "augment": 0.5}),
    "anogan-clipped": ("anogan", "grey", {"objective": "wasserstein", "patience": 0}),
    "f_anogan-growing": ("f_anogan", "colour", {"growing": True, "augment": 0.5, "steps": 6}),
    "wgan_gp-neighbours": ("wgan_gp", "vector", {"distance": "neighbours"}),
    "conditional_gan-column": ("conditional_gan", "table", {"condition": "country"}),
    "conditional_gan-labels": ("conditional_gan", "colour", {}),
    "cycle_gan-unlabeled": ("cycle_gan", "vector", {}),
    "cycle_gan-unlabeled-pictures": ("cycle_gan", "colour", {}),
    "cycle_gan-pixels": ("cycle_gan", "colour", {"features": "pixels"}),
    "denoising_gan-trend": ("denoising_gan", "table", {"columns": {"day": "trend"}}),
    "denoising_gan-contamination": ("denoising_gan", "table", {"contamination": 0.125}),
}


def sample_data(modality: str, rows: int, seed: int) -> Any:
    """Correlated rows of very different units, a mixed table, or pictures with both ends of their range."""
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=(rows, 2))
    if modality == "vector":
        return cause @ rng.normal(size=(2, 5)) * [1, 10, 1e-3, 1e4, 1] + rng.normal(size=(rows, 5)) * 0.1 + 3
    if modality == "table":
        amount = np.exp(cause[:, 0])
        amount[:: max(rows // 4, 2)] = np.nan
        return pd.DataFrame(
            {
                "amount": amount,
                "country": pd.Categorical.from_codes(np.arange(rows) % 3, ["AT", "DE", "FR"]),
                "age": (40 + 10 * cause[:, 1]).round().astype(np.int64),
                "known": np.arange(rows) % 2 == 0,
                "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), "D"),
            }
        )
    channels, height, width = (1, 8, 8) if modality == "grey" else (3, 9, 12)
    ramp = np.linspace(0, 1, height)[:, None] * np.linspace(0, 1, width)
    level = rng.uniform(0.2, 0.8, size=(rows, channels, 1, 1))
    pictures = level * ramp + 0.1 * rng.uniform(size=(rows, channels, height, width))
    pictures[:, :, 0, 0], pictures[:, :, -1, -1] = 0, 1
    return pictures


def cases() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Name -> detector, modality and changed parameters."""
    plain: dict[str, tuple[str, str, dict[str, Any]]] = {
        f"{name}-{modality}": (name, modality, {}) for name in anogan.list_detectors() for modality in MODALITIES
    }
    return plain | VARIANTS


def runs() -> list[tuple[str, str]]:
    """Each case with each precision in which it is recorded: of default fits to pictures, float64 for colour alone.

    FeatureGAN's pretrained network takes ten times as long in float64.
    """
    in_float32_only = {f"{name}-{modality}" for name in anogan.list_detectors() for modality in ("grey", "style")}
    in_float32_only.add("feature_gan-colour")
    return [(case, p) for case in cases() for p in PRECISIONS if p == "float32" or case not in in_float32_only]


def results(case: str, precision: str) -> dict[str, Any]:
    """Scores, thresholds, explanations and samples of one fit, and the scores of its model file."""
    name, modality, changes = cases()[case]
    X, new = sample_data(modality, 40, seed=1), sample_data(modality, 9, seed=2)
    if case == "conditional_gan-labels":
        X, new = anogan.Conditioned(X, ["a", "b"] * 20), anogan.Conditioned(new, ["a", "b", "b"] * 3)
    fit_params = {"X_unlabeled": sample_data(modality, 24, seed=3)} if "unlabeled" in case else {}
    cls = anogan.list_detectors()[name]
    settings: dict[str, Any] = {"precision": precision, "device": "cpu", "random_state": 0, "n_members": 2}
    if modality == "style":
        settings["backbone"] = "style"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = cls(**settings | cls.tiny | changes).fit(X, **fit_params)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.anogan"
        detector.save(path)
        read_again = anogan.load(path, device="cpu")
    found = {
        "score": detector.anomaly_score(new),
        "read_again": read_again.anomaly_score(new),
        "threshold": np.array([detector.calibration_.threshold, detector.calibration_.map_threshold or 0.0]),
        "p_value": detector.p_value(new),
        "explain": detector.explain(new),
    }
    if detector.module_.can("sample"):
        found["sample"] = detector.sample(3, random_state=0)
    if detector.module_.can("reconstruct"):
        found["reconstruct"] = detector.reconstruct(new)
    return {key: summary(value) for key, value in found.items()}


def summary(value: Any) -> dict[str, Any]:
    """A digest of all values, and the first numbers."""
    if isinstance(value, anogan.Conditioned):
        value = value.X
    if isinstance(value, pd.DataFrame):
        digest = hashlib.sha256(value.to_csv(index=False).encode())  # pandas writes floats so that they read the same
        numbers = value.select_dtypes("number").to_numpy(np.float64).ravel()
    else:
        array = np.ascontiguousarray(value)
        digest = hashlib.sha256(array.tobytes())
        numbers = array.astype(np.float64).ravel()
    return {"digest": digest.hexdigest()[:16], "first": [None if np.isnan(v) else float(v) for v in numbers[:FIRST]]}


def machine() -> str:
    """What rounding depends on."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    versions = [module.__version__ for module in (torch, np, sklearn)]
    return " ".join([platform.machine(), model, torch.backends.cpu.get_cpu_capability(), *versions])


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return json.loads(RECORD.read_text())


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(("case", "precision"), runs())
def test_results_are_those_recorded(recorded, case, precision):
    found, expected = results(case, precision), recorded["results"][f"{case}-{precision}"]
    assert found.keys() == expected.keys()
    if machine() == recorded["machine"]:
        assert found == expected
        return
    for key, value in found.items():
        if key not in ("sample", "reconstruct", "explain"):
            rtol = TOLERANCES[precision]
            assert_allclose(value["first"], expected[key]["first"], rtol=rtol, atol=rtol, err_msg=key)


def test_nothing_recorded_is_left_over(recorded):
    assert set(recorded["results"]) == {f"{case}-{precision}" for case, precision in runs()}


def record() -> None:
    """Write ``golden.json``."""
    torch.set_num_threads(1)
    found = {f"{case}-{precision}": results(case, precision) for case, precision in runs()}
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    RECORD.write_text(f'{{"machine": {json.dumps(machine())},\n"results": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    record()
