"""Training of a generator against a critic: lazy R1, and W space in search and encoder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import anogan
from anogan.data.samples import TensorSamples
from anogan.data.spec import SampleSpec
from anogan.detectors.generative import R1_EVERY, GenerativeModule
from anogan.losses.adversarial import OBJECTIVES
from anogan.losses.penalties import r1_penalty
from anogan.nn.augment import Augmented
from anogan.nn.backbone import backbone_for
from anogan.seeding import seeded

SPEC = SampleSpec((1, 8, 8), bounded=True)


class Plain(GenerativeModule):
    def stages(self):
        return (self.adversarial_stage(),)

    def score(self, x):
        return self.critic(x).logit


def make(name="style", **options):
    torch.manual_seed(0)
    backbone = backbone_for(name, SPEC, 1, 4)
    return Plain(
        backbone,
        latent_dim=3,
        objective=OBJECTIVES["non_saturating"],
        penalty_weight=10.0,
        critic_steps=1,
        **options,
    ).double()


@pytest.fixture
def x():
    return torch.rand(1, 8, *SPEC.shape).double()


def test_r1_is_lazy_and_weighs_as_much_more(x):
    module = make(r1_weight=0.5)
    phases = {phase.name: phase for phase in module.adversarial_stage().phases}
    assert list(phases) == ["critic", "r1", "generator"]
    assert phases["r1"].every == R1_EVERY == 16
    assert phases["r1"].lazy
    assert phases["r1"].networks == phases["critic"].networks  # so that they share an optimiser
    assert set(phases["critic"].loss(x)) == {"adversarial"}
    module.eval()
    assert_close(phases["r1"].loss(x)["r1"], 16 * 0.5 * r1_penalty(lambda real: module.critic(real).logit, x))
    assert "r1" not in {phase.name for phase in make().adversarial_stage().phases}


def test_the_default_weight_of_r1_is_the_backbone_s():
    X = np.random.default_rng(0).uniform(size=(12, 1, 8, 8))
    fixed = {"random_state": 0, "device": "cpu", "patience": 0} | anogan.AnoGAN.tiny
    for backbone, objective, weight in (("dcgan", None, 0.0), ("dcgan", "hinge", 1.0), ("style", "hinge", 1.0)):
        detector = anogan.AnoGAN(backbone=backbone, objective=objective, **fixed)
        with pytest.warns(UserWarning, match="smallest rate"):
            detector.fit(X)
        assert detector.module_.r1_weight == weight
        assert detector.set_params(r1_weight=0.3).build(backbone_for(backbone, SPEC, 1, 4)).r1_weight == 0.3


def test_the_critic_is_augmented_on_request_and_adapts_to_its_logits(x):
    assert not isinstance(make().critic, Augmented)
    module = make(augment="adaptive").train()
    monitored = []
    module.critic.adapt = lambda real, fake: monitored.append((real.shape, fake.shape))
    module.critic_loss(x)
    module.generator_loss(x)
    assert monitored == [((1, 8), (1, 8))]


@pytest.mark.parametrize("name", ["dcgan", "style"])
def test_only_a_growing_module_declares_its_networks_as_growing(name):
    assert make(name).adversarial_stage().growing == ()
    module = make(name, growing=True)
    assert module.adversarial_stage().growing == (module.generator, module.critic)


def test_search_and_encoder_work_in_w(x):
    backbone = backbone_for("style", SPEC, 1, 4)
    torch.manual_seed(0)
    searching = anogan.AnoGAN(**anogan.AnoGAN.tiny).build(backbone).double().eval()
    encoding = anogan.FAnoGAN(**anogan.FAnoGAN.tiny).build(backbone).double().eval()
    searching.after_training(TensorSamples(x[0]))
    for module in (searching, encoding):
        module.requires_grad_(False)
        module.generator.mapping = None  # neither uses z
        assert module.score(x).shape == (1, 8)
        assert module.reconstruct(x).shape == x.shape


def test_a_search_in_w_starts_at_the_nearest_stored_sample(x):
    torch.manual_seed(0)
    module = anogan.AnoGAN(**anogan.AnoGAN.tiny | {"truncation": 1e-9}).build(backbone_for("style", SPEC, 1, 4))
    module = module.double().eval().requires_grad_(False)
    with seeded(0):
        module.after_training(TensorSamples(x[0]))
    nearest = module.nearest
    assert nearest.latents.shape == (1, 1024, 4)
    chosen = [3, 900, 70]
    assert_close(module.search(nearest.samples[:, chosen]), nearest.latents[:, chosen])
    assert_close(nearest.samples, module.generator.synthesis(nearest.latents))
    assert_close(nearest.features, module.critic(nearest.samples).features)


@pytest.mark.parametrize(("side", "stored"), [(8, 1024), (128, 256), (512, 64)])
def test_of_large_pictures_fewer_samples_are_stored(side, stored):
    module = anogan.AnoGAN(**anogan.AnoGAN.tiny).build(backbone_for("style", SPEC, 1, 4))
    counts = []
    module.nearest.fit = lambda latents, *_: counts.append(latents.shape[1])
    module.relative = None
    module.after_training(TensorSamples(torch.zeros(2, 1, side, side)))
    assert counts == [stored]


def test_a_search_from_a_near_start_takes_fewer_steps():
    steps = {name: anogan.AnoGAN().build(backbone_for(name, SPEC, 1, 4)).search_steps for name in ("dcgan", "style")}
    assert steps == {"dcgan": 40, "style": 3}


@pytest.mark.parametrize(("objective", "stops"), [("hinge", False), ("wasserstein_gp", True)])
def test_only_a_bounded_critic_of_pictures_lets_the_energy_distance_stop_training(objective, stops):
    detector = anogan.AnoGAN(objective=objective)
    assert detector.build(backbone_for("dcgan", SPEC, 1, 4)).adversarial_stage().stops == stops
    assert detector.build(backbone_for("mlp", SampleSpec((5,)), 1, 4)).adversarial_stage().stops


@pytest.mark.parametrize("name", ["dcgan", "style"])
def test_the_search_stays_within_the_truncated_prior(name, x):
    torch.manual_seed(0)
    changes = {"search_steps": 30, "search_learning_rate": 1.0, "truncation": 0.25}
    module = anogan.AnoGAN(**anogan.AnoGAN.tiny | changes).build(backbone_for(name, SPEC, 1, 4)).double().eval()
    module.requires_grad_(False)
    if name == "style":
        module.after_training(TensorSamples(x[0]))
    start = module._start(x, module.critic(x).features)
    w = module.search(x) - start
    assert_close(w.norm(dim=-1).max(), torch.tensor(0.25 * 4**0.5).double())  # latents of 4 numbers: usually |z| = 2
    assert_close(module.search(x[:, 2:3]), start[:, 2:3] + w[:, 2:3])  # whatever the other rows are


def test_the_search_of_images_goes_no_farther_than_they_need(x):
    """The generator is linear in the latent, and all images are made by latents of one length."""
    torch.manual_seed(0)
    changes = {"search_steps": 200, "search_learning_rate": 0.1}
    module = anogan.AnoGAN(**anogan.AnoGAN.tiny | changes).build(backbone_for("dcgan", SPEC, 1, 4)).double().eval()
    module.requires_grad_(False)
    directions = torch.randn(4, x[0, 0].numel()).double()
    module.generator.synthesis = lambda w: (w @ directions).view(*w.shape[:2], *SPEC.shape)
    module.residual_share = 1.0
    usual = float(module.generator.radius(4))
    for length, chosen in ((0.4, 0.35), (0.9, 0.7), (5.0, 1.0)):
        w = torch.randn(1, 40, 4).double()
        module._choose_truncation(module.generator.synthesis(length * usual * w / w.norm(dim=-1, keepdim=True)))
        assert float(module.truncation) == pytest.approx(chosen)


def test_scores_of_images_are_relative_and_those_of_rows_are_not(x):
    of_images = anogan.FAnoGAN(**anogan.FAnoGAN.tiny).build(backbone_for("dcgan", SPEC, 1, 4))
    assert of_images.relative is not None
    assert anogan.FAnoGAN(**anogan.FAnoGAN.tiny).build(backbone_for("mlp", SampleSpec((5,)), 1, 4)).relative is None


@pytest.mark.parametrize("cls", [anogan.FAnoGAN, anogan.WGANGP])
def test_the_default_number_of_critic_steps_is_the_backbone_s(cls):
    for name, spec, steps in (("mlp", SampleSpec((5,)), 5), ("dcgan", SPEC, 1)):
        assert cls().build(backbone_for(name, spec, 1, 4)).critic_steps == steps
        assert cls(critic_steps=3).build(backbone_for(name, spec, 1, 4)).critic_steps == 3


def test_rates_and_betas_are_the_objective_s():
    module = make()
    module.objective = replace(module.objective, betas=(0.1, 0.8), generator_rate=0.5, critic_rate=0.25)
    stage = module.adversarial_stage()
    assert stage.betas == (0.1, 0.8)
    assert {phase.name: phase.rate for phase in stage.phases} == {"critic": 0.25, "generator": 0.5}
