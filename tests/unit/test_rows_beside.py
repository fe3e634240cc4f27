"""A row's score does not depend on the rows scored with it, also where no width is a multiple of the blocks."""

import numpy as np
import pandas as pd
import pytest

import anogan


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("denoising_gan", {}),
        ("ganomaly", {"latent_dim": 10}),
        ("wgan_gp", {"distance": "neighbours", "width": 10}),
        ("wgan_gp", {"distance": "mahalanobis", "width": 10}),
    ],
)
def test_scores_are_equal_bit_for_bit_in_any_batch(name, changes):
    rng = np.random.default_rng(0)
    n = 400
    rows = pd.DataFrame({"a": rng.normal(size=n), "b": rng.exponential(size=n), "c": rng.choice(list("abc"), n)})
    rows["d"], rows["e"] = rows["a"] * 2 + rng.normal(size=n) / 9, rng.normal(size=n)
    cls = anogan.detector_class(name)
    detector = cls(**cls.tiny | {"random_state": 0, "device": "cpu", "precision": "float32"} | changes).fit(rows[:203])
    new = rows[203:].assign(c=rows["c"].where(rows.index % 5 > 0, "new"))
    scores, order = detector.anomaly_score(new), rng.permutation(len(new))
    np.testing.assert_array_equal(detector.anomaly_score(new.iloc[order]), scores[order])
    for size in (1, 3, 7):
        parts = [detector.anomaly_score(new[i : i + size]) for i in range(0, 21, size)]
        found = np.concatenate(parts)
        np.testing.assert_array_equal(found, scores[: len(found)])
