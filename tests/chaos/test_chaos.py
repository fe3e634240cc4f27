"""A few of the kills that `make chaos` counts by the hundred."""

from random import Random

import pytest

from .kills import subjects


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_that_are_killed_and_resumed_end_the_same(tmp_path):
    rng = Random(1)
    for subject in subjects(tmp_path):
        for number in range(6):
            kill = subject.killed(rng, number)
            assert not kill.fault, kill
