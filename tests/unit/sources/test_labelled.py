"""Folders of pictures: which are normal by the names of folders, which are masks, and which files are left out."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anogan import ImageFolder, InputError, LabelledFolder, PictureSource
from anogan.sources.class_names import file_means_normal, is_ambiguous, means_normal
from anogan.sources.images import read_picture
from anogan.sources.labelled import normal_pictures
from anogan.sources.picture_files import find_pictures


def save(path: Path, value: int = 100, size: tuple[int, int] = (8, 6), **options) -> None:
    """A grey picture of one value; masks have 255 in the first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path, **options)


def save_mask(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    pixels[0] = 255
    Image.fromarray(pixels).save(path)


def make(root: Path, **numbers: int) -> Path:
    """Folders with so many pictures each; "/" in a name is written as "__"."""
    for name, count in numbers.items():
        for number in range(count):
            save(root / name.replace("__", "/") / f"{number}.png")
    return root


def learned(root: Path, **options) -> set[str]:
    source = PictureSource(root, part="train", **options)
    return {file.relative_to(root).parent.as_posix() for file in source.pictures.files}


PARTS = ("train", "test")
NORMAL = (
    "good", "OK", "Ok_1", "okay", "Normal", "PASS", "passed", "i.O.", "iO", "i. O.", "IO", "in Ordnung", "Gut",
    "gutteile", "fehlerfrei", "ohne_Fehler", "no_defect", "non-defective", "defect-free", "ok_front", "01_OK",
    "unbeschädigt", "GoodParts",
)  # fmt: skip
DEFECTIVE = (
    "NG", "NOK", "bad", "Defect", "defective", "fail", "REJECT", "n.i.O.", "niO", "NIO", "n. i. O.", "nicht_i.O.",
    "nicht in Ordnung", "not ok", "NotOK", "non_ok", "Schlecht", "Ausschuß", "fehlerhaft", "beschädigt", "anomaly",
    "def_front",
)  # fmt: skip


AMBIGUOUS = ("false_ok", "False-NG", "ok_wrong_lens", "good_missing_hole", "pseudo_defects", "false_alarm")


@pytest.mark.parametrize(
    ("names", "meaning"),
    [(NORMAL, True), (DEFECTIVE, False), (("lot1", "0", "cam_left", "false"), None), (AMBIGUOUS, None)],
)
def test_names_of_folders_say_what_is_normal(names, meaning):
    assert {name: means_normal(name) for name in names} == dict.fromkeys(names, meaning)


def test_names_can_leave_open_what_they_mean():
    names = (*AMBIGUOUS, *NORMAL, *DEFECTIVE, "lot1", "0", "cam_left", "false")
    assert [name for name in names if is_ambiguous(name)] == list(AMBIGUOUS)


@pytest.mark.parametrize(
    ("folders", "normal"),
    [
        ({"goods_in__OK": 2, "goods_in__NG": 1, "assembly__OK": 2, "assembly__NG": 1}, {"goods_in/OK", "assembly/OK"}),
        ({"goods_in__NG": 2, "assembly__OK": 2}, {"assembly/OK"}),
        ({"pass_1__ok": 2, "pass_1__nok": 1, "pass_2__nok": 1}, {"pass_1/ok"}),
        ({"crack_detection__OK": 2, "crack_detection__NG": 1}, {"crack_detection/OK"}),
        ({"fail_safe__good_left": 2, "fail_safe__bad_left": 1}, {"fail_safe/good_left"}),
        (
            {"OK__good_lighting": 2, "OK__bad_lighting": 1, "NG__good_lighting": 1},
            {"OK/good_lighting", "OK/bad_lighting"},
        ),
        ({"OK": 2, "november__OK": 2, "november__NG": 1}, {"OK", "november/OK"}),
        ({"good": 2, "lot7__good": 2, "lot7__hole": 1, "hole__wide": 1}, {"good", "lot7/good"}),
    ],
)
def test_folders_at_any_depth_say_which_pictures_are_normal(tmp_path, folders, normal):
    layout = LabelledFolder(make(tmp_path, **folders))
    pictures, anomalous = layout.labelled_pictures()
    assert len(pictures) == sum(folders.values())
    found = {file.parent.relative_to(tmp_path).as_posix() for file in layout.train.files}
    measured = {pictures.files[number].parent.relative_to(tmp_path).as_posix() for number in np.flatnonzero(~anomalous)}
    assert found == measured == normal


def test_a_named_folder_is_normal_at_any_depth(tmp_path):
    make(tmp_path, plain=2, november__plain=2, november__dull=1)
    save(tmp_path / "november" / "unsorted.png")
    layout = LabelledFolder(tmp_path, normal="plain")
    assert dict(layout.kinds) == {"plain": 4, "dull": 1, ".": 1}


def test_pictures_beside_labelled_folders_have_no_label_by_a_word_in_the_name_above(tmp_path):
    make(tmp_path, goods_in__OK=2, goods_in__NG=1, goods_in=3)
    assert dict(LabelledFolder(tmp_path).kinds) == {"OK": 2, "NG": 1, ".": 3}


@pytest.mark.parametrize(
    "folders",
    [
        {"pass__nok": 2},
        {"OK__normal": 2, "NG__normal": 1, "NG__abnormal": 1},
        {"pass__ok_left": 1, "pass__nok_left": 1},
    ],
)
def test_names_that_contradict_each_other_are_refused(tmp_path, folders):
    layout = LabelledFolder(make(tmp_path, **folders))
    assert not layout.is_labelled
    for use in (lambda: layout.train, layout.check_labelled):
        with pytest.raises(InputError, match=r"contradict each other.*--normal NAME"):
            use()


def test_pictures_to_learn_in_a_folder_with_the_name_of_a_defect_are_said(tmp_path):
    notes = LabelledFolder(make(tmp_path, OK__bad_light=2, OK__good_light=3, NG=1)).doubts()
    assert any("2 of 5 pictures to learn lie in folders such as 'OK/bad_light'" in note for note in notes)


def test_pictures_under_ambiguous_names_are_neither_learned_nor_measured(tmp_path):
    layout = LabelledFolder(make(tmp_path, OK=2, NG=1, false_ok=4))
    assert {file.parent.name for file in layout.train.files} == {"OK"}
    assert "leaves out those in 'false_ok' (4), 'NG' (1)" in layout.doubts()[0]
    pictures, anomalous = layout.labelled_pictures()
    assert (len(pictures), anomalous.sum()) == (3, 1)
    words = layout.unlabelled_words(np.array(["OK", "NG", "false_ok", "."]))
    assert words.startswith("1 picture outside of the folders with labels and pictures in folders whose names")
    assert words.endswith("'false_ok' (1)")
    named = LabelledFolder(tmp_path, normal="OK")  # now all others are defective
    assert named.labelled_pictures()[1].sum() == 5


def test_a_word_within_a_name_alone_says_what_is_normal_with_a_warning(tmp_path):
    layout = LabelledFolder(make(tmp_path, fine_pitch=2, coarse_pitch=2))
    with pytest.warns(UserWarning, match="pictures in 'fine_pitch' count as normal, by a word in the name"):
        layout.check_labelled()


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({"OK": 3, "NG": 2}, {"OK"}),
        ({"good": 3, "Bad": 2, "scratch": 1}, {"good"}),
        ({"normal": 3, "defect": 2}, {"normal"}),
        ({"Pass": 3, "FAIL": 2}, {"Pass"}),
        ({"i.O.": 3, "n.i.O.": 2}, {"i.O."}),
        ({"line1__OK": 2, "line1__NG": 2, "line2__ok": 2}, {"line1/OK", "line2/ok"}),
        ({"train__good": 3, "test__good": 2, "test__hole": 2, "ground_truth__hole": 2}, {"train/good"}),
        ({"train__ok_front": 3, "train__def_front": 2, "test__ok_front": 2}, {"train/ok_front"}),
        ({"train": 3, "test__good": 2, "test__bad": 1}, {"train"}),
        ({"Data__Images__Normal": 3, "Data__Images__Anomaly": 2, "Data__Masks__Anomaly": 2}, {"Data/Images/Normal"}),
        ({"OK": 3}, {"OK"}),
    ],
)
def test_only_normal_pictures_are_learned(tmp_path, folders, expected):
    assert learned(make(tmp_path, **folders)) == expected
    folder, _ = PictureSource(tmp_path, part="train").to_learn(None, whole=False, skip=False)
    assert len(folder) == sum(len(ImageFolder(tmp_path / name)) for name in expected)
    assert not folder.has_size  # a detector reads them at its own size


