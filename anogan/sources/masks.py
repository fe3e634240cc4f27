"""Masks of defects: which files are masks, which picture each belongs to, and where a picture is defective."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import InputError
from ..files.threads import ordered_map
from .class_names import holds_masks
from .images import read_picture

Place = tuple[str | None, tuple[str, ...]]
_LOSSY_BLACK = 32  # of 255: up to this JPEG can make black pixels brighter
_NEARLY_BLACK = 0.05  # of the brightest pixel
_MOSTLY = 0.8  # share of the marked pixels; at most 0.58 in masks of thin defects that were made smaller
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
_WITHOUT_LOSS = (".png", ".bmp", ".gif", ".tif", ".tiff")
_LOOKED_AT = 5  # files of each folder that show whether they are masks
_TWO_LEVELS, _NEARLY_ALL = 0.1, 0.95  # of the greatest value, and share of the pixels
_MOST_CLASSES = 20
_IN_REGIONS = 0.6  # share of equal neighbours; at most 1/2 in even noise, 3/4 in a long defect two pixels wide
_ENDING = re.compile(r"(.+?)[-_ .](masks?|maske|gt|ground_?truth|labels?|seg|segmentation)([-_]?\d+)?", re.IGNORECASE)


class Mask(NamedTuple):
    """Where a picture is defective, bool (H, W), and whether most of what the mask marks is nearly black, as noise."""

    region: np.ndarray
    is_noisy: bool

    def fault(self, size: tuple[int, int]) -> str | None:
        """Return why this cannot be the mask of a defective picture (height, width), in words, None if it can."""
        border = (self.region[0], self.region[-1], self.region[:, 0], self.region[:, -1])
        if not self.region.any():
            return "marks nothing"
        if not _is_scaled(self.region.shape, size):
            return "has another shape than the picture (after its EXIF rotation)"
        if all(side.all() for side in border):
            return "marks the whole border, as where black and white are exchanged or the background is not black"
        return "is mostly noise that is nearly black" if self.is_noisy else None


def without_masks(files: list[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """Divide the pictures in a folder into pictures and masks.

    Masks lie in a folder such as ``ground_truth`` or ``masks``, or beside a picture under its name with an ending such
    as ``_mask`` or ``_gt``, or, of two levels, as PNG beside a JPEG of the same name, as those of the magnetic tiles
    do (Huang 2018). If all files are such, they are pictures.
    """
    paired = _paired(files)
    folders = {folder: _of_masks(folder.relative_to(root).parts) for folder in {file.parent for file in files}}
    stems = {(file.parent, file.stem.casefold()) for file in files if folders[file.parent] is False}
    names = {stem for _, stem in stems}  # those of all folders, for masks in a folder such as labels
    pictures: list[Path] = []
    masks: list[Path] = []
    for file in files:
        stem = _stem(file)
        ends_so = stem != file.stem.casefold()
        beside = (file.parent, stem) in stems or (folders[file.parent] is None and stem in names)
        is_mask = folders[file.parent] or (ends_so and beside) or file in paired
        (masks if is_mask else pictures).append(file)
    return (pictures, masks) if pictures else (files, [])


class Masks:
    """The masks of the pictures in a folder.

    Parameters
    ----------
    masks, pictures : list of Path
    place_of : function of Path -> (str or None, tuple of str)
        The part of the data set that a file belongs to, and the folders that it lies in and that say what kind of
        picture it is, without those of masks.
    """

    def __init__(self, masks: list[Path], pictures: Sequence[Path], place_of: Callable[[Path], Place]) -> None:
        self._place_of = place_of
        self._known_marks: dict[Path, bool] = {}
        self._files: dict[tuple[str | None, tuple[str, ...], str], list[Path]] = defaultdict(list)
        for file in masks:
            part, kinds = self._place(file)
            self._files[part, kinds, _stem(file)].append(file)
            if kinds:  # several masks of one picture in a folder with its name
                self._files[part, kinds[:-1], kinds[-1]].append(file)
        self._stems: Counter[tuple[str | None, str]] = Counter()  # of each part, and of all pictures under None
        self._tested: set[tuple[tuple[str, ...], str]] = set()
        for file in pictures if masks else ():
            (part, kinds), stem = self._place(file), file.stem.casefold()
            self._stems.update((within, stem) for within in {part, None})
            if part == "test":
                self._tested.add((kinds, stem))

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, picture: Path) -> Mask | None:
        """Return the mask of a picture, which is all its masks together; None if it has none.

        Raises
        ------
        InputError
            If a mask cannot be read; the message names it.
        """
        files = self._files_of(picture)
        if not files:
            return None
        first, *others = [read_picture(file, _read) for file in files]
        region = first.region
        for other in others:
            region = region | (other.region if other.region.shape == region.shape else _at_size(other.region, region))
        return Mask(region, any(mask.is_noisy for mask in (first, *others)))

    def marked(self, pictures: Sequence[Path]) -> list[Path]:
        """Return those of some pictures of which a mask marks something.

        Raises
        ------
        InputError
            If a mask cannot be read; the message names it.
        """
        unknown = [file for file in pictures if file not in self._known_marks]
        found = ordered_map(_any_marks, map(self._files_of, unknown))
        self._known_marks.update(zip(unknown, found, strict=True))
        return [file for file in pictures if self._known_marks[file]]

    def _files_of(self, picture: Path) -> list[Path]:
        """Return the masks of a picture: those in its own part of the data set, else those in no part."""
        (part, kinds), stem = self._place(picture), picture.stem.casefold()
        for within in dict.fromkeys((part, None)):
            if within is None and part == "train" and (kinds, stem) in self._tested:
                break  # as in MVTec AD, where pictures of both parts have the same names, and masks belong to the test
            files = self._files.get((within, kinds, stem), [])
            if not files and self._stems[within, stem] == 1:  # masks of all kinds in one folder
                files = self._files.get((within, (), stem), [])
            if files:
                return files
        return []

    def _place(self, file: Path) -> Place:
        part, kinds = self._place_of(file)
        return part, tuple(name.casefold() for name in kinds)


def _paired(files: Sequence[Path]) -> set[Path]:
    """Return files without loss that have the name of a JPEG beside them, if those of their folder have two levels."""
    photographs = {(file.parent, file.stem.casefold()) for file in files if file.suffix.casefold() in _JPEG}
    beside: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        if file.suffix.casefold() in _WITHOUT_LOSS and (file.parent, file.stem.casefold()) in photographs:
            beside[file.parent].append(file)
    return {
        file
        for found in beside.values()
        if all(map(_has_two_levels, found[:: -(-len(found) // _LOOKED_AT)]))
        for file in found
    }


def _has_two_levels(file: Path) -> bool:
    """Return whether some pixels are black, and nearly all others of the greatest value."""
    try:
        values = np.asarray(read_picture(file, lambda picture: picture.convert("L")))
    except InputError:
        return False
    near = _TWO_LEVELS * float(values.max())
    return (
        bool(values.min() <= near) and float(((values <= near) | (values >= values.max() - near)).mean()) > _NEARLY_ALL
    )


def _is_scaled(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Return whether two shapes (height, width) are proportional up to a pixel."""
    (height, width), (full_height, full_width) = shape, size
    return abs(height - width * full_height / full_width) <= 1 or abs(width - height * full_width / full_height) <= 1


