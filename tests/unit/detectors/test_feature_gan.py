"""FeatureGAN compares parts where they are and as light as the good ones were."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate

import anogan
from anogan.engine.module import LeftOut
from anogan.scoring.alignment import moved

SIDE = 96
QUICK = {
    "features": "efficientnet_lite0",
    "steps": 5,
    "width": 4,
    "batch_size": 128,
    "memory_bank_size": 64,
    "target_fpr": 0.1,
    "random_state": 0,
}


def parts(n, *, seed, defective=False):
    """Return uint8 pictures ``(n, 1, SIDE, SIDE)`` of one part, with a scratch if it is defective."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    part = ((y - 44) ** 2 + (x - 50) ** 2 < 24**2) + 0.5 * (np.abs(y - 50) + np.abs(x - 42) < 10)
    pictures = 70 + 80 * part + rng.normal(0, 3, (n, 1, SIDE, SIDE))
    if defective:
        pictures[:, :, 40:44, 46:62] = 40
    return (pictures * rng.uniform(0.97, 1.03, (n, 1, 1, 1))).clip(0, 255).astype(np.uint8)


def shifted(X):
    return moved(torch.from_numpy(X), torch.tensor([[8, -8]]).expand(len(X), 2)).numpy()


def brighter(X):
    return (X * 1.25).clip(0, 255).astype(np.uint8)


def turned(X):
    # Real turns show what lies beyond the border; this picture has the same background there.
    return rotate(X, 5, axes=(3, 2), reshape=False, order=1, mode="mirror")


@pytest.fixture(scope="module")
def detector():
    return anogan.FeatureGAN(**QUICK).fit(parts(48, seed=0))


@pytest.mark.parametrize("change", [shifted, brighter, turned])
def test_defects_are_found_and_good_parts_are_not_flagged_after_a_change(detector, change):
    good, defective = parts(20, seed=1), parts(20, seed=2, defective=True)
    usual = detector.anomaly_score(good)
    changed, bad = detector.anomaly_score(change(good)), detector.anomaly_score(change(defective))
    assert np.median(changed) < 1.25 * np.median(usual)
    assert bad.min() > changed.max()


def overexposed(X):
    return (X * 1.5).clip(0, 255).astype(np.uint8)


def test_what_too_much_light_saturates_is_discounted_and_a_white_spot_is_not(detector):
    good = detector.anomaly_score(parts(40, seed=4))
    usual = np.quantile(good, 0.9)
    lit = overexposed(parts(40, seed=4))
    assert np.mean(lit[:, 0, 46:54, 38:46] == 255) > 0.9  # the brightest part of the picture
    assert np.median(detector.anomaly_score(lit)) < 1.25 * np.median(good)
    assert detector.anomaly_score(overexposed(parts(20, seed=3, defective=True))).min() > 1.5 * usual
    spot = parts(20, seed=3)
    spot[:, :, 46:54, 38:46] = 255
    assert detector.anomaly_score(spot).min() > 1.5 * usual
    assert detector.anomaly_score(np.full((1, 1, SIDE, SIDE), 255, np.uint8)).min() > 2 * usual


def test_the_map_lies_where_the_shifted_defect_is(detector):
    good, bad = (detector.explain(shifted(parts(4, seed=3, defective=defect))) for defect in (False, True))
    rows, columns = zip(*(np.unravel_index(m[0].argmax(), (SIDE, SIDE)) for m in bad - good), strict=True)
    assert np.abs(np.array(rows) - 34).max() < 12
    assert np.abs(np.array(columns) - 62).max() < 16


