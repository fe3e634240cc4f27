"""The training loop, on a toy module for which every number is known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from anogan import Callback, InputError, TrainingDivergedError
from anogan.data.samples import TensorSamples
from anogan.engine.module import GANModule, Phase, Stage
from anogan.engine.settings import TrainerSettings
from anogan.engine.stage_run import CHECKS, LOGS
from anogan.engine.trainer import Trainer
from anogan.nn.growing import Growing, level_at
from anogan.seeding import rand, seeded

CPU = torch.device("cpu")


class Toy(GANModule):
    """Two numbers per member: ``a`` is trained towards the data's mean, ``b`` towards ``a``."""

    def __init__(self, members=1, every=1, weight_clip=None, monitor=None):
        super().__init__()
        self.a = nn.ParameterList([nn.Parameter(torch.full((members,), 5.0))])
        self.b = nn.ParameterList([nn.Parameter(torch.full((members,), -5.0))])
        self.every, self.weight_clip, self.batches = every, weight_clip, []
        self.monitor = monitor or (lambda x: (self.a[0] - x.mean((1, 2))).abs())

    def stages(self):
        first = Phase("first", (self.a,), self.a_loss, weight_clip=self.weight_clip)
        second = Phase("second", (self.b,), self.b_loss, every=self.every)
        return (Stage("toy", (first, second), monitor=self.monitor),)

    def a_loss(self, x):
        self.batches.append(x[0, :, 0].tolist())
        return {"fit": (x.mean((1, 2)) - self.a[0]).square(), "double": 2 * self.a[0]}

    def b_loss(self, x):
        return {"follow": (self.b[0] - self.a[0].detach()).square()}

    def score(self, x):
        return (x.mean(-1) - self.a[0][:, None]).abs()


def data(n):
    return TensorSamples(torch.arange(n, dtype=torch.float32)[:, None])


def fit(module, n=10, held_out=None, members=1, callbacks=(), seed=0, checkpoint=None, **changes):
    settings = {"steps": 4, "batch_size": 3, "learning_rate": 0.1, "ema_decay": 0.0, "patience": 0} | changes
    trainer = Trainer(
        TrainerSettings(**settings),
        seed=seed,
        members=members,
        device=CPU,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    with seeded(seed):
        return trainer.fit(module, data(n), held_out)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (10, 5), (7, 6), (6, 6), (3, 100), (2, 1), (1, 4)])
def test_the_rows_are_an_endless_stream_of_shuffled_epochs_in_full_batches(n, size):
    toy = Toy()
    fit(toy, n=n, batch_size=size, steps=23)
    assert {len(batch) for batch in toy.batches} == {min(n, size)}
    stream = [int(row) for batch in toy.batches for row in batch]
    for start in range(0, len(stream) - n + 1, n):
        assert sorted(stream[start : start + n]) == list(range(n))
    if n > 5:
        assert stream[:n] != stream[n : 2 * n]


def test_the_order_of_the_rows_follows_the_seed():
    toys = [Toy() for _ in range(3)]
    for toy, seed in zip(toys, (0, 0, 1), strict=True):
        fit(toy, seed=seed)
    assert toys[0].batches == toys[1].batches != toys[2].batches


def test_the_gradient_is_that_of_the_sum_of_the_terms():
    history = fit(Toy(), n=1, batch_size=1, steps=1)["toy"]
    # The only row is 0: d/da (0 - a)^2 + 2 a = 2 * 5 + 2.
    assert history == {
        "step": [1],
        "first/fit": [25.0],
        "first/double": [10.0],
        "first/gradient_norm": [12.0],
        "second/follow": [pytest.approx((-5 - 4.9) ** 2)],
        "second/gradient_norm": [pytest.approx(2 * 9.9)],
    }


def test_a_rarer_phase_is_trained_at_every_nth_step():
    toy, moved = Toy(every=3), []

    class Watch(Callback):
        def on_step_end(self, stage, step, terms):
            moved.append(float(toy.b[0][0]))

    fit(toy, steps=7, callbacks=[Watch()])
    assert [moved[0] != -5.0, *(b != a for a, b in pairwise(moved))] == [
        False,
        False,
        True,
        False,
        False,
        True,
        False,
    ]


class Single(GANModule):
    """One number that two phases train, the second one lazily, beside a network that grows."""

    def __init__(self, every, growing=False):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.full((1,), 5.0))])
        self.network = Growing([(8, 8), (4, 4), (2, 2)])
        self.every, self.growing = every, growing
        self.step, self.lazy_steps, self.levels, self.checks = 0, [], [], []

    def stages(self):
        networks = (self.weights,)
        main, lazy = Phase("main", networks, self.main), Phase("lazy", networks, self.lazy, every=self.every, lazy=True)
        return (Stage("one", (main, lazy), self.monitor, growing=(self.network,) if self.growing else ()),)

    def main(self, x):
        self.step += 1
        self.levels.append(self.network.level)
        return {"square": self.weights[0].square()}

    def lazy(self, x):
        self.lazy_steps.append(self.step)
        return {"cube": self.weights[0] ** 3}

    def monitor(self, x):
        self.checks.append(self.step)
        return self.weights[0].abs()

    def score(self, x):
        return x.mean(-1)


