"""The fusion of classical detectors: weights without labels, p-values that keep their promise."""

import numpy as np
import pytest

from anogan import InputError
from anogan.evaluation.fusion import MEANS, Fusion
from anogan.evaluation.metrics import auroc

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(400, 4))
NORMAL[:, 1] = NORMAL[:, 0] + 0.1 * NORMAL[:, 1]  # a dependency, which columns alone do not show


@pytest.mark.parametrize("mean", MEANS)
def test_broken_dependencies_rank_high(mean: str) -> None:
    fusion = Fusion(mean).fit(NORMAL[:300])
    broken = NORMAL[300:].copy()
    broken[:, 1] = RNG.permutation(broken[:, 1])
    scores = fusion.anomaly_score(np.concatenate([NORMAL[300:], broken]))
    assert auroc(np.arange(200) >= 100, scores) > 0.85


def test_weights_favour_what_separates_the_probes() -> None:
    fusion = Fusion().fit(NORMAL)
    assert fusion.weights_.sum() == pytest.approx(1)
    assert list(np.argsort(fusion.weights_)) == list(np.argsort(fusion.probe_auroc_))
    assert np.allclose(Fusion(sharpness=0).fit(NORMAL).weights_, 1 / 9)


def test_scores_are_minus_log_of_mean_p_values() -> None:
    fusion = Fusion(held_out=0.25).fit(NORMAL)
    far, near = fusion.anomaly_score(np.array([[50.0] * 4, [0.0] * 4]))
    assert far == pytest.approx(np.log(101))  # beyond all 100 held-out rows for every detector
    assert 0 <= near < 1.5


def test_tables_with_constant_columns_and_equal_rows_are_scored() -> None:
    rows = np.repeat(np.arange(6.0)[:, None] % 2, 3, axis=1) * [1, 1, 0]
    assert np.isfinite(Fusion().fit(np.tile(rows, (5, 1))).anomaly_score(rows)).all()
    assert np.isfinite(Fusion().fit(np.zeros((8, 1))).anomaly_score(np.ones((2, 1)))).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="7 rows are too few"):
        Fusion().fit(NORMAL[:7])
    with pytest.raises(InputError, match="'mean' parameter must be one of geometric, harmonic"):
        Fusion("arithmetic").fit(NORMAL)