def bars(n, *, seed, defective=False, by=0):
    """Return pictures of bars at any angle, moved by so many pixels, with a spot if they are defective."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 - by
    angle = rng.uniform(0, np.pi, (n, 1, 1, 1))
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    pictures = 120 + 60 * ((np.abs(along) < 26) & (np.abs(across) < 8)) + rng.normal(0, 3, (n, 1, SIDE, SIDE))
    if defective:
        pictures[(np.abs(along - 8) < 4) & (np.abs(across) < 4)] = 20
    return pictures.clip(0, 255).astype(np.uint8)


def test_parts_at_any_angle_may_be_shifted():
    detector = anogan.FeatureGAN(**QUICK).fit(bars(80, seed=0))
    assert len(detector.module_.framing.alignment.templates) > 1  # the mean part does not show shifts
    usual = detector.anomaly_score(bars(20, seed=1))
    changed = detector.anomaly_score(bars(20, seed=2, by=9))
    bad = detector.anomaly_score(bars(20, seed=3, defective=True, by=9))
    assert np.median(changed) < 1.25 * np.median(usual)
    assert np.median(bad) > changed.max()


def woven(n, *, seed, by=(0, 0), defective=False):
    """Return textures of more contrast in some places, moved by so many pixels, with a spot if defective."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:192, :192] - np.reshape(by, (2, 1, 1))
    contrast = 30 + 28 * np.sin(y / 18) * np.sin(x / 18)
    pictures = 120 + contrast * gaussian_filter(rng.normal(size=(n, 1, 192, 192)), (0, 0, 1, 1)) * 3
    if defective:
        pictures[:, :, 60:72, 60:72] = 20
    return pictures.clip(0, 255).astype(np.uint8)


def test_textures_that_depend_on_the_place_may_be_shifted(tmp_path):
    detector = anogan.FeatureGAN(**QUICK).fit(woven(32, seed=0))
    assert not detector.module_.framing.alignment.is_fitted
    assert detector.module_.offset.is_fitted
    usual = detector.anomaly_score(woven(8, seed=1))
    new = woven(8, seed=2, by=(20, -14), defective=True)
    changed, bad = detector.anomaly_score(woven(8, seed=2, by=(20, -14))), detector.anomaly_score(new)
    assert np.median(changed) < 1.25 * np.median(usual)
    assert bad.min() > changed.max()
    peaks = detector.explain(new)[:, 0].reshape(8, -1).argmax(1)  # where the picture shows the spot
    assert np.abs(np.array(np.unravel_index(peaks, (192, 192))) - 66).max() < 10
    np.testing.assert_array_equal(np.concatenate([detector.anomaly_score(each[None]) for each in new]), bad)
    detector.save(tmp_path / "model.anogan")
    np.testing.assert_array_equal(anogan.load(tmp_path / "model.anogan").anomaly_score(new), bad)


def test_a_picture_at_float64_is_framed_as_at_float32():
    X = parts(8, seed=0)
    single, double = (anogan.FeatureGAN(**QUICK, precision=precision).fit(X) for precision in ("float32", "float64"))
    new = shifted(parts(2, seed=1))
    np.testing.assert_allclose(single.anomaly_score(new), double.anomaly_score(new), rtol=0.3)


def test_all_pictures_set_the_threshold_as_if_they_were_new(detector):
    assert len(detector.calibration_.scores) == 48
    assert detector.fitted_on_["calibration"] == 48
    assert detector.fitted_on_["left_out"] == detector.fitted_on_["training"] == 38
    new = detector.anomaly_score(parts(60, seed=5))
    assert np.median(detector.calibration_.scores) == pytest.approx(np.median(new), rel=0.1)
    assert np.mean(new > detector.calibration_.threshold) < 0.25


def test_the_threshold_of_pixels_is_that_of_new_pictures():
    detector = anogan.FeatureGAN(**QUICK).fit(parts(9, seed=0))  # none is held out
    assert detector.fitted_on_["left_out"] == detector.fitted_on_["calibration"]
    peaks = detector.explain(parts(60, seed=5)).sum(1).max((1, 2))
    assert np.quantile(peaks, 0.75) < detector.calibration_.map_threshold < 1.2 * np.quantile(peaks, 0.9)


def test_a_few_unusual_pictures_do_not_hide_defects():
    X = parts(60, seed=0)
    X[0, 0, 8:20, 8:20] = X[1, 0, 70:90, 60:80] = 250  # one in thirty, whichever pictures are held out
    with pytest.warns(anogan.CalibrationWarning, match=r"2 of 60 pictures are so unusual .*: (0, 1|1, 0)\.") as found:
        anogan.FeatureGAN(**QUICK | {"target_fpr": 0.02}).fit(X)
    assert str(found[-1].message).endswith("by contamination=0.034.")
    assert found[-1].message.shell.endswith("by --contamination 0.034.")
    detector = anogan.FeatureGAN(**QUICK | {"random_state": 1}).fit(X)
    assert detector.predict(parts(20, seed=3, defective=True)).tolist() == [-1] * 20
    assert np.mean(detector.predict(parts(40, seed=4)) < 0) < 0.3


