"""Pictures, in arrays or in folders, brought to [-1, 1]."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import InputError
from ..files.threads import ordered_map
from ..sources.camera import Frame, frame_pixels
from ..sources.images import ImageFolder, as_fraction, evenly_spaced
from ..sources.notes import FileNote, Note
from .picture_traits import PictureTraits, count_pages, mixed_shapes, page_notes, seen_as, seen_in
from .preprocessor import Preprocessor
from .range_counter import Beyond
from .scaling import inverse_symlog, symlog
from .spec import SampleSpec
from .state import State, StateReader
from .tint import LEARNED, SEEN, Tint, seen_of

if TYPE_CHECKING:
    import torch

    from .samples import Samples

_RANGE_SAMPLED = 2000
_GLANCED = 16  # one in so many pictures is decoded, or looked at, to compare its colours
ReadPicture = np.ndarray | Frame
"""Pixels (C, H, W), uint8 or fractions, or a picture whose tiles are scored."""
FULL_RANGE = {"uint8": 255.0, "uint16": 65535.0}
FOLDER = "folder"
_SOURCES = rf"{FOLDER}|bool|u?int(8|16|32|64)|float(16|32|64|128)|[<>][iuf](2|4|8)"
_LONGEST_SIDE = 2**20
_MUCH_REDUCED = 4  # times: more is said
_HALF_DEPTH = 1 / 8  # share of the range: pictures that use less have fewer bits than their files


class ImagePreprocessor(Preprocessor):
    """Brings pictures to [-1, 1].

    8-bit pictures are scaled from 0..255; others from the smallest and largest value of the training pictures
    (of up to 2000 evenly spaced ones in a folder), since cameras use a part of their 16 bits. Values beyond
    are not clipped.

    Attributes
    ----------
    shape_ : list of int
        (C, H, W).
    source_ : str
        The dtype of the array it was fitted on, or "folder".
    low_, high_ : float
        Values that become -1 and 1, as fractions of the full range of an integer type.
    tile_ : int or None
        Side of the tiles that pictures of a folder are scored in, see `ImageFolder`.
    traits_ : PictureTraits or None
        What the files of a folder have in common.
    tint_ : Tint or None
        Colours of coloured pictures.
    """

    kind = "image"

    @property
    def spec_(self) -> SampleSpec:
        channels, height, width = self.shape_
        return SampleSpec((channels, height, width), bounded=True)

    def __init__(self) -> None:
        self.notes_: list[FileNote] = []
        self.traits_: PictureTraits | None = None
        self.tint_: Tint | None = None

    def fit(self, X: Any, *, rows: np.ndarray | None = None, sampled: int | None = None) -> Self:
        """Learn shape and value range of pictures (n, C, H, W) or an ImageFolder."""
        self.low_, self.high_ = 0.0, 1.0
        self.tile_ = self.traits_ = self.tint_ = None
        if isinstance(X, ImageFolder):
            self.tile_ = X.tile
            if seen := seen_in(X):
                self.traits_ = PictureTraits.of(seen, X.size)
            self.notes_ = page_notes(count_pages(seen))
            if not X.tile:
                self.notes_ += [*_reduction_notes(X), *mixed_shapes(seen, X.size)]
            self.shape_ = list(X.shape)
            self.source_ = FOLDER
            if X.is_wide():
                chosen = np.arange(len(X)) if rows is None else rows
                chosen = chosen[evenly_spaced(len(chosen), _RANGE_SAMPLED)]
                extremes = list(ordered_map(lambda i: _extremes(as_fraction(X.decode(int(i)))), chosen))
                self.low_ = min(low for low, _ in extremes)
                self.high_ = max(high for _, high in extremes)
            self._learn_tint(X, rows)
            return self
        X = _checked(X)
        self.shape_ = [int(side) for side in X.shape[1:]]
        self.source_ = str(X.dtype)
        if self.source_ != "uint8":
            training = X if rows is None else X[rows]
            full = FULL_RANGE.get(self.source_, 1.0)
            self.low_, self.high_ = float(training.min()) / full, float(training.max()) / full
        self._learn_tint(X, rows)
        return self

    def transform(self, X: Any, dtype: torch.dtype) -> Samples:
        """Pictures -> n samples (C, H, W); a folder's are resized to the model's shape and decoded on demand.

        Raises
        ------
        InputError
            If an array has another shape, or NaN or infinity; if a folder meets a model fitted on arrays of
            floats, whose unit files do not have.
        """
        import torch  # imported here, since exported models are scored without it

        from .samples import FolderSamples, TensorSamples

        shape = tuple(self.shape_)
        if isinstance(X, ImageFolder):
            self._check_takes_files(X)
            folder = X.resized(shape, tile=self.tile_)
            every = np.arange(len(folder))
            if folder.tile is not None:
                from .tiles import TiledSamples

                return TiledSamples(folder, self._from_pixels, every, dtype)
            read = folder.decode if folder.masks is None else folder.masked

            def decode(index: int) -> np.ndarray:
                pixels = read(index)
                self.check_depth(pixels, str(folder.files[index]))
                return pixels

            return FolderSamples(decode, self._from_pixels, every, shape, dtype, folder.identity)
        if self.tile_ is not None:
            raise InputError(
                "The model scores pictures in tiles of their own pixels: give files, as an ImageFolder, or single "
                "pictures to score_picture."
            )
        X = self._checked(X)
        out = torch.empty(X.shape, dtype=dtype)
        # Arrays are in the unit of the fitted array; a folder's model takes any integer type by its range.
        full = FULL_RANGE.get(str(X.dtype) if self.source_ == FOLDER else self.source_, 1.0)
        for start in range(0, len(X), 256):  # a few pictures at a time: no float64 copy of everything
            part = X[start : start + 256].astype(np.float64) / full
            out[start : start + 256] = torch.from_numpy(self._to_model(part))
        return TensorSamples(out)

    def read_picture(self, picture: Any, *, bgr: bool) -> ReadPicture:
        """Return one picture at the model's size, or as it is if it is scored in tiles; see `frame_pixels`.

        Raises
        ------
        InputError
            If it is no such picture, or the model was fitted on an array of floats.
        """
        if self.source_ not in (FOLDER, *FULL_RANGE):
            raise InputError(
                f"The model was fitted on an array of {self.source_}, whose range a picture does not share. Give such "
                "an array to anomaly_score, or fit on an ImageFolder or an array of uint8."
            )
        channels, height, width = self.shape_
        shape = (channels, height, width)
        read = (
            frame_pixels(picture, shape, bgr=bgr) if self.tile_ is None else Frame(picture, shape, self.tile_, bgr=bgr)
        )
        self.check_depth(_resized(read), "The picture")
        return read

    def transform_picture(self, read: ReadPicture, dtype: torch.dtype) -> Samples:
        """One picture that `read_picture` returned -> one sample (1, C, H, W), or its tiles."""
        import torch

        from .samples import TensorSamples

        if isinstance(read, Frame):
            from .tiles import TiledSamples

            return TiledSamples(read, self._from_pixels, np.arange(1), dtype)
        return TensorSamples(torch.from_numpy(self._from_pixels(read)).to(dtype)[None])

    def graph_inputs(self, X: Any) -> dict[str, np.ndarray]:
        """See `Preprocessor.graph_inputs`: (n, H, W, C) integers of a folder, (n, C, H, W) of an array."""
        return next(self.graph_batches(X, sys.maxsize))

    def graph_batches(self, X: Any, at_once: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Preprocessor.graph_batches`.

        Raises
        ------
        InputError
            If the detector would refuse X, pictures have masks, or they are of another type than the graph takes.
        """
        if not isinstance(X, ImageFolder):
            pixels = self._in_graph_type(self._checked(X))
            for first in range(0, len(pixels), at_once):
                yield self._of_graph(pixels[first : first + at_once])
            return
        self._check_takes_files(X)
        if X.masks is not None:
            raise InputError("An exported model takes no masks; score with the model file.")
        folder = X.resized(tuple(self.shape_))
        for first in range(0, len(folder), at_once):
            pictures = []
            for number in range(first, min(first + at_once, len(folder))):
                picture, name = folder.decode(number), str(folder.files[number])
                self.check_depth(picture, name)
                pictures.append(self._of_depth(picture, name))
            yield self._of_graph(np.stack(pictures))

    def picture_inputs(self, read: ReadPicture) -> dict[str, np.ndarray]:
        """Return what an exported graph takes for one picture that `read_picture` returned.

        Raises
        ------
        InputError
            If it has more bits than the graph takes.
        """
        return self._of_graph(self._of_depth(_resized(read), "The picture")[None])

    @property
    def graph_type(self) -> str:
        """The dtype of a graph's pictures: that of the fitted array, or of the files if their values tell it."""
        if self.source_ != FOLDER:
            return self.source_
        return "uint8" if (self.low_, self.high_) == (0.0, 1.0) else "uint16"

    def _in_graph_type(self, X: np.ndarray) -> np.ndarray:
        """Return an array in the type of the graph, which changes no value but floats that are more exact."""
        found = X if self.source_ == FOLDER else X.astype(self.graph_type, copy=False)
        if found.dtype != self.graph_type or (found.dtype.kind != "f" and not np.array_equal(found, X)):
            raise InputError(
                f"The exported graph takes pictures of {self.graph_type}, got {X.dtype}. Convert X, or score with the "
                "model file."
            )
        return found

    def _of_depth(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Return decoded pixels, uint8 or fractions, in the type of the graph."""
        if pixels.dtype == self.graph_type:
            return pixels
        if self.graph_type == "uint8":
            raise InputError(
                f"{name} has more than the 8 bits that the exported graph takes. Convert it to 8 bits, or score with "
                "the model file."
            )
        return np.rint(as_fraction(pixels) * FULL_RANGE[self.graph_type]).astype(self.graph_type)

    def _of_graph(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {"pictures": pixels.transpose(0, 2, 3, 1) if self.source_ == FOLDER else pixels}

    def _checked(self, X: Any) -> np.ndarray:
        """Return an array of pictures of the fitted shape and unit."""
        X = self._of_fitted_shape(X)
        self._check_unit(X)
        return X

    def _of_fitted_shape(self, X: Any) -> np.ndarray:
        X, shape = _checked(X), tuple(self.shape_)
        if X.shape[1:] != shape:
            raise InputError(
                f"X has samples of shape {X.shape[1:]}; the model was fitted on samples of shape {shape} "
                "(C, H, W). Resize them, or fit again; score_picture resizes a camera's frame itself."
            )
        return X

    def _check_takes_files(self, X: ImageFolder) -> None:
        if not len(X):
            raise InputError("X has no pictures.")
        if self.source_ not in (FOLDER, *FULL_RANGE):
            raise InputError(
                f"The model was fitted on an array of {self.source_}; the value range of files in a "
                "folder does not compare to it. Give it an array, or fit on an ImageFolder."
            )
        if X.tile not in (None, self.tile_):
            raise InputError(f"X has tiles of {X.tile} pixels, and the model was fitted with tile={self.tile_}.")

    def count_beyond(self, X: Any) -> dict[str | int, Beyond]:
        """Count the pictures that are unlike those of the fit, by how they are; see `PictureTraits` and `Tint`.

        Raises
        ------
        InputError
            If an array is no array of pictures of the fitted shape.
        """
        counts: dict[str | int, Beyond] = {}
        if not isinstance(X, ImageFolder):
            X = self._of_fitted_shape(X)
        else:
            seen = seen_in(X)
            counts |= count_pages(seen)
            if self.traits_ is not None:
                counts |= self.traits_.count_unlike(seen, self._compared_size)
        if self.tint_ is not None:
            counts |= self.tint_.count_exchanged(self._glance(X, np.arange(0, len(X), _GLANCED)))
        return counts

    def range_notes(self, counts: Mapping[str | int, Beyond]) -> Sequence[Note]:
        """See `page_notes`, `PictureTraits.notes` and `Tint.notes`."""
        unlike = [note for each in (self.traits_, self.tint_) if each is not None for note in each.notes(counts)]
        return [*page_notes(counts), *unlike]

    def picture_notes(self, picture: Any, read: ReadPicture) -> Sequence[Note]:
        """Return a note for each way in which a picture is unlike those of the fit.

        Parameters
        ----------
        picture : path, PIL image, or array (H, W) or (H, W, C)
        read : what `read_picture` returned for it
        """
        seen = [seen_as(picture)]
        counts = count_pages(seen)
        if self.traits_ is not None:
            counts |= self.traits_.count_unlike(seen, self._compared_size)
        if self.tint_ is not None:
            counts |= self.tint_.count_exchanged(self._from_pixels(seen_of(_resized(read)[None])))
        return self.range_notes(counts)

    def _learn_tint(self, X: Any, rows: np.ndarray | None) -> None:
        channels, height, width = self.shape_
        if channels == 3:
            chosen = np.arange(len(X)) if rows is None else rows
            pictures = self._glance(X, chosen[evenly_spaced(len(chosen), LEARNED)])
            self.tint_ = Tint.of(pictures, (height, width)) if len(pictures) else None

    def _glance(self, X: Any, rows: np.ndarray) -> np.ndarray:
        """Return some pictures (k, 3, h, w) in model space, with few pixels; those that cannot be read are left out."""
        if not isinstance(X, ImageFolder):
            full = FULL_RANGE.get(str(X.dtype) if self.source_ == FOLDER else self.source_, 1.0)
            return self._to_model(seen_of(X)[rows].astype(np.float64) / full)
        folder, found = X.resized((3, SEEN, SEEN)), []
        for row in rows:
            with contextlib.suppress(InputError):  # the decoder names them
                found.append(as_fraction(folder.decode(int(row))))
        return self._to_model(np.stack(found)) if found else np.empty((0, 3, SEEN, SEEN))

    @property
    def _compared_size(self) -> tuple[int, int] | None:
        """The (height, width) to which whole pictures are resized; none if tiles keep their size."""
        return None if self.tile_ else (self.shape_[1], self.shape_[2])

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """(n, C, H, W) in model space -> pixels in the fitted array's dtype and unit; [0, 1] for a folder."""
        fraction = (inverse_symlog(np.asarray(x, dtype=np.float64)) + 1.0) / 2.0 * self._span() + self.low_
        if self.source_ == FOLDER:
            return np.clip(fraction, 0.0, 1.0).astype(np.float32)
        dtype = np.dtype(self.source_)
        pixels = fraction * FULL_RANGE.get(self.source_, 1.0)
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            return np.clip(np.rint(pixels), bounds.min, bounds.max).astype(dtype)
        return pixels > 0.5 if dtype.kind == "b" else pixels.astype(dtype)

    def collapse(self, error: np.ndarray) -> np.ndarray:
        """(n, C, H, W) -> the same: one value per pixel and channel."""
        return np.asarray(error, dtype=np.float64)

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return {
            "kind": self.kind,
            "shape": self.shape_,
            "source": self.source_,
            "low": self.low_,
            "high": self.high_,
            "tile": self.tile_ or 0,
            **({} if self.traits_ is None else {"files": self.traits_.to_state()}),
            **({} if self.tint_ is None else {"tint": self.tint_.to_state()}),
        }

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """The fitted preprocessor of a state whose kind was read."""
        self = cls()
        self.shape_ = state.items("shape", 3)
        if [type(side) for side in self.shape_] != [int] * 3 or not all(
            1 <= side <= _LONGEST_SIDE for side in self.shape_
        ):
            raise state.error("shape", self.shape_, f"(C, H, W) with sides from 1 to {_LONGEST_SIDE}")
        self.source_ = state.text("source", pattern=_SOURCES)
        self.low_ = state.number("low")
        self.high_ = state.number("high", low=self.low_)
        self.tile_ = state.integer("tile", 0, _LONGEST_SIDE) or None
        self.traits_ = PictureTraits.from_state(state.child("files")) if state.has("files") else None
        self.tint_ = Tint.from_state(state.child("tint")) if state.has("tint") else None
        return self

    def _from_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._to_model(as_fraction(pixels))

    def check_depth(self, pixels: np.ndarray, name: str) -> None:
        """See `Preprocessor.check_depth`."""
        is_wide = pixels.dtype != np.uint8
        trained_wide = self.source_ == "uint16" or (self.low_, self.high_) != (0.0, 1.0)
        if is_wide and not trained_wide and self.source_ in (FOLDER, "uint8") and 1 / 255 < pixels.max() < _HALF_DEPTH:
            raise InputError(
                f"{name} uses {pixels.max():.2%} of the range of its numbers, as a camera of 12 bits in files of 16 "
                "does, and the model was fitted on pictures of 8 bits. Scale it to 8 bits, or fit on such pictures."
            )
        if not is_wide and trained_wide and self.high_ < _HALF_DEPTH and pixels.max() > 255 * self.high_:
            raise InputError(
                f"{name} has 8 bits, and the model was fitted on pictures of 16 bits that use only {self.high_:.2%} of "
                "their range, so its values cannot be compared. Save it with 16 bits as those."
            )

    def _check_unit(self, X: np.ndarray) -> None:
        """Raise `InputError` if the values of an array are in another unit than those that the model was fitted on."""
        low, high = float(X.min()), float(X.max())
        said = f"X has {X.dtype} values from {low:.4g} to {high:.4g}, and the model was fitted on "
        if self.source_ == FOLDER:
            if X.dtype.kind == "f" and (high > 2 or low < -1):
                raise InputError(f"{said}files, whose values are 0 to 1. Divide X by its full range, or give uint8.")
            if X.dtype.kind in "iu" and str(X.dtype) not in FULL_RANGE:
                raise InputError(f"{said}files. Give uint8, uint16, or floats from 0 to 1.")
        elif (full := FULL_RANGE.get(self.source_)) is not None:
            if X.dtype.kind == "f" and 0 < high <= 1 and self.high_ * full > 1:
                raise InputError(f"{said}{self.source_}. Multiply X by {full:g}.")
            if X.dtype.kind in "iu" and high > full:
                raise InputError(f"{said}{self.source_}. Scale X to 0 to {full:g}.")
        elif X.dtype.kind == "f" and ((high <= 1 < self.high_ / 20) or (high / 20 > 1 >= self.high_)) and low >= 0:
            warnings.warn(
                f"{said}values from {self.low_:.4g} to {self.high_:.4g}: are they in the same unit?",
                UserWarning,
                stacklevel=5,
            )

    def _span(self) -> float:
        return self.high_ - self.low_ or 1.0

    def _to_model(self, fraction: np.ndarray) -> np.ndarray:
        return symlog((fraction - self.low_) / self._span() * 2.0 - 1.0)


def _reduction_notes(folder: ImageFolder) -> list[FileNote]:
    side, reduced = folder.typical_side(), max(folder.size)
    if side <= _MUCH_REDUCED * reduced:
        return []
    seen = (
        f"Pictures are reduced from {side:,.0f} to {reduced} pixels, so that what is smaller than "
        f"{side / reduced:.0f} of their pixels does not fill one pixel."
    )
    ways = "{} scores them in tiles, and {} at a larger size."
    python = ways.format("ImageFolder(tile=...)", "ImageFolder(size=...)")
    return [FileNote(seen, python, ways.format("--tile", "--image-size"))]


def _resized(read: ReadPicture) -> np.ndarray:
    """Return the pixels (C, H, W) of a picture at the model's size, also of one that is scored in tiles."""
    return read.decode(0) if isinstance(read, Frame) else read


def _extremes(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _checked(X: Any) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim != 4:
        raise InputError(
            f"Pictures must be an array (n, C, H, W), got shape {X.shape}; score_picture takes one picture (H, W, C)."
        )
    if 0 in X.shape:
        raise InputError(f"Found array with 0 sample(s) or pixels (shape={X.shape}) while a minimum of 1 is required.")
    if X.dtype.kind not in "buif":
        raise InputError(f"Pictures must be numeric, got dtype {X.dtype}.")
    if X.shape[-1] in (1, 3, 4) and X.shape[1] > 4:
        raise InputError(
            f"X has samples of shape {X.shape[1:]}, which looks like (H, W, C); needed is (C, H, W). "
            "Move the channels first: X.transpose(0, 3, 1, 2)."
        )
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        kind = "NaN" if np.isnan(X).any() else "infinity"
        first = int(np.flatnonzero(~np.isfinite(X).all(axis=(1, 2, 3)))[0])
        raise InputError(f"Input X contains {kind} (first in sample {first}).")
    return X
