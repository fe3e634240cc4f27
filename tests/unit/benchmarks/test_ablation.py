"""The ablation: fusions of one fit's views, and its page, from records made by hand."""

from typing import Any

import numpy as np
import pytest
import torch

import anogan
from anogan.evaluation.metrics import auroc
from benchmarks import ablation


def rows(n: int, seed: int) -> np.ndarray:
    """Return rows of which the second column follows from the first, and the third has two values."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    return np.stack([first, first + 0.1 * rng.normal(size=n), rng.integers(2, size=n)], axis=1)


@pytest.fixture(scope="module")
def found() -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    torch.set_num_threads(1)
    detector = anogan.DenoisingGAN(random_state=0, steps=40, width=16).fit(rows(200, 0))
    test = rows(80, 1)
    test[40:, 1] = np.random.default_rng(2).permutation(test[40:, 1])
    return detector, test, ablation.fused(detector, test)


def test_all_views_together_are_the_detector_s_score(found: Any) -> None:
    detector, test, scores = found
    unweighted = (detector.components_["weight"] == 0).any()
    tolerance = 0.1 if unweighted else 1e-4
    np.testing.assert_allclose(scores[ablation.ALL_VIEWS], detector.anomaly_score(test), atol=tolerance)


def test_each_view_and_each_recipe_has_a_fusion(found: Any) -> None:
    detector, test, scores = found
    views = list(detector.components_["view"])
    assert {f"only {name}" for name in views} | {f"without {name}" for name in views} < set(scores)
    assert all(np.isfinite(values).all() and values.shape == (len(test),) for values in scores.values())
    labels = np.arange(len(test)) >= 40
    assert auroc(labels, scores["only whitened ranks"]) > auroc(labels, scores["only tails"])


def test_the_detector_is_left_as_it_was(found: Any) -> None:
    detector, test, _ = found
    before = detector.anomaly_score(test)
    ablation.fused(detector, test)
    np.testing.assert_array_equal(detector.anomaly_score(test), before)


def record(variant: str, dataset: str, whole: float, **scores: float) -> dict[str, Any]:
    views = {"weights": {"nearest": 1.0, "tails": 0.0}, "probe_auroc": {"nearest": 0.9, "tails": 0.6}}
    auroc = {ablation.WHOLE: whole} | scores
    return {
        "variant": variant,
        "dataset": dataset,
        "seed": 0,
        "protocol": "final",
        "auroc": auroc,
        "aupr": auroc,
    } | views


def test_the_page_compares_the_same_tables() -> None:
    scores = {"all views": 0.8, "only nearest": 0.7, "only tails": 0.9}
    records = [record(ablation.WHOLE, name, 0.8, **scores) for name in "abc"]
    records += [record("never trained", name, auroc) for name, auroc in (("a", 0.7), ("b", 0.9))]
    text = ablation.report(records, "Made by hand.")
    assert "| never trained | 2 | 80.00 | 80.00 | +0.00 | -19.60 to +19.60 | 50 / 50 | -10.0 |" in text
    assert "| only tails | 3 | 90.00 | 90.00 | +10.00 | +10.00 to +10.00 | 100 / 0 | +10.0 |" in text
    assert "| tails | 0.0 | 0 | 60.0 | 90.0 | 100 |" in text
    assert "is -1.00\non average" in text
    assert "is +10.00 points" in text
