"""What a module declares is what the trainer does: phases, gradients, terms, early stopping, divergence."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

import anogan
from anogan.data.samples import TensorSamples
from anogan.engine.trainer import Trainer, TrainerSettings
from anogan.nn.layers import BatchedLinear
from anogan.nn.mlp import MLPHourglass

SETTINGS = TrainerSettings(steps=2, batch_size=16, learning_rate=0.01, ema_decay=0.0, patience=0)

WITHOUT_GRADIENT = {
    # A Wasserstein critic's last bias shifts the logits of real and of generated samples alike.
    "f_anogan": ("critic.head.bias", "critic.nets.0.head.bias"),
    "wgan_gp": ("critic.head.bias", "critic.nets.0.head.bias"),
    # So does a hinge critic's, as long as all logits lie within the margin.
    "cycle_gan": ("critic_normal.critic.head.bias", "critic_other.critic.head.bias"),
}


def raw_weight(layer):
    """The weight before spectral normalisation."""
    return layer.parametrizations.weight.original if is_parametrized(layer) else layer.weight


def trainer(settings=SETTINGS):
    return Trainer(settings, seed=0, members=1, device=torch.device("cpu"))


def train_only(module, stage, phase, samples):
    """Two steps of one phase; the state before and after."""
    module.stages = lambda: (replace(stage, phases=(replace(phase, every=1),)),)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    trainer().fit(module, samples, None)
    return before, module.state_dict()


def parts(module):
    """(stage number, phase number) of all phases."""
    return [(i, j) for i, stage in enumerate(module.stages()) for j in range(len(stage.phases))]


def test_one_phase_moves_only_its_networks(case):
    for i, j in parts(case.module()[0]):
        module, samples = case.module()
        stage = module.stages()[i]
        phase = stage.phases[j]
        own = {id(w) for network in phase.networks for w in network.parameters()}
        before, after = train_only(module, stage, phase, samples)
        moved = {name for name, w in module.named_parameters() if not torch.equal(before[name], after[name])}
        allowed = {name for name, w in module.named_parameters() if id(w) in own}
        assert moved, f"{phase.name} moves nothing"
        assert moved <= allowed, f"{phase.name} moves {moved - allowed}"


def test_while_a_phase_plays_only_its_networks_take_gradient(network_case):
    module, samples = network_case.module()
    stages = module.stages()
    played = set()

    def watched(phase):
        own = {id(w) for network in phase.networks for w in network.parameters()}

        def loss(x):
            played.add(phase.name)
            assert {id(w) for w in module.parameters() if w.requires_grad} == own
            assert all(w.grad is None for w in module.parameters())
            return phase.loss(x)

        return replace(phase, loss=loss)

    module.stages = lambda: tuple(
        replace(stage, phases=tuple(watched(phase) for phase in stage.phases)) for stage in stages
    )
    trainer().fit(module, samples, None)
    assert played == {phase.name for stage in stages for phase in stage.phases}


def test_a_network_outside_a_stage_is_frozen_whole(network_case):
    for i, _ in enumerate(network_case.module()[0].stages()):
        module, samples = network_case.module()
        stage = module.stages()[i]
        playing = {id(t) for p in stage.phases for n in p.networks for t in n.state_dict(keep_vars=True).values()}
        outside = [k for k, t in module.state_dict(keep_vars=True).items() if id(t) not in playing]
        before = {k: module.state_dict()[k].clone() for k in outside}
        module.stages = lambda stage=stage: (stage,)
        trainer().fit(module, samples, samples)
        changed = [k for k in outside if not torch.equal(before[k], module.state_dict()[k])]
        assert not changed, f"stage {stage.name} changes {changed}"


def test_every_parameter_gets_gradient_in_some_phase(case):
    module, samples = case.module()
    module.train()
    x = samples.batch(np.arange(len(samples))).expand(1, -1, *samples.batch(np.arange(1)).shape[1:])
    reached = set()
    for stage in module.stages():
        for phase in stage.phases:
            module.requires_grad_(False).zero_grad()
            for network in phase.networks:
                network.requires_grad_(True)
            sum(term.sum() for term in phase.loss(x).values()).backward()
            reached |= {k for k, w in module.named_parameters() if w.grad is not None and w.grad.abs().max() > 0}
    missed = {k for k, _ in module.named_parameters()} - reached
    assert missed <= set(WITHOUT_GRADIENT.get(case.name, ()))


def test_loss_terms_are_finite_numbers_of_each_member(case):
    module, samples = case.module(n_members=2)
    x = samples.batch(np.arange(8)).expand(2, -1, *samples.batch(np.arange(1)).shape[1:])
    for stage in module.stages():
        assert stage.monitor(x).shape == (2,)
        for phase in stage.phases:
            terms = phase.loss(x)
            assert terms
            for name, term in terms.items():
                assert term.shape == (2,), f"{phase.name}/{name}"
                assert torch.isfinite(term).all(), f"{phase.name}/{name}"


def test_every_loss_term_is_logged_under_its_name(case):
    module, samples = case.module()
    x = samples.batch(np.arange(8))[None]
    history = case.fitted.history_
    for stage in module.stages():
        curves = history[stage.name]
        expected = {f"{phase.name}/{term}" for phase in stage.phases for term in phase.loss(x)}
        norms = {f"{phase.name}/gradient_norm" for phase in stage.phases}
        assert set(curves) == expected | norms | {"step"}
        for name, curve in curves.items():
            assert len(curve) == len(curves["step"])
            assert all(math.isfinite(value) for value in curve), name
        if not case.fitted.patience:
            continue  # no row is watched
        watched = history[f"{stage.name}/held_out"]
        assert all(math.isfinite(value) for value in watched["monitor"])


def test_what_is_minimised_is_the_sum_of_the_terms(network_case):
    for i, j in parts(network_case.module()[0]):
        ends = []
        for joined in (False, True):
            module, samples = network_case.module()
            stage = module.stages()[i]
            phase = stage.phases[j]
            if joined:  # the same loss written as one term must lead to the same weights
                phase = replace(phase, loss=lambda x, terms=phase.loss: {"all": sum(terms(x).values())})
            torch.manual_seed(1)
            ends.append(train_only(module, stage, phase, samples)[1])
        for key, tensor in ends[0].items():
            torch.testing.assert_close(tensor, ends[1][key], rtol=1e-6, atol=1e-6)


def test_a_nan_batch_stops_training_and_names_the_phase(case):
    module, samples = case.module()
    bad = TensorSamples(torch.full_like(samples.tensor, torch.nan))
    names = "|".join(phase.name for stage in module.stages() for phase in stage.phases)
    with pytest.raises(anogan.TrainingDivergedError, match=rf"phase '({names})' is not finite at step 1 "):
        trainer().fit(module, bad, None)


def test_an_exploding_training_stops(vector_case):
    with pytest.raises(anogan.TrainingDivergedError, match=r"phase '\w+' .* at step \d+ of stage '\w+'"):
        vector_case.fit(learning_rate=1e200, steps=50, ema_decay=0.0, patience=0)


def test_early_stopping_ends_a_hopeless_stage_before_its_budget(network_case, monkeypatch):
    build = network_case.cls.build
    ended = {}

    def hopeless(self, backbone):
        """The module as it is, but the held-out rows look worse each time."""
        module = build(self, backbone)
        stages, looks = module.stages(), itertools.count(1.0)
        module.stages = lambda: tuple(replace(stage, monitor=lambda x: torch.tensor([next(looks)])) for stage in stages)
        return module

    class Watch(anogan.Callback):
        def on_stage_end(self, stage, steps):
            ended[stage] = steps

    monkeypatch.setattr(network_case.cls, "build", hopeless)
    network_case.fit(steps=100, patience=3, fit_params={"callbacks": [Watch()]})
    assert set(ended.values()) == {20}  # looks at steps 5 (the best), 10, 15 and 20


def test_the_whole_budget_is_played_without_patience(vector_case):
    ended = []

    class Watch(anogan.Callback):
        def on_stage_end(self, stage, steps):
            ended.append(steps)

    vector_case.fit(steps=21, learning_rate=1.0, patience=0, fit_params={"callbacks": [Watch()]})
    assert set(ended) == {21}


def test_callbacks_are_told_every_step_of_every_stage(vector_case):
    told = []

    class Watch(anogan.Callback):
        def on_stage_begin(self, stage, total_steps):
            told.append((stage, "begin", total_steps))

        def on_step_end(self, stage, step, terms):
            told.append((stage, step, set(terms or ())))

        def on_stage_end(self, stage, steps):
            told.append((stage, "end", steps))

    detector = vector_case.fit(steps=2, fit_params={"callbacks": [Watch()]})
    expected = []
    for stage in detector.module_.stages():
        terms = set(detector.history_[stage.name]) - {"step"}
        expected += [
            (stage.name, "begin", 2),
            (stage.name, 1, terms),
            (stage.name, 2, terms),
            (stage.name, "end", 2),
        ]
    assert told == expected


def test_convolutions_start_as_dcgan_declares(name, vector_case):
    case = vector_case.__class__(name, "colour")
    module, _ = case.module(width=32)
    convolutions = 0
    for key, layer in module.named_modules():
        if not any(True for _ in layer.parameters(recurse=False)) and not is_parametrized(layer):
            continue  # frozen: somebody else trained it
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            weight, center = raw_weight(layer), 0.0
            convolutions += 1
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            weight, center = layer.weight, 1.0
        else:
            continue
        error = 0.02 / weight.numel() ** 0.5
        assert abs(weight.mean() - center) < 5 * error, key
        assert abs(weight.std() - 0.02) < 5 * error, key
        assert not layer.bias.any(), key
    assert convolutions or not any(isinstance(w, nn.Conv2d) and w.weight.requires_grad for w in module.modules())


def test_linear_layers_start_uniform_within_the_bound_of_torch(vector_case):
    module, _ = vector_case.module(width=64)
    seen = 0
    keeps_distances = {
        id(layer)
        for net in module.modules()
        if isinstance(net, MLPHourglass) and net.head is not None
        for layer in net.modules()
    }
    for name, layer in module.named_modules():
        if isinstance(layer, BatchedLinear) and id(layer) not in keeps_distances:
            raw = raw_weight(layer)
            bound = 1 / raw.shape[1] ** 0.5
            seen += 1
            assert raw.abs().max() <= bound, name
            if raw.numel() > 200:
                assert raw.abs().max() > 0.9 * bound, name
    assert seen
