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
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..detectors.base import Detector
from ..errors import FormatError, InputError
from ..schema import parse_json
from ..sources.labels import closest

INDEX = "index.json"
_MODELS = 256  # that a process keeps in memory


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

    def parts(self, table: pa.Table) -> Iterator[tuple[Detector | None, np.ndarray, str]]:
        """Yield, for each group in a table, its model, its rows (m,) and why they have no score if they have none."""
        texts = np.asarray(group_texts(table, self.by).to_pylist(), dtype=object)
        for group in dict.fromkeys(texts):
            rows = np.flatnonzero(texts == group) if group is not None else np.flatnonzero(texts == None)  # noqa: E711
            why = f"no value in '{self.by}'" if group is None else f"no model of {self.by}={group}"
            yield None if group is None else self.detector(group), rows, why

    def _load(self, group: str) -> Detector:
        return Detector.load(self.folder / self.index[group]["file"], device="cpu")


def group_texts(table: pa.Table, by: str) -> pa.ChunkedArray:
    """Return the groups of rows as texts, null where there is no value.

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
    if pa.types.is_floating(kind):  # how pandas keeps whole numbers with gaps
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.all(pc.equal(column, pc.round(column))).as_py()
        column = column.cast(pa.int64()) if whole in (True, None) else column
        kind = column.type
    plain = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in plain):
        raise InputError(f"Column '{by}' holds {kind}; groups need texts, whole numbers or booleans.")
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
