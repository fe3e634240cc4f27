"""Contact sheets, and verdicts on pictures that are counted as wrong."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from anogan import FAnoGAN
from benchmarks import picture_health, samples


def record(case, *, healthy, auroc, knn=0.9):
    found = {"dataset": "digit 2", "case": case, "detector": "f_anogan", "verdict": "so"}
    return found | {"healthy": healthy, "auroc": auroc, "knn_auroc": knn}


def test_a_verdict_is_wrong_if_a_bad_training_is_healthy_or_one_that_detects_well_is_not():
    bad = next(name for name, case in picture_health.CASES.items() if case.kind == picture_health.BAD)
    found = [record("as it is", healthy=True, auroc=0.5), record("as it is", healthy=False, auroc=0.95)]
    found += [record(bad, healthy=True, auroc=0.95), record(bad, healthy=False, auroc=0.95)]
    assert [bool(picture_health.wrong(one)) for one in found] == [False, True, True, False]
    page = picture_health.report(found, made_by="")
    assert f"| {picture_health.AS_IS} | 2 | 1 | 1 |" in page
    assert f"| {picture_health.BAD} | 2 | 1 | 1 |" in page


@pytest.mark.parametrize(("case", "spread"), [("constant generator", 1e-9), ("one mode", 0.1)])
def test_a_generator_is_altered_in_the_block_alone(case, spread):
    build, X = FAnoGAN.build, np.random.default_rng(0).uniform(size=(40, 1, 8, 8))
    with picture_health.altered(FAnoGAN, picture_health.CASES[case]):
        detector = FAnoGAN(**FAnoGAN.tiny, random_state=0, device="cpu").fit(X, restarts=0)
    assert FAnoGAN.build is build
    plain = FAnoGAN(**FAnoGAN.tiny, random_state=0, device="cpu").fit(X, restarts=0)
    made, expected = (one.sample(20, random_state=0).std(0).mean() for one in (detector, plain))
    assert made <= spread * expected


def test_a_sheet_has_the_first_pictures_in_rows_and_is_written_with_its_rate(tmp_path):
    pictures = np.arange(70)[:, None, None, None] * np.ones((1, 1, 2, 3))
    sheet = samples.sheet(pictures)
    assert sheet.shape == (16, 24)
    assert [sheet[0, 0], sheet[0, 3], sheet[2, 0], sheet[-1, -1]] == [0, 1, 8, 63]
    pairs = samples._alternated(pictures, pictures + 100)
    assert pairs[[0, 7, 8, 16], 0, 0, 0].tolist() == [0, 7, 100, 8]
    found = {"system": "StyleGAN", "digit": "2", "read": 0.93, "real_read": 0.98, "verdict": "healthy"}
    page = samples.Samples().report([found | {"sheet": samples._encoded(sheet)}], tmp_path)
    assert "| StyleGAN | 2 | samples | 93.0% | 98.0% | healthy |" in page
    assert "1 of 1 reach 90%" in page
    (file,) = tmp_path.iterdir()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(samples._encoded(sheet))))), sheet)
    assert f"({file.name})" in page


def test_the_conditional_gan_has_one_cell_for_all_digits(tmp_path):
    cells = samples.Samples().cells(tmp_path, {"system": ["conditional GAN", "DCGAN"], "digit": ["2", "8"]})
    assert [cell["digit"] for cell in cells] == ["all", "2", "8"]


def test_the_classifier_takes_ghosts_blurs_and_noise_for_no_digit():
    rng = np.random.default_rng(0)
    digits = load_digits()
    pictures = 255 / 16 * digits.images.repeat(2, axis=1).repeat(2, axis=2)
    reader = samples.classifier(pictures[:1500], digits.target[:1500], rng)
    new, labels = pictures[1500:], digits.target[1500:]
    assert (reader.predict(samples._rows(new)) == labels).mean() > 0.85
    ghosts = np.stack([new[rng.choice(len(new), 4)].mean(0) for _ in range(50)])
    noisy = np.clip(new[:50] + rng.normal(0, 64, new[:50].shape), 0, 255)
    for anomalies in (ghosts, noisy):
        assert (reader.predict(samples._rows(anomalies)) == samples.NO_DIGIT).mean() > 0.75
