"""Folders of pictures whose inner folders say which pictures are normal, and what to train on and to test."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.writing import as_text
from ..wording import counted
from .class_names import are_opposites, file_means_normal, holds_masks, is_class_name, is_neutral, means_normal, part_of
from .folder_labels import OUTSIDE, FolderLabels
from .images import ImageFolder
from .labels import closest
from .masks import Masks, without_masks
from .picture_files import FoundPictures, find_pictures, left_out_words

_BY_MASKS = ("good", "defective")
_MAY_HOLD_LABELS = frozenset({".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".xls", ".xml", ".parquet"})
_LISTED = 10
_FILES_LISTED = 5


class LabelledFolder:
    """A folder of pictures, with labels if the names of the folders in it say which pictures are normal.

    ``OK`` and ``NG``, ``good`` and ``scratch``, ``normal`` and ``defect``, ``i.O.`` and ``n.i.O.`` and the like are
    recognised in any case and at any depth, and so are folders for training and testing. The layout of MVTec AD is one
    of these: ``train/good``, ``test/good``, ``test/<kind of defect>``, ``ground_truth/<kind>/<name>_mask.png``. Names
    such as ``false_ok`` leave open which their pictures are: these are neither learned nor measured.

    Parameters
    ----------
    path : path
        The folder, or a single picture.
    normal : str, optional
        The name of the folders of normal pictures, if their names do not say it; "." for the pictures outside of the
        other folders.
    size : int or (height, width), optional
        Size to which pictures are resized.
    files : list of Path, optional
        The pictures in the folder that count; by default all.

    Attributes
    ----------
    kinds : Counter
        Label -> number of pictures. The label is a folder's name, or `OUTSIDE`.
    normal_kinds : list of str
        The labels of normal pictures; empty if they are not known.
    left_out : Counter
        Why other files are not read, and how many.

    Raises
    ------
    InputError
        If there are no pictures, or there is no folder called `normal`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        normal: str | None = None,
        size: int | tuple[int, int] | None = None,
        files: list[Path] | None = None,
    ) -> None:
        self.path, self._size, self.normal = Path(path), size, normal
        self.root = self.path.parent if self.path.is_file() else self.path
        found = find_pictures(self.path) if files is None else FoundPictures(files)
        self.left_out = found.left_out
        self.files, masks = without_masks(found.files, self.root)
        self._defective: frozenset[Path] = frozenset()  # by their masks, if folders do not say it
        self._folders: dict[Path, tuple[str | None, tuple[str, ...]]] = {}
        self._labels = FolderLabels({self._place(file)[1] for file in self.files}, normal)
        self.kinds = Counter(self.kind_of(file) for file in self.files) if self._labels else Counter()
        self.normal_kinds = [kind for kind in self.kinds if self._labels.means_normal(kind)]
        if normal is not None and not self.normal_kinds:
            names = sorted({name for file in self.files for name in self._place(file)[1]})
            raise InputError(f"{self._name} has no folder '{normal}' with pictures.{closest(normal, names)}")
        self._masks_found = len(masks)
        self._masks = Masks(masks, self.files, self._place)

    @cached_property
    def train(self) -> ImageFolder:
        """Normal pictures to fit on: those of the training part if there is one.

        If folders do not say which of them are normal, those with a mask that marks something are left out, unless all
        have one.

        Raises
        ------
        InputError
            If the names of the folders say that there are defective pictures, but not which ones are normal; or a mask
            cannot be read.
        """
        part = self._of_part("train")
        if not self.normal_kinds:
            self._check_not_doubtful(part)
            return self._pictures(self._unmarked(part))
        labels = {self.kind_of(file) for file in part}
        if labels == {OUTSIDE} or not (
            labels & set(self.normal_kinds) or any(means_normal(k) is False for k in labels)
        ):
            return self._pictures(self._unmarked(part))  # only the test part has labels
        chosen = [file for file in part if self.kind_of(file) in self.normal_kinds]
        if not chosen:
            raise InputError(f"{self._name} has no normal pictures to learn from; it has {self._listed(part)}.")
        return self._pictures(chosen)

    @cached_property
    def test(self) -> ImageFolder:
        """Pictures to score, normal and defective: those of the test part if there is one."""
        return self.of_part("test")

    def labelled_pictures(self) -> tuple[ImageFolder, np.ndarray]:
        """Return the pictures of all parts that have a label, and which of them are anomalous: bool (n,).

        Raises
        ------
        InputError
            If it is not known which pictures are normal, or all are of one kind.
        """
        self.check_labelled()
        labels = np.array([self.kind_of(file) for file in self.files])
        inside = self.labelled(labels)
        return self._pictures(self.files)[inside], self.anomalous(labels[inside])

    def of_part(self, part: str) -> ImageFolder:
        """Return all pictures of the part "train" or "test"; all of the folder if it is not divided."""
        is_divided = any(self._place(file)[0] == "train" for file in self.files)
        return self._pictures(self._of_part(part) if part == "train" or is_divided else self.files)

    @property
    def is_labelled(self) -> bool:
        """Whether it is known which pictures are normal."""
        return bool(self.normal_kinds)

    @property
    def has_masks(self) -> bool:
        """Whether there are masks."""
        return bool(self._masks)

    def has_folder(self, normal: str | None) -> bool:
        """Return whether pictures lie in a folder of this name, or outside of all folders if it is "."."""
        places = [self._place(file)[1] for file in self.files]
        if normal == OUTSIDE:
            return () in places
        return normal is not None and normal.casefold() in {name.casefold() for place in places for name in place}

    def check_labelled(self) -> None:
        """Raise `InputError` if it is not known which pictures are normal, or the names of folders contradict.

        If folders do not say it, masks do, with a warning: pictures with one that marks something become "defective",
        and all others "good". If only a word within a name says it, as in ``fine_pitch``, there is a warning too.
        """
        self._check_consistent()
        if not self.kinds:
            self._label_by_masks()
        if not self.is_labelled:
            raise InputError(
                f"{self._name} has no labels: none of its folders has a name such as good, OK or normal, which would "
                "say which pictures are normal. Give this name (on the command line with --normal NAME)."
            )
        if self.normal is None and not any(is_class_name(k) or means_normal(k) is False for k in self.kinds):
            warnings.warn(
                f"{self._name}: pictures in {_names(self.normal_kinds)} count as normal, by a word in the name, and "
                "all others as defective. Give the name of the normal ones if this is wrong.",
                stacklevel=3,
            )

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        """Return which labels (n,) say whether the picture is normal: bool (n,)."""
        unknown = [kind for kind in self.kinds if self._labels.is_ambiguous(kind)]
        return np.asarray(((labels != OUTSIDE) | (OUTSIDE in self.normal_kinds)) & ~np.isin(labels, unknown))

    def unlabelled_words(self, labels: np.ndarray) -> str | None:
        """Return which pictures have labels (n,) that do not say whether they are normal, in words; None if all do."""
        unknown = Counter(map(str, labels[~self.labelled(labels)]))
        outside = unknown.pop(OUTSIDE, 0)
        words = [f"{counted(outside, 'picture')} outside of the folders with labels"] if outside else []
        if unknown:
            words.append(f"pictures in folders whose names do not say whether they are normal, {_counts(unknown)}")
        return " and ".join(words) or None

    def anomalous(self, labels: np.ndarray) -> np.ndarray:
        """Return which labels (n,) are not those of normal pictures: bool (n,).

        Raises
        ------
        InputError
            If all pictures are of one kind.
        """
        found = ~np.isin(labels, self.normal_kinds)
        if found.all() or not found.any():
            only = "defective" if found.all() else "normal"
            raise InputError(f"All {len(labels):,} pictures of {self._name} are {only}; both kinds are needed.")
        return found

    def kind_of(self, file: Path) -> str:
        """Return the label of a picture."""
        if self._defective:
            return _BY_MASKS[file in self._defective]
        return self._labels.of(self._place(file)[1])

    def mask_of(self, file: Path) -> np.ndarray | None:
        """Return where a picture is defective, bool (H, W): nowhere if it is normal; None if it has no mask.

        Raises
        ------
        InputError
            If a mask cannot be read.
        """
        if self.kind_of(file) in self.normal_kinds:
            return np.zeros(ImageFolder([file]).original_size(0), dtype=bool)
        mask = self._masks.of(file)
        return None if mask is None else mask.region

    def measurable_mask(self, file: Path) -> tuple[np.ndarray | None, str | None]:
        """Return the mask of a picture to measure its map against, and words for what is doubtful about it.

        The mask, see `mask_of`, is None if it cannot be right: it marks nothing or the whole border of a defective
        picture, or is noise, or has another shape than the picture.

        Raises
        ------
        InputError
            If a mask cannot be read.
        """
        size = ImageFolder([file]).original_size(0)
        if self.kind_of(file) in self.normal_kinds:
            is_marked = bool(self._masks.marked([file]))
            return np.zeros(size, dtype=bool), "whose mask marks something, which does not count" if is_marked else None
        mask = self._masks.of(file)
        if mask is None:
            return None, "without a mask"
        if fault := mask.fault(size):
            return None, f"whose mask {fault}"
        is_full = mask.region.shape == size
        return mask.region, None if is_full else "whose mask has another size, and counts as scaled"

    def doubts(self) -> list[str]:
        """Return what a user who fits on this folder should know of its pictures, as sentences."""
        part, learned = self._of_part("train"), self.train.files
        chosen, notes = set(learned), []
        is_decided = self.kind_of(learned[0]) in self.normal_kinds
        others = Counter(self.kind_of(file) for file in part if file not in chosen)
        if others and not is_decided:
            notes.append(
                f"{self._name}: training leaves out {len(part) - len(learned):,} of {counted(len(part), 'picture')}, "
                "whose masks mark defects, and takes the others as normal."
            )
        elif others:
            normal = sorted({self.kind_of(file) for file in learned})
            notes.append(
                f"{self._name}: training takes {counted(len(learned), 'normal picture')} in {_names(normal)} and "
                f"leaves out those in {_counts(others)}."
            )
        elif not self.normal_kinds:
            names = Counter(self._place(file)[1][0] for file in learned if self._place(file)[1])
            if len(names) > 1 or (names and names.total() < len(learned)):
                notes.append(
                    f"{self._name}: the pictures in {_counts(names)} are all learned as normal. If only some of them "
                    "are, name their folder instead (or on the command line give --normal NAME)."
                )
        places = Counter(self._place(file)[1] for file in learned)
        defective = [place for place in places if self.normal is None and False in map(means_normal, place)]
        if defective:
            count = sum(places[place] for place in defective)
            notes.append(
                f"{self._name}: {count:,} of {counted(len(learned), 'picture')} to learn lie in folders such as "
                f"{_quoted('/'.join(defective[0]))}, and are learned as normal."
            )
        notes += _notes_of_names(self._name, learned, may_be_all=not is_decided)
        if suspicious := self._masks.marked(learned):
            notes.append(
                f"{self._name}: {len(suspicious):,} of {counted(len(learned), 'picture')} to learn have a mask that "
                f"marks something, and are learned as normal: {_files(suspicious, self.root)}. Leave them out if these "
                "masks mark defects."
            )
        is_split = self._place(part[0])[0] == "train"
        if outside := sum(self._place(file)[0] is None or not is_split for file in set(self.files) - set(part)):
            notes.append(
                f"{self._name}: training leaves out {counted(outside, 'picture')} outside of the training part."
            )
        notes += self.left_out_notes(masks=not is_split)
        if not is_decided and (tables := _MAY_HOLD_LABELS & self.left_out.keys()):
            notes.append(
                f"{self._name}: if {' or '.join(sorted(tables))} files there say which pictures are defective, keep "
                "those pictures out of the folder to learn from; the files are not read."
            )
        return notes

    def left_out_notes(self, *, masks: bool = False) -> list[str]:
        """Return a sentence about files that are not read, if there are any, such as masks."""
        left_out = self.left_out + Counter({"masks": self._masks_found * masks})
        if not left_out:
            return []
        return [f"{self._name}: files that are not read as pictures: {left_out_words(left_out)}."]

    def _unmarked(self, files: list[Path]) -> list[Path]:
        """Return the pictures without a mask that marks something; all if each has one, which marks no defect then."""
        marked = set(self._masks.marked(files))
        return [file for file in files if file not in marked] or files

    def _label_by_masks(self) -> None:
        defective = self._masks.marked(self.files)
        if not defective or len(defective) == len(self.files):
            return
        self._defective = frozenset(defective)
        self.kinds = Counter(self.kind_of(file) for file in self.files)
        self.normal_kinds = [_BY_MASKS[False]]
        message = (
            f"{self._name}: masks say which pictures are defective, as no folder does: {len(defective):,} of "
            f"{counted(len(self.files), 'picture')} have one that marks something. All others count as normal."
        )
        warnings.warn(message, stacklevel=3)

    @property
    def _name(self) -> str:
        return as_text(str(self.path))

    def _pictures(self, files: list[Path]) -> ImageFolder:
        pictures = ImageFolder(files, size=self._size)
        pictures.normal = self.normal
        return pictures

    def _of_part(self, part: str) -> list[Path]:
        """Return the pictures of a part, else those that belong to no part, else all."""
        for wanted in (part, None):
            if files := [file for file in self.files if self._place(file)[0] == wanted]:
                return files
        return self.files

    def _place(self, file: Path) -> tuple[str | None, tuple[str, ...]]:
        """Return the part that a file belongs to, and the folders that can say what kind of picture it is."""
        folder = file.parent
        if folder not in self._folders:
            names = folder.relative_to(self.root).parts
            part = next((index for index, name in enumerate(names) if part_of(name)), None)
            kinds = tuple(
                as_text(name)
                for index, name in enumerate(names)
                if index != part and not is_neutral(name) and holds_masks(name) is False
            )
            self._folders[folder] = (None if part is None else part_of(names[part])), kinds
        return self._folders[folder]

    def _check_consistent(self) -> None:
        if self._labels.contradictory is not None:
            raise InputError(
                f"{self._name}: the names of the folders in {_quoted('/'.join(self._labels.contradictory))} contradict "
                "each other. Say which folders hold the normal pictures (on the command line with --normal NAME)."
            )

    def _check_not_doubtful(self, part: list[Path]) -> None:
        self._check_consistent()
        names = {self._place(file)[1][0] for file in part if self._place(file)[1]}
        if self.kinds or are_opposites(names):
            found = self.kinds or Counter(self._place(file)[1][0] for file in part if self._place(file)[1])
            raise InputError(
                f"{self._name} has folders for different kinds of pictures: {_counts(found)}. Say which holds the "
                "normal ones: name this folder itself, or give its name (on the command line with --normal NAME, which "
                "is . for the pictures in none of these)."
            )

    def _listed(self, files: list[Path]) -> str:
        return _counts(Counter(self.kind_of(file) for file in files))


