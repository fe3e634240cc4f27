"""Every detector keeps the contract of `anogan.testing`."""

import pytest

from anogan.testing import all_checks, parametrize_with_checks
from anogan.testing.case import DATA

from .conftest import DETECTORS, WITHOUT_STYLE


@parametrize_with_checks([cls for name, cls in DETECTORS.items() if name not in WITHOUT_STYLE])
def test_check(check, case):
    check(case)


@parametrize_with_checks([DETECTORS[name] for name in sorted(WITHOUT_STYLE)], modalities=DATA)
def test_check_of_a_detector_without_style(check, case):
    check(case)


@pytest.mark.parametrize("check", [check for check, _ in all_checks()], ids=lambda check: check.__name__)
def test_a_check_says_in_one_sentence_what_must_hold(check):
    assert check.__name__.startswith("check_")
    assert check.__doc__.splitlines()[0].endswith(".")
