"""From the body of a request to scores: the same readers, checks and words as for files."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, NoneScoredError
from ..evaluation.metrics import pixel_maps, resized_map
from ..reporting.maps import drawn
from ..reporting.pictures import as_bytes, original
from ..sources.images import ImageFolder
from ..sources.picture_files import EXTENSIONS
from ..sources.pictures import skip_reason
from ..sources.registry import open_source
from ..sources.source import Chunk
from ..streams.stream import Stream
from .batching import Batcher
from .bodies import Upload
from .refusals import Refused, ServiceLimits
from .served import Served

CHUNK_ROWS = 4096  # bounds the memory that a small file with long texts takes


@dataclass(frozen=True)
class Wish:
    """What a request asks for beside scores.

    Attributes
    ----------
    reasons : int
        Reasons of each flagged row.
    maps : bool
        Maps of pictures.
    drop : sequence of str
        Columns to leave out.
    """

    reasons: int = 0
    maps: bool = False
    drop: Sequence[str] = ()


@dataclass
class Read:
    """What a request holds, in the model's types.

    Attributes
    ----------
    chunks : list of Chunk
    names : list of str or None
        Of pictures, in their order in the request.
    status : (n,) array of str or None
        Of pictures.
    notes : list of str
        What is unusual in the data.
    """

    chunks: list[Chunk]
    names: list[str] | None = None
    status: np.ndarray | None = None
    notes: Sequence[str] = ()


def read(served: Served, body: list[Upload] | Any, folder: Path, limits: ServiceLimits, wish: Wish) -> Read:
    """Read the body of a request as the model needs it.

    Raises
    ------
    Refused, InputError
        It cannot be used, or is beyond the limits.
    """
    uploads = body if isinstance(body, list) and body and isinstance(body[0], Upload) else None
    of_pictures = uploads is not None and uploads[0].path.suffix in EXTENSIONS
    if of_pictures != (served.kind == "image"):
        words = "pictures; send image/png or the like" if served.kind == "image" else "rows; send JSON, CSV or Parquet"
        raise Refused(422, "input", f"The model scores {words}.")
    if wish.maps and not of_pictures:
        raise Refused(422, "maps", "Maps are of pictures; for rows, ask for reasons.")
    if wish.reasons and of_pictures:
        raise Refused(422, "reasons", "Reasons name columns; for pictures, ask for maps.")
    if of_pictures:
        return _pictures(served, uploads or [], limits)
    if uploads is None:
        data = _rows(served, body, folder, limits)
    elif len(uploads) > 1:
        raise Refused(422, "input", f"{len(uploads)} tables were sent; send one.")
    else:
        data = open_source(uploads[0].path)
        if data.total is not None:
            _check_rows(data.total, limits)
    stream = Stream(served.detector, data, tuple(wish.drop), chunk_rows=CHUNK_ROWS)
    chunks, count = [], 0
    for chunk in stream.chunks():
        count += len(chunk)
        _check_rows(count, limits)
        chunks.append(chunk)
    return Read(chunks, notes=stream.notes())


async def answer(served: Served, found: Read, batcher: Batcher, wish: Wish) -> dict[str, Any]:
    """Score what was read, and return the body of the answer."""
    rows: list[dict[str, Any]] = []
    for chunk in found.chunks:
        scores, maps = await _scores(served, chunk, batcher, wish)
        served.latest.extend(scores[~np.isnan(scores)].tolist())
        answers = _answers(served, chunk, scores)
        flagged = np.flatnonzero(scores > served.detector.calibration_.threshold)
        if wish.reasons and len(flagged):
            X = chunk.X.iloc[flagged] if hasattr(chunk.X, "iloc") else chunk.X[flagged]
            wanted = partial(served.detector.reasons, X, min(wish.reasons, len(served.columns)))
            table = await asyncio.wrap_future(batcher.call(wanted))
            for reason in table.to_dict("records"):
                said = {"column": str(reason["column"]), "share": reason["share"], "text": reason["text"]}
                answers[flagged[reason["row"]]].setdefault("reasons", []).append(said)
        if maps is not None:
            drawings = await asyncio.to_thread(_drawings, served, chunk, maps)
            for row, drawing in zip(answers, drawings, strict=True):
                row["map"] = drawing
        rows += answers
    if found.names is not None and found.status is not None:
        good = iter(rows)
        nothing = {"score": None, "p_value": None, "flag": None}
        rows = [
            {"file": name, **(next(good) if status == "ok" else nothing), "status": status}
            for name, status in zip(found.names, found.status, strict=True)
        ]
    return {
        "model": served.name,
        "sha256": served.sha256,
        "threshold": served.detector.calibration_.threshold,
        "rows": rows,
        "notes": list(found.notes),
    }


async def _scores(served: Served, chunk: Chunk, batcher: Batcher, wish: Wish) -> tuple[np.ndarray, Any]:
    usable = chunk.usable()
    scores = np.full(len(chunk), np.nan)
    if not len(usable):
        return scores, None
    future = batcher.score(served, usable.X, with_maps=wish.maps)
    found, maps = await asyncio.wrap_future(future)
    scores[slice(None) if usable.rows is None else usable.rows - chunk.first] = found
    return scores, maps


def _answers(served: Served, chunk: Chunk, scores: np.ndarray) -> list[dict[str, Any]]:
    calibration = served.detector.calibration_
    p_values = calibration.p_value(scores)
    rows: list[dict[str, Any]] = []
    for score, p_value in zip(scores.tolist(), p_values.tolist(), strict=True):
        known = not math.isnan(score)
        flag = score > calibration.threshold if known else None
        rows.append({"score": score if known else None, "p_value": p_value if known else None, "flag": flag})
    if chunk.account is not None:
        marks = zip(rows, chunk.account.unseen_columns(), chunk.account.status(), strict=True)
        for row, unseen, status in marks:
            row["unseen"] = unseen.split(", ") if unseen else []
            row["status"] = status
    return rows


def _rows(served: Served, value: Any, folder: Path, limits: ServiceLimits) -> Any:
    """Return the rows of JSON as a source: ``{"rows": [...]}``, of objects, or of lists for a model of an array."""
    rows = value.get("rows") if isinstance(value, dict) else value
    if isinstance(value, dict) and set(value) != {"rows"}:
        raise Refused(422, "input", 'The JSON needs the key "rows" and no other: {"rows": [{"column": value, ...}]}.')
    if not isinstance(rows, list) or not rows:
        raise Refused(422, "input", '"rows" needs a list of at least one row.')
    _check_rows(len(rows), limits)
    wanted: type = list if served.kind == "vector" else dict
    for number, row in enumerate(rows):
        if not isinstance(row, wanted):
            words = "a list of numbers" if wanted is list else "an object: column names and values"
            raise Refused(422, "input", f"Row {number} is not {words}.")
    if served.kind == "vector":
        for number, row in enumerate(rows):
            if not all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in row):
                raise Refused(422, "input", f"Row {number} has a value that is not a number.")
            if len(row) != len(served.columns):
                raise Refused(422, "input", f"Row {number} has {len(row)} values; needed are {len(served.columns)}.")
        try:
            return np.array(rows, dtype=np.float64)
        except OverflowError:  # a whole number beyond floats is infinite, as in a table
            return np.array([[_as_float(cell) for cell in row] for row in rows])
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in _unmixed(rows)), encoding="utf-8")
    return open_source(path)


def _as_float(cell: float) -> float:
    try:
        return float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf


def _unmixed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with texts alone in columns that have texts in some rows and other values in others.

    A table's column has one type; a text that is not of the model's type then makes its own row unusable, not all.
    """
    kinds: dict[str, set[bool]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kinds.setdefault(name, set()).add(isinstance(value, str))
    mixed = {name for name, found in kinds.items() if len(found) > 1}
    if not mixed:
        return rows
    return [
        {
            name: json.dumps(value) if name in mixed and isinstance(value, int | float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _pictures(served: Served, uploads: Sequence[Upload], limits: ServiceLimits) -> Read:
    _check_rows(len(uploads), limits)
    status = np.full(len(uploads), "ok", dtype=object)
    preprocessor = served.detector.preprocessor_
    pictures = ImageFolder([upload.path for upload in uploads]).resized(tuple(preprocessor.spec_.shape))
    for number, upload in enumerate(uploads):
        if upload.path.suffix not in EXTENSIONS:
            raise Refused(422, "input", f"{upload.name!r} is no picture, unlike the first file.")
        try:
            with Image.open(upload.path) as picture:
                pixels = picture.width * picture.height
        except Image.DecompressionBombError:
            pixels = limits.pixels + 1
        except Exception as error:  # Pillow's readers raise many kinds
            status[number] = f"cannot be read: {str(error).replace(str(upload.path), upload.name)}"
            continue
        if pixels > limits.pixels:
            raise Refused(413, "pixels", f"{upload.name!r} has more than {limits.pixels:,} pixels.")
        try:
            preprocessor.check_depth(pictures.decode(number), upload.name)
        except InputError as error:
            status[number] = skip_reason(upload.path, str(error)).replace(str(upload.path), upload.name)
    good = [upload.path for upload, said in zip(uploads, status, strict=True) if said == "ok"]
    if not good:
        raise NoneScoredError(f"No picture can be scored: {uploads[0].name!r} {status[0]}", len(uploads))
    chunk = Chunk(0, ImageFolder(good).resized(tuple(preprocessor.spec_.shape)), [path.name for path in good])
    ranges = preprocessor.range_counter()
    ranges.add(chunk.X)
    notes = [note.text() for note in ranges.notes()]
    return Read([chunk], [upload.name for upload in uploads], status, notes)


def _drawings(served: Served, chunk: Chunk, maps: np.ndarray) -> list[str]:
    """Return each picture with its map drawn over it, as the URL of a PNG."""
    calibration, drawings = served.detector.calibration_, []
    if calibration.map_start is None or calibration.map_threshold is None:
        raise Refused(
            422, "maps", f"The model '{served.name}' has no threshold of pixels, so its maps cannot be drawn."
        )
    for number, values in enumerate(pixel_maps(maps)):
        picture = original(chunk, number)
        at_size = resized_map(values, (picture.shape[1], picture.shape[2]))
        overlay = drawn(picture, at_size, calibration.map_start, calibration.map_threshold)
        buffer = io.BytesIO()
        Image.fromarray(as_bytes(overlay)).save(buffer, "PNG", compress_level=1)
        drawings.append(f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}")
    return drawings


def _check_rows(count: int, limits: ServiceLimits) -> None:
    if count > limits.rows:
        raise Refused(413, "rows", f"The request has more than {limits.rows:,} rows; send it in parts.")
