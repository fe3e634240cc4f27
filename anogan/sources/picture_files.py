"""Which files of a folder are read as pictures, and why others are not."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..files.writing import as_text

EXTENSIONS = frozenset(
    {".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo"}
    | {".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
_JPEG = (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo")
_CONVERTED = dict.fromkeys((".heic", ".heif", ".hif"), "HEIC") | dict.fromkeys((".dcm", ".dicom", ".ima"), "DICOM")
_CONVERTED |= dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "camera raw")
_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")  # hold previews that macOS and network drives make
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAP_KEYWORD = "anogan threshold"
"""Keyword of a text in the PNG files of anomaly maps."""
MAP_ENDINGS = ("_map.png", "_overlay.png")
_HEAD = 1024  # bytes of a PNG file that hold the texts of a map
_OWN_MAPS = "written by anogan (anomaly maps)"


@dataclass
class FoundPictures:
    """The pictures in a folder.

    Attributes
    ----------
    files : list of Path
        Sorted by name.
    left_out : Counter
        Why other files and folders are not read, and how many.
    """

    files: list[Path]
    left_out: Counter[str] = field(default_factory=Counter)


def find_pictures(path: Path) -> FoundPictures:
    """Find the pictures in a folder and the folders in it, also in linked ones, or the one picture that a path names.

    Hidden files and folders, and maps that anogan wrote, are left out.

    Raises
    ------
    InputError
        If the path does not exist or holds no pictures; the message says what it holds instead.
    """
    if not path.exists():
        raise InputError(f"There is no folder {as_text(str(path))!r}.")
    if path.is_file():
        return FoundPictures([path])
    found, left_out = [], Counter[str]()
    visited = {os.path.realpath(path)}

    def note(_: OSError) -> None:
        left_out["in a folder that cannot be opened"] += 1

    for folder, inner, names in os.walk(path, onerror=note, followlinks=True):
        kept = []
        for name in sorted(inner):
            real = os.path.realpath(os.path.join(folder, name))
            if name.startswith(".") or name in _SYSTEM_FOLDERS:
                left_out["in a hidden folder"] += sum(_has_extension(file) for _, _, n in os.walk(real) for file in n)
            elif real in visited:
                left_out["in a folder that is linked twice"] += 1
            else:
                visited.add(real)
                kept.append(name)
        inner[:] = kept
        for name in names:
            if name.lower() in _SYSTEM_FILES or (name.startswith(".") and not _has_extension(name)):
                continue
            reason = why_not_read(name)
            if reason is None and not os.path.exists(os.path.join(folder, name)):
                reason = "by a link that leads nowhere"
            if reason is None and is_map(os.path.join(folder, name)):
                reason = _OWN_MAPS
            if reason is None:
                found.append(os.path.join(folder, name))
            else:
                left_out[reason] += 1
    left_out = +left_out
    if not found:
        beside = f" It holds {left_out_words(left_out)}." if left_out else ""
        kinds = ", ".join(sorted(extension[1:] for extension in EXTENSIONS))
        raise InputError(f"The folder {as_text(str(path))!r} holds no pictures ({kinds}).{beside}")
    # Sorted as text: comparing Path objects would make each of them remember its parts twice.
    return FoundPictures([Path(file) for file in sorted(found, key=lambda file: file.split(os.sep))], left_out)


def without_maps(files: list[Path]) -> FoundPictures:
    """Return which of several pictures that were named, by a pattern for instance, are no maps that anogan wrote.

    Raises
    ------
    InputError
        If all are such maps.
    """
    kept = [file for file in files if not is_map(file)]
    if not kept:
        raise InputError(f"None of the {len(files):,} files is a picture to read: all are {_OWN_MAPS}.")
    return FoundPictures(kept, +Counter({_OWN_MAPS: len(files) - len(kept)}))


def is_map(file: str | os.PathLike[str]) -> bool:
    """Return whether a file is an anomaly map, or a picture with one drawn over it, that anogan wrote."""
    if not os.fspath(file).endswith(MAP_ENDINGS):
        return False
    try:
        with open(file, "rb") as opened:
            head = opened.read(_HEAD)
    except OSError:
        return False  # the decoder names files that cannot be read
    return head.startswith(PNG_SIGNATURE) and f"{MAP_KEYWORD}\0".encode() in head


def why_not_read(name: str) -> str | None:
    """Return why a file of this name is not read as a picture, None if it is."""
    suffix = os.path.splitext(name)[1].lower()
    if name.startswith("."):
        return "hidden"
    if _has_extension(name):
        return None
    if suffix in _CONVERTED:
        return f"{suffix} ({_CONVERTED[suffix]}, which must be converted to PNG or TIFF first)"
    return as_text(suffix) if suffix else "without a suffix"


def is_jpeg(file: Path) -> bool:
    """Return whether a file is JPEG, by its suffix."""
    return file.suffix.lower() in _JPEG


def left_out_words(left_out: Counter[str]) -> str:
    """Return the reasons for which files were left out, with their numbers."""
    return ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())


def _has_extension(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS
