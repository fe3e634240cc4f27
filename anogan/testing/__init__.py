"""The contract that every detector keeps, for authors of detectors.

`check_detector` runs it on a detector, as scikit-learn's `check_estimator` does; `parametrize_with_checks` makes a
pytest test of each of its checks.

Examples
--------
>>> import anogan
>>> from anogan.testing import check_detector
>>> results = check_detector(anogan.GANomaly, modalities=["vector"])  # doctest: +SKIP
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest

from ..detectors.base import Detector
from ..errors import InputError

# Each of these modules adds its checks to the contract.
from . import (  # noqa: F401
    estimator,
    idle_parameters,
    members,
    model_file,
    randomness,
    reasons,
    resuming,
    scores,
    training,
    unseen,
)
from .case import CHECKS, MODALITIES, Case, CheckFunction, sample_data

__all__ = [
    "MODALITIES",
    "Case",
    "CheckResult",
    "all_checks",
    "check_detector",
    "parametrize_with_checks",
    "sample_data",
]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes
    ----------
    check : str
        The name of the check function.
    modality : str
        The kind of data.
    status : {"passed", "skipped", "failed"}
    reason : Exception or None
        Why the check was skipped or failed.
    """

    check: str
    modality: str
    status: str
    reason: Exception | None = None


def all_checks() -> list[tuple[CheckFunction, tuple[str, ...]]]:
    """Return all checks, each with the modalities on which it runs.

    A check is a function of a `Case`. The first line of its docstring says what must hold.
    """
    return list(CHECKS.items())


def check_detector(
    detector: type[Detector], *, modalities: Iterable[str] = MODALITIES, on_fail: str | None = "raise"
) -> list[CheckResult]:
    """Check that a detector keeps the contract of all detectors.

    The detector is fitted some hundred times to a few small rows, with the parameters in its class attribute `tiny`.

    Parameters
    ----------
    detector : type of Detector
        A class, not an instance.
    modalities : iterable of {"vector", "table", "grey", "colour", "style"}
        The kinds of data that the detector takes; by default all of them. "grey" and "colour" are pictures with one and
        three channels; "style" is "colour" with the style backbone.
    on_fail : {"raise", None}
        "raise" stops at the first check that fails; None runs all of them.

    Returns
    -------
    list of CheckResult

    Raises
    ------
    AssertionError
        A check failed; the message names the check, the modality and what must hold.
    InputError
        `detector` is not a detector class, or a modality is unknown.
    """
    if not (isinstance(detector, type) and issubclass(detector, Detector)):
        raise InputError(
            f"check_detector needs a subclass of anogan.Detector, got {detector!r}; give the class itself."
        )
    results = []
    for check, case in _cases([detector], modalities):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(case)
        except SkipTest as reason:
            results.append(CheckResult(check.__name__, case.modality, "skipped", reason))
        except Exception as reason:
            results.append(CheckResult(check.__name__, case.modality, "failed", reason))
            if on_fail == "raise":
                raise AssertionError(
                    f"{detector.__name__} fails {check.__name__} on {case.modality!r} data, which requires: "
                    f"{(check.__doc__ or '').splitlines()[0]} {type(reason).__name__}: {reason}"
                ) from reason
        else:
            results.append(CheckResult(check.__name__, case.modality, "passed"))
    return results


def parametrize_with_checks(
    detectors: Sequence[type[Detector]], *, modalities: Iterable[str] = MODALITIES
) -> Callable[[Any], Any]:
    """Return a pytest decorator that makes a test of each check, for test functions of ``check`` and ``case``.

    Parameters
    ----------
    detectors : sequence of types of Detector
    modalities : iterable of str
        The kinds of data that the detectors take.

    Examples
    --------
    >>> from anogan.testing import parametrize_with_checks
    >>> @parametrize_with_checks([anogan.GANomaly])  # doctest: +SKIP
    ... def test_contract(check, case):
    ...     check(case)
    """
    import pytest

    return pytest.mark.parametrize(
        ("check", "case"),
        [pytest.param(check, case, id=f"{case}-{check.__name__}") for check, case in _cases(detectors, modalities)],
    )


def _cases(detectors: Iterable[type[Detector]], modalities: Iterable[str]) -> list[tuple[CheckFunction, Case]]:
    """Return each check with each case on which it runs, ordered by case."""
    modalities = list(modalities)
    unknown = set(modalities) - set(MODALITIES)
    if unknown:
        raise InputError(f"Unknown modalities {sorted(unknown)}; there are {', '.join(MODALITIES)}.")
    cases = [Case(detector, modality) for detector in detectors for modality in modalities]
    return [(check, case) for case in cases for check, runs_on in CHECKS.items() if case.modality in runs_on]