def test_what_is_left_out_is_said_with_numbers(tmp_path):
    make(tmp_path, OK=3, NG=2)
    (note,) = LabelledFolder(tmp_path).doubts()
    assert "training takes 3 normal pictures in 'OK' and leaves out those in 'NG' (2)" in note


@pytest.mark.parametrize(
    ("folders", "chosen", "expected"),
    [
        ({"0": 3, "1": 2}, "0", {"0"}),
        ({"Positive": 3, "Negative": 2}, "negative", {"Negative"}),
        ({"NG": 2, "lot1": 3}, "lot1", {"lot1"}),
        ({"scratch": 2, "dent": 1, "plain": 2}, "plain", {"plain"}),
    ],
)
def test_it_is_asked_which_are_normal_if_names_do_not_say_it(tmp_path, folders, chosen, expected):
    make(tmp_path, **folders)
    with pytest.raises(InputError, match="--normal NAME"):
        learned(tmp_path)
    assert learned(tmp_path, normal=chosen) == expected


def test_pictures_beside_a_folder_of_defects_are_chosen_by_a_dot(tmp_path):
    make(tmp_path, NG=2)
    save(tmp_path / "1.png")
    with pytest.raises(InputError, match="--normal"):
        learned(tmp_path)
    assert learned(tmp_path, normal=".") == {"."}


