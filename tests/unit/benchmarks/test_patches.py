"""Which defects a changed picture still shows."""

import numpy as np
import pytest

from benchmarks.patches import CHANGES, still_shown


def mask(rows, columns):
    found = np.zeros((100, 100), dtype=bool)
    found[rows, columns] = True
    return found


@pytest.mark.parametrize(
    ("defect", "shown"),
    [
        (mask(slice(40, 60), slice(40, 60)), True),
        (mask(slice(90, 100), slice(0, 100)), False),
        (mask(slice(82, 93), slice(0, 20)), False),  # two of eleven lines are outside
        (mask(slice(72, 92), slice(0, 20)), True),
        (mask(slice(0, 0), slice(0, 0)), True),  # a good picture
        (None, True),
    ],
)
def test_a_defect_may_be_shifted_out_of_the_picture(defect, shown):
    assert still_shown(defect, "shifted by 9 %") is shown
    assert all(still_shown(defect, change) for change in CHANGES if change.startswith("light"))
