"""What a module declares is what the trainer does: phases, gradients, loss terms, early stopping, divergence."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.testing import assert_close

from ..data.samples import Samples, TensorSamples
from ..engine.callbacks import Callback
from ..engine.module import GANModule, Phase, Stage, Terms
from ..engine.settings import TrainerSettings
from ..engine.trainer import Trainer
from ..errors import TrainingDivergedError
from .case import DATA, NETWORKS, TRAINED, VECTOR, Case, on, raises

SETTINGS = TrainerSettings(steps=2, batch_size=16, learning_rate=0.01, ema_decay=0.0, patience=0)


def _train(module: GANModule, samples: Samples, held_out: Samples | None = None) -> None:
    Trainer(SETTINGS, seed=0, members=1, device=torch.device("cpu")).fit(module, samples, held_out)


def _train_only(module: GANModule, stage: Stage, phase: Phase, samples: Samples) -> tuple[dict[str, Tensor], ...]:
    """Train one phase for two steps; return the state before and after."""
    only = replace(stage, phases=(replace(phase, every=1),))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with patch.object(module, "stages", lambda: (only,)):
        _train(module, samples)
    return before, module.state_dict()


def _phases(module: GANModule) -> list[tuple[int, int]]:
    """Return (stage number, phase number) of all phases."""
    return [(i, j) for i, stage in enumerate(module.stages()) for j in range(len(stage.phases))]


def _batch(samples: Samples, rows: int, members: int) -> Tensor:
    """Return the first rows as each member's batch: ``(members, rows, *shape)``."""
    x = samples.batch(np.arange(rows))
    return x.expand(members, *x.shape)


@on(*DATA)
def check_phase_trains_only_its_networks(case: Case) -> None:
    """Each phase changes weights of its own networks and no others."""
    for i, j in _phases(case.module()[0]):
        module, samples = case.module()
        stage = module.stages()[i]
        phase = stage.phases[j]
        own = set(map(id, _weights(phase)))
        before, _ = _train_only(module, stage, phase, samples)
        changed = {name for name, w in module.named_parameters() if not torch.equal(before[name], w)}
        allowed = {name for name, w in module.named_parameters() if id(w) in own}
        assert changed, f"phase {phase.name} changes no weight"
        assert changed <= allowed, f"phase {phase.name} changes {changed - allowed}"


@on(*NETWORKS)
def check_only_the_phase_takes_gradients(case: Case) -> None:
    """While the loss of a phase is computed, only its networks require gradients."""
    module, samples = case.module()
    stages = module.stages()
    computed = set()

    def watched(phase: Phase) -> Phase:
        own = set(map(id, _weights(phase)))

        def loss(x: Tensor) -> Terms:
            computed.add(phase.name)
            assert {id(w) for w in module.parameters() if w.requires_grad} == own, phase.name
            assert all(w.grad is None for w in module.parameters()), phase.name
            return phase.loss(x)

        return replace(phase, loss=loss)

    watched_stages = tuple(replace(stage, phases=tuple(map(watched, stage.phases))) for stage in stages)
    with patch.object(module, "stages", lambda: watched_stages):
        _train(module, samples)
    assert computed == {phase.name for stage in stages for phase in stage.phases}


@on(*NETWORKS)
def check_networks_outside_a_stage_are_frozen(case: Case) -> None:
    """A stage changes neither weights nor buffers of networks that are not its own."""
    for i, _ in enumerate(case.module()[0].stages()):
        module, samples = case.module()
        stage = module.stages()[i]
        own = {id(t) for p in stage.phases for n in p.networks for t in n.state_dict(keep_vars=True).values()}
        outside = [k for k, t in module.state_dict(keep_vars=True).items() if id(t) not in own]
        before = {k: module.state_dict()[k].clone() for k in outside}
        with patch.object(module, "stages", lambda stage=stage: (stage,)):
            _train(module, samples, samples)
        changed = [k for k in outside if not torch.equal(before[k], module.state_dict()[k])]
        assert not changed, f"stage {stage.name} changes {changed}"


