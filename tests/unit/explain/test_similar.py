"""Normal rows that are like a given one but for one column."""

import torch

from anogan.data.spec import SampleSpec
from anogan.explain.similar import SIMILAR, SimilarRows

# Two groups: the first column is 0 or 5 as the second is -1 or 1; the third column is a category of three.
GROUP = torch.arange(100) % 2
ROWS = torch.cat(
    [
        (5.0 * GROUP + torch.linspace(0, 0.1, 100))[:, None],
        (2.0 * GROUP - 1)[:, None],
        torch.nn.functional.one_hot(GROUP, 3).float(),
    ],
    dim=1,
)
COLUMNS = [slice(0, 1), slice(1, 2), slice(2, 5)]
SPEC = SampleSpec((5,), spans=((2, 5),))


def nearest(x, number, similar):
    return similar.nearest(x, number, similar.distances(x))


def test_the_column_itself_has_no_say():
    similar = SimilarRows(ROWS, COLUMNS, SPEC)
    x = ROWS[1:2].clone()
    x[:, 0] = 0.0  # of the other group
    found = nearest(x, 0, similar)
    assert found.shape == (1, SIMILAR)
    assert (GROUP[found] == 1).all()
    assert (similar.typical(found, 0) > 4.9).all()


def test_one_wild_column_does_not_drown_the_others():
    similar = SimilarRows(ROWS, COLUMNS, SPEC)
    x = ROWS[1:2].clone()
    x[:, 0] = 1e6
    assert (GROUP[nearest(x, 1, similar)] == 1).all()


def test_a_category_s_typical_value_is_one_of_them():
    similar = SimilarRows(ROWS, COLUMNS, SPEC)
    typical = similar.typical(nearest(ROWS[:4], 2, similar), 2)
    assert torch.equal(typical, ROWS[:4, 2:])


def test_rows_of_the_same_class_come_first():
    classes = (torch.arange(100) >= 50).float()[:, None]
    similar = SimilarRows(torch.cat([ROWS, classes], 1), COLUMNS, SampleSpec((5,), spans=((2, 5),), classes=2))
    x = torch.cat([ROWS[1:2], torch.ones(1, 1)], 1)
    assert (nearest(x, 0, similar) >= 50).all()
    assert similar.scored == [0, 1, 2]


def test_fewer_rows_than_wanted_are_enough():
    similar = SimilarRows(ROWS[:3], COLUMNS, SPEC)
    assert nearest(ROWS[:7], 0, similar).shape == (7, 3)
