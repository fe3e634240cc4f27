"""Distances of any distribution get comparable units."""

import pytest
import torch

from anogan.scoring.patch_units import PatchUnits


@pytest.mark.parametrize("factor", [1e-3, 1.0, 50.0])
def test_the_most_unusual_percent_lies_one_unit_above_the_median(factor):
    distances = factor * (3 + torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    units = PatchUnits()
    units.fit(distances.view(100, 200))
    found = units(distances)
    assert float(units.typical) == pytest.approx(float(found.median()), rel=1e-3)
    assert (found > units.typical + 1).double().mean() == pytest.approx(0.01, abs=0.002)


def test_equal_distances_do_not_divide_by_zero():
    units = PatchUnits()
    units.fit(torch.zeros(5))
    assert units(torch.tensor([0.0, 1.0])).isfinite().all()
    units.fit(torch.full((5,), 2.0))
    assert units(torch.tensor([2.1])) - units.typical == pytest.approx(1.0, rel=1e-4)
