"""The page counts the verdicts, and a sabotaged class is restored."""

import numpy as np
import pytest
import torch

from anogan import WGANGP, GANomaly
from benchmarks import health
from benchmarks.records import current


def test_the_stopwatch_separates_logging_and_validation_from_plain_steps():
    watch = health.Stopwatch()
    watch.seconds = {"plain": [1.0] * 6, "logged": [2.0, 2.0], "validated": [5.0]}
    # One second beyond a plain step for each of three logs, three beyond a logged step for the check; 15 in all.
    assert watch.shares() == {"logging": 3 / 15, "validation": 3 / 15}


def test_a_step_that_is_logged_and_validated_counts_as_validated():
    watch = health.Stopwatch()
    GANomaly(steps=40, patience=0, width=8, random_state=0, device="cpu").fit(
        np.random.default_rng(0).normal(size=(100, 2)), callbacks=[watch], restarts=0
    )
    assert {kind: len(seconds) for kind, seconds in watch.seconds.items()} == {
        "plain": 0,
        "logged": 20,
        "validated": 20,
    }


@pytest.mark.parametrize(("case", "different"), [(health.CONSTANT, 1), (health.AS_IS, 10)])
def test_a_sabotaged_class_is_as_before_after_the_block(case, different):
    build = WGANGP.build
    with health.sabotaged(WGANGP, case):
        detector = WGANGP(steps=10, n_members=1, width=8, random_state=0, device="cpu")
        detector.fit(np.random.default_rng(0).normal(size=(40, 2)), restarts=0)
    assert WGANGP.build is build
    with torch.no_grad():  # the generator itself, of which a decoder makes the rows of `sample`
        assert len(detector.module_.sample(10)[0, :, 0].unique()) == different


def test_the_report_counts_each_verdict_apart_from_the_tables_that_chose_the_limits():
    def record(table, case, *issues):
        verdict = "; ".join(issues) or "healthy"
        return {"dataset": table, "detector": "wgan_gp", "case": case, "issues": list(issues), "verdict": verdict}

    found = [
        record("Pima", health.CONSTANT, "mode collapse", "critic won"),
        record("yeast", health.CONSTANT),
        record("Wilt", health.CONSTANT),
        record("Wilt", health.CONSTANT, "mode collapse"),  # the newer one counts
    ]
    text = health.report(current(found, health.Health().identity)[0], made_by="")
    unseen, seen = (part.split("## By detector")[0] for part in text.split("| case |")[1:])
    assert f"| {health.CONSTANT} | 1 of 2 | 1 | 1 | 0 | 0 | 1 | 0 | 0 | 0 |" in unseen
    assert f"| {health.CONSTANT} | 1 of 1 | 0 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |" in seen
    assert f"- yeast, wgan_gp, {health.CONSTANT}: healthy" in text
