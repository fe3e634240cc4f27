"""Scoring a file or folder with a model file: the work of `anogan score`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from ..errors import InputError
from ..reporting.maps import MapWriter
from ..scoring.calibration import TAILS
from ..sources.dialect import CSVDialect
from ..sources.locks import locked
from ..sources.paths import Paths
from ..sources.stream import Progress, Stream
from ..sources.writing import check_table_target, check_target, is_device
from .journal import digest, identity, kept, nameless
from .scores import ScoreTables
from .writing import to_device, to_file


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
        "rows" or "pictures".
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
        text = f"{scored:,} {self.kind} scored, {self.flagged:,} flagged {rule}; {some}written to {self.output}"
        return text if self.scale is None else f"{text}\n{self.scale}"


def score_file(
    data: Paths,
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fdr: float | None = None,
    tail: str = "empirical",
    reasons: int = 0,
    maps: str | None = None,
    map_format: str | None = None,
    resume: bool = False,
    keep: Sequence[str] = (),
    top: int | None = None,
    sort: bool = False,
    drop: Sequence[str] = (),
    strict: bool = False,
    dialect: CSVDialect | None = None,
    on_error: str | None = None,
    on_gap: str = "score",
    chunk_rows: int | None = None,
    progress: Progress | None = None,
) -> ScoredFile:
    """Score a file or folder of any size with a model file, and write a table with a line for each row or picture.

    `anogan score` does this. The scores are kept in ``OUTPUT.part`` until all are computed, from which the same call
    with ``resume=True`` continues if it was killed; then the output is written as a whole.

    Parameters
    ----------
    data : path, pattern or sequence of paths
        See `open_source`.
    model : path
        A model file, or an exported one whose name ends in .onnx.
    output : path
        A file ending in .csv, .tsv or .parquet, or "-" for standard output.
    fdr : float, optional
        Flag by this false discovery rate, in (0, 1), over all rows instead of the model's threshold.
    tail : {"empirical", "fitted"}
        See `Detector.flag`; "fitted" needs `fdr`.
    reasons : int
        Columns of a table that are named as reasons of each flagged row.
    maps : path, optional
        A folder for the anomaly maps of pictures.
    map_format : {"png", "npy"}, optional
        The format of the raw maps, png by default.
    resume : bool
        Continue from ``OUTPUT.part``.
    top : int, optional
        Write only this many rows, the highest scores first, with all columns of the data.
    sort : bool
        Write the highest scores first, with all columns of the data.
    keep, drop, strict, dialect, on_error, on_gap, chunk_rows
        See `Stream`.
    progress : function of (str, int, int or None), optional

    Returns
    -------
    ScoredFile
        Its text is a summary, and its `notes` say what the user should know.

    Raises
    ------
    InputError
        The data do not suit the model, an argument cannot be used, or the output cannot be written. No output is left.
    """
    output, model = os.fspath(output), os.fspath(model)
    inputs = [data] if isinstance(data, str | os.PathLike) else data
    check_table_target(output, [*(str(os.fspath(path)) for path in inputs), model])
    with contextlib.ExitStack() as stack:
        if not is_device(output):
            stack.enter_context(locked(output))
        detector = opened(model)
        stream = Stream(detector, data, drop, None, chunk_rows, on_error, strict, on_gap, keep=keep, dialect=dialect)
        _check(stream, output, fdr, tail, reasons, maps, map_format, resume=resume)
        writer = None
        if maps is not None:
            check_target(maps, folder=True)
            writer = MapWriter(maps, detector.calibration_, map_format or "png")
            stack.enter_context(writer)
        in_order = sort or top is not None
        tables = ScoreTables(
            stream, fdr=fdr, tail=tail, reasons=reasons, maps=writer, later=in_order, progress=progress
        )
        if fdr is None and is_device(output) and not in_order:
            flagged = to_device(tables, output)
        else:
            if is_device(output) or maps is not None:
                folder = None if is_device(output) else os.path.dirname(os.path.abspath(output))
                journal = stack.enter_context(nameless(folder, tables.scored))
            else:
                options = [fdr, tail, reasons, [*keep], top, sort, [*drop], strict, str(dialect), on_error, on_gap]
                run = {
                    "model": digest(model),
                    "data": identity(stream.source.paths),
                    "set of options": json.dumps([*options, stream.chunk_rows, version("anogan")]),
                }
                journal = stack.enter_context(kept(output, tables.scored, run, resume=resume))
            flagged = to_file(tables, output, journal, top, in_order=in_order)
    return ScoredFile(
        output=output,
        rows=tables.rows,
        written=tables.rows if top is None else min(tables.rows, top),
        flagged=flagged,
        threshold=detector.calibration_.threshold if fdr is None else None,
        fdr=fdr,
        tail=None if fdr is None else tail,
        unseen_values={column: dict(counts) for column, counts in stream.unseen.items()},
        skipped=stream.skipped,
        unscored=vars(stream.unscored),
        kind="pictures" if detector.preprocessor_.kind == "image" else "rows",
        notes=stream.notes(),
        scale=None if writer is None else writer.scale_note(),
    )


def opened(model: str) -> Any:
    """Return the detector of a model file, or that of an ONNX file, which is scored without torch."""
    if model.lower().endswith(".onnx"):
        from ..export.onnx_model import OnnxModel

        return OnnxModel(model)
    from ..detectors.lookup import load

    return load(model)


def _check(
    stream: Stream,
    output: str,
    fdr: float | None,
    tail: str,
    reasons: int,
    maps: str | None,
    map_format: str | None,
    *,
    resume: bool,
) -> None:
    """Raise `InputError` if arguments do not suit the data or each other."""
    detector = stream.detector
    is_image = detector.preprocessor_.kind == "image"
    if reasons and is_image:
        raise InputError(
            "reasons name columns of a table; for pictures, use maps.",
            "--reasons names columns of a table; for pictures, use --maps DIR.",
        )
    if maps is not None and not is_image:
        raise InputError(
            "maps are heatmaps of pictures; for a table, use reasons.",
            "--maps writes heatmaps of pictures; for a table, use --reasons K.",
        )
    if resume and stream.source.folder is not None:
        raise InputError(
            "resume needs data that can be read again, which standard input cannot.",
            "--resume needs data that can be read again, which standard input cannot.",
        )
    if fdr is not None and not 0 < fdr < 1:
        raise InputError(f"fdr must be between 0 and 1, got {fdr}.")
    if tail not in TAILS:
        raise InputError(f"tail must be one of {', '.join(map(repr, TAILS))}, got {tail!r}.")
    if tail != "empirical":
        if fdr is None:
            raise InputError(
                "tail is for flags by false discovery rate; give fdr too.",
                "--tail is for flags by false discovery rate; give --fdr Q too.",
            )
        detector.calibration_.p_value(np.empty(0), tail)  # if it cannot be fitted, this is said before scoring
    if resume and (maps is not None or is_device(output)):
        raise InputError(
            "resume needs an output file and does not work with maps.",
            "--resume needs an output file and does not work with --maps.",
        )
    if map_format is not None and maps is None:
        raise InputError(
            "map_format is the format of the maps; give maps too.",
            "--map-format is the format of the maps that --maps DIR writes; give --maps DIR too.",
        )
