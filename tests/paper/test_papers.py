"""What the papers promise, on data small enough to see it."""

import numpy as np
import pytest
import torch

import anogan
from anogan.detectors.diagnosing import diagnose_module
from anogan.engine.likeness import coverage_and_precision

pytestmark = pytest.mark.slow

CENTRES = np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 5, endpoint=False)]) * 2


def mixture(n, seed):
    """Five round clusters on a circle; between them there is nothing."""
    rng = np.random.default_rng(seed)
    return CENTRES[rng.integers(len(CENTRES), size=n)] + 0.5 * rng.normal(size=(n, 2))


COMMON = {"random_state": 0, "device": "cpu", "n_members": 1, "precision": "float32"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def gan():
    """A GAN that has seen the mixture for long enough."""
    return anogan.AnoGAN(
        **COMMON,
        objective="wasserstein_gp",
        critic_steps=5,
        penalty_weight=1.0,
        latent_dim=8,
        width=64,
        steps=3000,
        batch_size=256,
        learning_rate=5e-4,
        ema_decay=0.999,
        patience=0,
        search_steps=100,
        search_learning_rate=0.05,
        truncation=1.0,
    ).fit(mixture(4000, 0))


def test_a_gan_learns_a_mixture_of_gaussians(gan):
    drawn, fresh = gan.sample(1000, random_state=0), mixture(1000, 1)
    coverage, precision = coverage_and_precision(fresh, drawn)
    assert coverage > 0.8
    assert precision > 0.5
    nearest = np.linalg.norm(drawn[:, None] - CENTRES, axis=-1).argmin(1)
    assert np.bincount(nearest, minlength=5).min() > 0.05 * len(drawn)  # no mode is forgotten
    assert gan.diagnosis_.healthy, gan.diagnosis_.verdict
    assert gan.diagnosis_.measures["coverage"] > 0.8


def test_the_latent_search_lowers_its_loss_and_beats_its_start(gan):
    module = gan.module_
    x = gan.fitted_state.inference.expand(gan.preprocessor_.transform(mixture(200, 3), torch.float32).tensor)

    def loss(steps):
        module.search_steps = steps
        return module.score(x).detach()

    budget = module.search_steps
    try:
        start = loss(0)
        losses = [loss(steps) for steps in (1, 10, 30, 100, 300)]
    finally:
        module.search_steps = budget
    means = [float(start.mean()), *(float(each.mean()) for each in losses)]
    assert means == sorted(means, reverse=True), means
    assert means[-1] < 0.3 * means[0]
    assert (losses[-1] < start).float().mean() > 0.98


def test_a_collapsed_generator_is_called_so(gan, tmp_path):
    gan.save(tmp_path / "gan.anogan")
    collapsed = anogan.load(tmp_path / "gan.anogan", device="cpu")
    with torch.no_grad():
        for weight in collapsed.module_.generator.parameters():
            weight *= 0.0
    rows = collapsed.preprocessor_.transform(mixture(400, 4), torch.float32)
    spec, history = collapsed.preprocessor_.spec_, collapsed.history_
    inference = collapsed.fitted_state.inference
    diagnosis = diagnose_module(inference, rows, rows, spec, history=history, steps=collapsed.steps)
    assert "mode collapse" in diagnosis.issues
    assert diagnosis.measures["coverage"] < 0.2


@pytest.mark.parametrize("name", list(anogan.list_detectors()))
def test_every_detector_ranks_far_rows_above_normal_ones(name):
    cls = anogan.list_detectors()[name]
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 10))

    def normal(n):
        return rng.normal(size=(n, 3)) @ mixing + 0.1 * rng.normal(size=(n, 10))

    fixed = {"width": 32, "latent_dim": 3, "steps": 500, "batch_size": 64, "search_steps": 100}
    fixed = {k: v for k, v in fixed.items() if k in cls.parameters()}
    X, new = normal(1000), normal(200)
    detector = cls(**COMMON | fixed).fit(X)
    direction = rng.normal(size=new.shape)
    far = new + 30 * X.std() * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    labels = np.r_[np.zeros(200), np.ones(200)]
    assert anogan.metrics.auroc(labels, detector.anomaly_score(np.r_[new, far])) > 0.8
    assert (detector.p_value(new) <= 0.1).mean() < 0.2
