"""Pictures whose files, shape or size are unlike those of the fit are reported, however they are scored."""

import re
import warnings

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

import anogan
from anogan.data.choose import preprocessor_from_state
from anogan.data.image import ImagePreprocessor
from anogan.data.picture_traits import JPEG_SHARE, PictureTraits, Seen
from anogan.data.state import decode, encode

SIZE = (32, 32)
USUAL = [Seen(False, False, 64, 64), Seen(False, False, 62, 64), Seen(False, False, 64, 66)]


def folder_of(path, sizes, ending="png", **options):
    """Save grey noise of each (height, width)."""
    path.mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path / f"{number:02d}.{ending}")
    return anogan.ImageFolder(path, **options)


def notes_of(learned, new, size=SIZE):
    traits = PictureTraits.of(learned, SIZE)
    return [note.text() for note in traits.notes(traits.count_unlike(new, size))]


def test_pictures_like_those_of_the_fit_are_not_reported():
    assert (
        notes_of(
            USUAL,
            [
                Seen(False, False, 64, 64),
                Seen(False, False, 63, 65),
                Seen(False, False, 30, 30),
                Seen(False, False, 640, 650),
            ],
        )
        == []
    )


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Seen(True, False, 64, 64), "The picture is JPEG"),
        (Seen(False, True, 64, 64), "The picture is grey, and the model was fitted on coloured ones"),
        (
            Seen(False, False, 64, 80),
            "The picture has another shape than those of the fit, whose width is 1.00 to 1.03 times",
        ),
        (Seen(False, False, 70, 64), "The picture has another shape"),
        (Seen(False, False, 18, 18), "The picture has so few pixels"),
    ],
)
def test_each_way_to_be_unlike_the_fit_is_said(new, said):
    assert notes_of(USUAL, [*USUAL, new])[0].startswith(said.replace("The picture", "1 of 4 pictures"))
    (note,) = notes_of(USUAL, [new])
    assert note.startswith(said)
    (note,) = notes_of(USUAL, [new, new])
    assert note.startswith(
        said.replace("The picture is", "All 2 pictures are").replace("The picture has", "All 2 pictures have")
    )


def test_more_pixels_than_in_the_fit_count_up_to_those_of_the_model():
    small = [Seen(False, False, 16, 16)]
    assert notes_of(small, [Seen(False, False, 26, 26)]) == []
    assert notes_of(small, [Seen(False, False, 28, 28)])[0].startswith(
        "The picture has more pixels than those of the fit"
    )


def test_tiles_keep_their_shape_and_size():
    assert notes_of(USUAL, [Seen(False, False, 640, 100)], size=None) == []
    assert len(notes_of(USUAL, [Seen(True, False, 640, 100)], size=None)) == 1


def test_a_few_jpeg_files_do_not_make_a_fit_on_jpeg():
    def learned(jpeg):
        return PictureTraits.of([Seen(number < jpeg, False, 8, 8) for number in range(20)], SIZE).jpeg

    assert not learned(1)
    assert learned(round(JPEG_SHARE * 20))


def test_a_fit_says_that_shapes_are_mixed(tmp_path):
    def notes(name, sizes, **options):
        preprocessor = ImagePreprocessor().fit(folder_of(tmp_path / name, sizes, size=SIZE, **options))
        return [note.text() for note in preprocessor.notes_]

    assert notes("alike", [(40, 40)] * 5 + [(40, 43)]) == []
    (note,) = notes("mixed", [(40, 40)] * 5 + [(40, 60), (60, 30)])
    assert note.startswith("Pictures have different shapes: their width is 0.50 to 1.50 times their height, and for 2")
    assert "2 pictures of 7" in note
    assert notes("tiles", [(40, 40)] * 5 + [(40, 60)], tile=32) == []


def test_a_state_keeps_what_the_files_have_in_common(tmp_path):
    fitted = ImagePreprocessor().fit(folder_of(tmp_path / "good", [(40, 40), (40, 43)], size=SIZE))
    state = fitted.to_state()
    assert preprocessor_from_state(decode(*encode(state))).traits_ == fitted.traits_
    del state["files"]  # as in older model files
    assert preprocessor_from_state(decode(*encode(state))).traits_ is None
    for name, value in (("narrowest", -1.0), ("widest", 0.5), ("finest", 2.0), ("jpeg", 1), ("coloured", None)):
        wrong = fitted.to_state()
        wrong["files"] = {**wrong["files"], name: value}
        with pytest.raises(anogan.FormatError, match=f"preprocessor.files.{name} is"):
            preprocessor_from_state(decode(*encode(wrong)))


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    good = folder_of(tmp_path_factory.mktemp("fit") / "good", [(40, 40)] * 12)
    return anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(good)