def normal_pictures(folder: ImageFolder) -> tuple[ImageFolder, list[str]]:
    """Return the pictures of a folder to fit on, and what the user should know of them, as sentences.

    Of a folder with labels these are the normal ones. Files that were named one by one are all taken.

    Raises
    ------
    InputError
        See `LabelledFolder.train`.
    """
    if folder.path is None:
        notes = _notes_of_names("pictures to learn", folder.files, may_be_all=False)
        defective = [file for file in folder.files if any(means_normal(name) is False for name in file.parts[:-1])]
        if not defective or len(defective) == len(folder):
            return folder, notes
        name = as_text(defective[0].parent.name)
        return folder, [
            *notes,
            f"{len(defective):,} of {len(folder):,} pictures lie in folders such as '{name}', and are learned.",
        ]
    layout = LabelledFolder(folder.path)
    return folder.only(layout.train.files), layout.doubts()


def _notes_of_names(where: str, files: list[Path], *, may_be_all: bool) -> list[str]:
    """Return a sentence if the names of some files are like those of defective pictures, or of all if this may be."""
    found = [file for file in files if file_means_normal(as_text(file.stem)) is False]
    if not found or (len(found) == len(files) and not may_be_all):
        return []
    return [
        f"{where}: {len(found):,} of {counted(len(files), 'picture')} have names that begin or end like those of "
        f"defective ones, such as '{as_text(found[0].name)}', and are learned as normal. Keep out those that are not."
    ]


def _counts(found: Counter[str]) -> str:
    listed = [f"{_quoted(name)} ({count:,})" for name, count in found.most_common(_LISTED)]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(listed) + more


def _names(names: list[str]) -> str:
    return ", ".join(map(_quoted, names[:_LISTED])) + (f" and {len(names) - _LISTED} more" * (len(names) > _LISTED))


def _files(files: list[Path], root: Path) -> str:
    listed = [as_text(file.relative_to(root).as_posix()) for file in files[:_FILES_LISTED]]
    return ", ".join(listed) + ", ..." * (len(files) > _FILES_LISTED)


def _quoted(name: str) -> str:
    return "none of these" if name == OUTSIDE else f"'{name}'"
