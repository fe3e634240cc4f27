"""Where a training may run."""

import numpy as np
import pytest

import anogan


def test_one_of_several_processes_of_torchrun_is_refused(monkeypatch):
    X = np.random.default_rng(0).normal(size=(40, 2))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(anogan.InputError, match="start fit without it"):
        anogan.GANomaly(**anogan.GANomaly.tiny).fit(X)
    monkeypatch.setenv("WORLD_SIZE", "1")
    anogan.GANomaly(**anogan.GANomaly.tiny).fit(X)
