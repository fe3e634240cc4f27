"""`anogan score`: a stream of data in, a table of scores out."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import anogan
from anogan import InputError

from . import options
from .io import check_table_target, is_device, table_writer, warn
from .maps import RAW_FORMATS, MapWriter, pixel_maps
from .progress import Reporter
from .stream import Chunk, Stream, column_label

_PARTS = {"": ("label", pa.string()), "_share": ("share", pa.float64()), "_text": ("text", pa.string())}
"""End of the name of a reason's columns in the output -> field of `Detector.reasons`, and type."""


@click.command()
@click.argument("data")
@options.model_option
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="Scores: .csv, .tsv or .parquet; - for standard output.",
)
@click.option(
    "--fdr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="Q",
    help="Flag so that at most this share of the flagged is normal in expectation (Benjamini-Hochberg over "
    "all of DATA), instead of by the model's threshold.",
)
@click.option(
    "--reasons",
    "count",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Add the K columns that drove the score of each flagged row: name, share, and in words the value and what "
    "similar normal rows have there. Costs a scoring of these rows for each column of DATA.",
)
@click.option(
    "--maps",
    metavar="DIR",
    help="For pictures: write a heatmap over each picture, with a contour where the error exceeds what the worst pixel "
    "of a normal picture has, and the raw map.",
)
@click.option(
    "--map-format",
    type=click.Choice(RAW_FORMATS),
    help="Of the raw maps: png has 16 bits, npy the errors themselves.  [default: png]",
)
@click.option("--label", metavar="COLUMN", help="Carry this column over to the output.")
@options.stream_options
def command(
    data: str,
    model_path: str,
    output: str,
    fdr: float | None,
    count: int,
    maps: str | None,
    map_format: str | None,
    label: str | None,
    drop: tuple[str, ...],
    strict: bool,
    on_error: str,
    chunk_rows: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score DATA with a fitted model.

    The output has one line per row (counted from 0, header not counted) or picture: its score (higher = more
    anomalous), its p-value (the probability that a normal row scores at least this) and whether it is
    flagged. DATA is read in pieces, so memory does not grow with its length. Of a folder in MVTec layout the
    pictures in test are scored.

    A category that the model never saw does not stop scoring: to a detector an unseen value is evidence. It
    is reported at the end; --strict makes it an error.
    """
    check_table_target(output, [data, model_path])
    detector = anogan.load(model_path)
    stream = Stream(detector, data, drop, label, chunk_rows, on_error == "skip", strict)
    kind = detector.preprocessor_.kind
    if count and kind == "image":
        raise InputError("--reasons names columns of a table; for pictures use --maps DIR.")
    if maps is not None and kind != "image":
        raise InputError("--maps writes heatmaps of pictures; for a table use --reasons K.")
    if map_format is not None and maps is None:
        raise InputError("--map-format is the format of the maps that --maps DIR writes; name DIR.")
    writer = None if maps is None else MapWriter(maps, detector.calibration_.map_threshold, map_format or "png")
    run = _Run(detector, stream, count, writer, Reporter(quiet=quiet))
    with run.reporter:
        flagged = run.to_file(output) if fdr is None else run.to_file_with_fdr(output, fdr)
    stream.report()
    facts = {
        "output": output,
        "rows": run.rows,
        "flagged": flagged,
        "threshold": detector.calibration_.threshold if fdr is None else None,
        "fdr": fdr,
        "unseen_categories": {column: dict(counts) for column, counts in stream.unseen.items()},
        "skipped": stream.skipped,
    }
    if quiet and not as_json:
        return
    click.echo(json.dumps(facts) if as_json else _summary(facts, kind, writer), err=output == "-")


def _summary(facts: dict[str, Any], kind: str, writer: MapWriter | None) -> str:
    rule = f"above the threshold {facts['threshold']:.6g}" if facts["fdr"] is None else f"at FDR {facts['fdr']:g}"
    lines = [
        f"{facts['rows']:,} {'pictures' if kind == 'image' else 'rows'} scored, {facts['flagged']:,} flagged "
        f"{rule}; written to {facts['output']}"
    ]
    return "\n".join([*lines, writer.scale_note()] if writer is not None else lines)


class _Run:
    def __init__(self, detector: Any, stream: Stream, count: int, maps: MapWriter | None, reporter: Reporter) -> None:
        self.detector, self.stream, self.count, self.maps, self.reporter = (
            detector,
            stream,
            count,
            maps,
            reporter,
        )
        self.count = min(count, len(detector.preprocessor_.columns_)) if count else 0
        self.reasons = {
            f"reason_{k}{part}": kind for k in range(1, self.count + 1) for part, (_, kind) in _PARTS.items()
        }
        self.rows = 0

    def schema(self, *, flag: bool) -> pa.Schema:
        is_folder = self.detector.preprocessor_.kind == "image" and hasattr(self.stream.source, "pictures")
        fields = [("file", pa.string()) if is_folder else ("row", pa.int64())]
        if self.stream.label is not None:
            fields.append((self.stream.label, pa.string()))
        fields += [("score", pa.float64()), ("p_value", pa.float64())]
        fields += [("flag", pa.bool_())] if flag else []
        fields += self.reasons.items()
        names = [name for name, _ in fields]
        if self.stream.label is not None and names.count(self.stream.label) > 1:
            raise InputError(f"--label {self.stream.label}: the output has a column of this name already; rename it.")
        return pa.schema(fields)

    def to_file(self, output: str) -> int:
        """Write scores, flags by the model's threshold; how many are flagged."""
        threshold, schema, flagged = self.detector.calibration_.threshold, self.schema(flag=True), 0
        with table_writer(output, schema) as writer:
            for columns, scores in self._columns(lambda scores, _: scores > threshold):
                flags = scores > threshold
                flagged += int(flags.sum())
                writer.write(pa.table(columns | {"flag": flags}).select(schema.names))
        return flagged

    def to_file_with_fdr(self, output: str, fdr: float) -> int:
        """The same with Benjamini-Hochberg flags, which need all scores: these alone stay in memory."""
        kept = []
        folder = None if is_device(output) else os.path.dirname(os.path.abspath(output))
        schema = self.schema(flag=True)
        # Everything else waits in a file that has no name and is gone with this process, however it ends.
        with table_writer(output, schema) as writer, tempfile.TemporaryFile(dir=folder) as scratch:
            without_flag = self.schema(flag=False)
            with pa.ipc.new_stream(scratch, without_flag) as waiting:
                # Whose p-value is greater is not flagged, whatever the other rows are.
                for columns, scores in self._columns(lambda _, p_values: p_values <= fdr):
                    kept.append(scores)
                    waiting.write_table(pa.table(columns).select(without_flag.names))
            scores = np.concatenate(kept)
            flags = self.detector.calibration_.flag(scores, fdr)
            scratch.seek(0)
            first = 0
            with pa.ipc.open_stream(scratch) as waited:
                for batch in waited:
                    of_these = pa.array(flags[first : first + batch.num_rows])
                    part = pa.table(batch.columns, names=without_flag.names)
                    for index, name in enumerate(part.column_names):
                        if name in self.reasons:
                            part = part.set_column(index, name, pc.if_else(of_these, part[name], None))
                    part = part.append_column("flag", of_these)
                    writer.write(part.select(schema.names))
                    first += batch.num_rows
        self._warn_of_coarse_p_values(scores, fdr, int(flags.sum()))
        return int(flags.sum())

    def _columns(self, flagged: Callable[[np.ndarray, np.ndarray], Any]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """What is written of each chunk; the reasons of rows whose scores and p-values may be flagged."""
        calibration = self.detector.calibration_
        self.reporter.begin("scoring", self.stream.total)
        for chunk in self.stream:
            scores = self.detector.anomaly_score(chunk.X)
            p_values = calibration.p_value(scores)
            id_name = "row" if chunk.names is None else "file"
            columns = {id_name: chunk.ids(), "score": scores, "p_value": p_values}
            if self.stream.label is not None:
                columns[self.stream.label] = pa.array(chunk.labels, pa.string())
            if self.maps is not None:
                self.maps.write(chunk, pixel_maps(self.detector.explain(chunk.X)))
            columns |= self._reasons(chunk, np.flatnonzero(flagged(scores, p_values)))
            self.rows += len(chunk)
            self.reporter.advance(len(chunk))
            yield columns, scores

    def _reasons(self, chunk: Chunk, rows: np.ndarray) -> dict[str, Any]:
        """The columns of reasons, empty but for some rows of a chunk."""
        cells = {name: np.full(len(chunk), None, dtype=object) for name in self.reasons}
        if len(rows) and self.count:
            X = chunk.X.iloc[rows] if isinstance(chunk.X, pd.DataFrame) else chunk.X[rows]
            found = self.detector.reasons(X, self.count)
            found["label"] = found["column"].map(column_label)
            for rank, told in found.groupby("rank"):
                for part, (field, _) in _PARTS.items():
                    cells[f"reason_{rank}{part}"][rows[told["row"]]] = told[field]
        return {name: pa.array(values, self.reasons[name]) for name, values in cells.items()}

    def _warn_of_coarse_p_values(self, scores: np.ndarray, fdr: float, flagged: int) -> None:
        calibration_rows = len(self.detector.calibration_.scores)
        beyond = int((scores > self.detector.calibration_.scores[-1]).sum())
        if not flagged and beyond:
            needed = int(np.ceil(len(scores) / (fdr * beyond)))
            warn(
                f"no row could be flagged: with {calibration_rows:,} calibration rows no p-value is under "
                f"{1 / (calibration_rows + 1):.2g}. About {needed:,} calibration rows would do: fit on more "
                "data, or raise --calibration-fraction or --fdr."
            )
