"""K-DSM: its scales follow its equation, and rows that break dependencies rank high."""

import numpy as np
import pytest

from anogan.evaluation.kdsm import KDSM, sorted_kurtosis
from anogan.evaluation.metrics import auroc

RNG = np.random.default_rng(0)
SMALL = {"width": 32, "blocks": 2, "epochs": 80, "random_state": 1}


def related(n: int) -> np.ndarray:
    """Return four columns of one cause."""
    return RNG.normal(size=(n, 1)) * [1.0, -1.0, 1.0, 1.0] + 0.05 * RNG.normal(size=(n, 4))


def test_broken_dependencies_rank_high_and_a_repetition_is_equal() -> None:
    train, test = related(200), related(100)
    test[50:, 1] = RNG.permutation(test[50:, 1])
    model = KDSM(**SMALL).fit(train)
    scores = model.anomaly_score(test)
    assert auroc(np.arange(100) >= 50, scores) > 0.85
    assert np.array_equal(scores, KDSM(**SMALL).fit(train).anomaly_score(test))


def test_the_scales_are_the_paper_s() -> None:
    """Two values count as flat, a constant as heavy-tailed, and the order of the values does not matter."""
    n = 4000
    even, normal, heavy = RNG.random(n), RNG.normal(size=n), RNG.standard_t(2, size=n)
    X = np.stack([even, normal, heavy, RNG.integers(2, size=n), np.zeros(n)], axis=1)
    scales = KDSM(width=2, blocks=1, epochs=0).fit(X).scales_.cpu().numpy()
    assert scales[0] == pytest.approx(0.5 * (1 + 0.33 * (1.8 - 3)), abs=0.05)
    assert scales[0] < scales[1] < scales[2] <= 3
    assert scales[3] == pytest.approx(0.302)
    assert scales[4] == 3
    two_ends = np.concatenate([normal[: n // 2] - 9, 9 - normal[: n // 2]])
    assert sorted_kurtosis(two_ends) < sorted_kurtosis(np.concatenate([two_ends, RNG.uniform(-9, 9, size=n // 8)]))
