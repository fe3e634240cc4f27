"""CSV and TSV files, also gzipped."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.csv as pv

from ..errors import InputError
from .formats import TableFormat, kind_words

_WIDENING = (
    pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
    pa.float64(), pa.string(),
)  # fmt: skip
"""Types from strict to loose, in the order in which `pyarrow.csv` infers them from the first block."""
_PARSE = {"newlines_in_values": True}  # quoted text may span lines


class CSV(TableFormat):
    """A CSV or TSV file. The delimiter of a .csv may be a comma, a semicolon or a tab, as its header shows."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz", ".tsv", ".tsv.gz")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._delimiter = _delimiter(path)
        self.names = pv.open_csv(path, parse_options=self._parse_options()).schema.names

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types that Arrow infers from the first block, widened until all rows can be read."""
        widened = dict.fromkeys(set(text) & set(columns), pa.string())
        while True:
            with self._explained(columns, widened):
                reader = self._reader(columns, widened)
            types = dict(zip(reader.schema.names, reader.schema.types, strict=True))
            try:
                for _ in reader:
                    pass
            except pa.ArrowInvalid:
                wider = self._widened(types)
                if wider == types:
                    raise
                widened |= {name: kind for name, kind in wider.items() if kind != types[name]}
            else:
                return types

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, a block of the file at a time."""
        del rows, strict  # text is all that a CSV file holds
        with self._explained(list(types), types):
            for batch in self._reader(list(types), types):
                yield pa.Table.from_batches([batch])

    def _widened(self, types: dict[str, pa.DataType]) -> dict[str, pa.DataType]:
        """Return types that hold the values of each block, found in one pass over the text of the file."""
        wider = dict(types)
        for batch in self._text(list(types)):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                while not _can_hold(wider[name], values):
                    if wider[name] not in _WIDENING[:-1]:
                        raise self._error(name, wider[name], values)
                    wider[name] = _WIDENING[_WIDENING.index(wider[name]) + 1]
        return wider

    @contextlib.contextmanager
    def _explained(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> Iterator[None]:
        """Replace Arrow's error about a value by one that names the column, the value and the row."""
        try:
            yield
        except pa.ArrowInvalid:
            row = 0
            for batch in self._text(columns):
                for name, values in zip(batch.schema.names, batch.columns, strict=True):
                    if name in types and not _can_hold(types[name], values):
                        raise self._error(name, types[name], values, row) from None
                row += batch.num_rows
            raise  # something else is wrong, such as a row with too few fields

    def _error(self, name: str, kind: pa.DataType, values: pa.Array, first: int | None = None) -> InputError:
        low, high = 0, len(values)  # the first value that does not fit lies in values[low:high]
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _can_hold(kind, values[low:middle]) else (low, middle)
        shown = values[low].as_py().decode(errors="replace")
        row = "" if first is None else f" (row {first + low})"
        return InputError(
            f"{self.path}: column '{name}' should hold {kind_words(kind)}, but has an invalid value '{shown}'{row}."
        )

    def _text(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the values as they stand in the file, as bytes."""
        options = pv.ConvertOptions(
            include_columns=list(columns), column_types=dict.fromkeys(columns, pa.binary()), strings_can_be_null=False
        )
        yield from pv.open_csv(self.path, parse_options=self._parse_options(), convert_options=options)

    def _reader(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> pv.CSVStreamingReader:
        options = pv.ConvertOptions(include_columns=list(columns), column_types=dict(types), strings_can_be_null=True)
        return pv.open_csv(self.path, parse_options=self._parse_options(), convert_options=options)

    def _parse_options(self) -> pv.ParseOptions:
        return pv.ParseOptions(delimiter=self._delimiter, **_PARSE)


def _can_hold(kind: pa.DataType, values: pa.Array) -> bool:
    """Return whether Arrow's CSV reader converts all of these fields (bytes) to a type.

    The fields are written as a CSV file of one column and read again, so that gaps, spaces and dates count as they do
    in the file itself.
    """
    if not len(values) or pa.types.is_binary(kind):
        return True
    try:
        values = values.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8
        return False
    if pa.types.is_string(kind):
        return True
    buffer = pa.BufferOutputStream()
    quoted = pv.WriteOptions(include_header=False, quoting_style="all_valid")
    pv.write_csv(pa.table({"": values}), buffer, write_options=quoted)
    content = buffer.getvalue()
    try:
        pv.read_csv(
            pa.BufferReader(content),
            read_options=pv.ReadOptions(column_names=[""], use_threads=False, block_size=content.size + 1),
            parse_options=pv.ParseOptions(**_PARSE),
            convert_options=pv.ConvertOptions(column_types={"": kind}, strings_can_be_null=True),
        )
    except pa.ArrowInvalid:
        return False
    return True


def _delimiter(path: Path) -> str:
    """Return the tab for .tsv, and for .csv the comma unless the header has only semicolons or tabs."""
    with pa.input_stream(path, compression="detect") as stream:
        header = stream.read(65536).split(b"\n", 1)[0]
        if not header:
            raise InputError(f"{path} is empty.")
    if ".tsv" in path.name.lower():
        return "\t"
    return next((d for d in (",", ";", "\t") if d.encode() in header), ",")
