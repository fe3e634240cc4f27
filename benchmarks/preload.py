"""What worker processes share: imported once by the fork server, so that no cell's time holds an import."""

import torch._dynamo  # noqa: F401  (torch.optim imports it at its first step)

import anogan

from . import cell, command  # noqa: F401

anogan.list_detectors()  # imports the detectors; `metrics` and PyOD's bridge are as lazy
anogan.metrics, anogan.from_pyod  # noqa: B018
