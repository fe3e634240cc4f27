"""Every detector keeps the contract of `anogan.testing`."""

import pytest

from anogan.testing import all_checks, parametrize_with_checks

from .conftest import DETECTORS


@parametrize_with_checks(list(DETECTORS.values()))
def test_check(check, case):
    check(case)


@pytest.mark.parametrize("check", [check for check, _ in all_checks()], ids=lambda check: check.__name__)
def test_a_check_says_in_one_sentence_what_must_hold(check):
    assert check.__name__.startswith("check_")
    assert check.__doc__.splitlines()[0].endswith(".")
