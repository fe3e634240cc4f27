"""What the files of a fit have in common, so that pictures unlike them are reported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image

from ..errors import InputError
from ..files.threads import ordered_map
from ..sources.images import ImageFolder, has_more_pages, is_grey_by_header, read_picture, upright_size
from ..sources.notes import FileNote
from ..sources.picture_files import is_jpeg
from ..wording import counted
from .range_counter import Beyond
from .state import State, StateReader

JPEG_SHARE = 0.1  # of the files of a fit, below which a model has not learned traces of compression
OTHER_SHAPE = 1.03  # factor of the ratio of width to height: with 5 %, much fewer defects of screws are told apart
MIXED_SHAPES = 1.1  # the same among the pictures of a fit, from the median
OTHER_DETAIL = 0.6  # factor of the share of the model's pixels: two thirds cost little, a half does not
_GREATEST = 1e9  # ratio that is possible


class Seen(NamedTuple):
    """A picture as it was before it is resized.

    Attributes
    ----------
    jpeg, grey : bool
    height, width : int
        In pixels.
    pages : bool
        Whether its file has further pages or frames, which are not read.
    """

    jpeg: bool
    grey: bool
    height: int
    width: int
    pages: bool = False


@dataclass(frozen=True)
class PictureTraits:
    """What the files of a fit have in common.

    Attributes
    ----------
    jpeg : bool
        Whether at least a tenth are JPEG files, by their suffixes.
    coloured : bool
        Whether all are coloured, by their headers.
    narrowest, widest : float
        Ratio of width to height.
    coarsest, finest : float
        Share of the model's pixels along a side that a picture has itself, at most 1: the smaller one of both sides.
    """

    jpeg: bool
    coloured: bool
    narrowest: float
    widest: float
    coarsest: float
    finest: float

    @classmethod
    def of(cls, seen: list[Seen], size: tuple[int, int]) -> Self:
        """Return what pictures have in common that are resized to a size (height, width)."""
        ratios, details = _ratios(seen), _details(seen, size)
        return cls(
            sum(picture.jpeg for picture in seen) >= JPEG_SHARE * len(seen),
            not any(picture.grey for picture in seen),
            *map(float, (ratios.min(), ratios.max(), details.min(), details.max())),
        )

    def to_state(self) -> State:
        """See `Preprocessor.to_state`."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: StateReader) -> Self:
        """What `to_state` wrote."""
        jpeg, coloured = state.flag("jpeg"), state.flag("coloured")
        narrowest, coarsest = state.number("narrowest", 1 / _GREATEST, _GREATEST), state.number("coarsest", 0, 1)
        widest, finest = state.number("widest", narrowest, _GREATEST), state.number("finest", coarsest, 1)
        return cls(jpeg, coloured, narrowest, widest, coarsest, finest)

    def count_unlike(self, seen: list[Seen], size: tuple[int, int] | None) -> dict[str | int, Beyond]:
        """Count the pictures that are unlike those of the fit, by how they are: one of the keys of `notes`.

        Parameters
        ----------
        seen : list of Seen
        size : (height, width) or None
            To which whole pictures are resized; None if they are scored in tiles of their own pixels.
        """
        unlike: dict[str | int, Any] = {
            "jpeg": [picture.jpeg and not self.jpeg for picture in seen],
            "grey": [picture.grey and self.coloured for picture in seen],
        }
        if size is not None:
            ratios, details = _ratios(seen), _details(seen, size)
            unlike |= {
                "shape": (ratios < self.narrowest / OTHER_SHAPE) | (ratios > self.widest * OTHER_SHAPE),
                "coarse": details < self.coarsest * OTHER_DETAIL,
                "fine": details > self.finest / OTHER_DETAIL,
            }
        return {name: Beyond(len(seen), int(np.sum(which))) for name, which in unlike.items()}

    def notes(self, counts: Mapping[str | int, Beyond]) -> list[FileNote]:
        """Return a note for each way in which pictures that `count_unlike` counted are unlike those of the fit."""
        shapes = " to ".join(dict.fromkeys(f"{ratio:.2f}" for ratio in (self.narrowest, self.widest)))
        words = {
            "jpeg": "{are} JPEG, and the model was fitted on hardly any: traces of compression look like defects. Save "
            "pictures as those of the fit, or fit on JPEG files.",
            "grey": "{are} grey, and the model was fitted on coloured ones: what is normal may look unusual, and "
            "another colour is not seen. Take coloured pictures, or fit on grey ones.",
            "shape": f"{{have}} another shape than those of the fit, whose width is {shapes} times their height: "
            "resized to the model's size, what they show is stretched, and may look unusual if it is normal. Crop "
            "pictures as those of the fit, or fit on such pictures.",
            "coarse": "{have} so few pixels that they show less detail than those of the fit: what is normal may look "
            "unusual, and small defects are not seen. Take pictures as large as those of the fit, or fit on such ones.",
            "fine": "{have} more pixels than those of the fit, and show detail that it has not learned. Reduce them to "
            "their size, or fit on such pictures.",
        }
        return [FileNote(_of(counts[name], text)) for name, text in words.items() if name in counts and counts[name][1]]


