"""What worker processes share: done once by the fork server, so that no cell's time holds an import."""

import contextlib

import torch._dynamo  # noqa: F401  (torch.optim imports it at its first step)

from anogan import baselines, protocol

from . import cell, command  # noqa: F401

with contextlib.suppress(Exception):  # what fails here fails in its cells, which say why
    protocol.warm_up(list(baselines.BASELINES))
