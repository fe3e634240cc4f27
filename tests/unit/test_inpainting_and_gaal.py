"""Pix2PixInpainting, SO-GAAL and MO-GAAL: the parts that their papers fix."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

import anogan
from anogan.data.samples import TensorSamples
from anogan.data.spec import SampleSpec
from anogan.detectors.mo_gaal import MOGAALModule
from anogan.detectors.pix2pix_inpainting import Pix2PixInpaintingModule
from anogan.detectors.so_gaal import GAALModule
from anogan.nn.backbone import backbone_for

SPECS = [SampleSpec((6,), spans=((1, 4),)), SampleSpec((3, 9, 12), bounded=True)]


@pytest.fixture(params=SPECS, ids=["vector", "picture"])
def spec(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def inpainting(spec):
    return Pix2PixInpaintingModule(
        backbone_for("auto", spec, 2, 4), latent_dim=3, adversarial_weight=1.0, reconstruction_weight=100.0
    ).eval()


@pytest.fixture
def x(spec):
    return torch.rand(2, 5, *spec.shape) * 2 - 1


class Constant(nn.Module):
    """Fills in one number everywhere."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x, mask):
        return torch.full_like(x, self.value)


def test_every_value_of_a_reconstruction_was_filled_in_while_it_was_erased(inpainting, x):
    made = inpainting.reconstruct(x)
    unit = inpainting.masks[:, *[0] * (x.dim() - 2)]  # where the first value is erased
    together = inpainting.masks[unit].all(0) & ~inpainting.masks[~unit].any(0)  # erased just when the first is
    changed = inpainting.reconstruct(torch.where(together, x + 1.0, x))
    assert torch.equal(changed[..., together], made[..., together])
    assert not torch.equal(changed, made)
    inpainting.generator = Constant(0.25)
    assert torch.allclose(inpainting.reconstruct(x), torch.tensor(0.25))


def test_what_is_not_erased_stays_and_the_l1_is_of_what_is(inpainting, x):
    inpainting.generator = Constant(9.0)
    filled, mask = inpainting.inpaint(x)
    assert torch.equal(filled[~mask], x[~mask])
    assert (filled[mask] == 9.0).all()
    expected = [(x[k] - 9.0).abs()[mask[k]].mean() for k in range(2)]
    torch.testing.assert_close(inpainting.erased_l1(x, filled, mask), torch.stack(expected))


def test_rows_of_a_batch_get_different_masks(inpainting, x):
    _, mask = inpainting.inpaint(x[:, :1].expand(-1, 40, *x.shape[2:]))
    assert len(mask[0].unique(dim=0)) == len(inpainting.masks)


def test_the_worst_place_and_the_whole_make_the_score(inpainting, x):
    error = (x - inpainting.reconstruct(x)).abs()
    worst = inpainting.local_mean(error).amax(-1)
    torch.testing.assert_close(inpainting.score(x), error.flatten(2).mean(-1) + worst)
    if x.dim() == 3:
        torch.testing.assert_close(worst, error.mean(-1))


def test_a_spot_that_the_rest_does_not_predict_is_found_and_shown():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 16)[:, None] + np.linspace(0, 1, 16)
    good = rng.uniform(0.3, 0.5, (220, 1, 1, 1)) * ramp + 0.02 * rng.normal(size=(220, 1, 16, 16))
    bad = good[200:].copy()
    bad[:, :, 4:7, 9:12] += 0.4
    short = {"steps": 60, "ema_decay": 0.9, "learning_rate": 5e-3, "batch_size": 32, "width": 8}
    detector = anogan.Pix2PixInpainting(**short, random_state=0, device="cpu").fit(good[:200])
    assert anogan.metrics.auroc([0] * 20 + [1] * 20, detector.anomaly_score(np.concatenate([good[200:], bad]))) > 0.9
    maps = detector.explain(bad).sum(1)
    assert maps[:, 4:7, 9:12].mean() > 3 * maps.mean()


def gaal(spec, generators=1, members=2):
    backbone = backbone_for("auto", spec, members, 4)
    if generators == 1:
        return GAALModule(backbone, latent_dim=3, n_generators=1, critic_steps=1)
    return MOGAALModule(backbone, latent_dim=3, n_generators=generators, critic_steps=1)


def test_the_generators_start_as_noise_over_twice_the_range_of_the_data(spec):
    module = gaal(spec)
    rows = torch.rand(50, *spec.shape)
    module.before_training(TensorSamples(rows))
    low, high = rows.amin(0), rows.amax(0)
    torch.testing.assert_close(module.high - module.low, 2 * (high - low))
    torch.testing.assert_close(module.high + module.low, high + low)
    with torch.no_grad():
        for weight in module.generators.parameters():
            weight.zero_()
    (outliers,) = module.outliers(500)
    assert (outliers >= module.low).all()
    assert (outliers <= module.high).all()
    spread = (outliers.amax(1) - outliers.amin(1)) / (module.high - module.low)
    assert spread.min() > 0.95


def test_so_gaal_s_generator_aims_for_a_high_probability(spec, x):
    module = gaal(spec).eval()
    torch.manual_seed(1)
    terms = module.generator_loss(x)
    torch.manual_seed(1)
    probability = module.critic(*module.outliers(x.shape[1])).logit.sigmoid()
    assert list(terms) == ["target_1"]
    torch.testing.assert_close(terms["target_1"], -probability.log().mean(-1))


def test_mo_gaal_s_generators_aim_for_the_quantiles_of_the_critic(spec, x):
    module = gaal(spec, generators=4).eval()
    torch.manual_seed(1)
    terms = module.generator_loss(x)
    torch.manual_seed(1)
    outliers = module.outliers(x.shape[1])
    probability = module.critic(x).logit.sigmoid()
    for i in range(4):
        made = module.critic(outliers[i]).logit.sigmoid()
        target = probability.quantile(i / 4, dim=1, keepdim=True)
        expected = binary_cross_entropy(made, target.expand_as(made), reduction="none").mean(-1)
        torch.testing.assert_close(terms[f"target_{i + 1}"], expected)


def test_most_outliers_come_from_the_generator_with_the_lowest_target():
    module = gaal(SPECS[0], generators=10)
    shares = [outliers.shape[1] for outliers in module.outliers(550)]
    assert shares == [100, 90, 80, 70, 60, 50, 40, 30, 20, 10]
    assert [outliers.shape[1] for outliers in module.outliers(2)] == [1] * 10


@pytest.mark.parametrize("cls", ["SOGAAL", "MOGAAL"])
def test_the_sign_is_the_paper_s_far_rows_score_high(cls):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * 0.3
    far = rng.normal(size=(50, 4))
    far *= 4 / np.linalg.norm(far, axis=1, keepdims=True)
    detector = getattr(anogan, cls)(steps=200, random_state=0, device="cpu", n_members=1).fit(X)
    scores = detector.anomaly_score(np.concatenate([X, far]))
    assert anogan.metrics.auroc([0] * 500 + [1] * 50, scores) > 0.95
    assert detector.history_["critic"]["step"][-1] <= 200
    assert "generator/target_1" not in detector.history_["critic"]
    # One member keeps the paper's own unit: -log D(x).
    x = detector.preprocessor_.transform(far[:1], torch.float32).batch(np.arange(1))[None]
    logit = float(detector.module_.critic(x).logit)
    assert scores[500] == pytest.approx(math.log1p(math.exp(-logit)), rel=1e-4)
