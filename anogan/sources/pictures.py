"""A folder of pictures, plain or in MVTec layout, or a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from .images import EXTENSIONS, ImageFolder
from .mvtec import MVTecFolder
from .source import Chunk, Source
from .writing import as_text

_SKIPPED_LISTED = 20


class PictureSource(Source):
    """A folder of pictures, plain or in MVTec layout, or a single picture.

    Parameters
    ----------
    path : path
    part : {"train", "test"}
        The part of an MVTec layout to read.
    size : int or (height, width), optional
        Size to which pictures are resized; 64 by default.

    Attributes
    ----------
    root : Path
        The names of pictures are relative to it.
    pictures : ImageFolder
    layout : MVTecFolder or None
        Gives the kinds and masks of an MVTec layout.

    Raises
    ------
    InputError
        If there are no pictures.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(sorted(EXTENSIONS))
    kind = "pictures"

    def __init__(self, path: Path, *, part: str = "test", size: int | tuple[int, int] | None = None) -> None:
        self.path, self.name, self._part = Path(path), str(path), part
        given: dict[str, Any] = {} if size is None else {"size": size}
        self.layout = MVTecFolder(self.path, **given) if MVTecFolder.is_at(self.path) else None
        self.root = self.path.parent if self.path.is_file() else self.path
        if self.layout is None:
            self.pictures = ImageFolder([self.path] if self.path.is_file() else self.path, **given)
        elif part == "train":
            self.root, self.pictures = self.path / "train" / "good", self.layout.train
        else:
            self.root, self.pictures = self.path / "test", self.layout.test

    @classmethod
    def open(cls, path: Path, *, part: str, size: int | tuple[int, int] | None) -> Self:
        return cls(path, part=part, size=size)

    @property
    def total(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` pictures at a time; those in the test part of an MVTec layout have their kinds as labels."""
        for first in range(start, len(self.pictures), rows):
            pictures = self.pictures[first : first + rows]
            labels = None
            if self.layout is not None and self._part == "test":
                labels = np.array([as_text(self.layout.kind_of(file)) for file in pictures.files])
            names = [self.name_of(file) for file in pictures.files]
            yield Chunk(first, pictures, names, labels, first + rows)

    def readable(self) -> tuple[ImageFolder, str | None]:
        """Return the pictures that can be read, and a sentence about the others, if there are any.

        Raises
        ------
        InputError
            If no picture can be read.
        """
        pictures, failures = self.pictures.readable()
        skipped = {self.name_of(file): skip_reason(file, reason) for file, reason in failures.items()}
        return pictures, skipped_message(skipped) if skipped else None

    def name_of(self, file: Path) -> str:
        """Return the path of a picture relative to the root, with forward slashes, as text."""
        return as_text(file.relative_to(self.root).as_posix())


def skip_reason(file: Path, reason: str) -> str:
    """Return why a picture was skipped, without the file name that the error message begins with."""
    return reason.removeprefix(f"{file}: ").rstrip(".")


def skipped_message(skipped: dict[str, str]) -> str:
    """Return a sentence that names pictures that were left out, and why."""
    listed = [f"{name} ({reason})" for name, reason in list(skipped.items())[:_SKIPPED_LISTED]]
    more = f" and {len(skipped) - len(listed)} more" if len(skipped) > len(listed) else ""
    return f"skipped {len(skipped)} pictures that cannot be read: {', '.join(listed)}{more}."
