"""A model of its own for each group of rows, such as each merchant: one folder of model files with an index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import errors
from ..detectors.base import Detector
from ..detectors.fitted import plain
from ..detectors.lookup import detector_class
from ..errors import AnoganError, AnoganWarning, ColumnWarning, InputError
from ..files.locks import locked
from ..files.writing import check_target
from ..sources.table import TableFile
from ..wording import counted
from .group_models import INDEX, Groups, group_texts
from .group_warnings import Said, warn_of_groups
from .worker import Work

FITTED = pa.schema([("facts", pa.string()), ("model", pa.binary())])
"""What `fit_group` returns: one row."""


def fit_per_group(X: pd.DataFrame, by: str, detector: Detector, folder: str | os.PathLike[str]) -> Groups:
    """Fit a model for each group of rows, and write all of them to a folder.

    Parameters
    ----------
    X : DataFrame
        Normal rows.
    by : str
        Column of texts, whole numbers or booleans, whose value says to which group a row belongs. Rows without a value
        are left out with a `ColumnWarning`, and the models do not see the column.
    detector : Detector
        Not fitted. Each group is fitted with its parameters, so also with its seed.
    folder : path
        A new folder. It appears when all groups are fitted.

    Returns
    -------
    Groups
        Groups that cannot be fitted, such as those with a single row, have no model and an ``error`` in the index,
        which also holds the ``warnings`` of each group's fit.

    Warns
    -----
    AnoganWarning
        How many groups have no model, and how many have which warning.

    Raises
    ------
    InputError
        There is no such column, the folder exists, or no group can be fitted.
    """
    table = pa.Table.from_pandas(X, preserve_index=False)
    texts = group_texts(table, by, whole=True)
    arguments = group_arguments(detector, by, folder, table.schema)
    warn_of_gaps(texts.null_count, len(texts), by)
    values = [value for value in pc.unique(texts).to_pylist() if value is not None]
    parts = (table.filter(pc.fill_null(pc.equal(texts, value), False)) for value in values)
    return write_groups(folder, by, (fit_group(part, arguments).to_pylist()[0] for part in parts))


def score_per_group(X: pd.DataFrame, groups: Groups | str | os.PathLike[str], *, on_gap: str = "score") -> pd.DataFrame:
    """Score each row by the model of its group.

    Parameters
    ----------
    X : DataFrame
    groups : Groups or path
        What `fit_per_group` returned, or its folder.
    on_gap : {"score", "skip"}
        See `Detector.score_table`.

    Returns
    -------
    DataFrame
        As `Detector.score_table` returns it; the ``status`` of a row whose group has no model says so.

    Raises
    ------
    InputError
        The columns do not suit the models.

    Warns
    -----
    AnoganWarning
        In how many groups rows lie beyond the range of training, and what else scoring a group warns of.
    """
    groups = groups if isinstance(groups, Groups) else Groups(groups)
    work = Work(("score", "p_value", "flag", "unseen", "status"), (), on_gap=on_gap)
    table = pa.Table.from_pandas(X, preserve_index=False)
    scored = work.checked(groups, table.schema).scored(groups, table).to_pandas()
    scored["flag"] = scored["flag"].astype("boolean")
    return scored.set_axis(X.index)


def warn_of_gaps(gaps: int, total: int, by: str) -> None:
    """Say to the caller of `fit_per_group` how many of its rows belong to no group."""
    if gaps:
        have = "has" if gaps == 1 else "have"
        warnings.warn(
            f"{counted(gaps, 'row')} of {total:,} {have} no value in {by!r}, so that no model learns them, and such "
            "rows will have no score. To make them a group of their own, fill the gaps with a value of its own.",
            ColumnWarning,
            stacklevel=3,
        )


def group_arguments(detector: Detector, by: str, folder: str | os.PathLike[str], schema: pa.Schema) -> str:
    """Check the arguments of `fit_per_group`; return what `fit_group` needs as text."""
    check_target(os.fspath(folder), folder=True)
    if Path(folder).exists() and any(Path(folder).iterdir()):
        raise InputError(f"The folder '{folder}' is not empty; name a new one.")
    group_texts(schema.empty_table(), by)
    if len(schema.names) < 2:
        raise InputError(f"The data has no column beside '{by}'.")
    detector.check_parameters()
    given = plain(detector.get_params())
    roles = {name: role for name, role in (given.pop("columns") or {}).items() if name != by}
    return json.dumps({"name": detector.name, "by": by, "given": given | {"columns": roles or None}})


def fit_group(rows: pa.Table, arguments: str) -> pa.Table:
    """Fit the model of one group, as a table of the schema `FITTED`; on a cluster, a worker does it."""
    import torch

    given = json.loads(arguments)
    group = group_texts(rows, given["by"], whole=True)[0].as_py()
    facts: dict[str, Any] = {"group": group, "rows": rows.num_rows}
    detector, content, threads = detector_class(given["name"])(**given["given"]), None, torch.get_num_threads()
    torch.set_num_threads(1)  # results depend on it in the last bits, and a cluster runs a worker for each core
    try:
        with (
            tempfile.TemporaryDirectory(prefix="anogan-") as folder,
            warnings.catch_warnings(action="always", category=AnoganWarning, record=True) as warned,
        ):
            path = Path(folder) / "rows.parquet"
            pq.write_table(rows.drop_columns(given["by"]).replace_schema_metadata(), path)
            detector.fit(TableFile(path)).save(Path(folder) / "model.anogan")
            content = (Path(folder) / "model.anogan").read_bytes()
            facts["threshold"] = float(detector.calibration_.threshold)
            facts["verdict"] = detector.diagnosis_.verdict
            facts["types"] = {str(name): kind for name, kind in detector.preprocessor_.column_types().items()}
            said = dict.fromkeys((warning.category.__name__, str(warning.message)) for warning in warned)
            facts["warnings"] = [{"category": category, "text": text} for category, text in said]
    except AnoganError as error:
        facts["error"] = str(error).replace(str(path), f"{given['by']}={group}")
    finally:
        torch.set_num_threads(threads)
    return pa.table({"facts": [json.dumps(facts)], "model": [content]}, FITTED)


def write_groups(folder: str | os.PathLike[str], by: str, fitted: Iterable[Any]) -> Groups:
    """Write the rows that `fit_group` returned to a folder, which appears when all are there."""
    target = Path(os.path.realpath(folder))
    index = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target), tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as part:
        made = Path(part) / "models"
        made.mkdir()
        for row in fitted:
            facts = json.loads(row["facts"])
            group = facts.pop("group")
            if row["model"] is not None:
                facts["file"] = f"{hashlib.sha256(group.encode()).hexdigest()[:20]}.anogan"
                (made / facts["file"]).write_bytes(row["model"])
            index[group] = facts
        if not any("file" in facts for facts in index.values()):
            reason = next((facts["error"] for facts in index.values()), f"no row has a value in '{by}'")
            raise InputError(f"No group can be fitted: {reason}")
        (made / INDEX).write_text(json.dumps({"by": by, "groups": dict(sorted(index.items()))}), encoding="utf-8")
        if target.exists():
            shutil.copymode(target, made)
            target.rmdir()
        os.replace(made, target)
    warn_of_groups(_said(index), len(index), stacklevel=3)
    return Groups(folder)


def _said(index: dict[str, Any]) -> Iterator[Said]:
    """Yield why groups have no model, and the warnings of the fits of those that have one."""
    for group, facts in sorted(index.items()):
        if "error" in facts:
            yield Said(group, AnoganWarning, facts["error"], " without a model")
        for warning in facts.get("warnings", ()):
            yield Said(group, getattr(errors, warning["category"], UserWarning), warning["text"])
