"""Heatmaps: the contour stands where the model's own threshold of pixels is passed, and raw maps are what they say."""

import numpy as np
from PIL import Image

import anogan
from anogan import Chunk, MapWriter
from anogan.evaluation.metrics import pixel_maps
from anogan.reporting.maps import contour

CYAN = (0, 255, 255)


def cyan(file):
    """Where a picture file has the contour's colour: (H, W) bool."""
    with Image.open(file) as picture:
        return (np.asarray(picture) == CYAN).all(-1)


def written(folder, values, **options):
    with MapWriter(str(folder), **options) as writer:
        writer.write(Chunk(0, np.zeros((1, 1, *values.shape))), values[None])
    return writer


def test_a_contour_is_the_inner_edge_of_what_is_above_the_threshold(tmp_path):
    values = np.zeros((12, 16))
    values[3:8, 4:9] = 2.0
    values[0, 15] = 1.0
    writer = written(tmp_path, values, threshold=1.0)
    expected = np.zeros((12, 16), bool)
    expected[3:8, 4:9] = True
    expected[4:7, 5:8] = False
    np.testing.assert_array_equal(cyan(tmp_path / "row_000000_overlay.png"), expected)
    assert "contour at 1" in writer.scale_note()


def test_a_contour_can_be_seen_in_a_large_picture_and_does_not_frame_it():
    region = np.zeros((1024, 1024), bool)
    region[100:, 200:400] = True
    assert contour(region)[500].sum() == 2 * 4
    assert not contour(region)[-1, 210:390].any()


def test_without_a_threshold_there_is_no_contour(tmp_path):
    writer = written(tmp_path, np.arange(192.0).reshape(12, 16), threshold=None)
    assert not cyan(tmp_path / "row_000000_overlay.png").any()
    assert "contour" not in writer.scale_note()


def test_raw_maps_in_either_format_are_the_errors(run, data, picture_model, tmp_path):
    for chosen, options in {"png": (), "npy": ("--map-format", "npy")}.items():
        args = ("-o", tmp_path / "s.csv", "--maps", tmp_path / chosen, *options)
        run("score", data / "parts", "-m", picture_model, *args)
    raw = np.load(tmp_path / "npy" / "good" / "2_map.npy", allow_pickle=False)
    assert (raw.shape, raw.dtype) == ((22, 30), np.float32)
    assert not list((tmp_path / "npy").rglob("*_map.png"))
    with Image.open(tmp_path / "png" / "good" / "2_map.png") as coded:
        full = float(coded.info["anogan error at 65535"])
        np.testing.assert_allclose(np.asarray(coded) / 65535 * full, raw, atol=full / 65535)


def test_the_contour_is_at_the_threshold_that_the_model_carries(run, data, picture_model, tmp_path):
    detector = anogan.load(picture_model)
    args = ("-o", tmp_path / "s.csv", "--maps", tmp_path, "--map-format", "npy")
    run("score", data / "parts", "-m", picture_model, *args)
    threshold = detector.calibration_.map_threshold
    for file in tmp_path.rglob("*_map.npy"):
        above = np.load(file, allow_pickle=False) > threshold
        overlay = file.with_name(file.name.replace("_map.npy", "_overlay.png"))
        np.testing.assert_array_equal(cyan(overlay), contour(above))
    assert f"{threshold:.4g}" in run("score", data / "parts", "-m", picture_model, *args).output


def test_good_pictures_that_calibrated_have_no_contour(data, picture_model):
    detector = anogan.load(picture_model)
    training = anogan.ImageFolder(data / "parts" / "train")
    peaks = pixel_maps(detector.explain(training)).max((1, 2))
    assert (np.isclose(peaks, detector.calibration_.map_threshold)).any()  # it is the peak of one of them


def test_a_format_of_maps_needs_maps(run, data, picture_model, tmp_path):
    args = ("-m", picture_model, "-o", tmp_path / "s.csv", "--map-format", "npy")
    assert "--maps DIR" in run("score", data / "parts", *args, code=2).output
