"""Complementary masks: each value erased once in a set, units erased whole."""

import pytest
import torch

from anogan.data.spec import SampleSpec
from anogan.nn.backbone import backbone_for
from anogan.nn.masks import complementary_masks, span_units, square_units


@pytest.mark.parametrize(("units", "parts"), [(1, 3), (2, 3), (7, 2), (9, 3), (10, 4)])
def test_every_unit_is_erased_once_and_no_mask_is_idle(units, parts):
    masks = complementary_masks(torch.arange(units), parts)
    assert len(masks) == min(units, parts)
    assert (masks.sum(0) == 1).all()
    sizes = masks.sum(1)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


def test_squares_are_erased_whole_and_cut_at_the_edge():
    units = square_units(5, 7, 4)
    assert units.tolist()[0] == [0, 0, 0, 0, 1, 1, 1]
    assert units.tolist()[4] == [2, 2, 2, 2, 3, 3, 3]
    masks = complementary_masks(units, 2)
    for unit in range(4):
        assert len(masks[:, units == unit].unique(dim=1).T) == 1


def test_a_one_hot_span_counts_as_one_column():
    assert span_units(7, ((1, 4), (4, 6))).tolist() == [0, 1, 1, 1, 2, 2, 3]
    assert span_units(3, ()).tolist() == [0, 1, 2]
    assert span_units(2, ((0, 2),)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("shape", "sets"), [((1, 8, 8), 1), ((3, 9, 12), 1), ((1, 28, 30), 3), ((3, 64, 64), 3), ((1,), 1), ((5,), 3)]
)
def test_the_masks_of_a_backbone_are_complementary_sets(shape, sets):
    torch.manual_seed(0)
    backbone = backbone_for("auto", SampleSpec(shape, bounded=len(shape) == 3), 1, 4)
    masks = backbone.geometry.masks()
    assert masks.dtype == torch.bool
    assert masks.shape[1:] == shape
    assert (masks.sum(0) == sets).all()
    if len(shape) == 3:
        assert (masks == masks[:, :1]).all()  # a pixel is erased in all of its channels
        assert len(masks) == 3 * sets
        shares = masks.float().mean((1, 2, 3))
        assert shares.min() > 0.2
        assert shares.max() < 0.5


def test_squares_have_several_sizes():
    torch.manual_seed(0)
    masks = backbone_for("auto", SampleSpec((1, 64, 64), bounded=True), 1, 4).geometry.masks()
    for number, side in enumerate((4, 8, 16)):
        small = masks[3 * number : 3 * number + 3, :, ::side, ::side]
        whole = small.repeat_interleave(side, -1).repeat_interleave(side, -2)
        assert (whole == masks[3 * number : 3 * number + 3]).all()
        assert (whole[..., side:] != whole[..., :-side]).any()


def test_a_local_mean_is_a_window_of_a_picture_and_the_whole_of_a_row():
    error = torch.zeros(2, 3, 2, 64, 64)
    error[:, :, :, 10:18, 20:28] = 1.0
    means = backbone_for("auto", SampleSpec((2, 64, 64), bounded=True), 2, 4).geometry.local_mean(error)
    assert means.shape == (2, 3, 57 * 57)
    assert (means.amax(-1) == 1).all()
    assert (means[..., 0] == 0).all()
    row = torch.tensor([[[1.0, 2.0, 6.0]]])
    assert backbone_for("auto", SampleSpec((3,)), 1, 4).geometry.local_mean(row).tolist() == [[[3.0]]]