def test_unknown_folders_are_learned_whole_with_a_warning(tmp_path):
    make(tmp_path, lot1=3, lot2=2)
    assert learned(tmp_path) == {"lot1", "lot2"}
    (note,) = LabelledFolder(tmp_path).doubts()
    assert "'lot1' (3), 'lot2' (2) are all learned as normal" in note
    with pytest.raises(InputError, match=r"no folder 'lot3' with pictures\. Did you mean 'lot[12]'"):
        learned(tmp_path, normal="lot3")


def test_masks_are_no_pictures_and_belong_to_their_pictures(tmp_path):
    make(tmp_path, train__good=2, test__good=2, test__hole=3)
    save_mask(tmp_path / "ground_truth" / "hole" / "0_mask.png")
    save_mask(tmp_path / "ground_truth" / "hole" / "1_gt.bmp")
    layout = LabelledFolder(tmp_path)
    assert len(layout.files) == 7
    masks = [layout.mask_of(file) for file in layout.test.files if layout.kind_of(file) == "hole"]
    assert [None if mask is None else int(mask.sum()) for mask in masks] == [6, 6, None]  # the last has none
    good = next(file for file in layout.test.files if layout.kind_of(file) == "good")
    assert not layout.mask_of(good).any()


def test_masks_of_the_name_of_a_photograph_are_found_and_other_copies_are_pictures(tmp_path):
    """As in the original magnetic tiles, whose good ones have black masks."""
    rng = np.random.default_rng(0)
    for number in range(7):
        for folder in ("MT_Free", "MT_Break"):
            save(tmp_path / folder / "Imgs" / f"{number}.jpg", 100 + number)
        save(tmp_path / "MT_Free" / "Imgs" / f"{number}.png", 0)
        save_mask(tmp_path / "MT_Break" / "Imgs" / f"{number}.png")
        save(tmp_path / "copies" / f"{number}.jpg", 150)
        Image.fromarray(rng.integers(0, 255, (8, 6), dtype=np.uint8)).save(tmp_path / "copies" / f"{number}.png")
    layout = LabelledFolder(tmp_path)
    assert {file.suffix for file in layout.files if file.parts[-2] == "Imgs"} == {".jpg"}
    assert sum(file.parent.name == "copies" for file in layout.files) == 14
    assert int(layout.mask_of(tmp_path / "MT_Break" / "Imgs" / "3.jpg").sum()) == 6


def test_masks_beside_pictures_and_several_of_one_picture_are_found(tmp_path):
    make(tmp_path, good=2, bad=2)
    save_mask(tmp_path / "bad" / "0_label.bmp")
    pixels = np.zeros((8, 6), np.uint8)
    for row in (1, 2):
        pixels[:] = 0
        pixels[row] = 255
        (tmp_path / "masks" / "bad" / "1").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "masks" / "bad" / "1" / f"00{row}.png")
    layout = LabelledFolder(tmp_path)
    assert len(layout.files) == 4
    assert [int(layout.mask_of(tmp_path / "bad" / f"{n}.png").sum()) for n in (0, 1)] == [6, 12]