def test_a_contamination_leaves_unusual_pictures_out_of_the_threshold():
    X = parts(60, seed=0)
    X[0, 0, 8:20, 8:20] = X[1, 0, 70:90, 60:80] = 250
    detector = anogan.FeatureGAN(**QUICK, contamination=0.034).fit(X)
    assert detector.fitted_on_["left_out"] == 60
    # The quantile lies at the third highest score, and not far above it, where the two unusual pictures are.
    assert detector.calibration_.threshold == pytest.approx(np.sort(detector.calibration_.scores)[-3], rel=1e-3)
    assert detector.predict(parts(20, seed=3, defective=True)).tolist() == [-1] * 20
    assert np.mean(detector.predict(parts(200, seed=4)) < 0) < 0.1  # by scores of training it would be nearly all


def test_unusual_pictures_are_named_by_folder_and_file(tmp_path):
    X = parts(30, seed=0)
    X[0, 0, 8:20, 8:20] = X[1, 0, 70:90, 60:80] = 250
    for number, picture in enumerate(X):
        folder = tmp_path / f"lot {number % 2}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture[0]).save(folder / f"row {number // 2:02}.png")
    with pytest.warns(anogan.CalibrationWarning, match=r"are so unusual .*: lot \d/row 00.png, lot \d/row 00.png\."):
        anogan.FeatureGAN(**QUICK | {"random_state": 0, "target_fpr": 0.02}).fit(
            anogan.ImageFolder(tmp_path, size=SIDE)
        )


def test_a_few_pictures_calibrate_though_none_is_held_out():
    with pytest.warns(anogan.CalibrationWarning, match="cannot be kept: with 6 calibration pictures"):
        detector = anogan.FeatureGAN(**QUICK).fit(parts(6, seed=0))
    assert detector.calibration_.held_out
    assert np.mean(detector.predict(parts(20, seed=1)) < 0) < 0.4


def test_other_pictures_recalibrate_and_a_file_keeps_what_set_the_threshold(detector, tmp_path):
    detector.save(tmp_path / "model")
    loaded = anogan.load(tmp_path / "model")
    assert anogan.summary.model_summary(loaded)["left_out"] == 38
    loaded.recalibrate(parts(20, seed=6))
    assert anogan.summary.model_summary(loaded)["left_out"] == 0


def saved(folder, pictures, masks=None):
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture[0]).save(folder / f"{number}.png")
    return anogan.ImageFolder(folder, size=SIDE, masks=masks)


def saved_mask(file, rows, columns):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[rows, columns] = 255
    Image.fromarray(mask).save(file)
    return file


def test_a_region_and_a_background_of_one_colour_keep_scores_finite(tmp_path):
    X, new = parts(20, seed=0), parts(20, seed=1)
    X[:, :, :40] = new[:, :, :40] = 255  # equal in all pictures, so that one may have all patches of a memory bank
    mask = saved_mask(tmp_path / "mask.png", slice(8, 88), slice(8, 88))
    detector = anogan.FeatureGAN(**QUICK).fit(saved(tmp_path / "good", X, mask))
    scores = detector.anomaly_score(saved(tmp_path / "new", new))
    assert np.isfinite(detector.calibration_.scores).all()
    assert np.isfinite(scores).all()
    assert np.mean(scores > detector.calibration_.threshold) < 0.3


def test_copies_of_pictures_are_reported():
    X = parts(12, seed=0)
    with pytest.warns(anogan.CalibrationWarning, match="67% of the pictures equal another one"):
        anogan.FeatureGAN(**QUICK).fit(np.concatenate([X[:4], X[:4], X[8:]]))
    with pytest.raises(anogan.InputError, match=r"X has 1 picture; at least 2 are needed\."):
        anogan.FeatureGAN(**QUICK).fit(X[:1])


