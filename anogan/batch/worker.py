"""What the workers of a cluster do: score tables and pictures in memory with a model that is loaded once."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ..detectors.base import Detector
from ..errors import AnoganWarning, InputError, RangeWarning
from ..files.remote import local_file
from ..scoring.row_scores import ON_GAP
from ..sources.arrow import arrow_types
from ..sources.formats import cast_columns
from ..sources.images import ImageFolder
from ..sources.labels import closest
from ..sources.pictures import skip_reason
from .group_models import Groups, group_texts, packed, unpacked
from .group_warnings import Said, warn_of_groups
from .models import read_model
from .scores import own_schema, reason_fields, reasons_of

OUTPUT = ("score", "p_value", "flag", "status")
ROWS_AT_ONCE, PICTURES_AT_ONCE = 8192, 64
_MODELS = 8  # that a worker keeps in memory

Model: TypeAlias = str | os.PathLike[str] | Detector | Groups


@functools.lru_cache(_MODELS)
def loaded(path: str) -> Any:
    """Return the detector or the groups of a file, for a worker, which has one core."""
    import torch

    torch.set_num_threads(1)
    return opened(path)


def opened(path: str | os.PathLike[str]) -> Any:
    """Return the detector or the groups of a file that `model_file` gave, on the CPU."""
    return unpacked(path) or read_model(Path(path), device="cpu")


@contextlib.contextmanager
def model_file(model: Model) -> Iterator[Path]:
    """Give the path of a model file, or of a temporary one with a detector in memory or the models of groups."""
    if isinstance(model, str | os.PathLike) and Path(model).is_dir():
        model = Groups(model)
    if isinstance(model, str | os.PathLike):
        with local_file(model) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="anogan-") as folder:
        if isinstance(model, Groups):
            yield packed(model, Path(folder) / "models")
            return
        model.save(Path(folder) / "model.anogan")
        yield Path(folder) / "model.anogan"


@dataclass(frozen=True)
class Work:
    """Which columns a scored table of rows or pictures has.

    Parameters
    ----------
    output : sequence of str
        The columns to add, of "score", "p_value", "flag", "unseen" (columns with values that were not in the training
        data) and "status" ("ok", or why the row or picture cannot be scored; its score, p-value and flag are null).
    keep : sequence of str or None
        The columns to keep; all by default.
    reasons : int
        Number of columns that are named as reasons of a flagged row, in ``reason_1``, ``reason_1_share`` and
        ``reason_1_text``, and so on.
    on_gap : {"score", "skip"}
        See `Detector.score_table`.
    column : str or None
        The column with paths or contents of pictures.
    """

    output: Sequence[str] = OUTPUT
    keep: Sequence[str] | None = None
    reasons: int = 0
    on_gap: str = "score"
    column: str | None = None

    def checked(self, model: Detector | Groups, schema: pa.Schema) -> Work:
        """Return this work with the columns to keep by name.

        Raises
        ------
        InputError
            The data do not suit the model, or a column cannot be kept or added.
        """
        kind = "table" if isinstance(model, Groups) else model.preprocessor_.kind
        if kind == "vector":
            raise InputError("The model was fitted on an array without column names; fit it on a table.")
        if (kind == "image") != (self.column is not None):
            words = "pictures; use score_images" if kind == "image" else "a table; use score"
            raise InputError(f"The model was fitted on {words}.")
        kept = schema.names if self.keep is None else list(self.keep)
        for name in kept:
            if name not in schema.names:
                raise InputError(f"keep: the data has no column '{name}'.{closest(name, schema.names)}")
        if self.on_gap not in ON_GAP:
            raise InputError(f"on_gap must be 'score' or 'skip', got {self.on_gap!r}.")
        if self.reasons < 0 or (self.reasons and kind == "image"):
            raise InputError("reasons must be at least 0, and are for rows of a table.")
        possible = ["score", "p_value", "flag", *(() if kind == "image" else ("unseen",)), "status"]
        if unknown := [name for name in self.output if name not in possible]:
            raise InputError(f"output must be of {', '.join(possible)}; got {unknown[0]!r}.")
        if taken := [name for name in self.schema(model).names if name in kept]:
            raise InputError(
                f"The data has a column '{taken[0]}' already; rename it, or leave one of the two out with keep=[...] "
                "or output=[...]."
            )
        for name in self.needed(model):
            if name not in schema.names:
                raise InputError(f"The data has no column '{name}', which is needed.{closest(name, schema.names)}")
        if isinstance(model, Groups):
            group_texts(schema.empty_table(), model.by)
        if self.column is None:
            for types in _types(model):
                _typed(schema.empty_table(), types)
        elif not (_is_text(schema.field(self.column).type) or pa.types.is_binary(schema.field(self.column).type)):
            raise InputError(f"Column '{self.column}' must hold paths or the contents of files.")
        return replace(self, keep=kept)

    def needed(self, model: Detector | Groups) -> list[str]:
        """Return the columns that are read."""
        if self.column is not None:
            return [self.column]
        by = [model.by] if isinstance(model, Groups) else []
        return list(dict.fromkeys([*by, *(str(name) for types in _types(model) for name in types)]))

    def schema(self, model: Detector | Groups) -> pa.Schema:
        """Return the columns that are added."""
        own = own_schema("table", 0, named=False)
        if not self.reasons:
            return pa.schema([own.field(name) for name in self.output])
        learned = max(map(len, model.types())) if isinstance(model, Groups) else len(model.preprocessor_.columns_)
        return pa.schema([*(own.field(name) for name in self.output), *reason_fields(min(self.reasons, learned))])

    def scored_part(self, model: Detector | Groups, table: pa.Table) -> pa.Table:
        """Call `scored` for one part of the data, which is too small to tell whether much lies beyond training."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RangeWarning)
            return self.scored(model, table)

    def scored(self, model: Detector | Groups, table: pa.Table) -> pa.Table:
        """Return the kept columns of a table and those that are added."""
        result = table if self.keep is None else table.select(list(self.keep))
        found: dict[str, Any] = {}
        if table.num_rows:
            if isinstance(model, Groups):
                found = _of_groups(model, table, self)
            else:
                found = _of_rows(model, table, self) if self.column is None else _of_pictures(model, table, self)
        for field in self.schema(model):
            result = result.append_column(field, pa.array(found.get(field.name, ()), field.type, from_pandas=True))
        return result