@pytest.mark.parametrize("mask", ["train/{}_GT.png", "train/Label/{}_label.png"])
@pytest.mark.parametrize("marked_only", [True, False])
def test_pictures_whose_masks_mark_defects_are_not_learned(tmp_path, mask, marked_only):
    make(tmp_path, train=6)
    for number in range(6):
        file = tmp_path / mask.format(number)
        if number < 2:
            save_mask(file)
        elif not marked_only:  # as in KolektorSDD2, where good pictures have black masks; in DAGM they have none
            save(file, 0)
    layout = LabelledFolder(tmp_path)
    assert [file.name for file in layout.train.files] == [f"{number}.png" for number in range(2, 6)]
    assert "training leaves out 2 of 6 pictures, whose masks mark defects" in layout.doubts()[0]
    with pytest.warns(UserWarning, match="masks say which pictures are defective.* 2 of 6 pictures"):
        pictures, anomalous = LabelledFolder(tmp_path).labelled_pictures()
    assert [pictures.files[number].stem for number in np.flatnonzero(anomalous)] == ["0", "1"]


def test_masks_of_normal_pictures_that_mark_something_are_said(tmp_path):
    make(tmp_path, all__plain=2, labelled__OK=2, labelled__NG=1)
    for name in ("all/plain/0", "all/plain/1", "labelled/OK/1", "labelled/NG/0"):
        save_mask(tmp_path / f"{name}_mask.png")
    every = LabelledFolder(tmp_path / "all")  # these mark the part rather than a defect
    assert len(every.train.files) == 2
    assert any("2 of 2 pictures to learn have a mask that marks something" in note for note in every.doubts())
    with pytest.raises(InputError, match="has no labels"):
        every.check_labelled()
    folder = LabelledFolder(tmp_path / "labelled")
    assert len(folder.train.files) == 2  # as their folder says
    first, second, _ = folder.doubts()
    assert "leaves out those in 'NG' (1)" in first
    assert "1 of 2 pictures to learn have a mask that marks something" in second
    assert "OK/1.png" in second


def test_masks_belong_to_the_pictures_of_their_part(tmp_path):
    make(tmp_path, train=3, test=3)
    save_mask(tmp_path / "train" / "Label" / "0_label.png")
    save_mask(tmp_path / "test" / "Label" / "1_label.png")
    save_mask(tmp_path / "ground_truth" / "2_mask.png")  # in no part: of the test, as in MVTec AD
    layout = LabelledFolder(tmp_path)
    has_mask = {part: [layout.mask_of(file) is not None for file in layout.of_part(part).files] for part in PARTS}
    assert has_mask == {"train": [True, False, False], "test": [False, True, True]}


def test_a_black_mask_in_a_jpeg_marks_nothing(tmp_path):
    make(tmp_path, train=2)
    save(tmp_path / "train" / "0_mask.jpg", 3)  # lossy coding makes black pixels a little brighter
    assert len(LabelledFolder(tmp_path).train.files) == 2


def spot(size: tuple[int, int] = (8, 6), value: int = 255, around: int = 0) -> np.ndarray:
    """A mask of a spot of 4 pixels."""
    pixels = np.full(size, around, np.uint8)
    pixels[3:5, 2:4] = value
    return pixels


def classes() -> np.ndarray:
    """A mask of class 1 in a defect of 30 x 20 pixels, and 255 around it, as in PASCAL VOC."""
    pixels = np.zeros((40, 30), np.uint8)
    pixels[4:36, 4:26] = 255
    pixels[5:35, 5:25] = 1
    return pixels


def faint(levels: int) -> np.ndarray:
    """A mask of a spot in noise of some nearly black levels."""
    noise = np.random.default_rng(0).integers(0, levels, (40, 30), dtype=np.uint8)
    noise[20:23, 10:14] = 255
    return noise