@on(*DATA)
def check_every_parameter_gets_gradient(case: Case) -> None:
    """Every weight gets a gradient in some phase.

    The exception is a critic's last bias (``head.bias``) where no loss that trains it depends on it: it shifts the
    logits of real and generated samples equally, which a Wasserstein loss does not see, nor a hinge loss within its
    margin.
    """
    module, samples = case.module()
    x = _batch(samples, len(samples), 1)
    reached = set()
    for phase, loss in _losses(module, x):
        module.requires_grad_(False).zero_grad()
        for network in phase.networks:
            network.requires_grad_(True)
        loss().backward()
        reached |= {k for k, w in module.named_parameters() if w.grad is not None and w.grad.abs().max() > 0}
    missed = {k for k, _ in module.named_parameters()} - reached
    missed -= {k for k in missed if k.endswith("head.bias") and not _loss_depends_on(case, k, x)}
    assert not missed, f"no phase gives a gradient to {missed}"


def _losses(module: GANModule, x: Tensor) -> Iterator[tuple[Phase, Callable[[], Tensor]]]:
    """Yield each phase with a function that computes the sum of its terms, always with the same random draws."""
    module.train()

    def loss(phase: Phase) -> Tensor:
        torch.manual_seed(0)
        return torch.stack(list(phase.loss(x).values())).sum()

    for stage in module.stages():
        for phase in stage.phases:
            yield phase, partial(loss, phase)


def _loss_depends_on(case: Case, name: str, x: Tensor) -> bool:
    """Return whether a tiny shift of a weight changes the loss of a phase that trains it."""
    totals = []
    for shift in (0.0, 1e-5):
        module, _ = case.module()
        weight = dict(module.named_parameters())[name]
        weight.data.add_(shift)
        computed = [(phase, loss().detach()) for phase, loss in _losses(module, x)]
        totals.append(
            torch.stack([value for phase, value in computed if any(weight is w for w in _weights(phase))]),
        )
    return not torch.allclose(totals[0], totals[1], rtol=0.0, atol=1e-11)


def _weights(phase: Phase) -> list[Tensor]:
    return [w for network in phase.networks for w in network.parameters()]


@on(*DATA)
def check_loss_terms_are_finite(case: Case) -> None:
    """Monitors and loss terms are finite numbers, one per member."""
    module, samples = case.module(n_members=2)
    x = _batch(samples, 8, 2)
    for stage in module.stages():
        assert stage.monitor(x).shape == (2,), f"monitor of {stage.name}"
        for phase in stage.phases:
            terms = phase.loss(x)
            assert terms, phase.name
            for name, term in terms.items():
                assert term.shape == (2,), f"{phase.name}/{name}"
                assert torch.isfinite(term).all(), f"{phase.name}/{name}"


@on(*DATA)
def check_loss_terms_are_logged(case: Case) -> None:
    """The history has a finite curve of every loss term, gradient norm and monitor under its name."""
    module, samples = case.module()
    x = _batch(samples, 8, 1)
    history = case.fitted.history_
    for stage in module.stages():
        curves = history[stage.name]
        expected = {f"{phase.name}/{term}" for phase in stage.phases for term in phase.loss(x)}
        norms = {f"{phase.name}/gradient_norm" for phase in stage.phases}
        assert set(curves) == expected | norms | {"step"}, set(curves)
        for name, curve in curves.items():
            assert len(curve) == len(curves["step"]), name
            assert all(math.isfinite(value) for value in curve), name
        if case.fitted.patience:
            monitored = history[f"{stage.name}/held_out"]
            assert all(math.isfinite(value) for value in monitored["monitor"])


@on(*TRAINED)
def check_sum_of_terms_is_minimised(case: Case) -> None:
    """A phase minimises the sum of its terms: written as one term it leads to the same weights."""
    for i, j in _phases(case.module()[0]):
        ends = []
        for joined in (False, True):
            module, samples = case.module()
            stage = module.stages()[i]
            phase = stage.phases[j]
            if joined:
                phase = replace(phase, loss=_joined(phase.loss))
            torch.manual_seed(1)
            ends.append(_train_only(module, stage, phase, samples)[1])
        for key, tensor in ends[0].items():
            assert_close(tensor, ends[1][key], rtol=1e-6, atol=1e-6)


