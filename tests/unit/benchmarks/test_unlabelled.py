"""The split with an unlabelled set, and where maps point, on images made by hand."""

import numpy as np
import pytest

from benchmarks import unlabelled
from benchmarks.records import current

KINDS = np.repeat(["crack", "good", "hole"], [30, 20, 30])


def test_a_tenth_of_the_unlabelled_set_is_defective_and_none_of_it_is_tested():
    normal, (good, defective), tested = unlabelled.split(90, KINDS, seed=0)
    assert sorted([*normal, *good]) == list(range(90))
    assert len(defective) == len(good) // 9
    assert (KINDS[defective] != "good").all()
    assert sorted([*defective, *tested]) == list(range(len(KINDS)))
    assert set(unlabelled.split(90, KINDS, seed=1)[0]) != set(normal)


@pytest.mark.parametrize(("place", "hit"), [((8, 8), True), ((11, 8), True), ((20, 8), False), ((8, 40), False)])
def test_a_map_points_at_a_defect_or_next_to_it(place, hit):
    mask = np.zeros((256, 128), dtype=bool)  # of another size than the map
    mask[12:20, 6:10] = True
    values = np.zeros((128, 128))
    values[place] = 1
    assert unlabelled._points(mask, values) == hit


def test_each_kind_is_told_from_the_good_ones():
    masks = [np.pad(np.ones((2, 2), dtype=bool), 3) if kind != "good" else np.zeros((8, 8), bool) for kind in KINDS]
    maps = np.stack([mask.astype(float) for mask in masks])
    maps[KINDS == "hole"] = np.outer(np.arange(8) == 7, np.arange(8) == 0)  # a corner
    scores = np.where(KINDS == "crack", 1.0, 0.0)
    found = unlabelled.quality(KINDS, scores, maps, masks)
    assert found["kinds"]["crack"]["auroc"] == found["kinds"]["crack"]["pointing"] == 1
    assert found["kinds"]["hole"]["auroc"] == 0.5
    assert found["kinds"]["hole"]["pointing"] == 0
    assert found["pointing"] == 0.5
    record = {"dataset": "d", "method": "m", "seed": 0, "fit_s": 3.0} | found
    newest, _ = current([record, record], unlabelled.Unlabelled().identity)
    lines = [line for line in unlabelled.report(newest, made_by="").splitlines() if line.startswith("| d |")]
    assert lines[0].startswith("| d | m | all | 1 | 75.0 |")
    assert len(lines) == 3
