"""The search for nearest rows against scikit-learn's."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from anogan.scoring.search import NearestInParts, NearestRows

RNG = np.random.default_rng(0)
ROWS, NEW = torch.from_numpy(RNG.normal(size=(500, 7))), torch.from_numpy(RNG.normal(size=(40, 7)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 5])
def test_distances_are_exact(dtype, k):
    expected, _ = NearestNeighbors(n_neighbors=k).fit(ROWS.numpy()).kneighbors(NEW.numpy())
    assert_close(NearestRows(ROWS.to(dtype))(NEW.to(dtype), k), torch.from_numpy(expected).to(dtype))


def test_far_from_the_origin_equal_rows_have_no_distance():
    rows = (ROWS + 1e4).float()
    assert not NearestRows(rows)(rows, 1).any()


def test_some_rows_count_from_a_distance_on():
    least = torch.where(torch.arange(500) % 3 == 0, 2.5, 0.0).double()
    all_distances = torch.cdist(NEW, ROWS).maximum(least)
    assert_close(NearestRows(ROWS, least)(NEW, 6), all_distances.sort(dim=1).values[:, :6])
    everywhere = torch.full((500,), 9.0, dtype=torch.float64)
    assert (NearestRows(ROWS, everywhere)(NEW, 3) == 9).all()


def test_distances_do_not_depend_on_the_batch_or_on_threads():
    search, rows = NearestRows(ROWS.float()), NEW.float()
    whole = search(rows, 4)
    assert torch.equal(whole, torch.cat([search(row[None], 4) for row in rows]))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(whole, search(rows, 4))
    finally:
        torch.set_num_threads(threads)


def test_each_part_has_its_nearest_row_and_a_row_is_not_its_own():
    found = NearestInParts(ROWS, 3)(ROWS, torch.zeros(1))
    distances = torch.cdist(ROWS, ROWS).fill_diagonal_(torch.inf)
    assert_close(found, torch.stack([distances[:, part::3].amin(1) for part in range(3)]))
    assert not NearestInParts(ROWS[:2], 2)(ROWS[:2], torch.zeros(1)).diagonal().any()  # there are no others


def test_a_copy_searches_the_same_rows():
    search = NearestRows(ROWS)
    expected = search(NEW, 2)
    for same in (copy.deepcopy(search), pickle.loads(pickle.dumps(search))):
        assert torch.equal(same(NEW, 2), expected)
    least, same = torch.ones(500).double(), torch.zeros(1)
    parts = NearestInParts(ROWS, 3, least)
    assert torch.equal(copy.deepcopy(parts)(NEW, same), parts(NEW, same))
