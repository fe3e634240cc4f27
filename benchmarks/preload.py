"""What worker processes share: done once by the fork server, so that no cell's time holds an import."""

import contextlib
import io
import warnings

import torch._dynamo  # noqa: F401  (torch.optim imports it at its first step)

from anogan import baselines

from . import cell, command  # noqa: F401

# auto_encoder imports what all of PyOD's networks need. What fails here fails in its cells, which say why.
with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    baselines.warm_up(list(baselines.BASELINES))
    baselines.baseline("auto_encoder")
