"""What the workers of a cluster do: score tables and pictures in memory with a model that is loaded once."""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..detectors.base import Detector
from ..errors import InputError, RangeWarning
from ..scoring.row_scores import ON_GAP
from ..sources.formats import cast_columns
from ..sources.images import ImageFolder
from ..sources.labels import closest
from ..sources.pictures import skip_reason
from ..sources.table import arrow_types
from .scores import own_schema, reason_fields, reasons_of

OUTPUT = ("score", "p_value", "flag")
_MODELS = 8  # that a worker keeps in memory


@functools.lru_cache(_MODELS)
def loaded(path: str) -> Detector:
    """Return the model of a file on the CPU, with one torch thread: a cluster runs a worker for each core."""
    import torch

    torch.set_num_threads(1)
    return Detector.load(path, device="cpu")


@dataclass(frozen=True)
class Work:
    """Which columns are added to a table of rows or pictures.

    Parameters
    ----------
    output : sequence of str
        Of "score", "p_value", "flag", "unseen" and "status".
    reasons : int
        Reasons of flagged rows that are added.
    on_gap : {"score", "skip"}
        See `Detector.score_table`.
    column : str or None
        The column with paths or contents of pictures.
    """

    output: Sequence[str] = OUTPUT
    reasons: int = 0
    on_gap: str = "score"
    column: str | None = None

    def check(self, detector: Detector, schema: pa.Schema, kept: Sequence[str]) -> None:
        """Raise `InputError` if the data do not suit the model, or a column cannot be added."""
        kind = detector.preprocessor_.kind
        if self.on_gap not in ON_GAP:
            raise InputError(f"on_gap must be 'score' or 'skip', got {self.on_gap!r}.")
        if self.reasons < 0 or (self.reasons and kind == "image"):
            raise InputError("reasons must be at least 0, and are for rows of a table.")
        possible = [*OUTPUT, *(() if kind == "image" else ("unseen",)), "status"]
        if unknown := [name for name in self.output if name not in possible]:
            raise InputError(f"output must be of {', '.join(possible)}; got {unknown[0]!r}.")
        if taken := [name for name in self.schema(detector).names if name in kept]:
            raise InputError(f"The data has a column '{taken[0]}' already; rename it, or leave it out with keep=[...].")
        if kind == "vector":
            raise InputError("The model was fitted on an array without column names; fit it on a table.")
        if (kind == "image") != (self.column is not None):
            words = "pictures; use score_images" if kind == "image" else "a table; use score"
            raise InputError(f"The model was fitted on {words}.")
        for name in self.needed(detector):
            if name not in schema.names:
                raise InputError(f"The data has no column '{name}', which is needed.{closest(name, schema.names)}")
        if self.column is None:
            _typed(detector, schema.empty_table())
        elif not (_is_text(schema.field(self.column).type) or pa.types.is_binary(schema.field(self.column).type)):
            raise InputError(f"Column '{self.column}' must hold paths or the contents of files.")

    def needed(self, detector: Detector) -> list[str]:
        """Return the columns that are read."""
        return [*arrow_types(detector.preprocessor_.column_types())] if self.column is None else [self.column]

    def schema(self, detector: Detector) -> pa.Schema:
        """Return the columns that are added."""
        own = own_schema("table", 0, named=False)
        count = min(self.reasons, len(detector.preprocessor_.columns_)) if self.reasons else 0
        return pa.schema([*(own.field(name) for name in self.output), *reason_fields(count)])

    def added(self, detector: Detector, table: pa.Table) -> list[pa.Array]:
        """Return the columns that are added to a table."""
        schema = self.schema(detector)
        if not table.num_rows:
            return [pa.array([], field.type) for field in schema]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RangeWarning)  # a part is too small to tell
            found = _of_rows(detector, table, self) if self.column is None else _of_pictures(detector, table, self)
        return [pa.array(found[field.name], field.type, from_pandas=True) for field in schema]


def _typed(detector: Detector, table: pa.Table) -> pa.Table:
    """Return the columns of the model in its types, as a file is read."""
    types = arrow_types(detector.preprocessor_.column_types())
    return cast_columns(table, types, set(types), Path("The data"))


def _of_rows(detector: Detector, table: pa.Table, work: Work) -> dict[str, Any]:
    frame = _typed(detector, table).to_pandas(date_as_object=False, ignore_metadata=True)
    frame.columns = list(detector.preprocessor_.column_types())
    scored = detector.score_table(frame, on_gap=work.on_gap)
    columns: dict[str, Any] = {name: scored[name].array for name in scored}
    if work.reasons:
        flagged = np.flatnonzero(scored["flag"].fillna(False).to_numpy(dtype=bool))
        columns |= reasons_of(detector, frame, flagged, min(work.reasons, len(detector.preprocessor_.columns_)))
    return columns


def _of_pictures(detector: Detector, table: pa.Table, work: Work) -> dict[str, Any]:
    """Score pictures; those that cannot be read have no score, and a status that says why."""
    assert work.column is not None
    status = np.full(table.num_rows, "ok", dtype=object)
    scores = np.full(table.num_rows, np.nan)
    shape = tuple(detector.preprocessor_.spec_.shape)
    with tempfile.TemporaryDirectory(prefix="anogan-") as folder:
        files = [_file(value, Path(folder) / str(row)) for row, value in enumerate(table[work.column].to_pylist())]
        pictures = ImageFolder(files).resized(shape)
        for row, file in enumerate(files):
            try:
                pictures.decode(row)
            except InputError as error:
                status[row] = skip_reason(file, str(error))
        good = np.flatnonzero(status == "ok")
        if len(good):
            scores[good] = detector.score_part(ImageFolder([files[row] for row in good]).resized(shape))
    calibration = detector.calibration_
    flags = (scores > calibration.threshold).astype(object)
    flags[np.isnan(scores)] = None
    return {"score": scores, "p_value": calibration.p_value(scores), "flag": flags, "status": status}


def _file(value: str | bytes | None, copy: Path) -> Path:
    """Return the path of a picture that is given as a path, a URL or the content of a file."""
    if isinstance(value, str):
        bare = value.removeprefix("file://").removeprefix("file:")
        if "://" not in bare:
            return Path(bare)
        import fsspec

        with fsspec.open(value, "rb") as file:
            copy.write_bytes(file.read())
        return copy
    copy.write_bytes(value or b"")
    return copy


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
