"""The bodies of requests: JSON, tables and pictures, within limits, as files that the library reads."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ..sources.picture_files import EXTENSIONS
from .refusals import Refused, ServiceLimits

TABLES = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.apache.parquet": ".parquet",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
}
"""Media type of a table -> suffix of its file."""
PICTURES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
}
"""Media type of a picture -> suffix of its file."""
SUFFIXES = {*TABLES.values(), *EXTENSIONS}
BLOCK = 2**16  # bytes copied at once
MOST_FILES = 64
ACCEPTED = "application/json, " + ", ".join((*TABLES, *PICTURES)) + " or multipart/form-data with files"


@dataclass(frozen=True)
class Upload:
    """A file of a request.

    Attributes
    ----------
    name : str
        As the client calls it, or what it is.
    path : Path
    """

    name: str
    path: Path


async def received(request: Request, folder: Path, limits: ServiceLimits) -> list[Upload] | Any:
    """Return the files of a request, put into a folder, or the value of its JSON.

    Raises
    ------
    Refused
        The body is too large, of another type, or not what its type says.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "type", "A compressed body is not read; send it as it is.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.bytes:
        raise _too_large(limits)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json":
        return parsed(b"".join([part async for part in _limited(request, limits)]))
    if media == "multipart/form-data":
        return await _files(request, folder, limits)
    suffix = (TABLES | PICTURES).get(media)
    if suffix is None:
        raise Refused(415, "type", f"The content type is {media or 'not given'}; needed is {ACCEPTED}.")
    path = folder / f"body{suffix}"
    with path.open("wb") as file:
        async for part in _limited(request, limits):
            file.write(part)
    return [Upload("body", path)]


def parsed(body: bytes) -> Any:
    """Return the value of JSON that keeps to the standard: no NaN, no key twice.

    Raises
    ------
    Refused
        It does not.
    """
    try:
        return json.loads(body, parse_constant=_no_constant, object_pairs_hook=_without_repetition)
    except RecursionError:
        raise Refused(400, "json", "The JSON is nested too deeply.") from None
    except ValueError as error:  # UnicodeDecodeError too
        raise Refused(400, "json", f"The body is not JSON: {error}.") from None


async def _limited(request: Request, limits: ServiceLimits) -> AsyncGenerator[bytes, None]:
    """Yield the body while it is within the limit: a length may be missing or wrong."""
    count = 0
    async for part in request.stream():
        count += len(part)
        if count > limits.bytes:
            raise _too_large(limits)
        yield part


async def _files(request: Request, folder: Path, limits: ServiceLimits) -> list[Upload]:
    """Return the files of a form; fields that are no files are refused, since nothing would use them."""
    parser = MultiPartParser(request.headers, _limited(request, limits), max_files=MOST_FILES, max_fields=0)
    try:
        form = await parser.parse()
    except (MultiPartException, HTTPException, KeyError) as error:
        raise Refused(400, "form", f"The form cannot be read: {getattr(error, 'message', error)}") from None
    found = []
    try:
        for number, (_, upload) in enumerate(form.multi_items()):
            assert isinstance(upload, UploadFile)
            name = upload.filename or "file"
            suffix = Path(name).suffix.lower()
            if suffix not in SUFFIXES:
                raise Refused(415, "type", f"{name!r} is not a file that is read; needed is {ACCEPTED}.")
            path = folder / f"{number:03d}{suffix}"
            with path.open("wb") as file:
                while block := await upload.read(BLOCK):
                    file.write(block)
            found.append(Upload(name, path))
    finally:
        await form.close()
    if not found:
        raise Refused(400, "form", "The form has no file.")
    return found


def _too_large(limits: ServiceLimits) -> Refused:
    refused = Refused(413, "bytes", f"The body is larger than {limits.bytes:,} bytes; send it in parts.")
    refused.headers["Connection"] = "close"  # what is still being sent is not read
    return refused


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value; a missing value is null")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key '{twice}' occurs twice in an object")
    return found
