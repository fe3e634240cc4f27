"""`anogan score`: score a stream of data and write a table of scores."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import anogan
from anogan import Chunk, InputError, Stream, writing

from . import options
from .config import ConfiguredCommand, config_option
from .journal import Journal, digest, identity, kept, nameless
from .output import reserve, to_json, warn, warn_of
from .progress import Reporter

_PARTS = {"": ("label", pa.string()), "_share": ("share", pa.float64()), "_text": ("text", pa.string())}
"""Suffix of a reason's output column -> field of `Detector.reasons` and its type."""


@click.command(
    cls=ConfiguredCommand,
    epilog=options.examples(
        "anogan score new.csv -m model.anogan -o scores.csv",
        "anogan score pictures/ -m model.anogan -o scores.csv --maps maps",
    ),
)
@options.data_argument
@options.model_option
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="File for the scores: .csv, .tsv or .parquet, or - for standard output. In .csv and .tsv an apostrophe is put "
    "before a text that a spreadsheet would run as a formula.",
)
@click.option(
    "--fdr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="Q",
    help="Flag by false discovery rate instead of the model's threshold: at most this share of the flagged rows is "
    "expected to be normal (Benjamini-Hochberg over all of DATA).",
)
@click.option(
    "--tail",
    type=click.Choice(["empirical", "fitted"]),
    default="empirical",
    show_default=True,
    help="With --fdr: empirical p-values keep the promise, but need many calibration rows; fitted ones continue them "
    "by a distribution of the highest calibration scores, which is a model and not a promise.",
)
@click.option(
    "--reasons",
    "count",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Add, for each flagged row, the K columns that raised its score most: the name, the share, and a text with "
    "the value and the usual values of similar normal rows. Flagged rows are scored once more for each column of DATA.",
)
@click.option(
    "--maps",
    metavar="DIR",
    help="For pictures: write the raw anomaly map of each picture to this folder, and the picture with the map as a "
    "heatmap. A contour encloses errors above those of the worst pixel of a normal picture.",
)
@click.option(
    "--map-format",
    type=click.Choice(["png", "npy"]),
    help="Format of the raw maps: png has 16 bits, npy has the exact errors.  [default: png]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the same command after it was interrupted or killed, from the scores in FILE.part.",
)
@options.keep_option
@config_option
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write only the N rows or pictures with the highest scores, the highest first, with all columns of DATA.",
)
@click.option("--sort", is_flag=True, help="Write the highest scores first, with all columns of DATA.")
@options.stream_options
def command(
    data: options.Data,
    model_path: str,
    output: str,
    fdr: float | None,
    tail: str,
    count: int,
    maps: str | None,
    map_format: str | None,
    resume: bool,
    keep: tuple[str, ...],
    top: int | None,
    sort: bool,
    drop: tuple[str, ...],
    strict: bool,
    dialect: Any,
    on_error: str | None,
    on_gap: str,
    chunk_rows: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score DATA with a fitted model.

    The output has one line per row (counted from 0, without the header) or picture: its score (higher is more
    anomalous), its p-value (the probability that a normal row has at least this score) and whether it is
    flagged. For rows it also names the columns with values that were not in the training data (unseen), and says "ok"
    or why the row cannot be scored (status); score, p-value and flag of such a row are empty. DATA is read in
    chunks, so memory does not grow with its length. If DATA is a folder in MVTec layout, the pictures in test are
    scored. The columns named with --keep, those that were an --id in `anogan fit`, and the levels of an index that
    pandas wrote to a Parquet file are copied to the output.

    Scores are kept in FILE.part until all are computed; then FILE is written as a whole. If the run ends early for
    any reason other than an error in DATA, the same command with --resume continues from FILE.part, and FILE is the
    same as without the interruption.

    A value that was not in the training data (an unknown category, or a missing value in a column that had none) is
    evidence: its row scores as high as with the farthest known value. Such values are reported at the end; --strict
    makes them an error.
    """
    reserve(output, [*data, model_path], table=True)
    detector = anogan.load(model_path)
    stream = Stream(detector, data, drop, None, chunk_rows, on_error, strict, on_gap, keep=keep, dialect=dialect)
    kind = detector.preprocessor_.kind
    if count and kind == "image":
        raise InputError("--reasons names columns of a table; for pictures, use --maps DIR.")
    if maps is not None and kind != "image":
        raise InputError("--maps writes heatmaps of pictures; for a table, use --reasons K.")
    if resume and stream.source.folder is not None:
        raise InputError("--resume needs data that can be read again, which standard input cannot.")
    if tail != "empirical":
        if fdr is None:
            raise InputError("--tail is for flags by false discovery rate; give --fdr Q too.")
        detector.calibration_.p_value(np.empty(0), tail)  # if it cannot be fitted, this is said before scoring
    if resume and (maps is not None or writing.is_device(output)):
        raise InputError("--resume needs an output file and does not work with --maps.")
    if map_format is not None and maps is None:
        raise InputError("--map-format is the format of the maps that --maps DIR writes; give --maps DIR too.")
    if maps is not None:
        reserve(maps, folder=True)
    writer = None if maps is None else anogan.MapWriter(maps, detector.calibration_.map_threshold, map_format or "png")
    in_order = sort or top is not None
    run = _Run(detector, stream, count, writer, Reporter(quiet=quiet), tail=tail, top=top, in_order=in_order)
    with run.reporter, contextlib.ExitStack() as stack:
        if writer is not None:
            stack.enter_context(writer)
        if fdr is None and writing.is_device(output) and not run.in_order:
            flagged = run.to_device(output)
        else:
            schema = run.journal_schema
            if writing.is_device(output) or maps is not None:
                folder = None if writing.is_device(output) else os.path.dirname(os.path.abspath(output))
                journal = stack.enter_context(nameless(folder, schema))
            else:
                given = [
                    fdr,
                    tail,
                    count,
                    keep,
                    top,
                    sort,
                    drop,
                    strict,
                    str(dialect),
                    on_error,
                    on_gap,
                    stream.chunk_rows,
                ]
                given.append(anogan.__version__)
                this = {
                    "model": digest(model_path),
                    "data": identity(stream.source.paths),
                    "set of options": json.dumps(given),
                }
                journal = stack.enter_context(kept(output, schema, this, resume=resume))
            flagged = run.to_file(output, journal, fdr)
    warn_of(stream)
    facts = {
        "output": output,
        "rows": run.rows,
        "written": run.rows if top is None else min(run.rows, top),
        "flagged": flagged,
        "threshold": detector.calibration_.threshold if fdr is None else None,
        "fdr": fdr,
        "tail": None if fdr is None else tail,
        "unseen_values": {column: dict(counts) for column, counts in stream.unseen.items()},
        "skipped": stream.skipped,
        "unscored": vars(stream.unscored),
    }
    if quiet and not as_json:
        return
    click.echo(to_json(facts) if as_json else _summary(facts, kind, writer), err=output == "-")


def _summary(facts: dict[str, Any], kind: str, writer: "anogan.MapWriter | None") -> str:
    rule = f"above the threshold {facts['threshold']:.6g}" if facts["fdr"] is None else f"at FDR {facts['fdr']:g}"
    rule += " by a fitted tail (a model, not a promise)" if facts["tail"] == "fitted" else ""
    what, some = "pictures" if kind == "image" else "rows", facts["written"] < facts["rows"]
    lines = [
        f"{facts['rows'] - facts['unscored']['rows']:,} {what} scored, {facts['flagged']:,} flagged {rule}; "
        + f"the {facts['written']:,} with the highest scores are " * some
        + f"written to {facts['output']}"
    ]
    return "\n".join([*lines, writer.scale_note()] if writer is not None else lines)


def _beside(chunk: Chunk, name: str) -> pa.ChunkedArray:
    assert chunk.carried is not None
    return chunk.carried[name]


class _Run:
    def __init__(
        self,
        detector: Any,
        stream: Stream,
        count: int,
        maps: anogan.MapWriter | None,
        reporter: Reporter,
        *,
        tail: str,
        top: int | None,
        in_order: bool,
    ) -> None:
        self.detector, self.stream, self.maps, self.reporter = detector, stream, maps, reporter
        self.tail, self.top, self.in_order = tail, top, in_order
        self.count = min(count, len(detector.preprocessor_.columns_)) if count else 0
        self.reasons = {
            f"reason_{k}{part}": kind for k in range(1, self.count + 1) for part, (_, kind) in _PARTS.items()
        }
        self.rows = self.end = 0
        id_field = ("file", pa.string()) if hasattr(stream.source, "pictures") else ("row", pa.int64())
        measured = [("score", pa.float64()), ("p_value", pa.float64())]
        marks = [] if detector.preprocessor_.kind == "image" else [("unseen", pa.string()), ("status", pa.string())]
        own = pa.schema([id_field, *measured, ("flag", pa.bool_()), *marks, *self.reasons.items()])
        carried = stream.carry(everything=in_order)
        if taken := [name for name in carried.names if name in own.names]:
            if set(taken) & set(stream.keep):
                raise InputError(f"--keep {taken[0]}: the output already has a column of this name; rename it in DATA.")
            warn(f"columns of DATA with names that the output needs are not copied to it: {', '.join(taken)}.")
        self.carried = pa.schema([field for field in carried if field.name not in own.names])
        self.schema = pa.schema([own[0], *self.carried, *list(own)[1:]])
        # In order, the other columns are added when the scores are known.
        self.journal_schema = (
            pa.schema([own[0], *measured, *marks])
            if in_order
            else self.schema.remove(self.schema.get_field_index("flag"))
        )

    def to_device(self, output: str) -> int:
        """Write each chunk as it is scored, flagged by the model's threshold; return how many rows are flagged."""
        flagged = 0
        with writing.table_writer(output, self.schema) as writer:
            for table in self._tables(None):
                flags = table["score"].to_numpy() > self.detector.calibration_.threshold
                flagged += int(flags.sum())
                writer.write(self._with_flags(table, flags))
        return flagged

    def to_file(self, output: str, journal: Journal, fdr: float | None) -> int:
        """Score the rows that the journal lacks, write the output with flags, and return how many rows are flagged.

        Benjamini-Hochberg needs the small p-values of all rows.
        """
        self.rows, self.stream.start = journal.state.get("rows", 0), journal.state.get("end", 0)
        for column, counts in journal.state.get("unseen", {}).items():
            self.stream.unseen[column] = Counter(counts)
        self.stream.ranges.restore(journal.state.get("ranges", {}))
        self.stream.skipped.update(journal.state.get("skipped", {}))
        vars(self.stream.unscored).update(journal.state.get("unscored", {}))
        for table in self._tables(fdr):
            journal.append(table, self._state())
        calibration = self.detector.calibration_
        level = None
        if fdr is not None:
            bound = max(fdr, 1 / (len(calibration.scores) + 1))
            every = (table["p_value"].to_numpy() for table in journal.tables())
            small = np.concatenate([np.empty(0), *(p[p <= bound] for p in every)])
            scored = self.rows - self.stream.unscored.rows
            level = anogan.fdr_level(small, scored, fdr)

        def flags_of(table: pa.Table) -> np.ndarray:
            if level is None:
                return np.asarray(table["score"].to_numpy() > calibration.threshold)
            return np.asarray(table["p_value"].to_numpy() <= level)

        flagged = found = 0
        for table in journal.tables():
            flagged += int(flags_of(table).sum())
            found += table.num_rows
        if found != self.rows:
            raise anogan.AnoganError(
                f"{self.rows:,} rows were scored, but {found:,} were read back for {output}: something else has "
                "changed the scores kept on disk. Delete them and score again."
            )
        self.reporter.begin("writing", self.rows)
        with writing.table_writer(output, self.schema) as writer:
            for table in self._in_order(journal, flags_of) if self.in_order else journal.tables():
                flags = flags_of(table)
                if level is not None:
                    table = self._only_flagged_explained(table, flags)
                writer.write(self._with_flags(table, flags))
                self.reporter.advance(table.num_rows)
        if level is not None and self.tail == "empirical" and (note := calibration.fdr_note(small, scored, fdr)):
            warn(
                f"{note} Run anogan recalibrate with more normal rows, fit with a larger --calibration-fraction, raise "
                "--fdr, or add --tail fitted (a model, not a promise)."
            )
        return flagged

    def _in_order(self, journal: Journal, flags_of: Callable[[pa.Table], np.ndarray]) -> Iterator[pa.Table]:
        """Iterate over blocks of rows, the highest scores first, with the columns of DATA and reasons for flagged rows.

        The columns come from another pass over DATA for each block, so memory holds one block.
        """
        positions = anogan.ordering.highest((table["score"].to_numpy() for table in journal.tables()), self.top)
        for first in range(0, len(positions), anogan.ordering.BLOCK_ROWS):
            block = positions[first : first + anogan.ordering.BLOCK_ROWS]
            table = anogan.ordering.rows_at(journal.tables(), block)
            if self.carried.names or self.count:
                rows = self.stream.rows_at(table["row"].to_numpy())
                for name in self.carried.names:
                    table = table.append_column(name, _beside(rows, name))
                for name, values in self._reasons(rows, np.flatnonzero(flags_of(table))).items():
                    table = table.append_column(name, values)
            yield table

    def _state(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "end": self.end,
            "unseen": self.stream.unseen,
            "ranges": self.stream.ranges.counts,
            "skipped": self.stream.skipped,
            "unscored": vars(self.stream.unscored),
        }

    def _with_flags(self, table: pa.Table, flags: np.ndarray) -> pa.Table:
        """Return the output of a table, where rows without a score have no flag."""
        flag = pa.array(flags, mask=table["score"].is_null().to_numpy())
        return table.append_column("flag", flag).select(self.schema.names)

    def _only_flagged_explained(self, table: pa.Table, flags: np.ndarray) -> pa.Table:
        for name in self.reasons:
            explained = pc.if_else(pa.array(flags), table[name], None)
            table = table.set_column(table.column_names.index(name), table.schema.field(name), explained)
        return table

    def _tables(self, fdr: float | None) -> Iterator[pa.Table]:
        """Iterate over the output of each chunk without flags, with reasons for all rows that may be flagged."""
        calibration = self.detector.calibration_
        total = self.stream.total
        self.reporter.begin("scoring", total, self.stream.start)
        for chunk in self.stream.chunks():
            scores = self._scores(chunk)
            p_values = calibration.p_value(scores, self.tail)
            id_name = "row" if chunk.names is None else "file"
            columns: dict[str, Any] = {id_name: chunk.ids()}
            columns |= {"score": pa.array(scores, from_pandas=True), "p_value": pa.array(p_values, from_pandas=True)}
            if chunk.account is not None:
                columns |= {"unseen": chunk.account.unseen_columns(), "status": chunk.account.status()}
            if not self.in_order:
                columns |= {name: _beside(chunk, name) for name in self.carried.names}
                # A p-value above the false discovery rate is never flagged, whatever the other rows are.
                candidates = scores > calibration.threshold if fdr is None else p_values <= fdr
                columns |= self._reasons(chunk, np.flatnonzero(candidates))
            self.rows += len(chunk)
            self.end = chunk.end
            self.reporter.reach(min(chunk.end, total or chunk.end))
            yield pa.table(columns).select(self.journal_schema.names).cast(self.journal_schema)

    def _scores(self, chunk: Chunk) -> np.ndarray:
        """Return the scores of a chunk (n,) and write its maps if requested; one pass computes both.

        Rows that cannot be scored have NaN.
        """
        if self.maps is None:
            scores, usable = np.full(len(chunk), np.nan), chunk.usable()
            if len(usable):
                rows = slice(None) if usable.rows is None else usable.rows - chunk.first
                scores[rows] = self.detector.anomaly_score(usable.X)
            return scores
        scores, maps = self.detector.predict_maps(chunk.X)
        self.maps.write(chunk, anogan.metrics.pixel_maps(maps))
        return scores

    def _reasons(self, chunk: Chunk, rows: np.ndarray) -> dict[str, Any]:
        """Return the columns with the reasons of a chunk, which are null outside `rows`."""
        cells = {name: np.full(len(chunk), None, dtype=object) for name in self.reasons}
        if len(rows) and self.count:
            X = chunk.X.iloc[rows] if hasattr(chunk.X, "iloc") else chunk.X[rows]
            found = self.detector.reasons(X, self.count)
            found["label"] = found["column"].map(anogan.labels.column_label)
            for rank, group in found.groupby("rank"):
                for part, (field, _) in _PARTS.items():
                    cells[f"reason_{rank}{part}"][rows[group["row"]]] = group[field]
        return {name: pa.array(values, self.reasons[name]) for name, values in cells.items()}
