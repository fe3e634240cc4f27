"""One detector on one kind of data, and the words in which the checks are written."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar
from unittest import SkipTest, TestCase

import numpy as np
import pandas as pd
import torch

from ..data.choose import preprocessor_for
from ..data.samples import Samples
from ..detectors.base import Detector
from ..engine.module import GANModule
from ..errors import TrainingHealthWarning
from ..nn.backbone import backbone_for

VECTOR, TABLE, GREY, COLOUR, STYLE = MODALITIES = ("vector", "table", "grey", "colour", "style")
DATA = (VECTOR, TABLE, GREY, COLOUR)
"""Every kind of data, with its default networks."""
ONE_OF_EACH = (VECTOR, TABLE, GREY)
"""Every kind of data, for checks of what is done with scores, thresholds and files, whatever the shape of a picture."""
ROWS = (VECTOR, TABLE)
"""Data that have columns."""
NETWORKS = (VECTOR, COLOUR, STYLE)
"""Every kind of network."""
TRAINED = (VECTOR, COLOUR)
"""Rows and pictures, for checks of what is done with a training and its threads, whatever the networks."""
TRAINING_ROWS, NEW_ROWS = 32, 9


def sample_data(modality: str, rows: int, seed: int) -> Any:
    """Return correlated rows in very different units, a mixed table with gaps, or pictures.

    Parameters
    ----------
    modality : {"vector", "table", "grey", "colour", "style"}
        "style" has the pictures of "colour".
    rows : int
    seed : int

    Returns
    -------
    array (rows, 5), DataFrame of 4 columns, or array (rows, 1, 8, 8) or (rows, 3, 9, 12) in [0, 1]
    """
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=(rows, 2))
    if modality == VECTOR:
        return cause @ rng.normal(size=(2, 5)) * [1, 10, 1e-3, 1e4, 1] + rng.normal(size=(rows, 5)) * 0.1 + 3
    if modality == TABLE:
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
    channels, height, width = (1, 8, 8) if modality == GREY else (3, 9, 12)
    ramp = np.linspace(0, 1, height)[:, None] * np.linspace(0, 1, width)
    level = rng.uniform(0.2, 0.8, size=(rows, channels, 1, 1))
    pictures = level * ramp + 0.1 * rng.uniform(size=(rows, channels, height, width))
    # Every subset contains both ends of the range, so that held-out rows do not widen it.
    pictures[:, :, 0, 0], pictures[:, :, -1, -1] = 0, 1
    return pictures


@dataclass(frozen=True)
class Case:
    """One detector on one kind of data.

    Parameters
    ----------
    cls : type of Detector
    modality : {"vector", "table", "grey", "colour", "style"}
        "style" is "colour" with the networks of the style backbone.
    """

    cls: type[Detector]
    modality: str

    def __str__(self) -> str:
        return f"{self.cls.name}-{self.modality}"

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.cls.name

    @property
    def X(self) -> Any:
        """The training rows."""
        return sample_data(self.modality, TRAINING_ROWS, seed=1)

    @property
    def new(self) -> Any:
        """Rows to score."""
        return sample_data(self.modality, NEW_ROWS, seed=2)

    @property
    def is_image(self) -> bool:
        """Whether the data are pictures."""
        return self.modality not in ROWS

    def on(self, modality: str) -> "Case":
        """Return the case of the same detector on other data."""
        return Case(self.cls, modality)

    def make(self, **changes: Any) -> Detector:
        """Return an unfitted, tiny detector in float64 on the CPU, where scores can be compared bit for bit."""
        fixed: dict[str, Any] = {"precision": "float64", "device": "cpu", "random_state": 0, "n_members": 1}
        if self.modality == STYLE:
            fixed["backbone"] = "style"
        return self.cls(**fixed | self.cls.tiny | changes)

    def fit(self, X: Any = None, fit_params: dict[str, Any] | None = None, **changes: Any) -> Detector:
        """Fit a new tiny detector, to the training rows unless X is given."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingHealthWarning)  # three training steps are too few to be healthy
            return self.make(**changes).fit(self.X if X is None else X, **fit_params or {})

    @property
    def fitted(self) -> Detector:
        """A fitted detector that all checks share; they must not change it."""
        return _fitted(self)

    def shared(self, **changes: Any) -> Detector:
        """Return a detector fitted with changed parameters that all checks share; they must not change it."""
        return _fitted_with(self, tuple(sorted(changes.items())))

    def module(self, **changes: Any) -> tuple[GANModule, Samples]:
        """Return an untrained module in float64 and the samples that its stages train on."""
        detector = self.make(**changes)
        preprocessor = preprocessor_for(self.X, scaling=detector.scaling).fit(self.X)
        samples = preprocessor.transform(self.X, torch.float64)
        torch.manual_seed(0)
        backbone = backbone_for(detector.backbone, preprocessor.spec_, detector.n_members, detector.width)
        module = detector.build(backbone).double()
        torch.manual_seed(0)  # the weights of more members take more draws
        return module, module.before_training(samples)


@cache
def _fitted(case: Case) -> Detector:
    return case.fit()


@lru_cache(maxsize=4)  # those of the case at hand, since checks run case by case
def _fitted_with(case: Case, changes: tuple[tuple[str, Any], ...]) -> Detector:
    return case.fit(**dict(changes))


CheckFunction = Callable[[Case], None]
_F = TypeVar("_F", bound=CheckFunction)

CHECKS: dict[CheckFunction, tuple[str, ...]] = {}
"""Every check and the modalities on which it runs, in order of definition."""


def on(*modalities: str) -> Callable[[_F], _F]:
    """Add the decorated function to the contract, on these modalities."""

    def add(check: _F) -> _F:
        CHECKS[check] = modalities
        return check

    return add


raises = TestCase().assertRaisesRegex
"""``raises(error, pattern)``: a context in which this error must be raised."""


@contextmanager
def warns(category: type[Warning], pattern: str) -> Iterator[None]:
    """Require a warning of this category whose text matches `pattern`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(warning.message) for warning in caught if issubclass(warning.category, category)]
    if not any(re.search(pattern, text) for text in texts):
        raise AssertionError(f"No {category.__name__} matches {pattern!r}; there were {texts}.")


def require(detector: Detector, method: str) -> None:
    """Skip the check for a detector whose module does not have the optional `method`."""
    if not detector.module_.can(method):
        raise SkipTest(f"{type(detector).__name__} cannot {method}.")


def rows_of(X: Any, rows: Any) -> Any:
    """Return some rows of an array or a table, by a slice or by their numbers."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def numbers_changed(X: Any, change: Callable[[Any], Any]) -> Any:
    """Return X with `change` applied to each number: all of an array, the numeric columns of a table."""
    if not isinstance(X, pd.DataFrame):
        return change(X)
    return X.assign(amount=change(X["amount"]), age=change(X["age"]))