@pytest.mark.parametrize(("steps", "expected"), [(2, [1]), (16, [1, 16]), (40, [1, 16, 32])])
def test_a_lazy_phase_is_trained_at_the_first_step_and_then_at_every_nth(steps, expected):
    module = Single(every=16)
    fit(module, steps=steps)
    assert module.lazy_steps == expected


def test_phases_of_the_same_networks_share_an_optimiser():
    module = Single(every=2)
    fit(module, steps=4)
    weight = nn.Parameter(torch.full((1,), 5.0))
    adam = torch.optim.Adam([weight], lr=0.1, betas=(0.5, 0.999))
    for step in range(1, 5):
        for power in (2, 3) if step in (1, 2, 4) else (2,):
            adam.zero_grad()
            (weight**power).sum().backward()
            adam.step()
    assert_close(module.weights[0], weight)


def test_growing_networks_have_grown_after_half_of_the_budget_and_are_validated_from_then_on():
    module = Single(every=1, growing=True)
    fit(module, steps=40, held_out=data(4), patience=100)
    assert module.levels[:20] == [level_at(step / 20, 2) for step in range(1, 21)]
    assert module.levels[0] == 0
    assert set(module.levels[19:]) == {2.0}
    assert module.checks == list(range(20, 41, 2))
    alone = Single(every=1, growing=True)
    fit(alone, steps=1)  # the shortest budget still ends at full resolution
    assert alone.levels == [2.0]


def test_weights_are_clipped_where_the_phase_says_so():
    toy = Toy(weight_clip=0.01)
    fit(toy)
    assert toy.a[0].abs() <= 0.01
    assert toy.b[0].abs() > 1


def test_members_see_the_same_rows_and_do_not_touch_each_other():
    toy = Toy(members=2)
    with torch.no_grad():
        toy.a[0][1] = -3.0
    fit(toy, members=2)
    alone = Toy()
    fit(alone)
    assert toy.batches == alone.batches
    assert_close(toy.a[0][:1], alone.a[0])
    assert toy.a[0][1] != toy.a[0][0]


def test_the_average_is_the_exponential_one():
    live, averaged, decay = Toy(), Toy(), 0.7
    steps = []

    class Watch(Callback):
        def on_step_end(self, stage, step, terms):
            steps.append(float(live.a[0][0]))

    fit(live, callbacks=[Watch()])
    fit(averaged, ema_decay=decay)
    expected = 5.0
    for value in steps:
        expected = decay * expected + (1 - decay) * value
    assert averaged.a[0].item() == pytest.approx(expected, rel=1e-5)
    assert live.a[0].item() == steps[-1]


def test_training_stops_after_patience_checks_without_improvement():
    values = iter([5.0, 4.0, 4.0, 4.5, 3.0, 3.5, 3.5, 3.5, 0.0])
    toy = Toy(monitor=lambda x: torch.tensor([next(values)]))
    history = fit(toy, held_out=data(4), steps=CHECKS, patience=3)
    assert history["toy/held_out"] == {
        "step": [1, 2, 3, 4, 5, 6, 7, 8],
        "monitor": [5.0, 4.0, 4.0, 4.5, 3.0, 3.5, 3.5, 3.5],
    }
    assert len(history["toy"]["step"]) == 8


def test_a_stage_may_refuse_to_stop():
    toy = Toy(monitor=lambda x: torch.tensor([1.0]))
    stages = toy.stages
    toy.stages = lambda: tuple(replace(stage, stops=False) for stage in stages())
    assert len(fit(toy, held_out=data(4), steps=CHECKS, patience=3)["toy"]["step"]) == CHECKS


def test_the_best_weights_are_kept():
    seen = []

    def monitor(x):
        seen.append(float(toy.a[0][0]))
        return torch.tensor([abs(len(seen) - 3.0)])  # best at the third validation check

    toy = Toy(monitor=monitor)
    fit(toy, held_out=data(4), steps=CHECKS, patience=CHECKS)
    assert len(seen) == CHECKS
    assert toy.a[0].item() == seen[2]


def test_without_held_out_rows_the_last_weights_are_kept():
    toy, last = Toy(), []

    class Watch(Callback):
        def on_step_end(self, stage, step, terms):
            last.append(float(toy.a[0][0]))

    history = fit(toy, steps=50, patience=3, callbacks=[Watch()])
    assert len(last) == 50
    assert toy.a[0].item() == last[-1]
    assert list(history) == ["toy", "toy/training"]  # recorded, but not used to choose the weights


def test_a_monitor_that_is_not_a_number_does_not_stop_the_first_check():
    toy = Toy(monitor=lambda x: torch.tensor([float("nan")]))
    fit(toy, held_out=data(4), steps=5, patience=2)
    assert np.isfinite(toy.a[0].item())


