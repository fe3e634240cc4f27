"""Opening data by its path."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.paths import Paths, paths_of, standard_input
from ..files.remote import explained_remote, fetch, is_remote
from .dialect import CSVDialect
from .formats import TableFormat, reads_in_place
from .picture_files import why_not_read
from .pictures import PictureSource
from .source import Source, import_formats
from .table import TableFile


def open_source(
    path: Paths,
    *,
    part: str = "test",
    size: int | tuple[int, int] | None = None,
    dialect: CSVDialect | None = None,
) -> Source:
    """Open a table, an array or pictures.

    The suffix decides which. A folder is a table if it holds files of a format whose folders are
    tables (Parquet), and otherwise a folder of pictures.

    Parameters
    ----------
    path : path, pattern or sequence of paths
        "-" is standard input. Several files must be tables with the same columns, or pictures. A URL for fsspec, such
        as ``s3://bucket/new.parquet``, needs ``anogan[remote]``: Parquet is read where it is, and other files are
        copied to a temporary folder first.
    part : {"train", "test"}
        Which pictures of a folder to read: normal ones to fit on, or those to score.
    size : int or (height, width), optional
        What pictures are resized to; 64 by default.
    dialect : CSVDialect, optional
        Separator, encoding and the like of a CSV file, as far as they are not to be detected.

    Returns
    -------
    Source
        A `TableFile`, `ArrayFile`, `PictureSource`, or another subclass of `Source` that has been defined.

    Raises
    ------
    InputError
        If the path does not exist, or its format is not supported.

    Examples
    --------
    >>> import tempfile, pathlib, pandas, anogan
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "amounts.csv"
    >>> pandas.DataFrame({"amount": [1.5, 2.5, 3.5]}).to_csv(path, index=False)
    >>> [len(chunk) for chunk in anogan.open_source(path).chunks(2)]
    [2, 1]
    """
    import_formats()
    if path in ("-", ("-",), ["-"]):
        copied, temporary = standard_input()
        source = open_source(copied, part=part, size=size, dialect=dialect)
        source.name, source.folder = "standard input", temporary  # the folder lives as long as the source
        return source
    paths = paths_of(path)
    for path in paths:
        _check_exists(path)
    if any(is_remote(path) and not reads_in_place(path) for path in paths):
        return _copied(paths, part=part, size=size, dialect=dialect)
    if len(paths) > 1 and all(PictureSource.reads(path) for path in paths):
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        return PictureSource(folder, part=part, size=size, files=[path.absolute() for path in paths])
    if len(paths) > 1:
        return TableFile(paths, dialect=dialect)
    (path,) = paths
    found = next((cls for cls in Source.known if cls.reads(path)), None)
    if found is None and path.is_dir():
        found = PictureSource
    if found is None:
        if (reason := why_not_read(path.name)) and "converted" in reason:
            raise InputError(f"{path} is {reason}.")
        of_tables = {suffix for cls in TableFormat.known for suffix in cls.suffixes}
        listed = sorted(of_tables | {suffix for cls in Source.known for suffix in cls.suffixes})
        raise InputError(
            f"{path} is of no kind that can be read; needed is a file that ends in {', '.join(listed)}, or a folder of "
            "pictures or of .parquet files."
        )
    if issubclass(found, TableFile):
        return found(path, dialect=dialect)
    if dialect is not None:
        raise InputError(f"{path} is not a CSV file, so it has no separator, decimal sign, encoding or header to name.")
    return found.open(path, part=part, size=size)


def _copied(paths: list[Path], **given: Any) -> Source:
    """Open temporary copies of remote files that can be read from a local disk alone."""
    folder = tempfile.TemporaryDirectory(prefix="anogan-")
    copies = []
    for number, path in enumerate(paths):
        place = folder.name
        if os.path.exists(os.path.join(place, path.name)):
            place = os.path.join(place, str(number))
            os.mkdir(place)
        copies.append(fetch(path, place) if is_remote(path) else path)
    source = open_source(copies, **given)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    source.name, source.folder = f"{paths[0]}{more}", folder
    return source


def _check_exists(path: Path) -> None:
    with explained_remote(str(path)) if is_remote(path) else contextlib.nullcontext():
        exists = path.exists()
    if not exists:
        near = list(path.parent.iterdir()) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, [p.name for p in near], n=1)
        hint = f" Did you mean '{path.parent / close[0]}'?" if close else ""
        raise InputError(f"There is no file or folder '{path}'.{hint}")