def _types(model: Detector | Groups) -> Iterable[Mapping[Any, str]]:
    """Return the types of the columns of each model."""
    return model.types() if isinstance(model, Groups) else [model.preprocessor_.column_types()]


def _typed(table: pa.Table, types: Mapping[Any, str]) -> pa.Table:
    """Return the columns of a model in its types, as a file is read."""
    wanted = arrow_types(types)
    return cast_columns(table, wanted, set(wanted), Path("The data"))


def _of_groups(groups: Groups, table: pa.Table, work: Work) -> dict[str, Any]:
    """Score each row by the model of its group."""
    columns = {field.name: np.full(table.num_rows, None, dtype=object) for field in work.schema(groups)}
    said: list[Said] = []
    total = 0
    for part in groups.parts(table):
        total += 1
        found: dict[str, Any] = {"status": part.why}
        if part.detector is not None:
            with warnings.catch_warnings(action="always", category=AnoganWarning, record=True) as warned:
                found = _of_rows(part.detector, table.take(pa.array(part.rows)), work)
            said += [Said(str(part.group), warning.category, str(warning.message)) for warning in warned]
        for name, values in found.items():
            if name in columns:
                columns[name][part.rows] = values
    warn_of_groups(said, total, stacklevel=4)  # at the caller of `score_per_group`
    return columns


def _of_rows(detector: Detector, table: pa.Table, work: Work) -> dict[str, Any]:
    types = detector.preprocessor_.column_types()
    frame = _typed(table, types).to_pandas(date_as_object=False, ignore_metadata=True)
    frame.columns = list(types)
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
