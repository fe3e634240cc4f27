"""Unseen values take the known value with which their row scores highest."""

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

import anogan
from anogan.scoring import unseen as module
from anogan.scoring.unseen import with_farthest_known

PLACES = [slice(0, 2), slice(2, 5), slice(5, 6)]
KNOWN = [np.eye(2), np.eye(3), np.array([[-1.0], [2.0]])]


def _score(x: np.ndarray) -> np.ndarray:
    """Highest with the second of two, the third of three, and -1, but lower if the first two agree."""
    both = x[:, 1] * x[:, 4]
    return x[:, 1] + 2 * x[:, 4] - x[:, 5] - 10 * both


def _additive(x: np.ndarray) -> np.ndarray:
    return x[:, 1] + 2 * x[:, 4] - x[:, 5]


def _put_in(rows: list[list[float]], cells: list[list[bool]], score=_score) -> list[list[float]]:
    x = np.array(rows)
    before = x.copy()
    result = with_farthest_known(score, x, np.array(cells), PLACES, KNOWN)
    assert_array_equal(x, before)
    return result.tolist()


def test_each_row_takes_the_combination_with_the_highest_score():
    rows = [[1.0, 0, 0, 1, 0, 7], [0, 0, 0, 1, 0, 7], [0, 0, 0, 0, 0, 7], [0, 1, 0, 0, 0, 0]]
    cells = [[False] * 3, [True, False, False], [True, True, False], [False, True, True]]
    assert _put_in(rows, cells) == [
        [1, 0, 0, 1, 0, 7],
        [0, 1, 0, 1, 0, 7],
        [0, 0, 0, 0, 1, 7],  # its own code, since one and the other would lower the score
        [0, 1, 0, 0, 0, -1],
    ]


def test_columns_with_too_many_combinations_are_taken_in_groups(monkeypatch):
    rows, cells = [[0.0, 0, 0, 0, 0, 0]], [[True, True, True]]
    jointly = _put_in(rows, cells, _additive)
    monkeypatch.setattr(module, "COMBINATIONS", 1)
    assert _put_in(rows, cells, _additive) == jointly == [[0, 1, 0, 0, 1, -1]]


def test_equal_rows_are_scored_once():
    scored = []

    def count(x):
        scored.append(len(x))
        return _score(x)

    x = np.zeros((1000, 6))
    with_farthest_known(count, x, np.tile([True, False, False], (1000, 1)), PLACES, KNOWN)
    assert sum(scored) == 3


def test_a_condition_beside_an_unseen_category():
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=60), "kind": ["a", "b"] * 30, "shop": ["n", "s", "w"] * 20}
    X = pd.DataFrame(columns)
    detector = anogan.ConditionalGAN(**anogan.ConditionalGAN.tiny, condition="kind", random_state=0).fit(X)
    scores = detector.anomaly_score(X.assign(shop="moon"))
    known = [detector.anomaly_score(X.assign(shop=shop)) for shop in ("n", "s", "w")]
    assert (scores >= np.max(known, axis=0)).all()
    assert_array_equal(detector.anomaly_score(X.iloc[:2]), detector.anomaly_score(X.iloc[:2].copy()))
