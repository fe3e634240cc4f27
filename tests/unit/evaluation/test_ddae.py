"""DDAE restores normal rows, and not what breaks their dependencies."""

import numpy as np

from anogan.evaluation.ddae import DDAE
from anogan.evaluation.metrics import auroc

RNG = np.random.default_rng(0)


def related(n: int) -> np.ndarray:
    """Return four columns of one cause."""
    return RNG.normal(size=(n, 1)) * [1.0, -1.0, 1.0, 1.0] + 0.05 * RNG.normal(size=(n, 4))


def test_broken_dependencies_rank_high_and_a_repetition_is_equal() -> None:
    train, test = related(200), related(100)
    test[50:, 1] = RNG.permutation(test[50:, 1])
    model = DDAE(levels=10, width=64, epochs=40, random_state=1).fit(train)
    scores = model.anomaly_score(test)
    assert auroc(np.arange(100) >= 50, scores) > 0.9
    assert np.array_equal(scores, model.anomaly_score(test))
    assert np.array_equal(scores, DDAE(levels=10, width=64, epochs=40, random_state=1).fit(train).anomaly_score(test))


def test_the_schedule_is_the_paper_s() -> None:
    kept = DDAE(width=2, epochs=0).fit(related(8)).kept_.numpy()
    assert np.isclose(kept[0], 1 - 1e-4)
    assert np.isclose(kept[-1], np.prod(1 - np.linspace(1e-4, 0.02, 50)))
