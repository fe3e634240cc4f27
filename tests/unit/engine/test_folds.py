"""Rows of members that are trained crosswise."""

import numpy as np
import pytest

from anogan.engine.folds import number_of_folds, outside, rows_outside


@pytest.mark.parametrize("rows", [20, 21, 22, 23, 101])
@pytest.mark.parametrize("folds", [2, 5])
def test_a_member_sees_all_folds_but_its_own(rows, folds):
    positions = np.arange(rows_outside(rows, folds))
    seen = [outside(positions, fold, folds) for fold in range(folds)]
    for fold, own in enumerate(seen):
        assert len(set(own)) == len(own)
        assert own.max() < rows
        assert not (own % folds == fold).any()
    assert set(np.concatenate(seen)) >= set(range(rows - 1))


def test_few_rows_and_one_member_see_all():
    assert number_of_folds(19, 4) == number_of_folds(100, 1) == 0
    assert number_of_folds(20, 4) == 4