def seen_in(folder: ImageFolder) -> list[Seen]:
    """Return the files of a folder that can be read; others are left to the decoder, which names them."""

    def attempt(file: Path) -> Seen | None:
        try:
            return _seen_in_file(file)
        except InputError:
            return None

    return [seen for seen in ordered_map(attempt, folder.files) if seen is not None]


def seen_as(picture: Any) -> Seen:
    """Return what is seen of one picture that `frame_pixels` takes.

    A PIL image that was converted has no ``format`` any more that would say that it is JPEG.
    """
    if isinstance(picture, str | os.PathLike):
        return _seen_in_file(Path(picture))
    if isinstance(picture, Image.Image):
        return Seen(picture.format in ("JPEG", "MPO"), is_grey_by_header(picture), *upright_size(picture))
    height, width, *channels = np.shape(picture)
    return Seen(False, channels in ([], [1]), height, width)


def _seen_in_file(file: Path) -> Seen:
    def seen(picture: Image.Image) -> Seen:
        return Seen(is_jpeg(file), is_grey_by_header(picture), *upright_size(picture), has_more_pages(picture))

    found: Seen = read_picture(file, seen)
    return found


def count_pages(seen: list[Seen]) -> dict[str | int, Beyond]:
    """Count the pictures whose files have further pages or frames, for `page_notes`."""
    return {"pages": Beyond(len(seen), sum(picture.pages for picture in seen))}


def page_notes(counts: Mapping[str | int, Beyond]) -> list[FileNote]:
    """Return a note if files have further pages or frames."""
    if not counts.get("pages", (0, 0))[1]:
        return []
    text = "{have} several pages or frames, of which only the first is read. Save each page as a picture of its own."
    return [FileNote(_of(counts["pages"], text))]


def mixed_shapes(seen: list[Seen], size: tuple[int, int]) -> list[FileNote]:
    """Return a note if pictures of a fit have different shapes."""
    ratios = _ratios(seen)
    unlike = np.abs(np.log(ratios / np.median(ratios))) > np.log(MIXED_SHAPES)
    if not unlike.any():
        return []
    height, width = size
    return [
        FileNote(
            f"Pictures have different shapes: their width is {ratios.min():.2f} to {ratios.max():.2f} times their "
            f"height, and for {counted(int(unlike.sum()), 'picture')} of {len(seen):,} it differs by more than "
            f"{MIXED_SHAPES - 1:.0%} from the median. All are resized to {width}x{height} pixels, so that parts are "
            "stretched differently in each. Crop pictures alike if that is possible."
        )
    ]


def _ratios(seen: Iterable[Seen]) -> np.ndarray:
    return np.array([picture.width / picture.height for picture in seen])


def _details(seen: Iterable[Seen], size: tuple[int, int]) -> np.ndarray:
    return np.array([min(picture.height / size[0], picture.width / size[1], 1.0) for picture in seen])


def _of(count: Beyond, text: str) -> str:
    """Return a sentence about the pictures that are unlike those of a fit."""
    if count.values == 1:
        which, several = "The picture", False
    elif count.beyond == count.values:
        which, several = f"All {count.values:,} pictures", True
    else:
        which, several = f"{count.beyond:,} of {count.values:,} pictures", count.beyond > 1
    return f"{which} {text.format(are='are' if several else 'is', have='have' if several else 'has')}"
