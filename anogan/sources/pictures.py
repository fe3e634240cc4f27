"""A folder of pictures, with labels or without, or a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from ..files.writing import as_text
from ..wording import counted
from .class_names import part_of
from .images import ImageFolder
from .labelled import LabelledFolder
from .picture_files import EXTENSIONS, FoundPictures, without_maps
from .source import Chunk, Source

_SKIPPED_LISTED = 20


class PictureSource(Source):
    """A folder of pictures, with labels or without, or a single picture.

    Parameters
    ----------
    path : path
    part : {"train", "test"}
        Normal pictures to fit on, or the pictures to score; see `LabelledFolder`.
    size : int or (height, width), optional
        Size to which pictures are resized.
    normal : str, optional
        The name of the folders of normal pictures, if their names do not say it.
    files : list of Path, optional
        The pictures in the folder that are read, without maps that anogan wrote; by default all.

    Attributes
    ----------
    layout : LabelledFolder
        Gives the labels and masks.

    Raises
    ------
    InputError
        If there are no pictures.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(sorted(EXTENSIONS))
    kind = "pictures"

    def __init__(
        self,
        path: Path,
        *,
        part: str = "test",
        size: int | tuple[int, int] | None = None,
        normal: str | None = None,
        files: list[Path] | None = None,
    ) -> None:
        self.path, self.name = Path(path), as_text(str(path))
        self._part, self._size, self._files = part, size, files
        named = FoundPictures([]) if files is None else without_maps(files)
        self.layout = LabelledFolder(self.path, normal=normal, size=size, files=named.files or None)
        self.layout.left_out += named.left_out

    @classmethod
    def open(cls, path: Path, *, part: str, size: int | tuple[int, int] | None) -> Self:
        return cls(path, part=part, size=size)

    def with_normal(self, normal: str | None) -> PictureSource:
        """Return the same pictures, of which those in folders called `normal` are normal."""
        if normal in (None, self.layout.normal):
            return self
        return PictureSource(self.path, part=self._part, size=self._size, normal=normal, files=self._files)

    @property
    def paths(self) -> list[Path]:
        """The folder, or the pictures that were named one by one."""
        return [self.path] if self._files is None else self._files

    @cached_property
    def root(self) -> Path:
        """The folder to which the names of pictures are relative: that of the part, or the whole."""
        root = self.layout.root
        tops = {file.relative_to(root).parts[0] for file in self.pictures.files}
        return root / tops.pop() if len(tops) == 1 and part_of(min(tops)) and root == self.path else root

    @property
    def pictures(self) -> ImageFolder:
        """The pictures that are read."""
        return self.layout.train if self._part == "train" else self.layout.test

    @property
    def names(self) -> list[str]:
        """The names of the pictures, as the chunks have them."""
        return [self.name_of(file) for file in self.pictures.files]

    @property
    def total(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` pictures at a time, with labels if the folder says which pictures are normal."""
        for first in range(start, len(self.pictures), rows):
            pictures = self.pictures[first : first + rows]
            labels = None
            if self.layout.is_labelled and self._part == "test":
                labels = np.array([self.layout.kind_of(file) for file in pictures.files])
            names = [self.name_of(file) for file in pictures.files]
            yield Chunk(first, pictures, names, labels, first + rows)

    def to_learn(self, normal: str | None, *, whole: bool, skip: bool) -> tuple[ImageFolder, list[str]]:
        """Return the pictures to fit on, and what the user should know of them, as sentences.

        Parameters
        ----------
        normal : str or None
            The name of the folders of normal pictures, if their names do not say it.
        whole : bool
            Take all pictures of the part, whatever their labels are.
        skip : bool
            Leave out pictures that cannot be read.

        Raises
        ------
        InputError
            See `LabelledFolder.train`; or no picture can be read.
        """
        layout = self.with_normal(normal).layout
        pictures = layout.of_part(self._part) if whole else layout.train
        notes = [] if whole else layout.doubts()
        if skip:
            pictures, failures = pictures.readable()
            skipped = {self.name_of(file): skip_reason(file, reason) for file, reason in failures.items()}
            notes += [skipped_message(skipped)] if skipped else []
        return pictures, notes

    def name_of(self, file: Path) -> str:
        """Return the path of a picture relative to the root, with forward slashes, as text."""
        return as_text(file.relative_to(self.root).as_posix())


def skip_reason(file: Path, reason: str) -> str:
    """Return why a picture was skipped, without the file name that the error message begins with."""
    return reason.removeprefix(f"{file}: ").removeprefix(f"{file} ").rstrip(".")


def skipped_message(skipped: dict[str, str]) -> str:
    """Return a sentence that names pictures that were left out, and why."""
    listed = [f"{name} ({reason})" for name, reason in list(skipped.items())[:_SKIPPED_LISTED]]
    more = f" and {len(skipped) - len(listed)} more" if len(skipped) > len(listed) else ""
    return f"skipped {counted(len(skipped), 'picture')} that cannot be read: {', '.join(listed)}{more}."
