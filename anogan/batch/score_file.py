"""Scoring a file or folder with a model file: the work of `anogan score`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..files.locks import locked
from ..files.paths import Paths
from ..files.remote import is_remote, local_file
from ..files.writing import check_table_target, is_device
from ..streams.progress import Progress
from ..wording import counted
from .journal import Journal, digest, identity, kept, nameless
from .models import read_model
from .pieces import PieceTables, check_engine
from .scores import ScoreTables
from .scoring import Scoring
from .writing import to_device, to_file

if TYPE_CHECKING:
    from .engine import Engine


@dataclass
class ScoredFile:
    """What `score_file` did.

    Attributes
    ----------
    output : str
    rows, written, flagged : int
        Rows or pictures that were read, that the output holds, and that are flagged.
    threshold : float or None
        The score above which rows are flagged; None with a false discovery rate.
    fdr : float or None
    tail : str or None
        None without a false discovery rate.
    unseen_values : dict of str to dict of str to int
        By column: the values that were not in the training data, and in how many rows.
    skipped : dict of str to str
        The pictures that could not be read, and why.
    unscored : dict
        Attributes of `Unscored`: the rows that could not be scored.
    kind : str
        "row" or "picture".
    notes : list of str
        Sentences about skipped pictures and rows and about unusual values.
    scale : str or None
        What the colours of the maps mean, if maps were written.
    """

    output: str
    rows: int
    written: int
    flagged: int
    threshold: float | None
    fdr: float | None
    tail: str | None
    unseen_values: dict[str, dict[str, int]]
    skipped: dict[str, str]
    unscored: dict[str, Any]
    kind: str
    notes: list[str]
    scale: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what `anogan score --json` prints."""
        facts = vars(self)
        return {name: facts[name] for name in facts if name not in ("kind", "notes", "scale")}

    def __str__(self) -> str:
        rule = f"above the threshold {self.threshold:.6g}" if self.fdr is None else f"at FDR {self.fdr:g}"
        rule += " by a fitted tail (a model, not a promise)" if self.tail == "fitted" else ""
        some = f"the {self.written:,} with the highest scores are " if self.written < self.rows else ""
        scored = self.rows - self.unscored["rows"]
        text = f"{counted(scored, self.kind)} scored, {self.flagged:,} flagged {rule}; {some}written to {self.output}"
        return text if self.scale is None else f"{text}\n{self.scale}"


def score_file(
    data: Paths,
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    resume: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ScoredFile:
    """Score a file or folder of any size with a model file, and write a table with a line for each row or picture.

    `anogan score` does this. The scores are kept in ``OUTPUT.part`` until all are computed, from which the same call
    with ``resume=True`` continues if it was killed; then the output is written as a whole. Files may be at URLs such as
    ``s3://bucket/new.parquet`` (``pip install "anogan[remote]"``); for an output there, nothing is kept.

    Parameters
    ----------
    data : path, pattern or sequence of paths
        See `open_source`.
    model : path
        A model file, or an exported one whose name ends in .onnx.
    output : path
        A file ending in .csv, .tsv or .parquet, or "-" for standard output.
    resume : bool
        Continue from ``OUTPUT.part``.
    engine : SparkEngine or RayEngine, optional
        A cluster that scores the data in pieces, which all its nodes must be able to read. The output is the same.
    progress : function of (str, int, int or None), optional
    **options
        Those of `Scoring`, such as ``fdr=0.05`` or ``reasons=3``.

    Returns
    -------
    ScoredFile
        Its text is a summary, and its `notes` say what the user should know.

    Raises
    ------
    InputError
        The data do not suit the model, an argument cannot be used, or the output cannot be written. No output is left.
    """
    output, scoring = os.fspath(output), Scoring(**options)
    inputs = [os.fspath(path) for path in ([data] if isinstance(data, str | os.PathLike) else data)]
    check_table_target(output, [*inputs, os.fspath(model)])
    with contextlib.ExitStack() as stack:
        if not is_device(output):
            stack.enter_context(locked(output))
        model_file = stack.enter_context(local_file(model))
        detector = read_model(model_file)
        stream = scoring.stream(detector, data)
        scoring.check(stream, output, resume=resume)
        if engine is not None:
            check_engine(scoring, inputs)
        writer = None
        if scoring.maps is not None:
            from ..reporting.maps import MapWriter  # loads SciPy, which scoring does not need

            writer = MapWriter(scoring.maps, detector.calibration_, scoring.map_format or "png")
            writer.check(stream.source)
            stack.enter_context(writer)
        tables = scoring.tables(stream, writer, progress)
        scored: Iterable[pa.Table] = tables
        if engine is not None:
            scored = PieceTables(tables, stack.enter_context(engine), scoring, inputs, model_file)
        if scoring.fdr is None and is_device(output) and not scoring.in_order:
            flagged = to_device(tables, scored, output)
        else:
            journal = stack.enter_context(_journal(output, tables, scoring, engine, model_file, resume=resume))
            flagged = to_file(tables, scored, output, journal, scoring.top, in_order=scoring.in_order)
    return ScoredFile(
        output=output,
        rows=tables.rows,
        written=tables.rows if scoring.top is None else min(tables.rows, scoring.top),
        flagged=flagged,
        threshold=detector.calibration_.threshold if scoring.fdr is None else None,
        fdr=scoring.fdr,
        tail=None if scoring.fdr is None else scoring.tail,
        unseen_values={column: dict(counts) for column, counts in stream.unseen.items()},
        skipped=stream.skipped,
        unscored=vars(stream.unscored),
        kind="picture" if detector.preprocessor_.kind == "image" else "row",
        notes=stream.notes(),
        scale=None if writer is None else writer.scale_note(),
    )


def _journal(
    output: str, tables: ScoreTables, scoring: Scoring, engine: Engine | None, model: Path, *, resume: bool
) -> AbstractContextManager[Journal]:
    """Return the journal in which scores are kept until all are there."""
    if is_device(output) or is_remote(output) or scoring.maps is not None:
        there = None if is_device(output) or is_remote(output) else os.path.dirname(os.path.abspath(output))
        return nameless(there, tables.scored)
    stream = tables.stream
    run = {
        "model": digest(str(model)),
        "data": identity(stream.source.paths),
        "set of options": json.dumps([scoring.to_json(), stream.chunk_rows, type(engine).__name__, version("anogan")]),
    }
    return kept(output, tables.scored, run, resume=resume)
