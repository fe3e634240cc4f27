"""Excel files."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..wording import counted
from .cells import typed_columns
from .column_roles import LISTED
from .column_texts import NumberTexts
from .damage import explained
from .formats import TableFormat
from .notes import ColumnNote, FileNote, Note, role_note
from .number_formats import code_note, formats_without_dialect, number_note

_LARGEST_BYTES = 2**31  # of the unpacked file
_CALCULATE = "Open the file in a spreadsheet program, which calculates them, and save it."
_MARKED = re.compile(rb"mergeCell|<(?:\w+:)?f[\s/>]")


@dataclass
class _Sheet:
    """The cells of a sheet; places count from 0.

    Attributes
    ----------
    title : str
    rows : list of list
        The values of the cells of each row, None for empty ones.
    unvalued : list of (int, int)
        Row and column of each formula without a value.
    merged : list of (int, int, int, int)
        First row, first column, last row and last column of each range of merged cells.
    """

    title: str
    rows: list[list[Any]]
    unvalued: list[tuple[int, int]] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)


class Excel(TableFormat):
    """The first sheet of an .xlsx file, whose first row holds the names of the columns. It is read as a whole.

    A text in cells that are merged over several rows of one column stands in each of these rows. Other merged cells but
    the first are gaps, as are formulas without a value; how many there are is said.

    It needs openpyxl: ``pip install 'anogan[excel]'``.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[Note] = []
        with explained(path, "an Excel file (.xlsx)", header=True):
            sheet = self._sheet()
        rows = sheet.rows
        filled = [place for place, row in enumerate(rows) if any(cell is not None for cell in row)]
        if not filled and sheet.unvalued:
            raise InputError(f"{path}: the formulas of its first sheet have no values. {_CALCULATE}")
        if not filled:
            raise InputError(f"{path} is empty: its first sheet has no values.")
        self._note_blank_rows(filled)
        names = {place: f"'{cell}'" for place, cell in enumerate(rows[filled[0]]) if cell is not None}
        self._fill_merged(sheet, filled, names)
        self._note_cells(
            sheet,
            "formulas without a value are read as gaps",
            Counter(names[column] for row, column in sheet.unvalued if row > filled[0] and column in names),
            _CALCULATE,
        )
        rows = [rows[place] for place in filled]
        width = max(i + 1 for row in rows for i, cell in enumerate(row) if cell is not None)
        self.names = ["" if cell is None else str(cell) for cell in [*rows[0], *[None] * width][:width]]
        self._columns = [[row[i] if i < len(row) else None for row in rows[1:]] for i in range(width)]

    @property
    def total(self) -> int:
        """Number of rows."""
        return len(self._columns[0])

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types of the columns; numbers among texts count as text, and texts that are numbers as numbers."""
        found = {name: self._column(name) for name in columns}
        texts = {}
        for name, column in found.items():
            if pa.types.is_string(column.type) and name not in text:
                texts[name] = NumberTexts()
                texts[name].offer(column)
        formats = formats_without_dialect(texts, self.path)
        self.units = {name: form.unit for name, form in formats.items()}
        self.notes = [note for note in self.notes if isinstance(note, FileNote)]
        self.notes += [
            ColumnNote(n, seen)
            for n, form in formats.items()
            if (seen := number_note(form, texts[n], mixed=self._is_mixed(n)))
        ]
        codes = {name: column for name, column in texts.items() if column.are_codes}
        self.notes += [role_note(n, code_note(column), "number", "reads it as numbers") for n, column in codes.items()]
        return {name: pa.float64() if name in formats else column.type for name, column in found.items()}

    def stored_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of the cells, text where they differ."""
        return {name: self._column(name).type for name in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, `rows` rows at a time."""
        columns, texts = {}, {}
        for name, kind in types.items():
            columns[name] = self._as_text(name) if pa.types.is_string(kind) else self._column(name)
            if pa.types.is_floating(kind) and pa.types.is_string(columns[name].type):
                texts[name] = NumberTexts(certain=True)
                texts[name].offer(columns[name])
        formats = self.in_needed_units(formats_without_dialect(texts, self.path, needed=texts))
        table = typed_columns(pa.table(columns), types, formats, strict, self.path)
        for first in range(0, table.num_rows, rows):
            yield table.slice(first, rows)

    def _sheet(self) -> _Sheet:
        try:
            import openpyxl
        except ImportError:
            raise InputError(
                f"Reading {self.path} needs openpyxl: pip install 'anogan[excel]'. Or save the file as .csv."
            ) from None
        with zipfile.ZipFile(self.path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > _LARGEST_BYTES:
            raise InputError(f"{self.path} unpacks to {size / 2**30:,.1f} GiB; at most 2 are read. Save it as .csv.")
        book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        try:
            sheets = book.worksheets
            if not sheets:
                raise InputError(f"{self.path} has no sheet with cells.")
            if len(sheets) > 1:
                self.notes.append(
                    FileNote(
                        f"{self.path.name} has {len(sheets)} sheets; the first, '{sheets[0].title}', is read.",
                        in_scores=True,
                    )
                )
            sheets[0].reset_dimensions()  # the dimensions that the file declares may be wrong, or huge
            found = _Sheet(sheets[0].title, list(map(list, sheets[0].iter_rows(values_only=True))))
            with zipfile.ZipFile(self.path) as archive:
                _add_marks(found, archive.read(sheets[0]._worksheet_path))
            return found
        finally:
            book.close()

    def _fill_merged(self, sheet: _Sheet, filled: Sequence[int], names: Mapping[int, str]) -> None:
        """Write a text that is merged over rows of one column into each of its rows, and say which gaps remain."""
        copied: Counter[str] = Counter()
        gaps: Counter[str] = Counter()
        data = set(filled[1:])
        for top, left, bottom, right in sheet.merged:
            value = sheet.rows[top][left] if top <= filled[-1] and left < len(sheet.rows[top]) else None
            if value is None:
                continue
            is_group = left == right and top in data and isinstance(value, str)
            for row in data.intersection(range(top, min(bottom, filled[-1]) + 1)):
                for column in [place for place in names if left <= place <= right]:
                    if (row, column) == (top, left):
                        continue
                    if is_group:
                        cells = sheet.rows[row]
                        cells += [None] * (column + 1 - len(cells))
                        cells[column] = value
                    (copied if is_group else gaps)[names[column]] += 1
        self._note_cells(sheet, "the text of cells that are merged over rows stands in each of these rows", copied)
        advice = "Only the first cell of a merged range holds its value; unmerge them, and fill in what is meant."
        self._note_cells(sheet, "merged cells are read as gaps", gaps, advice)

    def _note_cells(self, sheet: _Sheet, seen: str, columns: Counter[str], advice: str = "") -> None:
        if not columns:
            return
        listed = ", ".join(f"column {name} ({counted(n, 'cell')})" for name, n in list(columns.items())[:LISTED])
        more = f" and {len(columns) - LISTED} more columns" if len(columns) > LISTED else ""
        text = f"{self.path.name}, sheet '{sheet.title}': {seen}: {listed}{more}. {advice}".rstrip()
        self.notes.append(FileNote(text, in_scores=True))

    def _note_blank_rows(self, filled: Sequence[int]) -> None:
        blank = sorted(set(range(filled[0], filled[-1])) - set(filled))
        if blank:
            what = "a blank row" if len(blank) == 1 else f"{len(blank):,} blank rows, the first"
            seen = f"{self.path.name} has {what} in row {blank[0] + 1:,} of its sheet. Blank rows are left out, and"
            self.notes.append(FileNote(f"{seen} rows are counted without them.", in_scores=True))

    def _cells(self, name: str) -> list[Any]:
        return self._columns[self.names.index(name)]

    def _is_mixed(self, name: str) -> bool:
        """Return whether a column has numbers in some rows and texts in others."""
        return any(isinstance(cell, int | float) for cell in self._cells(name))

    def _as_text(self, name: str) -> pa.Array:
        return pa.array([_as_text(cell) for cell in self._cells(name)], pa.string())

    def _column(self, name: str) -> pa.Array:
        """Return a column in the type that all its cells have, or as text."""
        cells = self._cells(name)
        kinds = {type(cell) for cell in cells if cell is not None}
        if not kinds:
            return pa.nulls(len(cells))
        if kinds == {bool}:
            return pa.array(cells, pa.bool_())
        if kinds == {int} and all(cell is None or abs(cell) < 2**63 for cell in cells):
            return pa.array(cells, pa.int64())
        if kinds <= {int, float}:
            return pa.array([np.nan if cell is None else float(cell) for cell in cells], pa.float64(), from_pandas=True)
        if kinds <= {datetime.datetime, datetime.date}:
            return pa.array([_as_time(cell) for cell in cells], pa.timestamp("us"))
        return self._as_text(name)


def _as_time(cell: Any) -> datetime.datetime | None:
    if cell is None or isinstance(cell, datetime.datetime):
        return cell
    return datetime.datetime.combine(cell, datetime.time())


def _as_text(cell: Any) -> str | None:
    if cell is None:
        return None
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15 else str(cell)


def _add_marks(sheet: _Sheet, content: bytes) -> None:
    """Add formulas without a value and merged cells, of which openpyxl says nothing when it reads row by row.

    Parameters
    ----------
    sheet : _Sheet
    content : bytes
        The XML of the sheet.
    """
    from openpyxl.utils import coordinate_to_tuple, range_boundaries
    from openpyxl.xml.functions import iterparse

    if not _MARKED.search(content):
        return
    row = column = 0  # of the latest cell, from 1; coordinates may be left out
    for event, element in iterparse(io.BytesIO(content), ("start", "end")):
        kind = element.tag.rpartition("}")[2]
        if event == "start":
            if kind == "row":
                row, column = int(element.get("r", row + 1)), 0
            continue
        if kind == "c":
            place = element.get("r")
            row, column = coordinate_to_tuple(place) if place else (row, column + 1)
            parts = {part.tag.rpartition("}")[2]: part.text for part in element}
            is_empty_text = element.get("t") == "str" and "v" in parts and not parts["v"]
            if "f" in parts and not parts.get("v") and not is_empty_text:
                sheet.unvalued.append((row - 1, column - 1))
        elif kind == "mergeCell":
            left, top, right, bottom = range_boundaries(element.get("ref", ""))
            sheet.merged.append((top - 1, left - 1, bottom - 1, right - 1))
        if kind in ("row", "mergeCell"):
            element.clear()
