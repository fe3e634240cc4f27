"""What lies outside of a mask does not count, in fit and in scores."""

import numpy as np
import pytest
from PIL import Image

import anogan

SIZE = 64
FAST = {
    "steps": 3,
    "width": 2,
    "batch_size": 64,
    "memory_bank_size": 32,
    "features": "efficientnet_lite0",
    "target_fpr": 0.3,
    "random_state": 0,
}


def save(path, seed, *, background, spot=False, colour=False):
    """Save a picture whose upper 24 rows are background."""
    pixels = np.random.default_rng(seed).normal(128, 8, (SIZE, SIZE))
    pixels[:24] = np.random.default_rng(background).integers(0, 255, (24, SIZE))
    if spot:
        pixels[40:50, 20:30] = 255
    grey = pixels.clip(0, 255).astype(np.uint8)
    Image.fromarray(np.stack([grey, grey // 2, grey], axis=2) if colour else grey).save(path)


@pytest.fixture(scope="module", params=[False, True], ids=["grey", "colour"])
def fitted(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("parts")
    (path / "good").mkdir()
    for number in range(12):
        save(path / "good" / f"{number:02}.png", number, background=number, colour=request.param)
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[24:] = 255
    Image.fromarray(mask).save(path / "mask.png")
    folder = anogan.ImageFolder(path / "good", size=SIZE, masks=path / "mask.png")
    return anogan.FeatureGAN(**FAST).fit(folder), request.param


def test_the_background_changes_nothing_and_a_spot_counts(fitted, tmp_path):
    detector, colour = fitted
    for name, given in {"a": {"background": 1}, "b": {"background": 2}, "c": {"background": 1, "spot": True}}.items():
        save(tmp_path / f"{name}.png", 50, colour=colour, **given)
    folder = anogan.ImageFolder(tmp_path, size=SIZE)
    scores, maps = detector.predict_maps(folder)
    assert scores[0] == scores[1]
    assert scores[2] > 1.5 * scores[0]
    assert not maps[:, :, :16].any()
    assert maps[:, :, 32:].any()
    detector.save(tmp_path / "m.anogan")
    assert anogan.load(tmp_path / "m.anogan").anomaly_score(folder).tolist() == scores.tolist()


def test_each_picture_can_have_its_own_mask(fitted, tmp_path):
    detector, colour = fitted
    (tmp_path / "pictures").mkdir()
    (tmp_path / "masks").mkdir()
    for name, covered in {"spot": False, "covered": True}.items():
        save(tmp_path / "pictures" / f"{name}.png", 50, background=1, spot=True, colour=colour)
        mask = np.full((SIZE, SIZE), 255, dtype=np.uint8)
        if covered:
            mask[36:54, 16:34] = 0
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}_mask.png")
    folder = anogan.ImageFolder(tmp_path / "pictures", size=SIZE, masks=tmp_path / "masks")
    covered, spot = detector.anomaly_score(folder)  # in the order of their names
    assert spot > 1.2 * covered
    (tmp_path / "masks" / "spot_mask.png").unlink()
    with pytest.raises(anogan.InputError, match=r"has no mask for the picture spot\.png"):
        detector.anomaly_score(folder)


def test_a_black_mask_is_refused(fitted, tmp_path):
    detector, colour = fitted
    save(tmp_path / "a.png", 1, background=1, colour=colour)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(tmp_path / "black.bmp")
    with pytest.raises(anogan.InputError, match="the mask is black everywhere"):
        detector.anomaly_score(anogan.ImageFolder([tmp_path / "a.png"], masks=tmp_path / "black.bmp"))


def drawn(**how):
    """Return a mask that is white, or of a colour or opacity, in the lower half."""
    half = np.arange(40)[:, None].repeat(60, 1) >= 20
    if "alpha" in how:
        return Image.fromarray(np.dstack([np.full((40, 60, 3), 255), 255 * half]).astype(np.uint8))
    if "colour" in how:
        return Image.fromarray((half[..., None] * np.array(how["colour"])).astype(np.uint8))
    return Image.fromarray((how.get("white", 255) * half).astype(how.get("dtype", np.uint8)))


@pytest.mark.parametrize(
    ("mask", "name"),
    [
        (drawn(), "m.png"),
        (drawn(), "m.jpg"),
        (drawn().convert("1"), "m.png"),
        (drawn().resize((121, 80)), "m.png"),  # rounded
        (drawn(white=4095, dtype=np.uint16), "m.png"),
        (drawn(alpha=True), "m.png"),
        (drawn(alpha=True).convert("LA"), "m.png"),
    ],
    ids=["8 bits", "jpeg", "1 bit", "larger", "12 bits", "transparent", "grey and transparent"],
)
def test_what_is_white_in_a_mask_is_compared(mask, name, tmp_path):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    mask.save(tmp_path / name)
    region = anogan.ImageFolder([tmp_path / "a.png"], size=(8, 12), masks=tmp_path / name).region(0)
    np.testing.assert_array_equal(region, np.arange(8)[:, None].repeat(12, 1) >= 4)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (drawn(colour=(255, 0, 0)), "the mask is coloured"),
        (drawn(colour=(0, 255, 0)), "the mask is coloured"),
        (drawn(white=1), "black everywhere, 1 of 255 at most"),
        (Image.new("L", (60, 40), 255), "white everywhere"),
        (drawn().crop((0, 0, 40, 40)), r"40x40 pixels, which is another shape than the 60x40 of .*a\.png"),
        (drawn().transpose(Image.Transpose.ROTATE_90), "another shape"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_refused(mask, words, tmp_path):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    mask.save(tmp_path / "m.png")
    with pytest.raises(anogan.InputError, match=words):
        anogan.ImageFolder([tmp_path / "a.png"], size=(8, 12), masks=tmp_path / "m.png").region(0)


def test_a_mask_is_turned_upright_like_its_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    drawn().save(tmp_path / "m.jpg", exif=exif)
    region = anogan.ImageFolder([tmp_path / "a.jpg"], size=(12, 8), masks=tmp_path / "m.jpg").region(0)
    np.testing.assert_array_equal(region, np.arange(8)[None].repeat(12, 0) < 4)


def test_other_detectors_refuse_masks(tmp_path):
    save(tmp_path / "a.png", 1, background=1)
    folder = anogan.ImageFolder([tmp_path / "a.png"] * 4, masks=tmp_path / "a.png")
    with pytest.raises(anogan.InputError, match="DenoisingGAN takes no masks; FeatureGAN does"):
        anogan.DenoisingGAN().fit(folder)
