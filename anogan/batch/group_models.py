"""The models of groups of rows: a folder of model files with an index, which a cluster carries as one file."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..detectors.base import Detector
from ..errors import FormatError, InputError
from ..schema import parse_json
from ..sources.labels import closest

INDEX = "index.json"
_MODELS = 256  # that a process keeps in memory
_KINDS = "texts, whole numbers or booleans"
_LARGEST = 2.0**63  # whole numbers from here on are none of 64 bits


class Part(NamedTuple):
    """The rows (m,) of a table that are of one group, its model, and why they have no score if there is none."""

    group: str | None
    detector: Detector | None
    rows: np.ndarray
    why: str


class Groups:
    """The models of some groups of rows, as `fit_per_group` wrote them.

    Parameters
    ----------
    folder : path

    Attributes
    ----------
    by : str
        The column whose value says to which group a row belongs.
    index : dict of str to dict
        Value of that column, as text -> ``file``, ``rows``, ``threshold``, ``verdict``, column ``types`` and
        ``warnings`` (each a ``category`` and a ``text``) of its model, or ``rows`` and ``error`` if there is none.

    Raises
    ------
    InputError
        The folder has no index.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        if not path.is_file():
            raise InputError(f"{self.folder} has no {INDEX}, so it was not written by `fit_per_group`.")
        try:
            found: Any = parse_json(path.read_bytes(), str(path))
            self.by, self.index = str(found["by"]), dict(found["groups"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged: {error}") from None
        self._loaded = functools.lru_cache(_MODELS)(self._load)

    def detector(self, group: str) -> Detector | None:
        """Return the model of a group, None if it has none."""
        return self._loaded(group) if self.index.get(group, {}).get("file") else None

    def types(self) -> Iterator[dict[str, str]]:
        """Yield the types in which each model reads its columns; see `Preprocessor.column_types`."""
        for facts in self.index.values():
            if "types" in facts:
                yield facts["types"]

    def parts(self, table: pa.Table) -> Iterator[Part]:
        """Yield the rows of each group in a table."""
        texts = np.asarray(group_texts(table, self.by).to_pylist(), dtype=object)
        for group in dict.fromkeys(texts):
            rows = np.flatnonzero(texts == group) if group is not None else np.flatnonzero(texts == None)  # noqa: E711
            why = f"no value in '{self.by}'" if group is None else f"no model of {self.by}={group}"
            yield Part(group, None if group is None else self.detector(group), rows, why)

    def _load(self, group: str) -> Detector:
        return Detector.load(self.folder / self.index[group]["file"], device="cpu")


def group_texts(table: pa.Table, by: str, *, whole: bool = False) -> pa.ChunkedArray:
    """Return the groups of rows as texts, null where there is no value.

    Whole numbers may be held as floats, as pandas holds those with gaps.

    Parameters
    ----------
    table : pyarrow.Table
    by : str
    whole : bool
        Whether to refuse floats of which one is no whole number. If not, it is a group that has no model.

    Raises
    ------
    InputError
        The column is missing, or not one of texts, whole numbers or booleans.
    """
    if by not in table.column_names:
        raise InputError(f"The data has no column '{by}'.{closest(by, table.column_names)}")
    column = table[by]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column.cast(pa.float64()))
        is_whole = pc.and_(pc.equal(column, pc.round(column)), pc.less(pc.abs(column), _LARGEST))
        if whole and pc.all(is_whole).as_py() is False:
            other = column.filter(pc.invert(is_whole))[0].as_py()
            raise InputError(f"Column '{by}' holds {kind} such as {other!r}; groups need {_KINDS}.")
        numbers = pc.if_else(is_whole, column, 0.0).cast(pa.int64())
        return pc.if_else(is_whole, numbers.cast(pa.string()), column.cast(pa.string()))
    plain = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in plain):
        raise InputError(f"Column '{by}' holds {kind}; groups need {_KINDS}.")
    return column.cast(pa.string())


def packed(groups: Groups, archive: Path) -> Path:
    """Write all models to one file, which `unpacked` reads."""
    return Path(shutil.make_archive(str(archive), "zip", groups.folder))


def unpacked(path: str | os.PathLike[str]) -> Groups | None:
    """Return the models in a file that `packed` wrote; None if it is another file."""
    try:
        with zipfile.ZipFile(path) as file:
            if INDEX not in file.namelist():
                return None
            folder = tempfile.mkdtemp(prefix="anogan-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            file.extractall(folder)
    except zipfile.BadZipFile:
        return None
    return Groups(folder)
