"""Arrays whose values do not mean what they hold are refused."""

import numpy as np
import pandas as pd
import pytest
import torch

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


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(X)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X: torch.tensor(X, requires_grad=True), r"give X.detach\(\).cpu\(\).double\(\).numpy\(\)\.$"),
        (lambda X: torch.tensor(X).bfloat16(), r"BFloat16\); give X.detach\(\)"),
        (lambda X: torch.empty(X.shape, device="meta"), r"give X.detach\(\)"),
        (lambda X: torch.zeros(2, 1, 8, 8, requires_grad=True), r"give X.detach\(\)"),
        (lambda X: (row for row in X), r"X is .*generator, which can be read only once; give list\(X\)\.$"),
        (lambda X: X.astype(complex), r"^Complex data not supported\.$"),
    ],
)
def test_arrays_that_cannot_be_read_are_refused_with_what_helps(fitted, change, said):
    X, detector = fitted
    for refuse in (detector.anomaly_score, detector.score_table, anogan.WGANGP(**anogan.WGANGP.tiny).fit):
        with pytest.raises(anogan.InputError, match=said):
            refuse(change(X))


def test_a_tensor_that_can_be_read_is_scored_as_its_array(fitted):
    X, detector = fitted
    np.testing.assert_array_equal(detector.anomaly_score(torch.tensor(X)), detector.anomaly_score(X))


@pytest.mark.parametrize("n", [2.5, "5", 0, None])
def test_a_number_of_samples_that_is_none_is_refused(fitted, n):
    with pytest.raises(anogan.InputError, match="n must be a whole number of at least 1, got"):
        fitted[1].sample(n)
    assert len(fitted[1].sample(np.int64(3), random_state=0)) == 3
