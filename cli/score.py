"""`anogan score`: a stream of data in, a table of scores out."""

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import click
import numpy as np
import pyarrow as pa

import anogan
from anogan import InputError

from . import options
from .io import check_table_target, is_device, table_writer, warn
from .maps import RAW_FORMATS, MapWriter, pixel_maps
from .progress import Reporter
from .stream import Chunk, Stream, column_names, reasons


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
    help="Add the K columns that drove each score.",
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
        self.names = column_names(detector) if count else []
        self.count = min(count, len(self.names))
        self.rows = 0

    def schema(self, *, flag: bool) -> pa.Schema:
        is_folder = self.detector.preprocessor_.kind == "image" and hasattr(self.stream.source, "pictures")
        fields = [("file", pa.string()) if is_folder else ("row", pa.int64())]
        if self.stream.label is not None:
            fields.append((self.stream.label, pa.string()))
        fields += [("score", pa.float64()), ("p_value", pa.float64())]
        fields += [("flag", pa.bool_())] if flag else []
        for k in range(1, self.count + 1):
            fields += [(f"reason_{k}", pa.string()), (f"reason_{k}_share", pa.float64())]
        names = [name for name, _ in fields]
        if self.stream.label is not None and names.count(self.stream.label) > 1:
            raise InputError(f"--label {self.stream.label}: the output has a column of this name already; rename it.")
        return pa.schema(fields)

    def to_file(self, output: str) -> int:
        """Write scores, flags by the model's threshold; how many are flagged."""
        threshold, schema, flagged = self.detector.calibration_.threshold, self.schema(flag=True), 0
        with table_writer(output, schema) as writer:
            for columns, scores in self._columns():
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
                for columns, scores in self._columns():
                    kept.append(scores)
                    waiting.write_table(pa.table(columns).select(without_flag.names))
            scores = np.concatenate(kept)
            flags = self.detector.calibration_.flag(scores, fdr)
            scratch.seek(0)
            first = 0
            with pa.ipc.open_stream(scratch) as waited:
                for batch in waited:
                    part = pa.table(batch.columns, names=without_flag.names)
                    part = part.append_column("flag", pa.array(flags[first : first + batch.num_rows]))
                    writer.write(part.select(schema.names))
                    first += batch.num_rows
        self._warn_of_coarse_p_values(scores, fdr, int(flags.sum()))
        return int(flags.sum())

    def _columns(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        calibration = self.detector.calibration_
        self.reporter.begin("scoring", self.stream.total)
        for chunk in self.stream:
            scores = self.detector.anomaly_score(chunk.X)
            id_name = "row" if chunk.names is None else "file"
            columns = {id_name: chunk.ids(), "score": scores, "p_value": calibration.p_value(scores)}
            if self.stream.label is not None:
                columns[self.stream.label] = pa.array(chunk.labels, pa.string())
            columns |= self._explained(chunk)
            self.rows += len(chunk)
            self.reporter.advance(len(chunk))
            yield columns, scores

    def _explained(self, chunk: Chunk) -> dict[str, Any]:
        if self.maps is not None:
            self.maps.write(chunk, pixel_maps(self.detector.explain(chunk.X)))
        if not self.count:
            return {}
        order, shares = reasons(self.detector.explain(chunk.X), self.count)
        columns: dict[str, Any] = {}
        for k in range(self.count):
            columns[f"reason_{k + 1}"] = np.array(self.names, dtype=object)[order[:, k]]
            columns[f"reason_{k + 1}_share"] = shares[:, k]
        return columns

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
