"""Reading the rows of a CSV file with Arrow, with errors that name file, row and column."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from ..errors import InputError
from .cells import can_hold, check_quotes, first_that_does_not_fit
from .compression import check_is_text, compression_of, opened
from .dialect import CSVDialect, layout_of
from .formats import kind_words

_SAMPLE_BYTES = 2**17  # of the beginning of a file, which shows its dialect
_TAIL_BYTES = 2**15
_BLOCK_BYTES = 2**20


class NotConvertedError(Exception):
    """A cell is not of the type in which its column is read."""


class CSVReader:
    """Reads a CSV file in blocks.

    Parameters
    ----------
    path : Path
    dialect : CSVDialect
        What is known of the dialect; the rest is detected.

    Attributes
    ----------
    layout : CSVLayout
    usual : str
        The separator that the file's name implies.

    Raises
    ------
    InputError
        If the file is empty or not text, or its beginning shows that the rows do not fit its header.
    """

    def __init__(self, path: Path, dialect: CSVDialect) -> None:
        self.path, self.dialect = path, dialect
        self.usual = "\t" if ".tsv" in path.name.lower() else ","
        try:
            with opened(path) as file:
                sample = file.read(_SAMPLE_BYTES)
            check_is_text(sample)
            self.layout = layout_of(sample, dialect, complete=len(sample) < _SAMPLE_BYTES, usual=self.usual)
        except InputError as error:
            raise InputError(f"{path} {error}") from None

    def read(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        """Yield some columns; the types that are not given are inferred from the first block.

        Among texts only empty cells and `CSVDialect.na_values` are missing: "NA" may be Namibia.

        Raises
        ------
        NotConvertedError
            If a cell is not of its column's type.
        InputError
            If the file is malformed.
        """
        row = 0
        if self.layout.complete and not self.layout.rows:
            return
        try:
            reader = self._stream(columns, types)
            waiting = None
            for batch in reader:
                if waiting is not None:
                    yield waiting
                self._check_quotes(batch, row, is_last=False)
                waiting, row = self._with_gaps(batch), row + batch.num_rows
            if waiting is not None:
                self._check_quotes(waiting, row - waiting.num_rows, is_last=True)
                yield waiting
        except pa.ArrowInvalid as error:
            raise self._explained(error, row) from None

    def options(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> pv.ConvertOptions:
        """Return how Arrow converts cells."""
        options = pv.ConvertOptions(
            include_columns=list(columns), column_types=dict(types), decimal_point=self.dialect.decimal or "."
        )
        options.null_values = [*options.null_values, *self.dialect.na_values]
        return options

    def check(self, types: Mapping[str, pa.DataType]) -> None:
        """Raise `InputError` that names the first cell that is not of its column's type, if there is one."""
        row = 0
        for batch in self.read(list(types), dict.fromkeys(types, pa.binary())):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                if not can_hold(types[name], values, self.options([name], {})):
                    raise self.invalid(name, types[name], values, row)
            row += batch.num_rows

    def invalid(self, name: str, kind: pa.DataType, values: pa.Array, first: int) -> InputError:
        """Return the error about the first of some fields (bytes) that is not of a type."""
        place = first_that_does_not_fit(kind, values, self.options([name], {}))
        shown = values[place].as_py().decode(errors="replace")
        hint = ""
        if pa.types.is_string(kind):
            hint = ". Name its encoding with CSVDialect(encoding='cp1252') (on the command line --encoding cp1252)"
        return InputError(
            f"{self.path}: column '{name}' should hold {kind_words(kind)}, but has an invalid value '{shown}' "
            f"(row {first + place}){hint}."
        )

    def last_rows(self) -> list[list[str]]:
        """Return some rows of the end of the file, if they are not in the sample and can be read without the others."""
        encoding = self.layout.encoding
        if self.layout.complete or compression_of(self.path) or encoding.startswith(("utf-16", "utf-32")):
            return []
        with open(self.path, "rb") as file:
            file.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(encoding, errors="replace").splitlines()[1:]
        try:
            return list(csv.reader(lines, delimiter=self.layout.sep, quotechar=self.layout.quote))
        except csv.Error:
            return []

    def _stream(self, columns: Sequence[str], types: Mapping[str, pa.DataType], **options: Any) -> Any:
        layout, parse = self.layout, {k: v for k, v in options.items() if k == "invalid_row_handler"}
        names = [*layout.names, *[f"\0{i}" for i in range(layout.fields - len(layout.names))]]
        return pv.open_csv(
            opened(self.path) if compression_of(self.path) else pa.OSFile(str(self.path)),
            read_options=pv.ReadOptions(
                column_names=names,
                skip_rows=layout.skip,
                skip_rows_after_names=int(self.dialect.header),
                encoding=layout.encoding,
                use_threads=options.get("use_threads", True),
                block_size=_BLOCK_BYTES,
            ),
            parse_options=pv.ParseOptions(
                delimiter=layout.sep, quote_char=layout.quote, newlines_in_values=True, **parse
            ),
            convert_options=self.options(columns, types),
        )

    def _with_gaps(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch whose columns of text have null for missing values."""
        gaps = pa.array(["", *self.dialect.na_values])
        for place, field in enumerate(batch.schema):
            if pa.types.is_string(field.type):
                texts = batch.column(place)
                kept = pc.if_else(pc.is_in(texts, gaps), pa.scalar(None, pa.string()), texts)
                batch = batch.set_column(place, field.name, kept)
        return batch

    def _check_quotes(self, batch: pa.RecordBatch, first: int, *, is_last: bool) -> None:
        for field, texts in zip(batch.schema, batch.columns, strict=True):
            if pa.types.is_string(field.type):
                at_end = is_last and field.name == self.layout.names[-1]
                separators = self.layout.fields - 1
                closed = self._ends_with_quote if at_end else None
                try:
                    check_quotes(field.name, texts, first, self.layout.sep, separators, closed_at_end=closed)
                except InputError as error:
                    raise InputError(f"{self.path}: {error}") from None

    def _ends_with_quote(self) -> bool:
        end = b""
        with opened(self.path) as file:
            if not compression_of(self.path):
                file.seek(max(0, self.path.stat().st_size - 64))
            while part := file.read(_BLOCK_BYTES):
                end = (end + part)[-64:]
        return self.layout.quote.encode() in end.rstrip(b"\r\n\0 ")[-2:]

    def _explained(self, error: pa.ArrowInvalid, row: int) -> Exception:
        """Return an error that says where and what is wrong."""
        text = str(error)
        if "conversion error" in text:
            return NotConvertedError(text)
        if "straddling object" in text:
            return InputError(
                f"{self.path}: a row after row {row:,} is longer than {_BLOCK_BYTES // 2**20} MB. Is a quotation mark "
                "missing?"
            )
        if "Expected" in text:
            return self._uneven() or InputError(f"{self.path}: {text}.")
        return InputError(f"{self.path}: {text.rstrip('.')}.")

    def _uneven(self) -> InputError | None:
        """Return an error that names the first row with too few or too many fields."""
        found: list[Any] = []

        def note(row: Any) -> str:
            found.append(row)
            return "error"

        try:
            reader = self._stream(
                self.layout.names[:1], {self.layout.names[0]: pa.binary()}, use_threads=False, invalid_row_handler=note
            )
            for _ in reader:
                pass
        except pa.ArrowInvalid:
            pass
        if not found:
            return None
        bad = found[0]
        place = "" if bad.number is None else f"row {bad.number - 1 - self.dialect.header - self.layout.skip:,}"
        fields = f"{bad.actual_columns} field{'s' * (bad.actual_columns != 1)}"
        hint = " It looks like a comment; delete such lines." if bad.text.lstrip().startswith("#") else ""
        if "\n" in bad.text:
            hint = " Is a quotation mark missing?"
        line = bad.text.split("\n")[0][:80]
        return InputError(
            f"{self.path}: {place or 'a row'} has {fields}, but {bad.expected_columns} are expected: '{line}'.{hint}"
        )
