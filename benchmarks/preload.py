"""Imports and compilation shared by the worker processes: done once by the fork server, outside of measured times."""

import contextlib

import torch._dynamo  # noqa: F401  (torch.optim imports it at its first step)

from anogan import baselines, protocol

from . import command  # noqa: F401

with contextlib.suppress(Exception):  # what fails here fails in its cells, which record the error
    protocol.warm_up(list(baselines.BASELINES))
