"""The recorder sees every matrix product, forward and backward, with its shapes; the clock times steps."""

import numpy as np
import pytest
import torch

from benchmarks.speed import BLOCK, ProductRecorder, StepClock, measure


def shapes(recorder: ProductRecorder) -> dict[tuple[tuple[int, ...], tuple[int, ...]], int]:
    return {(args[0][0], args[1][0]): count for (_, args), count in recorder.products.items()}


def test_a_known_product_is_recorded_and_timed() -> None:
    a, b = torch.randn(64, 32), torch.randn(32, 16)
    with ProductRecorder() as recorder:
        a @ b
        a @ b
        a + 1  # no product
    assert shapes(recorder) == {((64, 32), (32, 16)): 2}
    assert 0 < recorder.bare_seconds() < 1


def test_backward_products_are_recorded_without_the_bias() -> None:
    layer = torch.nn.Linear(32, 16)
    x = torch.randn(64, 32)
    with ProductRecorder() as recorder:
        layer(x).sum().backward()
    # x W^T + b, and the weights' gradient; x needs none.
    assert shapes(recorder) == {((64, 32), (32, 16)): 1, ((16, 64), (64, 32)): 1}


def test_batched_products_keep_their_members() -> None:
    with ProductRecorder() as recorder:
        torch.baddbmm(torch.zeros(4, 1, 8), torch.randn(4, 64, 16), torch.randn(4, 16, 8))
    assert shapes(recorder) == {((4, 64, 16), (4, 16, 8)): 1}
    assert recorder.bare_seconds() > 0


def test_distances_count_as_the_product_inside() -> None:
    with ProductRecorder() as recorder:
        torch.cdist(torch.randn(2, 50, 8), torch.randn(2, 70, 8))
    assert shapes(recorder) == {((2, 50, 8), (2, 8, 70)): 1}
    assert recorder.bare_seconds() > 0


def test_convolutions_can_be_replayed() -> None:
    convolution = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    with ProductRecorder() as recorder:
        convolution(torch.randn(5, 3, 8, 8)).sum().backward()
    assert sum(recorder.products.values()) == 2
    assert recorder.bare_seconds() > 0


def test_operands_keep_their_strides() -> None:
    with ProductRecorder() as recorder:
        torch.randn(8, 4).T @ torch.randn(8, 6)
    ((_, (first, _)),) = recorder.products
    assert first[:2] == ((4, 8), (1, 4))


def test_the_clock_skips_the_warm_up_and_the_recorded_block() -> None:
    clock = StepClock()
    clock.on_stage_begin("gan", 4 * BLOCK)
    for step in range(1, 4 * BLOCK + 1):
        torch.ones(2, 2) @ torch.ones(2, 2)
        clock.on_step_end("gan", step, None)
    assert len(clock.block_seconds["gan"]) == 2
    assert sum(clock.recorders["gan"].products.values()) == BLOCK


@pytest.mark.slow
def test_a_detector_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.speed.ROWS", 2000)
    found = measure("f_anogan", {"steps": 60, "width": 8}, threads=1)
    assert set(found["step_ms"]) == set(found["step_share"])
    assert set(found["step_ms"]) == {"gan", "encoder", "rows"}
    assert found["rows"] <= 2000
    assert np.all(np.array([found["score_share"], *found["step_share"].values()]) > 0)
