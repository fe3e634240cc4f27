"""Verdicts on made-up generators of pictures and rows: those that draw real ones are healthy, others are not."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits, load_sample_image
from torch import nn

from anogan.data.samples import TensorSamples
from anogan.data.spec import SampleSpec
from anogan.detectors.diagnosing import diagnose_module
from anogan.engine.inference import Inference
from anogan.engine.module import GANModule
from anogan.nn.picture_probes import picture_probes
from anogan.scoring.calibration import Calibration

ROWS = 120  # held-out, training and generated samples each
RNG = np.random.default_rng(0)


def digits():
    """Grey pictures (n, 1, 16, 16)."""
    return np.kron(load_digits().images / 8 - 1, np.ones((2, 2)))[:, None]


def photographs():
    """Pieces of a photograph, (n, 3, 32, 32)."""
    whole = load_sample_image("china.jpg").transpose(2, 0, 1) / 127.5 - 1
    corners = RNG.integers(0, [whole.shape[1] - 32, whole.shape[2] - 32], size=(600, 2))
    return np.stack([whole[:, y : y + 32, x : x + 32] for y, x in corners])


def rows():
    """Rows with five columns of two independent factors, (n, 5)."""
    return RNG.normal(size=(600, 2)) @ RNG.normal(size=(2, 5))


KINDS = {kind.__name__: RNG.permutation(kind())[: 3 * ROWS] for kind in (digits, photographs, rows)}


class Drawer(GANModule):
    """Generates the samples that it is given."""

    def __init__(self, fake):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.fake = torch.from_numpy(fake).float()

    def stages(self):
        return ()

    def score(self, x):
        return x.flatten(2).sum(-1)

    def sample(self, rows):
        return self.fake[None, :rows]


class Copier(Drawer):
    """Reconstructs by a function, and scores the error."""

    sample = GANModule.sample

    def __init__(self, function):
        super().__init__(np.zeros(1))
        self.function = function

    def reconstruct(self, x):
        return self.function(x)

    def score(self, x):
        return (x - self.reconstruct(x)).abs().flatten(2).sum(-1)


def diagnosed(module, kind):
    held_out, training = (TensorSamples(torch.from_numpy(KINDS[kind][i : i + ROWS]).float()) for i in (0, ROWS))
    shape = held_out.tensor.shape[1:]
    inference = Inference(module.eval(), 1, shape)
    scores = inference.score(held_out)[0]
    calibration = Calibration(np.zeros(1), np.ones(1), np.sort(scores), 0.0)
    return diagnose_module(
        inference, held_out, training, SampleSpec(shape), history={}, steps=1000, calibration=calibration
    )


@pytest.mark.parametrize("kind", KINDS)
def test_other_real_samples_are_healthy(kind):
    diagnosis = diagnosed(Drawer(KINDS[kind][2 * ROWS :]), kind)
    assert "mode collapse" not in diagnosis.issues
    assert "low fidelity" not in diagnosis.issues


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_samples_that_are_nearly_all_the_same_have_collapsed(kind, share):
    real = KINDS[kind][2 * ROWS :]
    narrow = real[:1] + share * (real - real.mean(0))
    assert "mode collapse" in diagnosed(Drawer(narrow), kind).issues


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_samples_over_and_over_have_collapsed(kind):
    real = KINDS[kind][2 * ROWS :]
    assert "mode collapse" in diagnosed(Drawer(real[np.arange(ROWS) % 6]), kind).issues


@pytest.mark.parametrize("kind", ["digits", "photographs"])
@pytest.mark.parametrize(
    "to_anomalous",
    [
        lambda real: gaussian_filter(real, (0, 0, 2, 2)),
        lambda real: sum(np.roll(real, i, 0) for i in range(6)) / 6,
        lambda real: real + RNG.normal(0, 0.5, real.shape),
        lambda real: RNG.uniform(-1, 1, real.shape),
    ],
    ids=["blurs", "ghosts", "noisy", "noise"],
)
def test_pictures_unlike_any_real_one_are_noticed(kind, to_anomalous):
    diagnosis = diagnosed(Drawer(to_anomalous(KINDS[kind][2 * ROWS :])), kind)
    assert {"low fidelity", "mode collapse"} & set(diagnosis.issues), diagnosis.measures


@pytest.mark.parametrize("kind", ["digits", "photographs"])
def test_reconstructions_are_judged_beside_training_samples_and_scores_beside_the_mean(kind):
    mean = torch.from_numpy(KINDS[kind][ROWS : 2 * ROWS].mean(0)).float()
    assert diagnosed(Copier(lambda x: 0.9 * x + 0.1 * mean), kind).measures["explained_variance"] > 0.98
    towards_the_mean = diagnosed(Copier(lambda x: mean + 0.2 * (x - mean)), kind)
    assert "uninformative scores" in towards_the_mean.issues  # the score is the distance from the mean
    worse = diagnosed(Copier(lambda x: x.flip(1)), kind)
    assert "poor reconstructions" in worse.issues


def test_probes_keep_shape_and_range_and_each_differs_from_its_picture():
    x = torch.from_numpy(KINDS["digits"][:11]).float()
    made = picture_probes(x)
    assert made.shape == x.shape
    assert made.min() >= x.min()
    assert made.max() <= x.max()
    assert ((made - x).abs().flatten(1).amax(1) > 0.5).all()
    assert picture_probes(x[:2, :, :1, :3]).shape == (2, 1, 1, 3)
