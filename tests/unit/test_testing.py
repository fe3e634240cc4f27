"""`check_detector` names the check that a broken detector fails."""

import unittest
from unittest.mock import patch

import numpy as np
import pytest

import anogan
from anogan import testing
from anogan.detectors import registry
from anogan.parameters import at_least, param
from anogan.testing import Case, check_detector


@pytest.fixture
def only_checks(monkeypatch):
    """Replace the contract by a few checks, since all of them take a minute."""
    monkeypatch.setattr(testing, "CHECKS", {})
    return testing.CHECKS


def check_that_passes(case):
    """Nothing is required."""


def check_that_skips(case):
    """Nothing is required of some."""
    raise unittest.SkipTest("does not apply")


def check_that_fails(case):
    """The sun shines.

    More about it.
    """
    assert case.X is None, "it rains"


def test_a_failing_check_is_named_with_its_modality_and_what_it_requires(only_checks):
    only_checks |= {check_that_passes: ("vector", "table"), check_that_fails: ("table",)}
    with pytest.raises(AssertionError) as caught:
        check_detector(anogan.GANomaly)
    assert str(caught.value).startswith(
        "GANomaly fails check_that_fails on 'table' data, which requires: The sun shines. AssertionError: it rains"
    )


def test_results_of_all_checks_are_returned_if_failures_do_not_raise(only_checks):
    only_checks |= {check_that_fails: ("vector",), check_that_skips: ("vector",), check_that_passes: ("vector", "grey")}
    results = check_detector(anogan.GANomaly, modalities=["vector"], on_fail=None)
    assert [(r.check, r.modality, r.status) for r in results] == [
        ("check_that_fails", "vector", "failed"),
        ("check_that_skips", "vector", "skipped"),
        ("check_that_passes", "vector", "passed"),
    ]
    assert [str(r.reason) for r in results[1:]] == ["does not apply", "None"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detector": anogan.GANomaly()}, "give the class itself"),
        ({"detector": dict}, "needs a subclass of anogan.Detector"),
        ({"detector": anogan.GANomaly, "modalities": ["sound"]}, r"Unknown modalities \['sound'\]"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments, message):
    with pytest.raises(anogan.InputError, match=message):
        check_detector(**arguments)


@pytest.fixture
def own_registry():
    """Forget the detectors that a test defines."""
    with patch.dict(registry._BY_NAME):
        yield


def failed(detector, *names):
    """Run the named checks on vectors; return those that fail."""
    chosen = {check: on for check, on in testing.CHECKS.items() if check.__name__ in names}
    with patch.object(testing, "CHECKS", chosen):
        results = check_detector(detector, modalities=["vector"], on_fail=None)
    assert {r.check for r in results} == set(names)
    return {r.check for r in results if r.status == "failed"}


def test_faults_of_a_detector_are_found(own_registry):
    class Faulty(anogan.GANomaly):
        """Scores a row by its rank among the given ones, draws from the global generator and ignores a parameter."""

        name = "faulty"
        patience_of_a_saint: int = param(1, at_least(0), help="Does nothing.")

        def anomaly_score(self, X):
            np.random.rand()  # noqa: NPY002
            return super().anomaly_score(X).argsort().argsort().astype(float)

    names = (
        "check_subset_and_order_invariance",
        "check_score_depends_on_own_row_only",
        "check_global_generators_are_not_used",
        "check_every_parameter_changes_something",
        "check_scoring_is_repeatable",
    )
    assert failed(anogan.GANomaly, *names) == set()
    assert failed(Faulty, *names) == set(names) - {"check_scoring_is_repeatable"}


def test_a_case_of_a_detector_is_fitted_once():
    case = Case(anogan.GANomaly, "vector")
    assert case.fitted is Case(anogan.GANomaly, "vector").fitted
    assert str(case) == "ganomaly-vector"
