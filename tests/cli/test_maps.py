"""Heatmaps: the contour stands where the model's own threshold of pixels is passed, and raw maps are what they say."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan import Chunk, InputError, MapWriter
from anogan.evaluation.metrics import pixel_maps
from anogan.reporting.maps import contour, drawn
from anogan.scoring.calibration import Calibration

CYAN = (0, 255, 255)


def cyan(file):
    """Where a picture file has the contour's colour: (H, W) bool."""
    with Image.open(file) as picture:
        return (np.asarray(picture) == CYAN).all(-1)


def calibrated(start, threshold):
    none = np.empty(0)
    return Calibration(none, none, none, 0.0, map_threshold=threshold, map_start=start)


def written(folder, values, start=0.5, threshold=1.0):
    with MapWriter(str(folder), calibrated(start, threshold)) as writer:
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


def test_a_picture_keeps_its_own_colours_where_its_map_is_low_and_is_never_darkened():
    picture = np.random.default_rng(0).uniform(0.1, 0.6, size=(3, 12, 16))
    values = np.zeros((12, 16))
    values[:, 8:] = np.linspace(0.5, 0.99, 8)
    overlay = drawn(picture, values, 0.5, 1.0)
    np.testing.assert_allclose(overlay[:, :9], picture.transpose(1, 2, 0)[:, :9], atol=1e-6)
    assert (overlay[:, 9:, 0] > picture[0, :, 9:]).all()


def test_the_same_map_has_the_same_colours_alone_and_beside_a_bad_one(tmp_path):
    weak, strong = np.full((12, 16), 0.8), np.full((12, 16), 40.0)
    pictures = np.random.default_rng(0).random((2, 1, 12, 16))
    found = []
    for name, rows in {"alone": [0], "beside": [1, 0]}.items():
        with MapWriter(str(tmp_path / name), calibrated(0.5, 1.0)) as writer:
            writer.write(Chunk(0, pictures[[0] * len(rows)]), np.stack([(weak, strong)[row] for row in rows]))
        found.append((tmp_path / name / f"row_{len(rows) - 1:06d}_overlay.png").read_bytes())
    assert found[0] == found[1]


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


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("suffix", "command", "options"),
    [
        ("overlay.png", "score", ["-o", "s.csv", "--maps", "in"]),
        ("map.png", "score", ["-o", "s.csv", "--maps", "in"]),
        ("overlay.png", "explain", ["-o", "in"]),
        ("map.png", "explain", ["-o", "in"]),
    ],
)
def test_maps_replace_no_file_that_is_no_map(run, data, picture_model, tmp_path, monkeypatch, suffix, command, options):
    shutil.copytree(data / "parts" / "test" / "good", tmp_path / "in")
    shutil.copy(tmp_path / "in" / "0.png", tmp_path / "in" / f"3_{suffix}")  # as microscopes name their files
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    done = run(command, "in/3.png", "-m", picture_model, *options, code=2)
    assert f"3_{suffix} is there and is no map that anogan wrote" in done.stderr
    assert contents(tmp_path) == before


def test_an_array_without_its_overlay_is_kept_and_named(run, data, picture_model, tmp_path, monkeypatch):
    shutil.copytree(data / "parts" / "test" / "good", tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    args = ["score", "in/3.png", "-m", picture_model, "-o", "s.csv", "--maps", "maps", "--map-format", "npy"]
    run(*args)
    overlay = next((tmp_path / "maps").rglob("3_overlay.png"))
    run(*args)
    overlay.unlink()
    before = contents(tmp_path)
    done = run(*args, code=2)
    assert "3_map.npy is there without 3_overlay.png" in done.stderr
    assert "Delete this array if it is an old map, or name another folder" in done.stderr
    assert contents(tmp_path) == before
    (overlay.parent / "3_map.npy").unlink()
    run(*args)


def test_a_file_that_appears_before_a_map_is_written_is_not_replaced(tmp_path):
    def write():
        with MapWriter(str(tmp_path), calibrated(0.5, 1.0)) as writer:
            writer.write(Chunk(0, np.zeros((2, 1, 4, 4))), np.zeros((2, 4, 4)))

    (tmp_path / "row_000001_map.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"row_000001_map\.png is there"):
        write()
    assert (tmp_path / "row_000001_map.png").read_bytes() == b"mine"


@pytest.mark.parametrize("raw", ["png", "npy"])
def test_maps_among_pictures_are_not_read_as_pictures(run, data, picture_model, tmp_path, raw):
    shutil.copytree(data / "parts" / "test" / "scratch", tmp_path / "in")
    shutil.copy(tmp_path / "in" / "0.png", tmp_path / "in" / "of_another_map.png")
    args = ["-m", picture_model, "-o", tmp_path / "s.csv", "--maps", tmp_path / "in", "--map-format", raw]
    run("score", tmp_path / "in", *args)
    first = (tmp_path / "s.csv").read_bytes()
    for given in ([tmp_path / "in"], [tmp_path / "in" / "*.png"]):
        done = run("score", *given, *args)
        assert f"{10 if raw == 'png' else 5} written by anogan (anomaly maps)" in done.stderr
        assert (tmp_path / "s.csv").read_bytes() == first
    assert len(pd.read_csv(tmp_path / "s.csv")) == 5
    assert len(anogan.ImageFolder(tmp_path / "in")) == len(anogan.LabelledFolder(tmp_path / "in").train) == 5
    with pytest.raises(InputError, match="all are written by anogan"):
        anogan.open_source([tmp_path / "in" / f"{number}_overlay.png" for number in range(2)])