FAINT = spot(around=0) | np.tile([[0], [1]], (4, 6)).astype(np.uint8)  # every second row is nearly black


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (spot(), None),
        (spot((16, 12)), "another size, and counts as scaled"),
        (spot((8, 8)), "another shape"),
        (spot((6, 8)), "another shape"),
        (255 - spot(), "marks the whole border"),
        (spot(value=2, around=1), "marks the whole border"),
        (np.stack([np.full((8, 6), 255, np.uint8), *[255 - spot()] * 2], -1), "marks the whole border"),  # red on white
        (FAINT, "noise that is nearly black"),
        (faint(2), "noise that is nearly black"),
        (faint(3), "noise that is nearly black"),
        (classes(), "another size, and counts as scaled"),
        (spot(value=0), "marks nothing"),
        (None, "without a mask"),
    ],
)
def test_masks_that_cannot_be_right_are_not_measured_against(tmp_path, mask, why):
    make(tmp_path, good=1)
    save(tmp_path / "bad" / "0.png")
    if mask is not None:
        (tmp_path / "masks" / "bad").mkdir(parents=True)
        Image.fromarray(mask).save(tmp_path / "masks" / "bad" / "0.png")
    found, doubt = LabelledFolder(tmp_path).measurable_mask(tmp_path / "bad" / "0.png")
    assert doubt is None if why is None else why in doubt
    assert (found is None) == (why is not None and "scaled" not in why)


def test_a_mask_of_a_picture_before_its_exif_rotation_has_another_shape(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    make(tmp_path, good=1)
    save(tmp_path / "bad" / "0.jpg", exif=exif)
    save_mask(tmp_path / "bad" / "0_mask.png")
    found, doubt = LabelledFolder(tmp_path).measurable_mask(tmp_path / "bad" / "0.jpg")
    assert found is None
    assert "EXIF" in doubt


def test_a_mask_of_a_normal_picture_does_not_count_and_is_said(tmp_path):
    make(tmp_path, good=2, bad=1)
    save_mask(tmp_path / "good" / "0_mask.png")
    layout = LabelledFolder(tmp_path)
    found, doubt = layout.measurable_mask(tmp_path / "good" / "0.png")
    assert not found.any()
    assert "marks something" in doubt
    assert layout.measurable_mask(tmp_path / "good" / "1.png")[1] is None


def test_a_mask_in_the_alpha_channel_is_read(tmp_path):
    make(tmp_path, good=1, bad=2)
    for number, grey in enumerate((0, 255)):
        pixels = np.full((8, 6, 4), grey, np.uint8)
        pixels[..., 3] = 0
        pixels[3, :, 3] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "masks" / f"bad_{number}.png")
        save(tmp_path / "bad" / f"bad_{number}.png")
    layout = LabelledFolder(tmp_path)
    assert [int(layout.mask_of(tmp_path / "bad" / f"bad_{n}.png").sum()) for n in (0, 1)] == [6, 6]


@pytest.mark.parametrize("value", [0, 3, 255])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16", "I", "F", "CMYK"])
def test_a_mask_marks_something_if_its_region_does(tmp_path, mode, suffix, value):
    make(tmp_path, bad=1, other=1)
    picture = Image.fromarray(spot((16, 12), value)).convert("I" if mode == "I;16" else mode)
    (tmp_path / "masks" / "bad").mkdir(parents=True)
    try:
        picture.convert(mode).save(tmp_path / "masks" / "bad" / f"0.{suffix}")
    except (OSError, ValueError):
        pytest.skip("Pillow writes no such file")
    layout = LabelledFolder(tmp_path)
    file = tmp_path / "bad" / "0.png"
    assert layout._masks.marked(layout.files) == ([file] if layout._masks.of(file).region.any() else [])


def test_grey_masks_are_searched_for_marks_in_threads_and_without_conversion(tmp_path, monkeypatch):
    make(tmp_path, train=6)
    for number in range(6):
        Image.fromarray(spot(value=255 * (number < 2))).save(tmp_path / "train" / f"{number}_mask.png")
    threads = set()

    def opened(file, use):
        threads.add(threading.current_thread().name.partition("_")[0])
        return read_picture(file, use)

    monkeypatch.setattr("anogan.sources.masks.read_picture", opened)
    layout = LabelledFolder(tmp_path)
    monkeypatch.setattr(Image.Image, "convert", None)
    assert [file.name for file in layout.train.files] == [f"{number}.png" for number in range(2, 6)]
    assert threads == {"anogan-decode"}


def test_a_folder_of_masks_alone_holds_pictures(tmp_path):
    make(tmp_path, masks=2)
    assert len(LabelledFolder(tmp_path).files) == 2


def test_names_of_files_can_begin_or_end_with_what_the_pictures_are():
    defective = ("NG_007", "NG007", "not_ok_1", "n.i.O._003", "cast_def_0_12", "0003-scratch")
    normal = ("OK_001", "cast_ok_0_1", "i.O. 12", "good")
    unknown = ("000", "IMG_0001", "exp1_num_10334", "left_crack_camera", "part_7", "")
    for names, meaning in ((defective, False), (normal, True), (unknown, None)):
        assert {name: file_means_normal(name) for name in names} == dict.fromkeys(names, meaning)


