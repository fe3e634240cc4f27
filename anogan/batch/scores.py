"""The table of scores of a stream: one line per row or picture, chunk by chunk."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import ColumnWarning, InputError
from ..sources.labels import column_label
from ..sources.source import Chunk
from ..streams.progress import Progress, report
from ..streams.stream import Stream

if TYPE_CHECKING:
    from ..reporting.maps import MapWriter

_PARTS = {"": ("label", pa.string()), "_share": ("share", pa.float64()), "_text": ("text", pa.string())}
"""Suffix of a reason's output column -> field of `Detector.reasons` and its type."""


def reason_fields(count: int) -> list[pa.Field]:
    """Return the columns with the reasons of a row."""
    return [pa.field(f"reason_{k}{part}", kind) for k in range(1, count + 1) for part, (_, kind) in _PARTS.items()]


def own_schema(kind: str, reasons: int, *, named: bool) -> pa.Schema:
    """Return the columns of a table of scores, without those that are copied from the data.

    Parameters
    ----------
    kind : str
        That of the model's preprocessor.
    reasons : int
        Number of reasons per row.
    named : bool
        Whether the samples have file names rather than numbers.
    """
    own = [("file", pa.string()) if named else ("row", pa.int64()), ("score", pa.float64()), ("p_value", pa.float64())]
    marks = [] if kind == "image" else [("unseen", pa.string()), ("status", pa.string())]
    return pa.schema([*own, ("flag", pa.bool_()), *marks, *reason_fields(reasons)])


def reasons_of(detector: Any, X: Any, rows: np.ndarray, count: int) -> dict[str, pa.Array]:
    """Return the columns with the reasons of some rows of X (n,), which are null in the other rows."""
    fields = reason_fields(count)
    cells = {field.name: np.full(len(X), None, dtype=object) for field in fields}
    if len(rows) and count:
        found = detector.reasons(X.iloc[rows] if hasattr(X, "iloc") else X[rows], count)
        found["label"] = found["column"].map(column_label)
        for rank, group in found.groupby("rank"):
            for part, (name, _) in _PARTS.items():
                cells[f"reason_{rank}{part}"][rows[group["row"]]] = group[name]
    return {field.name: pa.array(cells[field.name], field.type) for field in fields}


