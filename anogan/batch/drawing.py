"""Samples of tables that a cluster holds in parts: what a worker draws, and how the parts become one sample."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..sources.frames import as_frame
from ..sources.sampling import RowSample, Sample

_SEEN = b"seen"


def key_limit(rows: int, total: int) -> float:
    """Return a bound below which `rows` of `total` uniform keys lie but for a probability under 1e-20."""
    return (rows + 10 * rows**0.5 + 100) / max(total, 1)


def drawn_part(tables: Iterable[pa.Table], rng: np.random.Generator, rows: int, limit: float) -> bytes | None:
    """Return the sample of a part, as bytes for `row_sample`; None if it has no rows."""
    sample = Sample(rows, limit)
    for table in tables:
        sample.offer(table.replace_schema_metadata(), rng.random(table.num_rows))
    if not sample.seen:
        return None
    drawn = sample.to_table()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, drawn.schema.with_metadata({_SEEN: json.dumps(sample.seen)})) as stream:
        stream.write_table(drawn)
    return sink.getvalue().to_pybytes()


def row_sample(parts: Iterable[bytes], rows: int) -> RowSample:
    """Return the sample of all parts.

    Raises
    ------
    InputError
        No part has rows.
    """
    sample = Sample(rows)
    for part in parts:
        table = pa.ipc.open_stream(part).read_all()
        seen = json.loads(table.schema.metadata[_SEEN])
        sample.merge(table.replace_schema_metadata(), seen)
    if not sample.seen:
        raise InputError("The data has no rows.")
    drawn, known = sample.known()
    frame = as_frame(known)
    return RowSample(frame[:drawn], frame, sample.seen)