def _joined(loss: Callable[[Tensor], Terms]) -> Callable[[Tensor], Terms]:
    return lambda x: {"all": torch.stack(list(loss(x).values())).sum(0)}


@on(*DATA)
def check_nan_batch_names_the_phase(case: Case) -> None:
    """A batch of NaN stops training with an error that names the phase and the step."""
    module, samples = case.module()
    bad = TensorSamples(torch.full_like(_batch(samples, len(samples), 1)[0], torch.nan))
    names = "|".join(phase.name for stage in module.stages() for phase in stage.phases)
    with raises(TrainingDivergedError, rf"phase '({names})' is not finite at step 1 "):
        _train(module, bad)


@on(VECTOR)
def check_exploding_training_stops(case: Case) -> None:
    """Training that explodes stops with an error that names phase, step and stage."""
    with raises(TrainingDivergedError, r"phase '\w+' .* at step \d+ of stage '\w+'"):
        case.fit(learning_rate=1e200, steps=50, ema_decay=0.0, patience=0)


@on(*TRAINED)
def check_early_stopping(case: Case) -> None:
    """A stage whose monitor never improves ends after `patience` validation checks, if it is one that stops."""
    build = case.cls.build
    ended, stops = {}, {}

    def build_without_improvement(self: Any, backbone: Any) -> GANModule:
        module = build(self, backbone)
        stages, values = module.stages(), itertools.count(1.0)
        worse = tuple(replace(stage, monitor=lambda _: torch.tensor([next(values)])) for stage in stages)
        stops.update({stage.name: stage.stops for stage in stages})
        module.stages = lambda: worse  # type: ignore[method-assign]
        return module

    class Watch(Callback):
        def on_stage_end(self, stage: str, steps: int) -> None:
            ended[stage] = steps

    with patch.object(case.cls, "build", build_without_improvement):
        case.fit(steps=40, patience=3, fit_params={"callbacks": [Watch()]})
    ended.pop("rows", None)  # of the sampler of rows, which is no part of the module
    # Validation checks are at steps 2 (the best), 4, 6 and 8.
    assert ended == {stage: 8 if stop else 40 for stage, stop in stops.items()}, ended


@on(VECTOR)
def check_budget_is_spent_without_patience(case: Case) -> None:
    """With `patience=0` every stage takes all of its steps."""
    ended = []

    class Watch(Callback):
        def on_stage_end(self, stage: str, steps: int) -> None:
            ended.append(steps)

    case.fit(steps=21, learning_rate=1.0, patience=0, fit_params={"callbacks": [Watch()]})
    assert set(ended) == {21}, ended


@on(VECTOR)
def check_callbacks_see_every_step(case: Case) -> None:
    """Callbacks are called at the start, at each step with all terms, and at the end of every stage."""
    seen: list[tuple[str, Any, Any]] = []

    class Watch(Callback):
        def on_stage_begin(self, stage: str, total_steps: int) -> None:
            seen.append((stage, "begin", total_steps))

        def on_step_end(self, stage: str, step: int, terms: Any) -> None:
            seen.append((stage, step, set(terms or ())))

        def on_stage_end(self, stage: str, steps: int) -> None:
            seen.append((stage, "end", steps))

    detector = case.fit(steps=2, fit_params={"callbacks": [Watch()]})
    expected: list[tuple[str, Any, Any]] = []
    sampler = ["rows"] if "rows" in detector.history_ else []
    for name in [*(stage.name for stage in detector.module_.stages()), *sampler]:
        terms = set(detector.history_[name]) - {"step"}
        expected += [(name, "begin", 2), (name, 1, terms), (name, 2, terms), (name, "end", 2)]
    assert seen == expected
