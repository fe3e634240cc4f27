"""Lifts a network of one member to k members, for layers that have no batched product (convolutions)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Members(nn.Module):
    """k separately initialised copies of a network, each applied to its own slice of the member axis.

    Outputs are stacked along a new first axis, those of a NamedTuple one by one.
    """

    def __init__(self, members: int, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(make() for _ in range(members))

    def forward(self, x: Tensor, *context: Tensor) -> Any:
        outputs = [net(x[k], *(c[k] for c in context)) for k, net in enumerate(self.nets)]
        first = outputs[0]
        if isinstance(first, tuple):
            return type(first)(*map(torch.stack, zip(*outputs, strict=True)))
        return torch.stack(outputs)