class ScoreTables:
    """The scores of a stream as tables without flags, one for each chunk.

    Parameters
    ----------
    stream : Stream
    fdr, tail, reasons
        See `score_file`.
    maps : MapWriter or None
        Writes the anomaly maps of pictures.
    later : bool
        Whether reasons and the copied columns are added later, because the rows will come in another order.
    progress : function of (str, int, int or None), optional

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns of the finished output.
    scored : pyarrow.Schema
        Columns of the tables.
    copied : pyarrow.Schema
        Columns that are copied from the data.
    explained : list of str
        Columns with reasons.
    rows, end : int
        Rows scored so far, and where the next chunk begins.
    pieces : int
        Pieces that workers of a cluster have scored so far.

    Raises
    ------
    InputError
        If a column in `Stream.keep` is named like one of the output.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        fdr: float | None = None,
        tail: str = "empirical",
        reasons: int = 0,
        maps: MapWriter | None = None,
        later: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.stream, self.detector, self.maps = stream, stream.detector, maps
        self.fdr, self.tail, self.later, self.progress = fdr, tail, later, progress
        preprocessor = self.detector.preprocessor_
        self.reasons = min(reasons, len(preprocessor.columns_)) if reasons else 0
        self.rows = self.end = self.pieces = 0
        own = own_schema(preprocessor.kind, self.reasons, named=stream.source.kind == "pictures")
        carried = stream.carry(everything=later)
        if taken := [name for name in carried.names if name in own.names]:
            if set(taken) & set(stream.keep):
                rest = "the output already has a column of this name; rename it in DATA."
                raise InputError(f"keep: '{taken[0]}': {rest}", f"--keep {taken[0]}: {rest}")
            names = ", ".join(taken)
            text = f"columns of DATA with names that the output needs are not copied to it: {names}."
            warnings.warn(ColumnWarning(text), stacklevel=1)
        self.copied = pa.schema([field for field in carried if field.name not in own.names])
        self.schema = pa.schema([own[0], *self.copied, *list(own)[1:]])
        self.explained = [field.name for field in reason_fields(self.reasons)]
        left_out = ["flag", *((*self.explained, *self.copied.names) if later else ())]
        self.scored = pa.schema([field for field in self.schema if field.name not in left_out])

    def __iter__(self) -> Iterator[pa.Table]:
        """Score the chunks, with reasons for all rows that may be flagged."""
        calibration, total = self.detector.calibration_, self.stream.total
        report(self.progress, "scoring", self.stream.start, total)
        for chunk in self.stream.chunks():
            scores = self._scores(chunk)
            p_values = calibration.p_value(scores, self.tail)
            columns: dict[str, Any] = {self.schema.names[0]: chunk.ids()}
            columns |= {"score": pa.array(scores, from_pandas=True), "p_value": pa.array(p_values, from_pandas=True)}
            if chunk.account is not None:
                columns |= {"unseen": chunk.account.unseen_columns(), "status": chunk.account.status()}
            if not self.later:
                # A p-value above the false discovery rate is never flagged, whatever the other rows are.
                candidates = scores > calibration.threshold if self.fdr is None else p_values <= self.fdr
                columns |= self.beside(chunk, np.flatnonzero(candidates))
            self.rows += len(chunk)
            self.end = chunk.end
            report(self.progress, "scoring", min(chunk.end, total or chunk.end), total)
            yield pa.table(columns).select(self.scored.names).cast(self.scored)

    def state(self) -> dict[str, Any]:
        """Return what was counted so far, as JSON, for `add`."""
        stream = self.stream
        return {
            "rows": self.rows,
            "end": self.end,
            "pieces": self.pieces,
            "unseen": stream.unseen,
            "ranges": stream.ranges.counts,
            "skipped": stream.skipped,
            "unscored": vars(stream.unscored),
        }

    def add(self, state: Mapping[str, Any], first: int = 0) -> None:
        """Go on after rows that were scored before or elsewhere.

        Parameters
        ----------
        state : dict
            What `state` returned there; empty if nothing was scored.
        first : int
            The number of the row from which rows were counted there.
        """
        if not state:
            return
        stream = self.stream
        self.rows += state["rows"]
        self.end = stream.start = first + state["end"]
        self.pieces += state["pieces"] or 1
        for column, counts in state["unseen"].items():
            stream.unseen.setdefault(column, Counter()).update(counts)
        stream.ranges.more(state["ranges"])
        stream.skipped.update(state["skipped"])
        stream.unscored.more(state["unscored"], first)

    def beside(self, chunk: Chunk, explained: np.ndarray) -> dict[str, Any]:
        """Return the columns beside the scores: those copied from the data, and the reasons of some rows."""
        columns: dict[str, Any] = {}
        if chunk.carried is not None:
            columns = {name: chunk.carried[name] for name in self.copied.names}
        return columns | reasons_of(self.detector, chunk.X, explained, self.reasons)

    def flagged(self, table: pa.Table, flags: np.ndarray) -> pa.Table:
        """Return a table with its flags, which rows without a score lack, and with reasons for flagged rows alone."""
        import pyarrow.compute as pc

        for name in self.explained if self.fdr is not None else ():
            explained = pc.if_else(pa.array(flags), table[name], None)
            table = table.set_column(table.column_names.index(name), table.schema.field(name), explained)
        flag = pa.array(flags, mask=table["score"].is_null().to_numpy())
        return table.append_column("flag", flag).select(self.schema.names)

    def _scores(self, chunk: Chunk) -> np.ndarray:
        """Return the scores of a chunk (n,), NaN for rows that cannot be scored; write its maps in the same pass."""
        if self.maps is None:
            return self.stream.scores(chunk)
        from ..evaluation.metrics import pixel_maps

        scores, maps = self.detector.maps_of_part(chunk.X)
        self.maps.write(chunk, pixel_maps(maps))
        return np.asarray(scores)