def test_what_lies_outside_of_a_region_does_not_set_units(tmp_path, detector):
    # Of fewer pictures the units themselves are uncertain by more than the tolerance of this test.
    good, new = saved(tmp_path / "good", parts(48, seed=0)), saved(tmp_path / "new", parts(12, seed=1))
    mask = saved_mask(tmp_path / "mask.png", slice(32, 64), slice(32, 64))
    in_region = anogan.FeatureGAN(**QUICK).fit(anogan.ImageFolder(good.files, size=SIDE, masks=mask))
    assert np.mean(in_region.predict(new) < 0) < 0.4
    # Nothing varies outside of the region, and without a region everything does.
    usual = np.median(detector.anomaly_score(parts(12, seed=1)))
    assert np.median(in_region.anomaly_score(new)) == pytest.approx(usual, rel=0.25)


def test_jpeg_files_are_reported_if_the_model_was_fitted_on_others(tmp_path):
    for folder, ending in (("png", "png"), ("jpeg", "JPG")):
        (tmp_path / folder).mkdir()
        for number, picture in enumerate(parts(4, seed=0)):
            Image.fromarray(picture[0]).save(tmp_path / folder / f"{number}.{ending}")
    folders = {name: anogan.ImageFolder(tmp_path / name, size=SIDE) for name in ("png", "jpeg")}
    detector = anogan.FeatureGAN(**QUICK).fit(folders["png"])
    file = folders["jpeg"].files[0]
    for score, picture, said in (
        (detector.anomaly_score, folders["jpeg"], "All 4 pictures are JPEG, and"),
        (detector.predict_maps, folders["jpeg"], "All 4 pictures are JPEG, and"),
        (detector.anomaly_score, anogan.ImageFolder([*folders["png"].files, file]), "1 of 5 pictures is JPEG, and"),
        (detector.score_picture, file, "The picture is JPEG, and"),
    ):
        with pytest.warns(anogan.RangeWarning, match=said):
            score(picture)
    with pytest.warns(anogan.RangeWarning, match="The picture is JPEG"), Image.open(file) as opened:
        detector.score_picture(opened)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        detector.anomaly_score(folders["png"])
        detector.score_picture(np.asarray(parts(1, seed=0)[0, 0]))
        anogan.FeatureGAN(**QUICK).fit(folders["jpeg"]).anomaly_score(folders["jpeg"])


def test_a_picture_in_tiles_is_as_unusual_as_its_most_unusual_tile():
    tiles = LeftOut(torch.tensor([[1.0, 5, 2, 3, 9]]), torch.tensor([4.0, 2, 7, 3, 1]))
    found = tiles.of_pictures(np.array([2, 2, 3]))  # the last one is here in part
    assert found.scores.tolist() == [[5, 3]]
    assert found.peaks.tolist() == [4, 7]
    assert tiles.of_pictures(np.array([6])) is None


def test_a_few_pictures_in_tiles_have_a_threshold_for_new_ones(tmp_path):
    for folder, seed, n in (("good", 0, 6), ("new", 1, 6)):
        (tmp_path / folder).mkdir()
        for number, four in enumerate(parts(4 * n, seed=seed).reshape(n, 2, 2, SIDE, SIDE)):
            picture = four.transpose(0, 2, 1, 3).reshape(2 * SIDE, 2 * SIDE)
            Image.fromarray(picture).save(tmp_path / folder / f"{number}.png")
    good, new = (anogan.ImageFolder(tmp_path / name, size=64, tile=SIDE) for name in ("good", "new"))
    assert np.mean(anogan.FeatureGAN(**QUICK).fit(good).predict(new) < 0) <= 0.5


def test_the_memory_bank_counts_in_full_for_plain_vectors_and_adds_a_little_for_pictures(detector):
    vectors = anogan.FeatureGAN(steps=5, random_state=0).fit(np.random.default_rng(0).normal(size=(100, 3)))
    near, far, same = torch.tensor([[50.0]]), torch.tensor([[5000.0]]), torch.tensor([[0.0]])
    for fitted, counts in ((vectors, True), (detector, False)):
        scores = [fitted.module_._fused(distance, same, same > 0) for distance in (near, far)]
        assert (float(scores[1] - scores[0]) > 1) == counts
