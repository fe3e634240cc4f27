"""Branches are chosen by what the samples are, in Python and in the graph that is exported."""

import numpy as np
import pytest
import torch
from torch import nn

from anogan.scoring.branches import changed_if, either


class Branching(nn.Module):
    """Doubles samples if one of them is positive; tells their sums if one is large, and otherwise reverses them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.tensor(2.0))

    def forward(self, x):
        x = changed_if((x > 0).any(), lambda same: same * self.factor, x)
        return either(
            (x > 10).any(),
            lambda y: (y.transpose(0, 1).contiguous().transpose(0, 1), y.sum(1)),
            lambda y: (y.flip(1), y[:, 0] * 0),
            x,
        )


SAMPLES = [[[-1.0, -2.0, -3.0]], [[-1.0, 2.0, 3.0]], [[1.0, 2.0, 30.0], [0.0, 0.0, -1.0]]]


def test_what_is_not_needed_is_not_called():
    def never(x):
        raise AssertionError

    x = torch.ones(2)
    assert changed_if(torch.tensor(False), never, x) is x
    assert either(torch.tensor(True), torch.sum, never, x) == 2


@pytest.mark.slow
def test_a_graph_takes_the_branch_that_python_takes(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    rows, path = torch.export.Dim("rows"), tmp_path / "branches.onnx"
    example = (torch.tensor(SAMPLES[2]),)
    torch.onnx.export(Branching(), example, path, dynamo=True, dynamic_shapes=({0: rows},), opset_version=18)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for sample in SAMPLES:
        got = session.run(None, {session.get_inputs()[0].name: np.array(sample, dtype=np.float32)})
        for found, expected in zip(got, Branching()(torch.tensor(sample)), strict=True):
            np.testing.assert_array_equal(found, expected.numpy())
