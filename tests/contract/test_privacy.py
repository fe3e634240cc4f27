"""With keep_rows=0 a model file holds no training row, and says what it does hold."""

import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load

import anogan
from anogan.persistence import MANIFEST, PREPROCESSOR, WEIGHTS

from .conftest import DETECTORS

EMBEDS_ROWS = ("feature_gan",)  # whose memory bank has vectors themselves, only whitened


def rows_of(kind):
    """Rows whose numbers occur nowhere else."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 3)) * [1.0, 1e3, 1e-3] + [0.0, 1e6, 0.0]
    if kind == "vector":
        return X
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(shop=rng.choice(["SENTINEL-A", "SENTINEL-B"], 60))


def contents(path):
    """Every number and every text of a model file."""
    with zipfile.ZipFile(path) as archive:
        tensors = load(archive.read(WEIGHTS))
        texts = archive.read(MANIFEST).decode() + archive.read(PREPROCESSOR).decode()
    numbers = np.concatenate([tensor.ravel().astype(np.float64) for tensor in tensors.values()])
    written = [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", texts)]
    return np.concatenate([numbers, written]), texts


@pytest.mark.parametrize("kind", ["vector", "table"])
@pytest.mark.parametrize("name", DETECTORS)
def test_no_training_value_can_be_read_from_the_file(name, kind, tmp_path):
    cls, X = DETECTORS[name], rows_of(kind)
    detector = cls(**cls.tiny | {"keep_rows": 0, "random_state": 0, "device": "cpu", "precision": "float64"}).fit(X)
    detector.save(tmp_path / "m.anogan")
    numbers, texts = contents(tmp_path / "m.anogan")
    own = np.asarray(X if kind == "vector" else X[["a", "b", "c"]])
    coded = detector.preprocessor_.transform(X, torch.float64)
    codes = coded.batch(np.arange(60)).numpy()[:, :3]
    for values in (own, codes, codes.astype(np.float32).astype(np.float64)):
        found = np.isin(values, numbers).sum(0)
        assert (found <= 1).all(), found  # the median of an odd number of rows
    assert texts.count("SENTINEL") == (0 if kind == "vector" else 2)  # the categories
    kept = anogan.summary.kept_data(detector)
    assert kept["training_rows"] == 0
    assert kept["marginals"] > 0
    assert kept["categories"] == (0 if kind == "vector" else 2)


@pytest.mark.parametrize("kind", ["vector", "table"])
def test_reasons_compare_with_all_normal_rows(kind):
    cls, X = DETECTORS["denoising_gan"], rows_of(kind)
    detector = cls(**cls.tiny | {"keep_rows": 0, "random_state": 0, "device": "cpu"}).fit(X)
    new = X[:2].copy() if kind == "vector" else X.iloc[:2].copy()
    if kind == "vector":
        new[0, 0] = 50.0
    else:
        new.loc[0, "a"] = 50.0
    reason = detector.reasons(new, 1).iloc[0]
    assert re.fullmatch(r"(a|column 0) 50; normal rows: -[12]\.\d+ to [12]\.\d+", reason["text"]), reason["text"]
    assert np.quantile(rows_of("vector")[:, 0], 0.15) > reason["low"] > -3
    assert (np.asarray(detector.explain(new)) >= 0).all()
    with pytest.warns(anogan.CalibrationWarning, match="cannot be checked"):
        assert not detector.drift(X).columns


def test_rows_of_the_fit_cannot_be_recognised(tmp_path):
    """Somebody who has a row cannot test for it, and what would need such a test says that it has none."""
    cls, X = DETECTORS["denoising_gan"], rows_of("table")
    detector = cls(**cls.tiny | {"keep_rows": 0, "random_state": 0, "device": "cpu"}).fit(X)
    detector.save(tmp_path / "m.anogan")
    loaded = anogan.load(tmp_path / "m.anogan", device="cpu")
    assert anogan.summary.kept_data(loaded)["row_digests"] == 0
    with pytest.raises(anogan.InputError, match="keep_rows was 0"):
        loaded.was_fitted_on(X)
    with pytest.warns(anogan.CalibrationWarning, match="cannot be checked"):
        assert anogan.evaluate(loaded, X, np.arange(60) > 50)["fitted_on"] is None
    with pytest.warns(anogan.CalibrationWarning, match="cannot be checked"):
        loaded.drift(X)


def test_the_marginals_are_those_of_each_column():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=200),
            "gap": np.where(np.arange(200) % 4, rng.normal(size=200), np.nan),
            "text": np.where(np.arange(200) % 10 < 7, "often", "seldom"),
        }
    )
    cls = DETECTORS["denoising_gan"]
    detector = cls(**cls.tiny | {"keep_rows": 0, "random_state": 0, "device": "cpu"}).fit(X)
    state = detector.fitted_state
    frame = state.preprocessor.inverse(state.background.double().numpy())
    assert len(frame) == 20
    assert frame["gap"].isna().mean() == pytest.approx(0.25, abs=0.06)
    assert (frame["text"] == "often").mean() == pytest.approx(0.7, abs=0.06)
    assert abs(frame["number"].median()) < 0.3
    assert frame["number"].is_monotonic_increasing


def test_inspect_counts_what_the_file_holds(tmp_path):
    cls, X = DETECTORS["denoising_gan"], rows_of("table")
    for keep in (0, 7):
        detector = cls(**cls.tiny | {"keep_rows": keep, "random_state": 0, "device": "cpu"}).fit(X)
        detector.save(tmp_path / "m.anogan")
        kept = anogan.summary.model_summary(anogan.load(tmp_path / "m.anogan", device="cpu"))["kept"]
        assert kept["training_rows"] == keep
        assert kept["memory_bank"] > 0
        assert kept["calibration_scores"] == len(detector.calibration_.scores)
        words = anogan.summary.kept_words(kept)
        assert ("7 training rows" in words) == bool(keep)
        assert "features of a network" in words
