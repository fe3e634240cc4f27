"""`evaluate`: every metric of labelled data, from Python."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan import InputError, Report, ScoreDisplay, Stream, evaluate, metrics


@pytest.fixture(scope="module")
def detector():
    X = np.random.default_rng(0).normal(size=(80, 2))
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(pd.DataFrame(X, columns=["a", "b"]))


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(30, 2)), rng.normal(4.0, size=(12, 2))])
    return pd.DataFrame(X, columns=["a", "b"]), np.repeat([0, 1], [30, 12])


def test_the_numbers_are_those_of_the_metrics(detector, labelled):
    X, y = labelled
    scores = detector.anomaly_score(X)
    found = evaluate(detector, X, y)
    assert (found["rows"], found["anomalous"]) == (42, 12)
    assert found["metrics"]["auroc"]["value"] == metrics.auroc(y, scores)
    assert found["metrics"]["precision_at_12"]["value"] == metrics.precision_at(y, scores)
    assert found["metrics"]["auroc"]["low"] <= found["metrics"]["auroc"]["value"] <= found["metrics"]["auroc"]["high"]
    flags = scores > detector.calibration_.threshold
    assert found["at_threshold"]["recall"] == flags[y == 1].mean()
    assert found["kinds"] == {}
    json.dumps(found)


def test_labels_may_be_words_and_kinds_are_told_apart(detector, labelled, tmp_path):
    X, y = labelled
    words = np.where(y == 0, "fine", np.where(np.arange(42) % 2, "fraud", "error"))
    found = evaluate(detector, X, words, normal="fine")
    assert {kind: entry["anomalous"] for kind, entry in found["kinds"].items()} == {"fraud": 6, "error": 6}
    X.assign(label=words).to_csv(tmp_path / "t.csv", index=False)
    calls: list[tuple] = []
    stream = Stream(detector, tmp_path / "t.csv", label="label", chunk_rows=10)
    from_file = evaluate(detector, stream, normal="fine", progress=lambda *facts: calls.append(facts))
    assert from_file["metrics"]["auroc"]["value"] == pytest.approx(found["metrics"]["auroc"]["value"])
    assert calls[-1] == ("scoring", 42, None)


def test_the_label_of_normal_rows_may_be_a_number(detector, labelled):
    X, y = labelled
    expected = evaluate(detector, X, y)["metrics"]["auroc"]
    for normal in (0, 0.0, np.int64(0), "0"):
        assert evaluate(detector, X, y, normal=normal)["metrics"]["auroc"] == expected
        Report.from_estimator(detector, X, y, normal=normal)
        ScoreDisplay.from_estimator(detector, X, y, normal=normal)


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT])
def test_missing_labels_are_no_anomalies(detector, labelled, gap):
    X, y = labelled
    labels = pd.Series(np.where(y == 0, "fine", "fraud"), dtype=object)
    labels[5:7] = gap
    with pytest.raises(InputError, match=r"y has 2 missing values \(first at row 5\)"):
        evaluate(detector, X, labels, normal="fine")
    with pytest.raises(InputError, match="y has 1 missing value "):
        Report.from_estimator(detector, X, np.append(y[1:], np.nan), normal="0")


def test_what_cannot_be_measured_is_refused(detector, labelled, tmp_path):
    X, y = labelled
    with pytest.raises(InputError, match="needed is one label"):
        evaluate(detector, X, y, normal=["fine"])
    with pytest.raises(InputError, match="no labels"):
        evaluate(detector, X)
    with pytest.raises(InputError, match="both kinds are needed"):
        evaluate(detector, X, np.zeros(42))
    X.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="labels of a file"):
        evaluate(detector, tmp_path / "t.csv", y)


def test_masks_of_an_mvtec_folder_are_compared_in_the_same_pass(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for part, count in {"train/good": 12, "test/good": 4, "test/scratch": 4}.items():
        (tmp_path / part).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / part / f"{i}.png")
    (tmp_path / "ground_truth" / "scratch").mkdir(parents=True)
    mask = np.zeros((16, 16), np.uint8)
    mask[3:9, 4:8] = 255
    for i in range(4):
        Image.fromarray(mask).save(tmp_path / "ground_truth" / "scratch" / f"{i}_mask.png")
    folder = anogan.ImageFolder(tmp_path / "train", size=8)
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(folder)
    layout = anogan.LabelledFolder(tmp_path, size=8)
    maps = metrics.pixel_maps(detector.explain(layout.test))
    expected = metrics.PixelCurve()
    for file, values in zip(layout.test.files, maps, strict=True):
        expected.add(layout.mask_of(file), metrics.resized_map(values, (16, 16)))
    for separate in ("anomaly_score", "score_part", "explain"):
        monkeypatch.delattr(anogan.Detector, separate)
    found = evaluate(detector, tmp_path)
    assert found["pixels"]["auroc"] == pytest.approx(expected.auroc(), abs=1e-3)
    assert found["pixels"]["regions"] == 4
    Image.fromarray(255 - mask).save(tmp_path / "ground_truth" / "scratch" / "0_mask.png")
    with pytest.warns(UserWarning, match=r"leave out 1 defective picture whose mask marks the whole border.*0\.png"):
        assert evaluate(detector, tmp_path)["pixels"]["regions"] == 3
