"""The record of a training run, and the word on how it went."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anogan.engine.callbacks import Callback
from anogan.engine.diagnostics import coverage_and_density, diagnose, frechet_distance, ranking_accuracy
from anogan.engine.history import append


def test_every_curve_is_as_long_as_the_steps():
    history = {}
    append(history, "gan", 1, {"critic": 1.0})
    append(history, "gan", 2, {"critic": 2.0, "generator": 7.0})
    append(history, "gan", 3, {"critic": 3.0})
    append(history, "encoder", 1, {"residual": 0.5})
    assert history == {
        "gan": {"step": [1, 2, 3], "critic": [1.0, 2.0, 3.0], "generator": [7.0, 7.0, 7.0]},
        "encoder": {"step": [1], "residual": [0.5]},
    }


@given(st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=8))
def test_terms_that_come_and_go_keep_the_curves_aligned(played):
    history = {}
    for step, terms in enumerate(played):
        append(history, "s", step, {term: float(step) for term in terms})
    curves = history["s"]
    assert {len(curve) for curve in curves.values()} == {len(played)}
    for term in set().union(*played):
        for step, terms in enumerate(played):
            if term in terms:
                assert curves[term][step] == step


def test_hooks_are_empty():
    callback = Callback()
    callback.on_stage_begin("gan", 3)
    callback.on_step_end("gan", 1, None)
    callback.on_stage_end("gan", 3)


RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(300, 2))


def test_samples_of_the_same_distribution_cover_it():
    coverage, density = coverage_and_density(REAL, RNG.normal(size=(300, 2)))
    assert coverage > 0.9
    assert density == pytest.approx(1.0, abs=0.2)


def test_a_single_point_covers_nearly_nothing():
    coverage, _ = coverage_and_density(REAL, np.zeros((300, 2)))
    assert coverage < 0.1


def test_far_away_samples_cover_nothing():
    assert coverage_and_density(REAL, REAL + 100) == (0.0, 0.0)


def test_coverage_is_its_definition():
    real, fake = RNG.normal(size=(20, 3)), RNG.normal(size=(15, 3))
    k = 4
    between = np.linalg.norm(real[:, None] - real[None], axis=-1)
    radius = np.sort(between, axis=1)[:, k]  # position 0 is the row itself
    across = np.linalg.norm(real[:, None] - fake[None], axis=-1)
    coverage, density = coverage_and_density(real, fake, k)
    assert coverage == pytest.approx((across.min(1) <= radius).mean())
    assert density == pytest.approx((across <= radius[:, None]).sum(0).mean() / k)


def test_the_frechet_distance_of_normal_rows_is_its_closed_form():
    rows = np.random.default_rng(0).normal(size=(200_000, 2))
    # |m - m'|^2 + sum of (s - s')^2 where both have the same axes
    assert frechet_distance(rows, rows * [2, 1] + [3, 0]) == pytest.approx(9 + 1, rel=0.02)
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_stands_more_features_than_rows():
    rows = np.random.default_rng(0).normal(size=(30, 50))
    assert frechet_distance(rows[:15], rows[15:] + 1) > frechet_distance(rows[:15], rows[15:]) > 0


def test_pictures_are_also_judged_in_pretrained_features():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    measures = diagnose(rows[:30], rows[30:], None, (rows[:30], rows[30:] + 9)).measures
    assert measures["feature_coverage"] == 0 == measures["feature_density"]
    assert measures["frechet_distance"] > 300


def test_ranking_accuracy_is_the_share_of_pairs_ranked_right():
    real, fake = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]])
    assert ranking_accuracy(real, fake) == (1 + 0 + 1 + 0.5) / 4
    assert ranking_accuracy(real, real) == 0.5
    assert ranking_accuracy(real + 9, fake) == 1.0


LOGITS = torch.randn(1, 300, generator=torch.Generator().manual_seed(0))


def test_a_good_generator_and_a_puzzled_critic_are_healthy():
    diagnosis = diagnose(REAL, RNG.normal(size=(300, 2)), (LOGITS, LOGITS.flip(1)))
    assert diagnosis.healthy
    assert diagnosis.verdict == "healthy"
    assert set(diagnosis.measures) == {"coverage", "density", "critic_accuracy"}


def test_mode_collapse_is_called_so():
    diagnosis = diagnose(REAL, np.full((300, 2), 0.3), None)
    assert not diagnosis.healthy
    assert diagnosis.verdict.startswith("mode collapse: samples cover ")


def test_a_critic_that_won_is_called_so():
    diagnosis = diagnose(REAL, None, (LOGITS + 50, LOGITS))
    assert not diagnosis.healthy
    assert diagnosis.verdict.startswith("critic won")
    assert set(diagnosis.measures) == {"critic_accuracy"}


def test_both_troubles_are_told():
    verdict = diagnose(REAL, REAL * 0, (LOGITS + 50, LOGITS)).verdict
    assert "mode collapse" in verdict
    assert "critic won" in verdict


def test_too_few_rows_are_not_judged():
    diagnosis = diagnose(REAL[:10], REAL[:10] * 0, None)
    assert diagnosis.healthy
    assert diagnosis.verdict.startswith("not assessed")
