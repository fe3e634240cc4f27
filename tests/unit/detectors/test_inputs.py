"""Arrays whose values do not mean what they hold are refused."""

import numpy as np
import pandas as pd
import pytest

import anogan


@pytest.mark.parametrize("shape", [(24, 5), (24, 1, 8, 8)], ids=["vector", "image"])
def test_masked_arrays_are_refused(shape):
    X = np.random.default_rng(0).uniform(size=shape)
    detector = anogan.GANomaly(device="cpu", random_state=0, **anogan.GANomaly.tiny)
    masked = np.ma.masked_greater(X, 0.9)
    with pytest.raises(anogan.InputError, match="masked array"):
        detector.fit(masked)
    detector.fit(np.ma.asarray(X))  # nothing is masked
    with pytest.raises(anogan.InputError, match="masked array"):
        detector.score_samples(masked)


def test_a_table_may_have_columns_called_like_attributes_of_folders():
    names = ("files", "kind", "normal", "path", "size")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, len(names))), columns=names)
    assert anogan.default_detector(X) == "denoising_gan"
    detector = anogan.GANomaly(steps=3, random_state=0, target_fpr=0.2).fit(X)
    assert np.isfinite(detector.anomaly_score(X)).all()
