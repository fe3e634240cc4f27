"""What worker processes share: done once by the fork server, so that no cell's time holds an import."""

import contextlib
import warnings

import numpy as np
import torch._dynamo  # noqa: F401  (torch.optim imports it at its first step)

import anogan

from . import cell, command  # noqa: F401

anogan.list_detectors()  # imports the detectors
anogan.metrics, anogan.protocol, anogan.baselines  # noqa: B018  (as lazy)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    toy = np.random.default_rng(0).normal(size=(64, 3))
    for name, entry in anogan.baselines.BASELINES.items():
        # PyOD compiles (numba) and imports (torch) at the first fit. Its slow ones share what its auto-encoder needs.
        if entry.kind == "classical" or name == "auto_encoder":
            with contextlib.suppress(anogan.InputError):  # a package that PyOD wants is missing; the cell will say so
                anogan.protocol.run(anogan.baselines.build(name, {}, n_features=3, seed=0), toy, toy, 0)
