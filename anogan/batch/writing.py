"""Writing a table of scores: flags, false discovery rates, and the order of the rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from ..errors import AnoganError, CalibrationWarning
from ..files.writing import table_writer
from ..scoring.calibration import fdr_level
from ..sources import ordering
from ..streams.progress import report
from .journal import Journal
from .scores import ScoreTables


def to_device(tables: ScoreTables, scored: Iterable[pa.Table], output: str) -> int:
    """Write each chunk as it is scored, flagged by the model's threshold; return how many rows are flagged."""
    flagged = 0
    with table_writer(output, tables.schema) as writer:
        for table in scored:
            flags = table["score"].to_numpy() > tables.detector.calibration_.threshold
            flagged += int(flags.sum())
            writer.write(tables.flagged(table, flags))
    return flagged


def to_file(
    tables: ScoreTables,
    scored: Iterable[pa.Table],
    output: str,
    journal: Journal,
    top: int | None,
    *,
    in_order: bool,
) -> int:
    """Score the rows that the journal lacks, write the output with flags, and return how many rows are flagged.

    Benjamini-Hochberg needs the small p-values of all rows.
    """
    tables.add(journal.state)
    for table in scored:
        journal.append(table, tables.state())
    calibration, stream, fdr = tables.detector.calibration_, tables.stream, tables.fdr
    level = None
    if fdr is not None:
        bound = max(fdr, 1 / (len(calibration.scores) + 1))
        every = (table["p_value"].to_numpy() for table in journal.tables())
        small = np.concatenate([np.empty(0), *(p[p <= bound] for p in every)])
        count = tables.rows - stream.unscored.rows
        level = fdr_level(small, count, fdr)

    def flags_of(table: pa.Table) -> np.ndarray:
        if level is None:
            return np.asarray(table["score"].to_numpy() > calibration.threshold)
        return np.asarray(table["p_value"].to_numpy() <= level)

    flagged = found = 0
    for table in journal.tables():
        flagged += int(flags_of(table).sum())
        found += table.num_rows
    if found != tables.rows:
        raise AnoganError(
            f"{tables.rows:,} rows were scored, but {found:,} were read back for {output}: something else has "
            "changed the scores kept on disk. Delete them and score again."
        )
    written = 0
    report(tables.progress, "writing", written, tables.rows)
    with table_writer(output, tables.schema) as writer:
        for table in _in_order(tables, journal, flags_of, top) if in_order else journal.tables():
            writer.write(tables.flagged(table, flags_of(table)))
            written += table.num_rows
            report(tables.progress, "writing", written, tables.rows)
    if fdr is not None and tables.tail == "empirical" and (note := calibration.fdr_note(small, count, fdr)):
        _warn_of_few(note)
    return flagged


def _warn_of_few(note: str) -> None:
    python = (
        "Call recalibrate with more normal rows, fit with a larger calibration_fraction, raise fdr, or use "
        "tail='fitted' (a model, not a promise)."
    )
    shell = (
        "Run anogan recalibrate with more normal rows, fit with a larger --calibration-fraction, raise --fdr, or add "
        "--tail fitted (a model, not a promise)."
    )
    warnings.warn(CalibrationWarning(f"{note} {python}", f"{note} {shell}"), stacklevel=3)


def _in_order(
    tables: ScoreTables, journal: Journal, flags_of: Callable[[pa.Table], np.ndarray], top: int | None
) -> Iterator[pa.Table]:
    """Iterate over blocks of rows, the highest scores first, with the columns of the data and reasons of flagged rows.

    The columns come from another pass over the data for each block, so memory holds one block.
    """
    positions = ordering.highest((table["score"].to_numpy() for table in journal.tables()), top)
    for first in range(0, len(positions), ordering.BLOCK_ROWS):
        table = ordering.rows_at(journal.tables(), positions[first : first + ordering.BLOCK_ROWS])
        if tables.copied.names or tables.explained:
            rows = tables.stream.rows_at(table["row"].to_numpy())
            for name, values in tables.beside(rows, np.flatnonzero(flags_of(table))).items():
                table = table.append_column(name, values)
        yield table
