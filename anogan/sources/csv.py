"""CSV files of any dialect, also compressed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .cells import can_hold, parsed_cells
from .column_texts import NumberTexts
from .csv_reader import CSVReader, NotConvertedError
from .dialect import CSVDialect, header_notes
from .formats import UNREADABLE, TableFormat
from .notes import ColumnNote, Note, role_note
from .number_formats import code_note, number_formats, number_note
from .text_numbers import CODE, NumberFormat

_CODE = re.compile(CODE)
_WIDENING = (
    pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
    pa.float64(), pa.string(),
)  # fmt: skip
"""Types from strict to loose, in the order in which `pyarrow.csv` infers them from the first block."""


class CSV(TableFormat):
    """A table in a text file. Separator, encoding, quotes and the format of numbers are detected unless given."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".psv", ".zip")
    compressed: ClassVar[bool] = True

    def __init__(self, path: Path, dialect: CSVDialect | None = None) -> None:
        self.path, self._dialect = path, dialect or CSVDialect()
        self.dialect = self._dialect
        self._reader = CSVReader(path, self._dialect)
        self.names = self._reader.layout.names
        self.notes: list[Note] = header_notes(self.path.name, self._reader.layout, self._dialect, self._reader.usual)
        self._plain = NumberFormat(self._dialect.decimal or ".")
        self._looked: set[str] = set()  # columns that `types` has seen
        self._formats: dict[str, NumberFormat] = {}  # of those among them that hold numbers which Arrow cannot read

    @classmethod
    def open(cls, path: Path, dialect: CSVDialect | None = None) -> CSV:
        """Open a file in a dialect."""
        return cls(path, dialect)

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types that Arrow infers from the first block, widened until all rows can be read.

        Numbers that are written as text become numbers, and whole numbers with leading zeros text.
        """
        given = set(text) & set(columns)
        coded = self._coded(columns) - given
        types, texts = self._pass(columns, dict.fromkeys(given | coded, pa.string()), given)
        types |= {name: pa.string() for name, kind in types.items() if pa.types.is_time(kind)}  # read from text later
        formats = self._decided(texts, types)
        found = types | dict.fromkeys(formats, pa.float64())
        self.decimals = {
            name: formats.get(name, self._plain).decimal
            for name, kind in found.items()
            if kind == pa.float64() and (name not in texts or texts[name].uses_decimals)
        }
        self.units = {
            name: formats[name].unit if name in formats else ""
            for name, kind in found.items()
            if kind in (pa.int64(), pa.float64())
        }
        self._looked |= set(columns)
        self._formats |= {n: form for n, form in formats.items() if types[n] == pa.string() or form != self._plain}
        self.notes = header_notes(self.path.name, self._reader.layout, self._dialect, self._reader.usual)
        for name in columns:
            if name in texts and texts[name].are_codes:
                self.notes.append(role_note(name, code_note(texts[name]), "number", "reads it as numbers"))
            elif name in formats and (seen := number_note(formats[name], texts.get(name))):
                self.notes.append(ColumnNote(name, seen))
        return found

    def stored_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return text for all columns."""
        return dict.fromkeys(columns, pa.string())

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, a block of the file at a time."""
        del rows, strict  # text is all that a CSV file holds
        numbers = {name for name, kind in types.items() if kind == pa.float64()}
        formats = self._formats if numbers <= self._looked else self._formats_of_sample(numbers)
        percentages = [name for name in numbers if self.needed_units.get(name) == "%"]  # Arrow sees no missing sign
        formats = dict.fromkeys(percentages, self._plain) | {n: form for n, form in formats.items() if n in numbers}
        done = 0
        try:
            for table in self._tables(types, formats):
                yield table
                done += table.num_rows
            return
        except NotConvertedError:
            formats = self._formats_of_file(numbers, done)
        skip = done  # the other rows are read as text, and cells that are not of their column's type are marked
        for table in self._tables(types, formats, as_text=True):
            if table.num_rows > skip:
                yield table.slice(skip)
            skip = max(skip - table.num_rows, 0)

    def _tables(
        self, types: Mapping[str, pa.DataType], formats: Mapping[str, NumberFormat], *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """Yield all rows; numbers in `formats`, or with `as_text` all cells, are converted here and not by Arrow."""
        formats = self.in_needed_units(formats)
        texts = set(types) if as_text else set(formats)
        read = {name: pa.string() if name in texts else kind for name, kind in types.items()}
        for batch in self._reader.read(list(types), read):
            columns, marks = {}, {}
            for name, kind in types.items():
                columns[name] = batch.column(name)
                if name in texts and kind != pa.string():
                    form = formats.get(name, self._plain)
                    found = parsed_cells(columns[name], kind, form, self._dialect.na_values)
                    if pc.any(found.unreadable).as_py():
                        shown = pc.if_else(found.unreadable, columns[name], pa.scalar(None, pa.string()))
                        marks[UNREADABLE + name] = shown
                    columns[name] = found.values
            yield pa.table(columns | marks)

    # ------------------------------------------------------------------ types

    def _pass(
        self, columns: Sequence[str], widened: dict[str, pa.DataType], given: Collection[str]
    ) -> tuple[dict[str, pa.DataType], dict[str, NumberTexts]]:
        """Read the whole file; return types that hold all its values, and what its columns of text show of numbers."""
        while True:
            types: dict[str, pa.DataType] = {}
            texts: dict[str, NumberTexts] = {}
            try:
                for batch in self._reader.read(columns, widened):
                    if not types:
                        types = dict(zip(batch.schema.names, batch.schema.types, strict=True))
                        strings = {name for name, kind in types.items() if kind == pa.string()}
                        texts = {name: self._texts() for name in strings - set(given)}
                    for name, seen in texts.items():
                        seen.offer(batch.column(name))
            except NotConvertedError:
                widened = widened | self._widened(columns, widened)
            else:
                binary = {name: pa.string() for name, kind in types.items() if kind == pa.binary()}
                if binary:
                    self._reader.check(binary)
                return types or dict.fromkeys(columns, pa.null()) | widened, texts

    def _widened(self, columns: Sequence[str], known: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
        """Return types that hold the values of each block, found in one pass over the text of the file."""
        wider, row = dict.fromkeys(columns, pa.null()) | dict(known), 0
        options = self._reader.options(columns, {})
        for batch in self._reader.read(columns, dict.fromkeys(columns, pa.binary())):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                while not can_hold(wider[name], values, options):
                    if wider[name] not in _WIDENING[:-1]:
                        raise self._reader.invalid(name, wider[name], values, row)
                    wider[name] = _WIDENING[_WIDENING.index(wider[name]) + 1]
            row += batch.num_rows
        return wider

    def _coded(self, columns: Collection[str]) -> set[str]:
        """Return the columns with a code, such as 01000, at the beginning or the end of the file."""
        layout = self._reader.layout
        rows = [row for row in [*layout.rows, *self._reader.last_rows()] if len(row) == layout.fields]
        codes = {place for row in rows for place, cell in enumerate(row) if _CODE.fullmatch(cell.strip())}
        return {name for place, name in enumerate(self.names) if place in codes and name in columns}

    # ------------------------------------------------------------------ numbers written as text

    def _texts(self, *, certain: bool = False) -> NumberTexts:
        dialect = self._dialect
        return NumberTexts(dialect.decimal, dialect.thousands, dialect.na_values, certain=certain)

    def _of_sample(self, numbers: Collection[str] = ()) -> dict[str, NumberTexts]:
        """Return what the beginning of the file shows of each column; `numbers` are columns of numbers for certain."""
        layout = self._reader.layout
        rows = [row for row in layout.rows if len(row) == layout.fields]
        found = {name: self._texts(certain=name in numbers) for name in self.names}
        for place, seen in enumerate(found.values()):
            seen.offer(pa.array([row[place] for row in rows], pa.string()))
        return found

    def _of_file(self, columns: Collection[str], numbers: Collection[str] = ()) -> dict[str, NumberTexts]:
        """Return what all rows show of some columns; `numbers` are columns of numbers for certain."""
        found = {name: self._texts(certain=name in numbers) for name in columns}
        if found:
            try:
                for batch in self._reader.read(list(found), dict.fromkeys(found, pa.string())):
                    for name, seen in found.items():
                        seen.offer(batch.column(name))
            except NotConvertedError:
                self._reader.check(dict.fromkeys(found, pa.string()))  # raises, for only text that is not UTF-8 fails
        return found

    def _decided(
        self, texts: dict[str, NumberTexts], types: Mapping[str, pa.DataType], needed: Collection[str] = ()
    ) -> dict[str, NumberFormat]:
        """Return the formats of the columns of numbers.

        A column that Arrow takes for numbers, such as "1.234", is looked at too if there may be decimal commas.
        """
        semicolons = self._reader.layout.sep == ";"
        if self._dialect.decimal is None and (semicolons or any(seen.has_commas for seen in texts.values())):
            floats = {
                n: seen for n, seen in self._of_sample().items() if types.get(n) == pa.float64() and n not in texts
            }
            clear = {name: seen for name, seen in floats.items() if seen.is_clear}
            texts = texts | clear | self._of_file(floats.keys() - clear.keys())
        try:
            return number_formats(texts, points_are_plain=not semicolons, needed=needed)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None

    def _formats_of_sample(self, numbers: Collection[str]) -> dict[str, NumberFormat]:
        """Return the formats of columns of numbers as the beginning of the file shows them."""
        telling = {name: seen for name, seen in self._of_sample(numbers).items() if name in numbers or seen.is_clear}
        try:
            formats = number_formats(telling, points_are_plain=self._reader.layout.sep != ";", needed=numbers)
        except InputError:
            return self._formats_of_file(numbers, 0)
        return {name: form for name, form in formats.items() if form != self._plain or telling[name].gaps}

    def _formats_of_file(self, numbers: Collection[str], done: int) -> dict[str, NumberFormat]:
        """Return the formats of columns of numbers as all rows show them.

        Raises
        ------
        InputError
            If one is ambiguous, or does not suit the first `done` rows, which were read already.
        """
        telling = {name for name, seen in self._of_sample().items() if seen.is_clear}
        texts = self._of_file([name for name in self.names if name in numbers or name in telling], numbers)
        texts = {name: seen for name, seen in texts.items() if name in numbers or seen.is_clear}
        formats = self._decided(texts, {}, needed=numbers)
        for name in numbers if done else ():
            if formats[name].thousands == "." or (formats[name].decimal == "," and not texts[name].fitting()):
                raise InputError(
                    f"{self.path}: column '{name}' holds {formats[name].words()}, but its first {done:,} rows look "
                    "like plain numbers. Say CSVDialect(decimal=',') (on the command line --decimal ,)."
                )
        return formats
