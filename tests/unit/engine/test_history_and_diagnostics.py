"""The record of a training run, and the word on how it went."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anogan.engine.degenerate import score_issues
from anogan.engine.diagnostics import Diagnosis, diagnose
from anogan.engine.history import append
from anogan.engine.likeness import (
    coverage_and_precision,
    distinctness,
    diversity,
    explained_variance,
    frechet_distance,
    likeness,
    nearest,
    ranking_accuracy,
    sharpness,
)


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
def test_terms_that_come_and_go_keep_the_curves_aligned(recorded):
    history = {}
    for step, terms in enumerate(recorded):
        append(history, "s", step, {term: float(step) for term in terms})
    curves = history["s"]
    assert {len(curve) for curve in curves.values()} == {len(recorded)}
    for term in set().union(*recorded):
        for step, terms in enumerate(recorded):
            if term in terms:
                assert curves[term][step] == step


RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(300, 2))


def test_samples_of_the_same_distribution_cover_it():
    coverage, precision = coverage_and_precision(REAL, RNG.normal(size=(300, 2)))
    assert coverage > 0.9
    assert precision > 0.9


def test_a_single_point_covers_nearly_nothing():
    coverage, _ = coverage_and_precision(REAL, np.zeros((300, 2)))
    assert coverage < 0.1


def test_far_away_samples_cover_nothing():
    assert coverage_and_precision(REAL, REAL + 100) == (0.0, 0.0)


def test_coverage_is_its_definition():
    real, fake = RNG.normal(size=(20, 3)), RNG.normal(size=(15, 3))
    k = 4
    between = np.linalg.norm(real[:, None] - real[None], axis=-1)
    radius = np.sort(between, axis=1)[:, k]  # position 0 is the row itself
    across = np.linalg.norm(real[:, None] - fake[None], axis=-1)
    coverage, precision = coverage_and_precision(real, fake, k)
    assert coverage == pytest.approx((across.min(1) <= radius).mean())
    radius = np.minimum(radius, np.quantile(radius, 0.75))
    assert precision == pytest.approx((across <= radius[:, None]).any(0).mean())


def test_a_real_row_far_from_all_others_does_not_make_blurs_precise():
    real = np.concatenate([REAL, [[30.0, 30.0], [-30.0, 30.0]]])
    assert coverage_and_precision(real, REAL[:50] + 15)[1] == 0


def test_the_frechet_distance_of_normal_rows_is_its_closed_form():
    rows = np.random.default_rng(0).normal(size=(200_000, 2))
    # |m - m'|^2 + sum of (s - s')^2 where both have the same axes
    assert frechet_distance(rows, rows * [2, 1] + [3, 0]) == pytest.approx(9 + 1, rel=0.02)
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_allows_more_features_than_rows():
    rows = np.random.default_rng(0).normal(size=(30, 50))
    assert frechet_distance(rows[:15], rows[15:] + 1) > frechet_distance(rows[:15], rows[15:]) > 0


def test_rows_that_are_repeated_are_not_distinct_however_far_apart_they_are():
    few = np.concatenate([REAL[:10]] * 30)
    assert diversity(REAL, few) > 0.5
    assert distinctness(REAL, few) == 0
    assert distinctness(REAL, REAL) == 1
    assert distinctness(REAL[:100], REAL[:100] / 2) == pytest.approx(0.5)
    assert distinctness(few, REAL) == 1  # repeated real rows are a measure of nothing


def test_blurs_are_less_sharp_and_a_flat_picture_is_not_sharp_at_all():
    real = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert sharpness(real, real) == 1
    assert sharpness(real, real / 2) == pytest.approx(0.5)
    assert sharpness(real, real * 0) == 0
    assert sharpness(real * 0, real) == 1  # flat pictures are a measure of nothing


def test_the_mean_row_explains_nothing_and_a_copy_everything():
    mean = REAL.mean(0)
    assert explained_variance(REAL, REAL, mean) == 1
    assert explained_variance(REAL, np.broadcast_to(mean, REAL.shape), mean) == 0
    assert explained_variance(REAL * 0, REAL, mean * 0) == 1  # nothing is to be explained
    assert nearest(REAL, REAL[::-1] + 1e-9) == pytest.approx(REAL)


def test_ranking_accuracy_is_the_share_of_pairs_ranked_right():
    real, fake = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]])
    assert ranking_accuracy(real, fake) == (1 + 0 + 1 + 0.5) / 4
    assert ranking_accuracy(real, real) == 0.5
    assert ranking_accuracy(real + 9, fake) == 1.0


FALLING = [1.0, 0.5, *[0.4] * 18]


def curves_of(monitor=FALLING, accuracy=0.7, last=900):
    """Return the curves of a training with 20 validation checks."""
    step = np.linspace(last / len(monitor), last, len(monitor)).astype(int).tolist()
    return {"gan/held_out": {"step": step, "monitor": monitor, "critic_accuracy": [accuracy] * len(monitor)}}


OTHERS = RNG.normal(size=(300, 2))  # rows of the same kind, in the place of training rows


def diagnosed(real=REAL, fake=None, reconstructed=None, **more):
    measures = {}
    if fake is not None:
        members = fake if fake.ndim == 3 else fake[None]
        measures |= likeness(real, OTHERS, members) | {"diversity": min(diversity(real, rows) for rows in members)}
    if reconstructed is not None:
        mean = OTHERS.mean(0)
        measures["reconstruction_diversity"] = diversity(real, reconstructed)
        measures["explained_variance"] = explained_variance(real, reconstructed, mean)
        measures["real_explained_variance"] = explained_variance(real, nearest(real, OTHERS), mean)
    measures |= more.pop("measures", {})
    return diagnose(measures, rows=len(real), **{"curves": curves_of(), "steps": 1000} | more)


def test_a_good_generator_and_a_puzzled_critic_are_healthy():
    diagnosis = diagnosed(fake=RNG.normal(size=(300, 2)))
    assert diagnosis.healthy
    assert diagnosis.verdict == "healthy"
    assert (diagnosis.issues, diagnosis.advice, diagnosis.remediable) == ([], "", False)


def test_mode_collapse_is_called_so_with_its_numbers():
    diagnosis = diagnosed(fake=np.full((300, 2), 0.3))
    assert not diagnosis.healthy
    covered, real = (diagnosis.measures[name] for name in ("coverage", "real_coverage"))
    assert diagnosis.verdict == (
        f"mode collapse: samples cover {covered:.0%} of the held-out rows (training rows {real:.0%}) "
        "and spread 0% as wide"
    )
    assert diagnosis.remediable
    assert "random_state" in diagnosis.advice


def test_the_advice_on_a_collapse_comes_before_that_on_its_reconstructions():
    """Seen on breast cancer at 50 times the rate: more steps diverged, a lower rate was healthy."""
    diagnosis = diagnosed(fake=np.full((300, 2), 0.3), reconstructed=REAL[::-1])
    assert diagnosis.issues == ["mode collapse", "poor reconstructions"]
    assert diagnosis.advice.startswith("Lower learning_rate")


def test_one_member_that_collapsed_is_enough():
    fake = np.stack([RNG.normal(size=(300, 2)), np.zeros((300, 2))])
    assert diagnosed(fake=fake).issues == ["mode collapse"]


def test_a_few_rows_over_and_over_are_a_mode_collapse():
    assert diagnosed(fake=np.concatenate([REAL[:30]] * 10)).issues == ["mode collapse"]


def test_samples_that_are_as_wide_as_the_rows_but_elsewhere_are_unlike_them():
    diagnosis = diagnosed(fake=REAL + 100)
    assert diagnosis.issues == ["low fidelity"]
    assert diagnosis.verdict.startswith("low fidelity: 0% of the samples resemble a held-out row (9")
    assert not diagnosis.remediable


def test_samples_of_which_most_are_unlike_any_row_are_noticed_though_the_rest_covers():
    fake = np.concatenate([OTHERS[:100], OTHERS[100:] * 30])
    assert coverage_and_precision(REAL, fake)[0] > 0.5
    assert diagnosed(fake=fake).issues == ["low fidelity"]


def test_coverage_of_pictures_is_that_of_their_features():
    features = {"feature_coverage": 0.0, "feature_precision": 0.0, "real_feature_coverage": 0.9}
    measures = features | {"real_feature_precision": 0.9, "sharpness": 0.3}
    diagnosis = diagnosed(measures=measures)
    assert diagnosis.issues == ["low fidelity"]
    assert diagnosis.verdict.endswith(" and are 30% as sharp")
    assert diagnosed(measures=features | {"feature_coverage": 0.5, "feature_precision": 0.5, "diversity": 1.0}).healthy


def test_pictures_that_are_sharp_may_differ_more_and_more_still_if_the_score_finds_anomalies():
    """The figures of small generators: photographs, tiles without scratches, ten modes, and blurs."""
    real = {"real_feature_coverage": 0.97, "real_feature_precision": 0.85, "diversity": 0.95}

    def issues(share, sharpness, found=0.5, findable=0.55):
        of_samples = {"feature_coverage": share, "feature_precision": share, "sharpness": sharpness}
        scored = {"probe_accuracy": found, "mean_probe_accuracy": 0.5, "real_probe_accuracy": findable}
        return diagnosed(measures=real | of_samples | scored).issues

    assert issues(0.35, 0.85) == []
    assert issues(0.2, 1.0) == ["low fidelity"]
    assert issues(0.1, 0.75, found=0.7, findable=0.75) == []
    assert issues(0.1, 0.75, found=0.7) == ["low fidelity"]  # it is not known what could be found
    assert issues(0.35, 0.56, found=0.7, findable=0.75) == ["low fidelity"]


@pytest.mark.parametrize(("sharpness", "advised", "again"), [(0.27, "Raise steps", False), (1.0, "random_state", True)])
def test_narrow_blurs_are_not_trained_again_at_a_lower_rate(sharpness, advised, again):
    """A generator at a tenth of the usual rate: with a lower one it would learn still less."""
    measures = {"diversity": 0.17, "distinctness": 0.69, "feature_coverage": 0.0, "feature_precision": 0.0}
    measures |= {"real_feature_coverage": 0.96, "real_feature_precision": 0.85, "sharpness": sharpness}
    diagnosis = diagnosed(measures=measures)
    assert diagnosis.issues == ["mode collapse"]
    assert advised in diagnosis.advice
    assert diagnosis.remediable == again


def test_ten_sharp_pictures_over_and_over_are_a_collapse_though_the_score_finds_anomalies():
    measures = {"diversity": 0.96, "sharpness": 1.0, "feature_coverage": 0.06, "feature_precision": 0.7}
    measures |= {"real_feature_coverage": 0.98, "real_feature_precision": 0.85}
    measures |= {"probe_accuracy": 0.84, "mean_probe_accuracy": 0.5, "real_probe_accuracy": 0.73}
    assert diagnosed(measures=measures | {"distinctness": 0.9}).healthy
    diagnosis = diagnosed(measures=measures | {"distinctness": 0.02})
    assert diagnosis.issues == ["mode collapse"]
    assert diagnosis.verdict.endswith("; each lies 2% as far from the nearest other one as real rows do")


def test_reconstructions_that_are_all_equal_are_a_collapse():
    assert diagnosed(reconstructed=REAL).healthy
    verdict = diagnosed(reconstructed=np.zeros((300, 2))).verdict
    assert verdict == "mode collapse: reconstructions spread 0% as wide as the rows"


def test_reconstructions_that_are_worse_than_training_rows_are_poor():
    diagnosis = diagnosed(reconstructed=REAL[::-1])
    assert diagnosis.issues == ["poor reconstructions"]
    assert "and the nearest training rows 9" in diagnosis.verdict


def test_a_verdict_on_pictures_speaks_of_pictures():
    unlike = {"feature_coverage": 0.0, "feature_precision": 0.0, "sharpness": 1.0}
    cases = [
        {"fake": REAL + 100},
        {"fake": np.zeros((300, 2)), "measures": {"distinctness": 0.0}},
        {"reconstructed": REAL[::-1], "curves": curves_of([1.0, 0.99] + [1.5] * 18, accuracy=1.0)},
        {"reconstructed": np.zeros((300, 2)), "curves": curves_of([1.0, 0.99] + [1.5] * 18, accuracy=0.5)},
        {"measures": unlike | {"probe_accuracy": 0.4, "mean_probe_accuracy": 0.4, "real_probe_accuracy": 0.8}},
        {"real": REAL[:20]},
        {"degenerate": score_issues(np.full(100, 0.7), 100, 0.7, "picture")},
        {"degenerate": score_issues(np.append(REAL[:, 0] ** 2, 1e6), 301, 1e6, "picture")},
    ]
    for case in cases:
        rows, pictures = (diagnosed(**case, unit=unit) for unit in ("row", "picture"))
        text = f"{pictures.verdict} {pictures.advice}"
        assert "picture" in text
        assert not any(word in text for word in ("row", "column"))
        assert pictures.issues == rows.issues


def test_columns_of_noise_need_no_reconstruction_but_none_worse_than_the_mean():
    noise = {"real_explained_variance": -0.9}
    assert diagnosed(measures=noise | {"explained_variance": 0.0}).healthy
    assert diagnosed(measures=noise | {"explained_variance": -0.1}).issues == ["poor reconstructions"]


def test_a_score_that_ranks_synthetic_anomalies_like_the_distance_from_the_mean_is_no_news():
    def with_accuracies(found, by_mean, findable):
        return diagnosed(
            measures={"probe_accuracy": found, "mean_probe_accuracy": by_mean, "real_probe_accuracy": findable}
        )

    assert with_accuracies(0.7, 0.43, 0.8).healthy
    assert with_accuracies(0.42, 0.43, 0.8).issues == ["uninformative scores"]
    assert with_accuracies(0.6, 0.6, 0.8).issues == ["uninformative scores"]
    assert with_accuracies(0.67, 0.64, 0.68).healthy  # most synthetic anomalies are nearly normal, as of zeros of 8x8
    assert with_accuracies(0.99, 0.97, 1.0).healthy  # there is no room above
    assert with_accuracies(0.48, 0.4, 0.45).healthy  # neighbours find nothing either


def test_a_critic_that_won_and_left_no_lesson_is_called_so():
    stalled = curves_of([1.0, 0.99] + [1.5] * 18, accuracy=1.0)
    diagnosis = diagnosed(curves=stalled)
    assert diagnosis.verdict == (
        "critic won: it tells real from generated rows in 100% of pairs, and the monitor fell by 1% only"
    )
    assert not diagnosis.remediable
    assert diagnosed(fake=REAL + 100, curves=curves_of(accuracy=1.0)).issues == ["low fidelity", "critic won"]


def test_a_critic_that_won_is_no_issue_if_reconstructions_are_good():
    stalled = curves_of([1.0, 0.99] + [1.5] * 18, accuracy=1.0)
    assert diagnosed(reconstructed=REAL + 0.1, curves=stalled).healthy
    assert diagnosed(reconstructed=REAL[::-1], curves=stalled).issues == ["poor reconstructions", "critic won"]


def test_a_critic_that_is_never_mistaken_is_no_issue_if_the_rest_learns_or_if_it_is_what_scores():
    assert diagnosed(curves=curves_of(accuracy=1.0)).healthy
    assert diagnosed(curves=curves_of([1.0] * 20, accuracy=1.0), expects_equilibrium=False).healthy


def test_a_critic_at_chance_is_an_issue_only_if_nothing_was_learned():
    assert diagnosed(curves=curves_of(accuracy=0.5)).healthy
    assert diagnosed(curves=curves_of([1.0] * 20, accuracy=0.5)).issues == ["critic at chance"]


def test_the_later_half_of_the_checks_decides_who_won():
    curves = curves_of([1.0] * 20)
    curves["gan/held_out"]["critic_accuracy"] = [1.0] * 10 + [0.7] * 10
    assert diagnosed(curves=curves).healthy
    curves["gan/held_out"]["critic_accuracy"] = [0.7] * 10 + [1.0] * 10
    assert diagnosed(curves=curves).issues == ["critic won"]


def test_a_critics_loss_that_rises_is_divergence():
    def loss(values):
        return {"gan": {"step": [1, 2, 3], "critic/real": values, "critic/gradient_norm": [9e9] * 3}}

    assert diagnosed(curves=loss([2.0, 1.0, 0.5])).healthy
    diagnosis = diagnosed(curves=loss([2.0, 50.0, 98.0]))
    assert diagnosis.verdict == "diverged: the critic's loss is 50 on average in stage 'gan', 2 at first"
    assert diagnosis.remediable


def test_a_monitor_that_still_falls_when_the_budget_ends_is_under_training():
    falling = np.linspace(1, 0, 20).tolist()
    diagnosis = diagnosed(curves=curves_of(falling, last=1000))
    assert diagnosis.verdict.startswith("under-trained: stage 'gan' makes 26% of its progress in its last quarter")
    assert diagnosis.advice == "Raise steps."
    assert diagnosed(curves=curves_of(falling, last=900)).healthy  # it was stopped before
    assert diagnosed(curves=curves_of(last=1000)).healthy


def test_a_handful_of_steps_is_under_training_whatever_else():
    diagnosis = diagnosed(fake=REAL * 0, steps=3)
    assert diagnosis.verdict == "under-trained: 3 steps a stage, where 100 are few"
    assert diagnosis.measures["diversity"] == 0
    assert not diagnosis.remediable


def test_the_verdict_names_all_issues_and_the_advice_is_on_the_first():
    diagnosis = diagnosed(fake=REAL * 0, curves=curves_of([1.0] * 20, accuracy=1.0))
    assert diagnosis.issues == ["mode collapse", "critic won"]
    assert "; critic won: " in diagnosis.verdict
    assert diagnosis.advice == diagnosed(fake=REAL * 0).advice


def test_a_collapse_is_worse_than_any_number_of_other_issues():
    others = Diagnosis.of({"critic won": "", "under-trained": ""}, {})
    assert others.better_than(Diagnosis.of({"mode collapse": ""}, {"coverage": 0.9}))


def test_the_better_of_two_has_fewer_issues_then_covers_more():
    healthy, collapsed = diagnosed(fake=RNG.normal(size=(300, 2))), diagnosed(fake=REAL * 0)
    narrower = diagnosed(fake=0.8 * RNG.normal(size=(300, 2)))
    assert healthy.better_than(collapsed)
    assert not collapsed.better_than(healthy)
    assert narrower.healthy
    assert healthy.better_than(narrower)
    assert not healthy.better_than(healthy)


def test_too_few_rows_are_not_assessed():
    diagnosis = diagnosed(REAL[:10])
    assert diagnosis.healthy
    assert diagnosis.verdict.startswith("not assessed")
