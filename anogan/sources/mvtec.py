"""Folders of pictures in the layout of MVTec AD, with kinds of defects and masks."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from .images import ImageFolder


class MVTecFolder:
    """A folder of pictures in MVTec layout.

    It holds ``train/good``, ``test/good``, ``test/<kind of defect>`` and ``ground_truth/<kind>/<name>_mask.png``.

    Parameters
    ----------
    path : path
    size : int or (height, width)
        Size to which pictures are resized.

    Raises
    ------
    InputError
        If there is no ``train/good``.
    """

    def __init__(self, path: str | os.PathLike[str], *, size: int | tuple[int, int] = 64) -> None:
        self.path = Path(path)
        self._size = size
        if not self.is_at(self.path):
            raise InputError(
                f"{path} is not in MVTec layout: needed are the folders train/good, test/good and "
                "test/<kind of defect>."
            )

    @staticmethod
    def is_at(path: Path) -> bool:
        """Return whether a folder has this layout."""
        return (path / "train" / "good").is_dir()

    @cached_property
    def train(self) -> ImageFolder:
        """Good pictures to fit on."""
        return ImageFolder(self.path / "train" / "good", size=self._size)

    @cached_property
    def test(self) -> ImageFolder:
        """Pictures to score, good and defective."""
        return ImageFolder(self.path / "test", size=self._size)

    def kind_of(self, file: Path) -> str:
        """Return the folder in ``test`` that holds a picture: "good" or a kind of defect."""
        return file.relative_to(self.path / "test").parts[0]

    def mask_of(self, file: Path) -> np.ndarray | None:
        """Return where a picture in ``test`` is defective, bool (H, W), or None if there are no masks of its kind.

        Raises
        ------
        InputError
            If a defective picture has no mask although there is a folder of masks.
        """
        kind = self.kind_of(file)
        if kind == "good":
            return np.zeros(ImageFolder([file]).original_size(0), dtype=bool)
        folder = self.path / "ground_truth" / kind
        if not folder.is_dir():
            return None
        for candidate in (f"{file.stem}_mask.png", f"{file.stem}.png"):
            if (folder / candidate).is_file():
                with Image.open(folder / candidate) as picture:
                    return np.asarray(picture.convert("L")) > 0
        raise InputError(f"{folder} has no mask {file.stem}_mask.png for the picture {kind}/{file.name}.")
