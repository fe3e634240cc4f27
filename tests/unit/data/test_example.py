"""The example of what a model scores, which the service and MLflow show."""

import numpy as np
import pandas as pd

import anogan
from anogan.data.example import example_row


def test_a_number_that_may_be_missing_has_an_example_that_can_be_scored():
    """No middle value of such a column is kept; `anogan serve` failed on such a model."""
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    X = pd.DataFrame({"a": a, "b": np.where(b > 1, np.nan, b), "c": ["x", "y"] * 30})
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, device="cpu").fit(X)
    row = example_row(detector.preprocessor_)
    assert list(row.columns) == ["a", "b", "c"]
    assert np.isfinite(detector.anomaly_score(row)).all()