def test_every_way_to_score_pictures_reports_them(detector, tmp_path):
    new = folder_of(tmp_path / "new", [(40, 40), (40, 80), (80, 40)])
    said = "2 of 3 pictures have another shape than those of the fit, whose width is 1.00 times their height"
    for score in (detector.anomaly_score, detector.predict, detector.predict_maps):
        with pytest.warns(anogan.RangeWarning, match=said):
            score(new)
    for picture in (new.files[1], Image.open(new.files[1]), np.zeros((40, 80, 3), np.uint8)):
        with pytest.warns(anogan.RangeWarning, match="The picture has another shape"):
            detector.score_picture(picture)
    stream = anogan.Stream(detector, new, chunk_rows=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        for chunk in stream:
            stream.scores(chunk)
        detector.anomaly_score(new[:1])
        detector.anomaly_score(np.zeros((2, *detector.preprocessor_.shape_), np.uint8))
        detector.score_picture(np.zeros((40, 40), np.uint8))
    assert [note.startswith(said) for note in stream.notes()] == [True]


def test_pictures_with_a_condition_are_reported_too(tmp_path):
    good = folder_of(tmp_path / "good", [(40, 40)] * 12)
    labels = np.arange(12) % 2
    detector = anogan.ConditionalGAN(**anogan.ConditionalGAN.tiny, random_state=0).fit(anogan.Conditioned(good, labels))
    new = folder_of(tmp_path / "new", [(40, 80)] * 2)
    with pytest.warns(anogan.RangeWarning, match="All 2 pictures have another shape"):
        detector.anomaly_score(anogan.Conditioned(new, labels[:2]))


def coloured(n, seed, red_first=True):
    """Return pictures (n, 3, 40, 40) that are red at the left and blue at the right, more often red."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 80, (n, 3, 40, 40)).astype(np.uint8)
    X[:, 0, :, :30] += 150
    X[:, 2, :, 30:] += 150
    return X if red_first else X[:, ::-1]


@pytest.mark.parametrize("as_files", [False, True])
def test_exchanged_colours_are_reported(tmp_path, as_files):
    X, wrong = coloured(24, 0), coloured(20, 1, red_first=False)
    good, new = X, wrong
    if as_files:
        for name, pictures in (("good", X), ("new", wrong)):
            (tmp_path / name).mkdir()
            for number, picture in enumerate(pictures):
                Image.fromarray(picture.transpose(1, 2, 0)).save(tmp_path / name / f"{number:02d}.png")
        good, new = anogan.ImageFolder(tmp_path / "good"), anogan.ImageFolder(tmp_path / "new")
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(good)
    with pytest.warns(anogan.RangeWarning, match=r"exchanged in 2 of 2 pictures that were compared, since"):
        detector.anomaly_score(new)
    frame = wrong[0].transpose(1, 2, 0)
    for picture in [frame, new.files[0]] if as_files else [frame, Image.fromarray(frame)]:
        with pytest.warns(anogan.RangeWarning, match="exchanged in the picture"):
            detector.score_picture(picture)
    with warnings.catch_warnings():
        warnings.simplefilter("error", anogan.RangeWarning)
        detector.score_picture(frame, bgr=True)
        detector.anomaly_score(good if as_files else coloured(3, 2))


@pytest.mark.parametrize(("levels", "exchanged"), [(2, False), (4, True)])
def test_another_white_balance_is_no_other_order(levels, exchanged):
    rng = np.random.default_rng(0)
    grey = rng.normal(128, 20, (30, 1, 16, 16)) + rng.normal(size=(30, 3, 16, 16))
    cast = np.array([levels, 0, -levels])[:, None, None]
    warm, cool = (np.clip(grey + each, 0, 255).astype(np.uint8) for each in (cast, -cast))
    counts = ImagePreprocessor().fit(warm).count_beyond(cool)
    assert (counts["exchanged"].beyond == counts["exchanged"].values) == exchanged


@pytest.mark.parametrize("tile", [None, 32])
def test_a_single_file_is_decoded_once(tmp_path, monkeypatch, tile):
    (tmp_path / "good").mkdir()
    for number, picture in enumerate(coloured(12, 0)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(tmp_path / "good" / f"{number:02d}.png")
    Image.fromarray(coloured(1, 1, red_first=False)[0].transpose(1, 2, 0)).save(tmp_path / "new.png")
    good = anogan.ImageFolder(tmp_path / "good", size=16, tile=tile)
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(good)
    decoded, prepare = [], PngImageFile.load_prepare
    monkeypatch.setattr(PngImageFile, "load_prepare", lambda picture: decoded.append(prepare(picture)))
    with pytest.warns(anogan.RangeWarning, match="exchanged in the picture"):
        detector.score_picture(tmp_path / "new.png")
    assert len(decoded) == 1


@pytest.mark.parametrize("shape", [(20, 1, 40, 40), (20, 4800), (20, 3, 20, 40)])
def test_a_stream_of_arrays_of_another_shape_is_refused_as_by_the_detector(shape):
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(coloured(24, 0))
    X = np.zeros(shape, np.uint8)
    with pytest.raises(anogan.InputError) as refused:
        detector.anomaly_score(X)
    with pytest.raises(anogan.InputError, match=re.escape(str(refused.value))):
        list(anogan.Stream(detector, X))


def test_pictures_without_a_tint_have_no_order_of_channels():
    grey = np.random.default_rng(0).integers(0, 256, (6, 1, 16, 16), dtype=np.uint8).repeat(3, axis=1)
    tint = ImagePreprocessor().fit(grey).tint_
    assert tint.count_exchanged(grey / 255)["exchanged"].beyond == 0
    assert tint.count_exchanged(coloured(6, 0)[:, :, :16, :16] / 255)["exchanged"].beyond == 0
    assert ImagePreprocessor().fit(grey[:, :1]).tint_ is None
    with_state = preprocessor_from_state(decode(*encode(ImagePreprocessor().fit(coloured(4, 0)).to_state())))
    assert with_state.tint_.mean.shape == (8, 8)
    assert ImagePreprocessor().fit(coloured(4, 0)[..., :2, :3]).tint_.mean.shape == (2, 3)


def test_what_is_not_a_picture_fails_as_before(detector, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    with pytest.raises(anogan.InputError, match="not a picture"):
        detector.anomaly_score(anogan.ImageFolder(tmp_path / "bad"))
    with pytest.raises(anogan.InputError, match="One picture is an array"):
        detector.score_picture(np.zeros(5))


def saved_pages(file, count=3, **options):
    """Save grey pages, of which each is a little brighter than the one before."""
    pages = [Image.fromarray(np.full((12, 14), 60 + 5 * number, np.uint8)) for number in range(count)]
    pages[0].save(file, save_all=True, append_images=pages[1:], **options)


def said_of(folder):
    preprocessor = ImagePreprocessor().fit(folder)
    return [note.text() for note in preprocessor.notes_ if "pages" in note.text()]


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp", "a.png"])
def test_files_with_several_pages_or_frames_are_reported(name, tmp_path):
    folder_of(tmp_path / "good", [(12, 14)] * 3)
    plain = ImagePreprocessor().fit(anogan.ImageFolder(tmp_path / "good"))
    saved_pages(tmp_path / "good" / name)
    folder = anogan.ImageFolder(tmp_path / "good")
    expected = "1 of 4 pictures has several pages or frames, of which only the first is read."
    assert said_of(folder) == [f"{expected} Save each page as a picture of its own."]
    counter = plain.range_counter()
    counter.add(folder)
    assert any(note.text().startswith(expected) for note in counter.notes())
    (note,) = [
        note.text()
        for note in plain.picture_notes(tmp_path / "good" / name, folder.decode(0))
        if "pages" in note.text()
    ]
    assert note.startswith("The picture has several pages")


def test_files_with_one_page_and_previews_are_not_reported(tmp_path):
    for name in ("a.tif", "b.gif", "c.webp", "d.png", "e.jpg"):
        saved_pages(tmp_path / name, 1) if name != "e.jpg" else Image.new("L", (14, 12)).save(tmp_path / name)
    saved_pages(tmp_path / "phone.jpg", 2, format="MPO")
    page = Image.new("L", (14, 12))
    reduced = page.resize((7, 6))
    reduced.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "preview.tif", save_all=True, append_images=[reduced])
    with Image.open(tmp_path / "preview.tif") as picture:
        picture.seek(1)
        assert picture.tag_v2[254] == 1
    saved_pages(tmp_path / "damaged.tif", 2)
    content = (tmp_path / "damaged.tif").read_bytes()
    (tmp_path / "damaged.tif").write_bytes(content[: len(content) * 6 // 10])
    assert said_of(anogan.ImageFolder(tmp_path)) == []