def test_a_monitor_that_is_not_a_number_is_worse_than_any_number():
    seen, values = [], iter([3.0, float("nan"), 4.0, float("inf"), 2.0])

    def monitor(x):
        seen.append(float(toy.a[0][0]))
        return torch.tensor([next(values)])

    toy = Toy(monitor=monitor)
    fit(toy, held_out=data(4), steps=4, patience=4)
    assert len(seen) == 4
    assert toy.a[0].item() == seen[0]
    toy = Toy(monitor=lambda x: torch.tensor([float("nan")]))
    assert len(fit(toy, held_out=data(4), steps=9, patience=3)["toy"]["step"]) == 4  # such checks count


def test_a_validation_check_leaves_weights_generator_and_mode_alone():
    def monitor(x):
        assert not toy.training
        assert not torch.is_grad_enabled()
        return rand(1)

    toy = Toy(monitor=monitor)
    validated = fit(toy, held_out=data(4), steps=5, patience=100)
    plain = fit(Toy(), steps=5)
    assert validated["toy"] == plain["toy"]
    assert len(set(validated["toy/held_out"]["monitor"])) == 1  # the same latents at each check


def test_a_validation_check_measures_how_well_the_critic_ranks_and_calls_the_callbacks():
    class WithCritic(Toy):
        def critic_logits(self, x):
            return x[..., 0], x[..., 0] - 1.5

    calls = []

    class Watch(Callback):
        def on_validation(self, stage, step, values):
            calls.append((stage, step, values))

    history = fit(WithCritic(), held_out=data(4), steps=CHECKS, patience=CHECKS, callbacks=[Watch()])
    curve = history["toy/held_out"]
    # Rows 0 to 3 against -1.5 to 1.5: 2 + 3 + 4 + 4 of 16 pairs are ranked right.
    assert curve["critic_accuracy"] == [13 / 16] * CHECKS
    assert calls == [
        ("toy/held_out", step, {"monitor": monitor, "critic_accuracy": 13 / 16})
        for step, monitor in zip(curve["step"], curve["monitor"], strict=True)
    ]


def test_critic_logits_at_a_validation_check_do_not_change_the_training():
    class WithCritic(Toy):
        def critic_logits(self, x):
            return rand(1, 4), rand(1, 4)

        def a_loss(self, x):
            return super().a_loss(x + rand(1))

    class Plain(WithCritic):
        critic_logits = GANModule.critic_logits

    ends = []
    for kind in (WithCritic, Plain):
        module = kind()
        fit(module, held_out=data(4), steps=30, patience=100)
        ends.append(module.a[0].item())
    assert ends[0] == ends[1]


def test_a_long_training_is_logged_and_validated_a_bounded_number_of_times():
    toy = Toy()
    history = fit(toy, held_out=data(4), steps=3 * LOGS, patience=1000)
    assert len(history["toy"]["step"]) == LOGS + 1
    assert history["toy"]["step"][0] == 1
    assert len(history["toy/held_out"]["step"]) == CHECKS
    assert history["toy"]["step"][-1] == 3 * LOGS


def test_divergence_names_phase_step_and_stage():
    class Diverging(Toy):
        def b_loss(self, x):
            return {"follow": self.b[0] * (torch.inf if len(self.batches) == 3 else 1.0)}

    with pytest.raises(TrainingDivergedError, match="phase 'second' is not finite at step 3 of stage 'toy'"):
        fit(Diverging())


def test_a_term_that_hides_another_s_infinity_is_found():
    class Cancelling(Toy):
        def b_loss(self, x):
            return {"up": self.b[0] * torch.inf, "down": self.b[0] * -torch.inf}

    with pytest.raises(TrainingDivergedError, match="second"):
        fit(Cancelling())


def test_the_module_ends_frozen_in_eval_mode():
    toy = Toy()
    fit(toy)
    assert not toy.training
    assert all(not w.requires_grad and w.grad is None for w in toy.parameters())


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    settings = TrainerSettings(steps=2, batch_size=3, learning_rate=0.1, ema_decay=0.0, patience=0)
    keys = ("this", "that")
    fits = [Trainer(settings, seed=0, members=1, device=CPU, checkpoint=tmp_path, run_key=k) for k in keys]
    with seeded(0):
        fits[0].fit(Toy(), data(5), None)
    with pytest.raises(InputError, match="belongs to other data or parameters"):
        fits[1].fit(Toy(), data(5), None)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_resumed_training_continues_optimisers_averages_and_the_best_weights(tmp_path, ema_decay, monkeypatch):
    class Stop(Callback):
        def on_step_end(self, stage, step, terms):
            if step == 7:
                raise KeyboardInterrupt

    settings = {"steps": 12, "patience": 50, "ema_decay": ema_decay, "checkpoint_seconds": 0.0}
    whole, resumed = Toy(), Toy()
    expected = fit(whole, held_out=data(4), **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(Toy(), held_out=data(4), checkpoint=tmp_path, callbacks=[Stop()], **settings)
    history = fit(resumed, held_out=data(4), checkpoint=tmp_path, **settings)
    assert history == expected
    assert len(resumed.batches) == 6  # steps 7 to 12
    assert torch.equal(resumed.a[0], whole.a[0])
    assert torch.equal(resumed.b[0], whole.b[0])