def _of_masks(folders: Sequence[str]) -> bool | None:
    found = [holds_masks(name) for name in folders]
    return True if True in found else None if None in found else False


def _stem(file: Path) -> str:
    """Return the name of the picture that a mask belongs to, in lower case."""
    ending = _ENDING.fullmatch(file.stem)
    return (ending[1] if ending else file.stem).casefold()


def _any_marks(masks: Sequence[Path]) -> bool:
    return any(read_picture(file, _marks) for file in masks)


def _marks(picture: Image.Image) -> bool:
    """Return whether a mask marks something, which the extremes of its pixels say if it is opaque."""
    if picture.has_transparency_data or picture.mode not in ("1", "L", "I;16", "RGB"):
        return bool(_read(picture).region.any())
    return bool(np.max(picture.getextrema()) > (_LOSSY_BLACK if _is_lossy(picture) else 0))


def _is_lossy(picture: Image.Image) -> bool:
    return picture.format in ("JPEG", "MPO")


def _read(picture: Image.Image) -> Mask:
    """Read a mask: it marks pixels that are not black, or where all are black those that are not clear."""
    lossy = _is_lossy(picture)
    clear = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        clear = np.asarray(picture.getchannel("A")) == 0
    values = np.asarray(picture if picture.mode in ("L", "I;16", "I", "F") else picture.convert("RGB"))
    values = values.max(-1) if values.ndim == 3 else values
    brightest = values.max()
    marked = values > max(brightest / 2, _LOSSY_BLACK) if lossy else values > 0
    faint = marked & (values <= _NEARLY_BLACK * brightest)
    is_noisy = bool(faint.sum() > _MOSTLY * marked.sum()) and not _are_classes(values, faint)
    if clear is not None:
        shown = marked & ~clear
        marked = shown if shown.any() else ~clear if clear.any() else shown
    return Mask(np.asarray(marked), is_noisy)


def _are_classes(values: np.ndarray, where: np.ndarray) -> bool:
    """Return whether the values (H, W) are numbers of classes in some pixels, bool (H, W), rather than noise.

    Numbers of classes are few and fill regions; beside them 255 often marks the border of a defect or what is unclear.
    """
    if len(np.unique(values)) > _MOST_CLASSES:
        return False
    beside, below = where[:, :-1], where[:-1]  # pixels that have a neighbour there
    equal = (beside & (values[:, :-1] == values[:, 1:])).sum() + (below & (values[:-1] == values[1:])).sum()
    return bool(equal > _IN_REGIONS * (beside.sum() + below.sum()))


def _at_size(region: np.ndarray, like: np.ndarray) -> np.ndarray:
    height, width = like.shape
    return np.asarray(Image.fromarray(region).resize((width, height), Image.Resampling.NEAREST))
