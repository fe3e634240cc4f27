"""Large pictures as overlapping tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch

from .samples import FolderSamples, Samples

if TYPE_CHECKING:  # Pillow is imported for pictures only
    from PIL import Image

    from ..sources.images import ImageFolder

OVERLAP = 1 / 8  # of a tile

Box = tuple[int, int, int, int]
"""Left, upper, right and lower border of a tile, in pixels of its picture."""


class TiledSamples:
    """Pictures whose tiles are scored; length, subsets and batches are those of whole, resized pictures.

    Parameters
    ----------
    folder : ImageFolder
        With a ``tile``.
    convert : function of array -> array
        Brings decoded pixels to model space.
    indices : (n,) int
        The numbers of these samples' pictures.
    dtype : torch floating-point type
    """

    unseen = None

    def __init__(
        self,
        folder: ImageFolder,
        convert: Callable[[np.ndarray], np.ndarray],
        indices: np.ndarray,
        dtype: torch.dtype,
        decoder: _TileDecoder | None = None,
    ) -> None:
        self._folder, self._convert, self._dtype = folder, convert, dtype
        self._indices = np.asarray(indices, dtype=np.int64)
        self._decoder = _TileDecoder(folder) if decoder is None else decoder
        self._whole = FolderSamples(folder.decode, convert, self._indices, folder.shape, dtype, folder.identity)

    def __len__(self) -> int:
        return len(self._indices)

    def subset(self, indices: np.ndarray) -> TiledSamples:
        """Only the pictures at `indices`, in that order."""
        return TiledSamples(self._folder, self._convert, self._indices[np.asarray(indices)], self._dtype, self._decoder)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """The pictures at `indices`, resized: (B, C, H, W)."""
        return self._whole.batch(indices)

    def batches(self, index_batches: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """One (B, C, H, W) tensor of resized pictures for each array of indices."""
        return self._whole.batches(index_batches)

    def fingerprint(self) -> str:
        """That of the resized pictures, with the size of tiles."""
        return f"{self._whole.fingerprint()}-{self._folder.tile}"

    def boxes(self, index: int) -> list[Box]:
        """The tiles of a picture, row by row."""
        return self._decoder.boxes(int(self._indices[index]))

    def tiles(self) -> FolderSamples:
        """All tiles of all pictures, in order."""
        numbered = [(int(p), box) for i, p in enumerate(self._indices) for box in self.boxes(i)]
        return FolderSamples(
            lambda tile: self._decoder.decode(*numbered[tile]),
            self._convert,
            np.arange(len(numbered)),
            self._folder.shape,
            self._dtype,
            self.fingerprint,
            release=self._decoder.release,
        )

    def counts(self) -> np.ndarray:
        """The number of tiles of each picture."""
        return np.array([len(self.boxes(i)) for i in range(len(self))])

    def stitch(self, index: int, maps: np.ndarray) -> np.ndarray:
        """Return the map (C, H, W) of a resized picture: the largest value of its tiles' maps (t, C, H, W) there."""
        tiles = self.boxes(index)
        height, width = max(box[3] for box in tiles), max(box[2] for box in tiles)
        result = np.zeros(self._folder.shape)
        for (left, upper, right, lower), tile in zip(tiles, maps, strict=True):
            # Each value of the tile goes to the pixel of the resized picture that its centre lies in.
            rows = _targets(upper, lower, height, tile.shape[1], result.shape[1])
            columns = _targets(left, right, width, tile.shape[2], result.shape[2])
            for channel, values in zip(result, tile, strict=True):
                np.maximum.at(channel, (rows[:, None], columns[None, :]), values)
        return result


def in_tiles(samples: Samples) -> Samples:
    """Return the tiles of `TiledSamples`, and other samples as they are."""
    return samples.tiles() if isinstance(samples, TiledSamples) else samples


def boxes(height: int, width: int, tile: int) -> list[Box]:
    """Return tiles that cover a picture, overlap by `OVERLAP` at least and are evenly spaced."""

    def spans(side: int) -> list[tuple[int, int]]:
        if side <= tile:
            return [(0, side)]
        number = ceil((side - tile * OVERLAP) / (tile * (1 - OVERLAP)))
        return [(int(start), int(start) + tile) for start in np.linspace(0, side - tile, number).round()]

    return [(left, upper, right, lower) for upper, lower in spans(height) for left, right in spans(width)]


def _targets(start: int, stop: int, side: int, values: int, pixels: int) -> np.ndarray:
    centres = start + (np.arange(values) + 0.5) * (stop - start) / values
    return np.minimum((centres * pixels / side).astype(np.int64), pixels - 1)


class _TileDecoder:
    """Decodes tiles; the picture of the last one is kept until all of its tiles are cut, so that it is decoded once.

    Not all are cut if some are cached or not asked for: `release` frees the picture then.

    All subsets of samples have the same decoder, since a large picture fills much memory.
    """

    def __init__(self, folder: ImageFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._boxes: dict[int, list[Box]] = {}
        self._last: tuple[int, Image.Image] | None = None
        self._to_cut = 0  # tiles of the last picture

    def boxes(self, picture: int) -> list[Box]:
        if picture not in self._boxes:
            assert self._folder.tile is not None
            self._boxes[picture] = boxes(*self._folder.original_size(picture), self._folder.tile)
        return self._boxes[picture]

    def decode(self, picture: int, box: Box) -> np.ndarray:
        with self._lock:
            if self._last is None or self._last[0] != picture:
                self._last = None  # frees the memory before the next one is decoded
                self._last = picture, self._folder.upright(picture)
                self._to_cut = len(self.boxes(picture))
            tile = self._folder.cut(picture, self._last[1], box)
            self._to_cut -= 1
            if not self._to_cut:
                self._last = None
            return tile

    def release(self) -> None:
        """Free the picture of the last tile."""
        with self._lock:
            self._last = None