def test_pictures_with_names_of_defective_ones_are_said(tmp_path):
    for number in range(6):
        save(tmp_path / "flat" / f"{'NG' if number < 2 else 'OK'}_{number}.png")
    flat = LabelledFolder(tmp_path / "flat")
    (note,) = flat.doubts()
    assert "2 of 6 pictures have names that begin or end like those of defective ones, such as 'NG_0.png'" in note
    assert normal_pictures(ImageFolder(flat.files))[1][0].startswith("pictures to learn: 2 of 6 pictures have names")
    (note,) = LabelledFolder(tmp_path / "flat", files=flat.files[:2]).doubts()
    assert "2 of 2 pictures have names" in note
    for number in range(2):
        save(tmp_path / "labelled" / "OK" / f"{number}_fail.png")
    assert LabelledFolder(tmp_path / "labelled").doubts() == []  # their folder says what they are


def test_files_beside_unlabelled_pictures_that_can_hold_labels_are_said(tmp_path):
    make(tmp_path, img=2)
    (tmp_path / "labels.csv").write_text("file,label\n")
    assert "if .csv files there say which pictures are defective" in LabelledFolder(tmp_path).doubts()[-1]
    (tmp_path / "img").rename(tmp_path / "good")
    assert not any("say which pictures are defective" in note for note in LabelledFolder(tmp_path).doubts())


def test_files_that_are_not_read_are_counted_by_reason(tmp_path):
    for suffix in ("jfif", "jpe", "gif", "jp2", "ppm", "tga", "PNG"):
        save(tmp_path / f"read.{suffix}", format="jpeg" if suffix in ("jfif", "jpe") else None)
    for name in ("a.heic", "b.dcm", "c.txt", "d", "Thumbs.db", ".DS_Store", ".e.png"):
        (tmp_path / name).write_text("")
    save(tmp_path / ".cache" / "f.png")
    save(tmp_path / "__MACOSX" / "g.png")
    (tmp_path / "h.png").symlink_to(tmp_path / "nowhere.png")
    found = find_pictures(tmp_path)
    assert len(found.files) == 7
    assert [ImageFolder([file]).decode(0).shape for file in found.files] == [(1, 64, 64)] * 7
    words = {"in a hidden folder": 2, "hidden": 1, ".txt": 1, "without a suffix": 1, "by a link that leads nowhere": 1}
    assert {reason: count for reason, count in found.left_out.items() if "must be converted" not in reason} == words
    assert sum(found.left_out.values()) == 8
    (note,) = LabelledFolder(tmp_path).doubts()
    assert "1 .heic (HEIC, which must be converted to PNG or TIFF first)" in note


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    (tmp_path / "a.dcm").write_text("")
    with pytest.raises(InputError, match=r"holds no pictures .* It holds 1 \.dcm \(DICOM"):
        ImageFolder(tmp_path)


def test_linked_folders_are_read_once_and_circles_end(tmp_path):
    make(tmp_path, real=2)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "set" / "twice").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "circle").symlink_to(tmp_path / "set", target_is_directory=True)
    found = find_pictures(tmp_path / "set")
    assert [file.parent.name for file in found.files] == ["linked", "linked"]
    assert found.left_out["in a folder that is linked twice"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_read_and_written_as_text(tmp_path):
    folder = os.fsencode(tmp_path) + b"/OK \xe4"
    os.mkdir(folder)
    save(tmp_path / "plain.png")
    os.rename(tmp_path / "plain.png", folder + b"/\xff.png")
    source = PictureSource(tmp_path, part="train")
    assert [source.name_of(file) for file in source.pictures.files] == ["OK \\xe4/\\xff.png"]
    str(source.layout.doubts()).encode()


def test_the_parts_of_a_source_and_its_labels(tmp_path):
    make(tmp_path, train__good=2, test__good=2, test__hole=3)
    (chunk,) = PictureSource(tmp_path, part="test").chunks(10)
    assert chunk.names[0] == "good/0.png"
    assert chunk.labels.tolist() == ["good"] * 2 + ["hole"] * 3
    (chunk,) = PictureSource(tmp_path / "test").chunks(10)
    assert chunk.labels.tolist() == ["good"] * 2 + ["hole"] * 3
