"""Pictures on disk, decoded on demand."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import InputError
from ..files.threads import ordered_map
from ..wording import counted
from .picture_files import EXTENSIONS, PNG_SIGNATURE, find_pictures

DEFAULT_SIZE = (64, 64)
_HEADERS_SAMPLED = 100
_WHITE = 127  # of 255: brighter pixels of a mask are compared
_OTHER_SHAPE = 1.03  # factor of the ratio of width to height by which a mask may differ from its picture
_GREY_TOLERANCE = 2  # of 255: how far lossy coding may push the channels of a grey picture apart
_PLAUSIBLE_PIXELS = 10_000_000  # a picture may have these, or _PIXELS_PER_BYTE times the bytes of its file
_PIXELS_PER_BYTE = 1000
_DRAFT_RESERVE = 4  # times the size that is needed: what a JPEG has at least after its decoder has reduced it
_LARGE_PIXELS = 4_000_000
_DARK = 32  # of 255: colours of 16 bits that are read with 8 keep less than 5 bits
_LARGE = threading.Lock()
_ORIENTATION = 0x0112
_SUBFILE_TYPE = 0x00FE
_NOT_A_PAGE = 0b101  # of that tag: a reduced copy of another page, or its mask
_SIDEWAYS = (5, 6, 7, 8)
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_ORIENTED = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # keywords of such texts
_PNG_KEYWORD = max(map(len, _PNG_ORIENTED))
_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class ImageFolder(Sequence[np.ndarray]):
    """Pictures on disk as a lazy sequence of float32 arrays (C, H, W) in [0, 1].

    PNG, JPEG, BMP, TIFF, WebP, GIF, AVIF, JPEG 2000, PNM and TGA with 8 or 16 bits, grey, palette or colour. EXIF
    rotation is honoured. Transparency is composed over black. Every picture is resized to `size`: by area averaging
    where both sides shrink, by an antialiased bilinear filter otherwise. JPEG files with sides of at least 8 times the
    longer side of `size` are first reduced by their decoder, which takes half the time; their noise then differs from
    that of the same pixels in memory. Only the first of several pages or frames is read. Pillow reads 16-bit colour
    with 8 bits.

    Parameters
    ----------
    path_or_files : path or iterable of paths
        A folder, searched recursively for such files and sorted by name (linked folders are searched, hidden files and
        folders are not, and maps that anogan wrote are left out); or the files themselves, in the order given.
    size : int or (height, width), optional
        Size to which pictures are resized. By default a detector is fitted at its own `image_size`, and other uses
        read 64x64 pixels.
    masks : path, optional
        A picture that is white where all pictures show what matters, or a folder with such a mask for each picture, of
        the same name and with any of the extensions. Other pixels are black, or transparent; `FeatureGAN` ignores
        them. A mask has the shape of the pictures, in any size.
    tile : int, optional
        Pictures with a longer side are scored in overlapping square tiles of so many of their own pixels, each resized
        to `size`; a picture's score is that of its most unusual tile.

    Attributes
    ----------
    files : list of Path
    path : Path or None
        The folder, if one was given.
    normal : str or None
        What `LabelledFolder` was told that the folders of normal pictures are called.

    Raises
    ------
    InputError
        If the path does not exist or holds no pictures. While reading: if a file cannot be read as a picture, or is
        coloured among grey ones; the message names the file.
    """

    def __init__(
        self,
        path_or_files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        size: int | tuple[int, int] | None = None,
        masks: str | os.PathLike[str] | None = None,
        tile: int | None = None,
    ) -> None:
        self.path: Path | None = None
        if isinstance(path_or_files, (str, os.PathLike)):
            self.path = Path(path_or_files)
            self.files = find_pictures(self.path).files
        else:
            self.files = [Path(file) for file in path_or_files]
        height, width = (size, size) if isinstance(size, (int, np.integer)) else size or DEFAULT_SIZE
        if height < 1 or width < 1:
            raise InputError(f"The size of pictures must be at least 1 x 1, got {size!r}.")
        self.size = (int(height), int(width))
        self.has_size = size is not None
        if tile is not None and tile < max(self.size):
            raise InputError(f"tile must be at least the size of pictures, {max(self.size)}, got {tile}.")
        if tile is not None and masks is not None:
            raise InputError("masks and tile cannot be given together.")
        self.masks = None if masks is None else Path(masks)
        if self.masks is not None and not self.masks.exists():
            raise InputError(f"There is no mask {str(masks)!r}.")
        self.tile = tile
        self._channels: int | None = None
        self.normal: str | None = None

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray) -> ImageFolder: ...
    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray | ImageFolder:
        if isinstance(index, np.ndarray):
            return self.only([self.files[number] for number in np.arange(len(self))[index]])
        if isinstance(index, slice):
            return self.only(self.files[index])
        return as_fraction(self.decode(index))

    def __repr__(self) -> str:
        return f"ImageFolder({counted(len(self), 'file')}, size={self.size})"

    @property
    def channels(self) -> int:
        """Number of channels: 3 if the header of any of up to 100 evenly spaced files says colour, else 1."""
        if self._channels is None:
            self._channels = self._channels_by_header()
        return self._channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of every picture as it is read."""
        return (self.channels, *self.size)

    def decode(self, index: int) -> np.ndarray:
        """Return one picture (C, H, W): uint8, or float32 in [0, 1] where the file has 16 bits."""
        return read_picture(self.files[index], lambda picture: _decoded(picture, self.shape))

    def masked(self, index: int) -> np.ndarray:
        """Return one picture as float32 (C, H, W) in [0, 1], with NaN outside of its region."""
        pixels, region = as_fraction(self.decode(index)), self.region(index)
        return pixels if region is None else np.where(region, pixels, np.float32(np.nan))

    def region(self, index: int) -> np.ndarray | None:
        """Return where a picture shows what matters, bool (H, W), or None if there are no masks.

        Raises
        ------
        InputError
            There is no mask of this name, it cannot be read, is coloured, has another shape than the picture, or is
            black everywhere; or the one mask of all pictures is white everywhere.
        """
        if self.masks is None:
            return None
        file = mask_file(self.masks, self.files[index])
        whiteness, size = read_picture(file, lambda mask: (_whiteness(mask, self.size), upright_size(mask)))
        height, width = self.original_size(index)
        if abs(math.log(size[1] / size[0] * height / width)) > math.log(_OTHER_SHAPE):
            raise InputError(
                f"{file}: the mask has {size[1]}x{size[0]} pixels, which is another shape than the {width}x{height} of "
                f"{self.files[index]}, so that it would be stretched. Draw a mask on a whole picture."
            )
        region: np.ndarray = whiteness > _WHITE
        if not region.any():
            raise InputError(
                f"{file}: the mask is black everywhere, {whiteness.max()} of 255 at most; it should be white where "
                "pictures are compared."
            )
        if region.all() and file == self.masks:
            raise InputError(f"{file}: the mask is white everywhere; it should be black where pictures are ignored.")
        return region

    def upright(self, index: int) -> Image.Image:
        """Return one picture in its own size, after EXIF rotation."""
        return read_picture(self.files[index], turned_upright)

    def cut(self, index: int, upright: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return a part of one picture, which is `upright`, as `decode` returns whole ones."""
        try:
            return fitted(upright.crop(box), self.shape)
        except InputError as error:
            raise InputError(f"{self.files[index]}: {error}") from None

    def original_size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of a picture as it is displayed, after EXIF rotation."""
        return read_picture(self.files[index], upright_size)

    def resized(self, shape: tuple[int, ...], *, tile: int | None = None) -> ImageFolder:
        """Return the same files, to be read as (C, H, W), in tiles of another size if one is given."""
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise InputError(
                f"Files hold pictures of 1 or 3 channels; the model needs samples of shape {tuple(shape)}."
            )
        folder = ImageFolder(self.files, size=(shape[1], shape[2]), masks=self.masks, tile=tile)
        folder._channels = int(shape[0])
        return folder

    def at_default(self, size: int | tuple[int, int]) -> ImageFolder:
        """Return the same files to be read at a size, unless this folder was given one."""
        if self.has_size:
            return self
        folder = ImageFolder(self.files, size=size, masks=self.masks, tile=self.tile)
        folder._channels, folder.normal = self._channels, self.normal
        return folder

    def compared_in(self, *, masks: str | os.PathLike[str] | None, tile: int | None) -> ImageFolder:
        """Return the same files with masks, or in tiles."""
        folder = ImageFolder(self.files, size=self.size if self.has_size else None, masks=masks, tile=tile)
        folder._channels, folder.normal = self._channels, self.normal
        return folder

    def identity(self) -> str:
        """Return the names of the files and their sizes in bytes."""
        return repr([(file.name, file.stat().st_size) for file in self.files])

    def readable(self, check: Callable[[np.ndarray, str], None] | None = None) -> tuple[ImageFolder, dict[Path, str]]:
        """Decode every file and return the folder of those that can be read, and the reason for each other file.

        Parameters
        ----------
        check : function of (pixels (C, H, W), name), optional
            Raises `InputError` for a picture that can be read but not used.

        Raises
        ------
        InputError
            If no file can be read.
        """
        reasons: dict[Path, str] = {}

        def attempt(index: int) -> str | None:
            try:
                pixels = self.decode(index)
                if check is not None:
                    check(pixels, str(self.files[index]))
            except InputError as error:
                return str(error)
            return None

        if self._channels is None:
            self._channels = self._channels_by_header()
        for index, reason in enumerate(ordered_map(attempt, range(len(self)))):
            if reason is not None:
                reasons[self.files[index]] = reason
        if len(reasons) == len(self):
            raise InputError(f"None of {len(self)} files can be read. {next(iter(reasons.values()), '')}")
        return self.only([file for file in self.files if file not in reasons]), reasons

    def typical_side(self) -> float:
        """Return the median of the longer sides of up to 100 evenly spaced pictures in their own size, in pixels."""
        return float(np.median([max(size) for size in self._headers(upright_size)] or [0]))

    def is_wide(self) -> bool:
        """Return whether any of up to 100 evenly spaced files has more than 8 bits per channel."""
        return any(mode in (*_WIDE_MODES, "F") for mode in self._headers(lambda picture: picture.mode))

    def only(self, files: list[Path]) -> ImageFolder:
        """Return these files of the folder."""
        folder = ImageFolder(files, size=self.size if self.has_size else None, masks=self.masks, tile=self.tile)
        # A part of a coloured folder stays coloured, even if all files of the part are grey.
        folder._channels = self.channels if files else self._channels
        folder.normal = self.normal
        return folder

    def _channels_by_header(self) -> int:
        grey = list(self._headers(is_grey_by_header))
        if not grey:
            self._check_first()
        return 1 if all(grey) else 3

    def _check_first(self) -> None:
        """Raise the error of the first file."""
        if not self.files:
            raise InputError("There are no pictures: the list of files is empty.")
        read_picture(self.files[0], is_grey_by_header)

    def _headers(self, read: Callable[[Image.Image], Any]) -> Iterator[Any]:
        """Read evenly spaced files; unreadable ones are left to the decoder, which names them."""
        for index in evenly_spaced(len(self), _HEADERS_SAMPLED):
            try:
                yield read_picture(self.files[index], read)
            except InputError:
                continue


def read_picture(file: Path, use: Callable[[Image.Image], Any]) -> Any:
    """Open one file and return ``use(picture)``; every failure becomes an `InputError` that names the file."""
    try:
        with Image.open(file) as picture, _alone_if_large(picture):
            if picture.width * picture.height > max(_PLAUSIBLE_PIXELS, _PIXELS_PER_BYTE * os.path.getsize(file)):
                width, height = picture.size
                raise InputError(f"declares {width:,} x {height:,} pixels, which a file of this size does not hold.")
            return use(picture)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except MemoryError as error:  # Pillow's, for offsets beyond the file; the size was plausible
        raise InputError(f"{file}: cannot be decoded in the memory that there is.") from error
    except FileNotFoundError as error:
        raise InputError(f"{file}: there is no such file.") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{file}: not a picture, or of an unknown format.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{file}: too many pixels to decode safely ({error}).") from error
    except Exception as error:  # Pillow's decoders raise nearly every type there is on damaged files
        reason = str(error) or type(error).__name__
        raise InputError(f"{file}: cannot be read, {reason}.") from error


def _alone_if_large(picture: Image.Image) -> contextlib.AbstractContextManager[Any]:
    """Let one thread at a time decode a large picture, so that memory does not grow with the number of threads."""
    return _LARGE if picture.width * picture.height > _LARGE_PIXELS else contextlib.nullcontext()


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return the (height, width) of a picture as it is displayed, after EXIF rotation."""
    width, height = picture.size
    sideways = picture.format != "TIFF" and _exif(picture).get(_ORIENTATION) in _SIDEWAYS
    return (width, height) if sideways else (height, width)


def _exif(picture: Image.Image) -> Image.Exif:
    """Return the EXIF of a picture, which is decoded only if it is a PNG that may have some after its pixels.

    Pillow decodes every PNG that has none before them.
    """
    if not isinstance(picture, PngImageFile):
        return picture.getexif()
    if picture.fp is not None and _tells_orientation_late(picture.fp):
        picture.load()
    return Image.Image.getexif(picture)


def _tells_orientation_late(file: IO[bytes]) -> bool:
    """Return whether a PNG file that is open at its pixels has a chunk after them that may tell its orientation."""
    pixels, place = file.tell(), len(PNG_SIGNATURE)
    try:
        while file.seek(place) == place and len(chunk := file.read(8 + _PNG_KEYWORD)) >= 8:
            name, text = chunk[4:8], chunk[8:]
            if place > pixels and (name == b"eXIf" or (name in _PNG_TEXTS and text.startswith(_PNG_ORIENTED))):
                return True
            place += 12 + int.from_bytes(chunk[:4], "big")  # length, name and checksum have 4 bytes each
        return False
    finally:
        file.seek(pixels)


def has_more_pages(picture: Image.Image) -> bool:
    """Return whether a file that was just opened has further pages or frames, which are not read.

    Previews do not count: those of phones, and the reduced pages and masks of TIFF. A TIFF is left at another page.
    """
    if picture.format == "MPO" or not getattr(picture, "is_animated", False):
        return False
    if not isinstance(picture, TiffImageFile):
        return True
    page = 0
    while True:
        page += 1
        try:
            picture.seek(page)
        except Exception:  # after the last page, or at a damaged one, on which Pillow raises nearly every type
            return False
        if not picture.tag_v2.get(_SUBFILE_TYPE, 0) & _NOT_A_PAGE:
            return True


def is_grey_by_header(picture: Image.Image) -> bool:
    """Return whether a file says that its picture is grey."""
    if picture.mode == "P":
        palette = picture.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return picture.mode in _GREY_MODES


def _decoded(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the pixels (C, H, W): uint8, or float32 in [0, 1] for files of 16 bits or floats."""
    # A JPEG decoder can skip to a half, quarter, ... of the size for free, but noise then differs from that of area
    # averaging alone: less with this reserve, at which decoding in full costs about a tenth of the time of scoring.
    least = _DRAFT_RESERVE * max(shape[1:])
    picture.draft(None, (least, least))
    return fitted(turned_upright(picture), shape)


def turned_upright(picture: Image.Image) -> Image.Image:
    """Return a picture after EXIF rotation.

    Raises
    ------
    InputError
        If it has colours of 16 bits, of which Pillow reads 8, and is so dark that few of these are left. Only a picture
        that is not loaded yet says that it has.
    """
    # Grey ones with transparency are opened as RGBA. In CMYK small numbers are bright.
    is_deep = picture.mode in ("RGB", "RGBA") and any(";16" in str(tile) for tile in getattr(picture, "tile", []))
    picture.load()
    turned = picture.getexif().get(_ORIENTATION, 1) != 1  # otherwise it would be copied
    upright = ImageOps.exif_transpose(picture) if turned else picture
    if is_deep and 0 < (brightest := int(np.max(upright.getextrema()[:3]))) < _DARK:
        raise InputError(
            "has colours of 16 bits, which are read with 8, and whose brightest value is "
            f"{brightest} of 255, as from a camera of 12 bits. Convert it to 8 bits by the camera's true number of "
            "bits (divide values of 12 bits by 16), also if it is only dark."
        )
    return upright


def fitted(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the pixels of a picture at a size and number of channels; see `ImageFolder.decode`.

    Raises
    ------
    InputError
        If the picture is coloured and a grey one is needed, or has values beyond 16 bits or floats beyond 0 to 1.
    """
    channels, height, width = shape
    if picture.mode in (*_WIDE_MODES, "F"):
        picture = _as_fractions(picture)
    else:
        picture = _over_black(picture)
        if channels == 1 and picture.mode != "L":
            picture = _grey(picture)
    shrinks = picture.width >= width and picture.height >= height
    smaller = picture.resize((width, height), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    pixels = np.asarray(smaller)
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels, axis=0)  # grey in a coloured folder
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def mask_file(masks: Path, file: Path) -> Path:
    """Return the mask of a picture: the one mask, or that of the same name in a folder of masks."""
    if not masks.is_dir():
        return masks
    for extension in sorted(EXTENSIONS):
        for name in (file.stem, f"{file.stem}_mask"):
            for folder in (masks / file.parent.name, masks):
                if (folder / f"{name}{extension}").is_file():
                    return folder / f"{name}{extension}"
    raise InputError(f"{masks} has no mask for the picture {file.name}: needed is a picture {file.stem}.png there.")


def _as_fractions(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    if picture.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError(
                f"holds floats from {values.min():.4g} to {values.max():.4g}, and only 0 to 1 has a known meaning. "
                "Divide them by their full range, or save whole numbers of 8 or 16 bits."
            )
        return picture
    if values.min() < 0 or values.max() > 65535:
        raise InputError("holds values beyond 16 bits. Save it with 8 or 16 bits, or as floats from 0 to 1.")
    return Image.fromarray(values.astype(np.float32) / 65535.0)


def _over_black(picture: Image.Image) -> Image.Image:
    """Convert to L or RGB. Transparent pixels become black instead of the arbitrary colour stored beneath them."""
    grey = is_grey_by_header(picture)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    return picture.getchannel(0) if grey else picture


def _grey(picture: Image.Image) -> Image.Image:
    if _is_coloured(picture):
        raise InputError("is coloured, but the model takes grey pictures. Convert it, or fit on coloured pictures.")
    return picture.convert("L")


def _is_coloured(picture: Image.Image) -> bool:
    """Return whether the channels of an RGB picture differ."""
    pixels = np.asarray(picture)
    first = pixels[..., 0].astype(np.int16)
    return max(int(np.abs(first - pixels[..., channel]).max()) for channel in (1, 2)) > _GREY_TOLERANCE


def _whiteness(mask: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return how white a mask is at a size (height, width): uint8 (H, W). What is transparent is black."""
    mask = turned_upright(mask)
    if mask.mode not in (*_WIDE_MODES, "F"):
        mask = _over_black(mask)
        if mask.mode != "L" and _is_coloured(mask):
            raise InputError(
                "the mask is coloured; it should be white where pictures are compared, and black where they are not."
            )
    # Numbers of more than 8 bits are cut off at 255, so that white may be that of a camera of 12 bits.
    return np.asarray(mask.convert("L").resize(size[::-1], Image.Resampling.BOX))


def as_fraction(pixels: np.ndarray) -> np.ndarray:
    """Convert uint8 or float32 pixels to float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255.0) if pixels.dtype == np.uint8 else pixels


def evenly_spaced(n: int, at_most: int) -> np.ndarray:
    """Return up to `at_most` of the indices 0 to n - 1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(np.int64)) if n else np.empty(0, np.int64)
