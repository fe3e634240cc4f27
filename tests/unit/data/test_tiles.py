"""Large pictures are scored in tiles: nothing is left out, and a picture counts once."""

import weakref

import numpy as np
import pytest
import torch
from PIL import Image

import anogan
from anogan.data.tiles import TiledSamples, boxes

SIZE = 32
FAST = {
    "steps": 3,
    "width": 2,
    "batch_size": 64,
    "memory_bank_size": 32,
    "features": "efficientnet_lite0",
    "target_fpr": 0.3,
    "random_state": 0,
}


def picture(seed, *, height=150, width=220):
    return np.random.default_rng(seed).normal(128, 12, (height, width)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("good")
    for number in range(12):
        Image.fromarray(picture(number)).save(path / f"{number:02}.png")
    return path


@pytest.fixture(scope="module")
def detector(folder):
    return anogan.FeatureGAN(**FAST).fit(anogan.ImageFolder(folder, size=SIZE, tile=64))


@pytest.fixture
def spotted(tmp_path):
    """A picture with a small spot, and the same one without."""
    pixels = picture(100)
    Image.fromarray(pixels).save(tmp_path / "without.png")
    pixels[90:98, 160:168] = 255
    Image.fromarray(pixels).save(tmp_path / "with.png")
    return anogan.ImageFolder([tmp_path / "with.png", tmp_path / "without.png"], size=SIZE)


@pytest.mark.parametrize(("height", "width", "tile"), [(3648, 5472, 768), (100, 64, 64), (65, 200, 64), (50, 40, 64)])
def test_tiles_cover_a_picture_and_overlap(height, width, tile):
    covered = np.zeros((height, width), dtype=int)
    for left, upper, right, lower in boxes(height, width, tile):
        assert (right - left, lower - upper) == (min(tile, width), min(tile, height))
        covered[upper:lower, left:right] += 1
    assert covered.min() == 1
    assert len(boxes(height, width, tile)) == 1 or covered.max() > 1


def test_a_picture_is_decoded_once_and_is_gone_after_its_last_tile_that_is_asked_for(folder):
    decoded = []

    class Counting(anogan.ImageFolder):
        def upright(self, index):
            decoded.append(weakref.ref(picture := super().upright(index)))
            return picture

    pictures = TiledSamples(Counting(folder, size=SIZE, tile=64), lambda pixels: pixels, np.arange(2), torch.float32)
    tiles = pictures.subset(np.arange(2)).tiles()
    for _ in tiles.batches(np.array([tile]) for tile in range(len(tiles))):
        pass
    assert len(decoded) == 2
    assert not any(picture() for picture in decoded)
    tiles.subset(np.arange(1)).batch(np.arange(1))
    assert len(decoded) == 3
    assert not decoded[2]()


def test_a_small_spot_in_a_large_picture_counts_and_is_located(detector, spotted):
    scores, maps = detector.predict_maps(spotted)
    assert scores[0] > 1.3 * scores[1]
    assert scores.tolist() == detector.anomaly_score(spotted).tolist()
    np.testing.assert_array_equal(maps, detector.explain(spotted))
    assert maps.shape == (2, 1, SIZE, SIZE)
    row, column = np.unravel_index(maps[0, 0].argmax(), (SIZE, SIZE))
    assert abs(row - 94 * SIZE / 150) < 4
    assert abs(column - 164 * SIZE / 220) < 4


def test_the_threshold_is_that_of_whole_pictures(detector, folder):
    assert len(detector.calibration_.scores) == 12
    assert detector.predict(anogan.ImageFolder(folder)).mean() > 0


def test_a_model_file_keeps_the_size_of_tiles(detector, spotted, tmp_path):
    detector.save(tmp_path / "m.anogan")
    loaded = anogan.load(tmp_path / "m.anogan")
    assert loaded.anomaly_score(spotted).tolist() == detector.anomaly_score(spotted).tolist()


def test_one_frame_is_scored_as_its_file(detector, spotted):
    scores, maps = detector.predict_maps(spotted)
    for file, score, expected in zip(spotted.files, scores, maps, strict=True):
        picture = Image.open(file)
        assert np.isfinite(detector.score_picture(np.asarray(picture) / 255.0).score)
        for frame in (file, picture, np.asarray(picture)):
            one = detector.score_picture(frame, with_map=True)
            assert one.score == pytest.approx(score, rel=1e-4)
            np.testing.assert_allclose(one.map, expected[0], rtol=1e-3, atol=1e-6)
    with pytest.raises(anogan.InputError, match="as uint8"):
        detector.score_picture(np.zeros((90, 90, 3)))


def test_other_tiles_than_those_of_the_fit_are_refused(detector, folder):
    with pytest.raises(anogan.InputError, match="tiles of 80 pixels, and the model was fitted with tile=64"):
        detector.anomaly_score(anogan.ImageFolder(folder, tile=80))


def test_a_picture_that_is_no_larger_than_a_tile_is_scored_whole(folder):
    tiled, whole = (
        anogan.FeatureGAN(**FAST).fit(anogan.ImageFolder(folder, size=SIZE, tile=tile)) for tile in (300, None)
    )
    test = anogan.ImageFolder(folder)
    assert tiled.anomaly_score(test).tolist() == whole.anomaly_score(test).tolist()
    np.testing.assert_allclose(tiled.explain(test), whole.explain(test), rtol=1e-5)  # of other batches


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tile": 16}, "tile must be at least the size of pictures, 32, got 16"),
        ({"masks": "nowhere"}, "There is no mask 'nowhere'"),
        ({"masks": ".", "tile": 64}, "masks and tile cannot be given together"),
    ],
)
def test_what_cannot_be_is_refused(folder, given, message):
    with pytest.raises(anogan.InputError, match=message):
        anogan.ImageFolder(folder, size=SIZE, **given)


def test_much_reduced_pictures_are_said(folder):
    with pytest.warns(anogan.ColumnWarning, match="reduced from 220 to 32 pixels, so that what is smaller than 7 of"):
        anogan.FeatureGAN(**FAST).fit(anogan.ImageFolder(folder, size=32))


def test_slightly_reduced_pictures_and_tiles_are_not_mentioned(folder, recwarn):
    for given in ({"size": 64}, {"size": SIZE, "tile": 64}):
        anogan.FeatureGAN(**FAST).fit(anogan.ImageFolder(folder, **given))
    assert not [warning for warning in recwarn if "reduced" in str(warning.message)]
