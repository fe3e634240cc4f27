"""Every detector on every modality by discovery: a new detector is covered without touching a test."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import anogan
from anogan.data.choose import preprocessor_for
from anogan.nn.backbone import backbone_for

DETECTORS = anogan.list_detectors()
MODALITIES = ("vector", "table", "grey", "colour")
ROWS, NEW_ROWS = 32, 9


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def sample_data(modality: str, rows: int, seed: int) -> Any:
    """Correlated rows of very different units; a few anomalies would not matter here."""
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
            }
        )
    channels, height, width = (1, 8, 8) if modality == "grey" else (3, 9, 12)
    ramp = np.linspace(0, 1, height)[:, None] * np.linspace(0, 1, width)
    level = rng.uniform(0.2, 0.8, size=(rows, channels, 1, 1))
    pictures = level * ramp + 0.1 * rng.uniform(size=(rows, channels, height, width))
    # Both ends of the range occur in every subset, so that held-out rows do not widen it.
    pictures[:, :, 0, 0], pictures[:, :, -1, -1] = 0, 1
    return pictures


@dataclass(frozen=True)
class Case:
    """One detector on one kind of data."""

    name: str
    modality: str

    @property
    def cls(self) -> type[anogan.Detector]:
        return DETECTORS[self.name]

    @property
    def X(self) -> Any:
        return sample_data(self.modality, ROWS, seed=1)

    @property
    def new(self) -> Any:
        return sample_data(self.modality, NEW_ROWS, seed=2)

    @property
    def is_image(self) -> bool:
        return self.modality in ("grey", "colour", "style")

    def make(self, **changes: Any) -> anogan.Detector:
        """Unfitted and tiny; float64 on the CPU, where scores can be compared to the bit."""
        fixed = {"precision": "float64", "device": "cpu", "random_state": 0, "n_members": 1}
        if self.modality == "style":  # the pictures of "colour" in another backbone than their default one
            fixed["backbone"] = "style"
        return self.cls(**fixed | self.cls.tiny | changes)

    def fit(self, X: Any = None, fit_params: dict[str, Any] | None = None, **changes: Any) -> anogan.Detector:
        with warnings.catch_warnings():
            # Three training steps leave nobody healthy.
            warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
            return self.make(**changes).fit(self.X if X is None else X, **fit_params or {})

    @property
    def fitted(self) -> anogan.Detector:
        """Shared by all tests of a process: they must leave it as it is."""
        return _fitted(self)

    def module(self, **changes: Any) -> tuple[Any, Any]:
        """An untrained module in float64, and what its stages train on."""
        detector = self.make(**changes)
        preprocessor = preprocessor_for(self.X, scaling=detector.scaling).fit(self.X)
        samples = preprocessor.transform(self.X, torch.float64)
        torch.manual_seed(0)
        backbone = backbone_for(detector.backbone, preprocessor.spec_, detector.n_members, detector.width)
        module = detector.build(backbone).double()
        torch.manual_seed(0)  # weights of more members take more draws
        return module, module.before_training(samples)


@cache
def _fitted(case: Case) -> anogan.Detector:
    return case.fit()


@pytest.fixture(params=MODALITIES)
def modality(request):
    return request.param


@pytest.fixture(params=list(DETECTORS))
def name(request):
    return request.param


@pytest.fixture
def case(name, modality):
    """Every detector on every modality."""
    return Case(name, modality)


@pytest.fixture
def vector_case(name):
    """Every detector, where the modality makes no difference."""
    return Case(name, "vector")


@pytest.fixture(params=["vector", "colour", "style"])
def network_case(name, request):
    """Every detector on every kind of network."""
    return Case(name, request.param)


def pytest_generate_tests(metafunc):
    """``parameter_case``: every constructor parameter of every detector, on vectors and on pictures."""
    if "parameter" in metafunc.fixturenames:
        metafunc.parametrize(
            ("parameter_case", "parameter"),
            [
                pytest.param(Case(name, modality), parameter, id=f"{name}-{modality}-{parameter}")
                for name, cls in DETECTORS.items()
                for modality in ("vector", "grey")
                for parameter in cls.parameters()
            ],
        )


@pytest.fixture
def cases():
    """All of them at once."""
    return [Case(name, modality) for name in DETECTORS for modality in MODALITIES]
