"""JSON lines: one JSON object a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ..errors import InputError
from .cells import parsed_cells, typed_columns
from .column_texts import NumberTexts
from .compression import opened
from .damage import explained
from .formats import TableFormat
from .notes import ColumnNote, role_note
from .number_formats import code_note, formats_without_dialect, number_note

_BLOCK_BYTES = 2**22
_FIRST_ROWS = 100
_MIXED_TYPES = {str, int, float, type(None)}  # of values in a column of numbers and texts


class JSONLines(TableFormat):
    """A file with one JSON object a line; its keys are the columns, and a key that is not there is a missing value.

    A column of numbers and texts is one of texts, as in other formats, and is read as numbers if all of them are.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    compressed: ClassVar[bool] = True
    stores_types: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mixed: set[str] = set()  # columns with numbers in some rows and texts in others
        with explained(path, "a file of JSON lines", header=True):
            schemas = [table.schema for table in self._blocks(None)]
            if not schemas:
                raise InputError(f"{path} is empty.")
            self._schema = self._unified(schemas)
        self.names = self._schema.names

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return types that hold the values of all rows; texts that are numbers or ISO dates count as such."""
        types = {name: self._schema.field(name).type for name in columns}
        texts = [name for name, kind in types.items() if pa.types.is_string(kind) and name not in text]
        seen = {name: NumberTexts() for name in texts}
        dates = {name: {pa.timestamp("us"), pa.timestamp("us", "UTC")} for name in texts}
        for table in self._blocks(self._schema) if texts else ():
            for name in texts:
                column = table.column(name).combine_chunks()
                seen[name].offer(column)
                for part in (column[:_FIRST_ROWS], column):  # most texts that are no dates are seen in the first ones
                    dates[name] = {
                        kind
                        for kind in dates[name]
                        if not pc.any(parsed_cells(part, kind, None, ()).unreadable).as_py()
                    }
        formats = formats_without_dialect(seen, self.path)
        self.units = {name: form.unit for name, form in formats.items()}
        self.notes = [
            ColumnNote(n, words)
            for n, form in formats.items()
            if (words := number_note(form, seen[n], mixed=n in self._mixed))
        ]
        codes = {name: column for name, column in seen.items() if column.are_codes}
        self.notes += [role_note(n, code_note(column), "number", "reads it as numbers") for n, column in codes.items()]
        types |= {name: kinds.pop() for name, kinds in dates.items() if len(kinds) == 1}
        return types | dict.fromkeys(formats, pa.float64())

    def stored_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of JSON; dates are text."""
        return {name: self._schema.field(name).type for name in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, a block of the file at a time."""
        del rows
        numbers = [n for n, kind in types.items() if kind == pa.float64() and self._schema.field(n).type == pa.string()]
        seen = {name: NumberTexts(certain=True) for name in numbers}
        for table in self._blocks(self._schema) if numbers else ():
            for name, texts in seen.items():
                texts.offer(table.column(name))
        formats = self.in_needed_units(formats_without_dialect(seen, self.path, needed=numbers))
        for table in self._blocks(self._schema):
            yield typed_columns(table, types, formats, strict, self.path)

    def _blocks(self, schema: pa.Schema | None) -> Iterator[pa.Table]:
        row = 0
        with opened(self.path) as file:
            rest = b""
            while block := file.read(_BLOCK_BYTES):
                lines, end, rest = (rest + block).rpartition(b"\n")
                if end and lines.strip():
                    table = self._table(lines, schema, row)
                    row += table.num_rows
                    yield table
            if rest.strip():
                yield self._table(rest, schema, row)

    def _table(self, lines: bytes, schema: pa.Schema | None, row: int) -> pa.Table:
        """Return the rows of a block, in the types of a schema or in those that Arrow infers."""
        try:
            if not self._mixed:
                return _parsed(lines, schema)
        except pa.ArrowInvalid as error:
            if schema is not None or not (mixed := _mixed_columns(lines)):
                raise self._unreadable(error, row) from None
            self._mixed |= mixed
        try:
            return self._table_with_texts(lines, schema, row)
        except InputError:
            raise
        except (pa.ArrowInvalid, ValueError) as error:
            raise self._unreadable(error, row) from None

    def _table_with_texts(self, lines: bytes, schema: pa.Schema | None, first: int) -> pa.Table:
        """Return the rows of a block, from row `first` on, with the mixed columns as texts; Arrow cannot read them so.

        Raises
        ------
        InputError
            If a row is no JSON object, or a mixed column holds anything but numbers, texts and nulls.
        """
        rows = [json.loads(line) for line in lines.splitlines() if line.strip()]
        texts: dict[str, list[str | None]] = {name: [] for name in self._mixed}
        for number, row in enumerate(rows, first):
            if not isinstance(row, dict):
                raise InputError(f"{self.path}: row {number:,} is no JSON object.")
            for name, column in texts.items():
                value = row.pop(name, None)
                if type(value) not in _MIXED_TYPES:
                    raise InputError(
                        f"{self.path}: column '{name}' holds numbers and texts, but {json.dumps(value)} in row "
                        f"{number:,}."
                    )
                column.append(None if value is None else str(value))
        others = None if schema is None else pa.schema([field for field in schema if field.name not in self._mixed])
        table = _parsed("\n".join(map(json.dumps, rows)).encode(), others)
        for name in texts:
            table = table.append_column(name, pa.array(texts[name], pa.string()))
        return table if schema is None else table.select(schema.names)

    def _unreadable(self, error: Exception, row: int) -> InputError:
        return InputError(f"{self.path}: {str(error).rstrip('.')} (in the rows from {row:,} on).")

    def _unified(self, schemas: list[pa.Schema]) -> pa.Schema:
        """Return types that hold the values of all blocks.

        What Arrow takes for dates stays text: it converts all of them to UTC, with a zone or without, and drops it.
        """
        kinds: dict[str, pa.DataType] = {}
        for field in (field for schema in schemas for field in schema):
            field = field.with_type(pa.string()) if pa.types.is_timestamp(field.type) else field
            known = kinds.setdefault(field.name, field.type)
            pair = {known, field.type}
            if len(pair) == 1 or pa.types.is_null(field.type):
                continue
            if pa.types.is_null(known):
                kinds[field.name] = field.type
            elif pair == {pa.int64(), pa.float64()}:
                kinds[field.name] = pa.float64()
            elif pair <= {pa.int64(), pa.float64(), pa.string()}:
                kinds[field.name] = pa.string()
                self._mixed.add(field.name)
            else:
                raise InputError(
                    f"{self.path}: column '{field.name}' holds {known} in some rows and {field.type} in others."
                )
        return pa.schema(list(kinds.items()))


def _parsed(lines: bytes, schema: pa.Schema | None) -> pa.Table:
    return pj.read_json(
        pa.BufferReader(lines),
        parse_options=pj.ParseOptions(explicit_schema=schema),
        read_options=pj.ReadOptions(block_size=len(lines) + 1),
    )


def _mixed_columns(lines: bytes) -> set[str]:
    """Return the keys with numbers in some rows and texts in others, none if a row is no JSON object."""
    kinds: dict[str, set[type]] = {}
    try:
        for line in filter(bytes.strip, lines.splitlines()):
            for name, value in json.loads(line).items():
                kinds.setdefault(name, set()).add(type(value))
    except (ValueError, AttributeError):
        return set()
    return {name for name, found in kinds.items() if str in found and not found.isdisjoint({int, float})}
