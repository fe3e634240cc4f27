"""The dialect of a CSV file: what is said of it, and what the beginning of the file shows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, replace

from ..errors import InputError
from .notes import FileNote, Note
from .text_numbers import any_number

SEPARATORS = (",", ";", "\t", "|", "^", "~", "\x01", "\x1f")
_RARE_SEPARATORS = (" ", ":", "/", "!", "#", "&", "*")  # only if all rows then have as many fields as the header
_SEPARATOR_NAMES = {"\t": "tab", " ": "space", "\x01": "\\x01", "\x1f": "\\x1f"}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel reads this first line as the separator


@dataclass(frozen=True)
class CSVDialect:
    """How a CSV file is written. What is not given is detected.

    Parameters
    ----------
    sep : str, optional
        Separator of the columns: one character, or "tab".
    decimal : {".", ","}, optional
        Decimal separator of numbers.
    thousands : {",", ".", " ", "'", "_"}, optional
        Separator of thousands in numbers.
    na_values : sequence of str
        Further texts that mean a missing value, in all columns.
    encoding : str, optional
        Encoding of the text, such as "utf-8", "utf-16" or "cp1252".
    header : bool
        Whether the first row holds the names of the columns. If not, they are column_0, column_1 and so on.

    Raises
    ------
    InputError
        If a value is not one of these.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na_values: tuple[str, ...] = ()
    encoding: str | None = None
    header: bool = True

    def __post_init__(self) -> None:
        named = {"tab": "\t", "\\t": "\t", "space": " "}
        if self.sep is not None:
            object.__setattr__(self, "sep", named.get(self.sep, self.sep))
        object.__setattr__(self, "na_values", tuple(self.na_values))
        if self.sep is not None and (len(self.sep) != 1 or self.sep in '"\n\r' or not self.sep.isascii()):
            raise InputError(f"sep must be one character, such as ';', or 'tab'; got '{self.sep}'.")
        if self.decimal not in (None, ".", ","):
            raise InputError(f"decimal must be '.' or ','; got '{self.decimal}'.")
        if self.thousands not in (None, ",", ".", " ", "'", "_"):
            raise InputError(f"thousands must be one of , . ' _ or a space; got '{self.thousands}'.")
        if self.thousands is not None and self.thousands == self.decimal:
            raise InputError(f"decimal and thousands must differ; both are '{self.decimal}'.")
        if self.encoding is not None:
            try:
                known = codecs.lookup(self.encoding)
            except LookupError:
                raise InputError(f"The encoding '{self.encoding}' is not known; utf-8 and cp1252 are common.") from None
            if not known._is_text_encoding:
                raise InputError(f"'{self.encoding}' is not an encoding of text; utf-8 and cp1252 are common.")


@dataclass(frozen=True)
class CSVLayout:
    """What is known of a CSV file before it is read.

    Attributes
    ----------
    sep, quote, encoding : str
    skip : int
        Lines before the header.
    names : list of str
        Names of all columns; a column that has no name and no values at the end of each row is not among them.
    fields : int
        Fields in a row.
    rows : list of list of str
        Rows of the sample without the header.
    complete : bool
        Whether the sample is the whole file.
    """

    sep: str
    quote: str
    encoding: str
    skip: int
    names: list[str]
    fields: int
    rows: list[list[str]]
    complete: bool

    def words(self, usual: str = ",") -> str:
        """Return what is not usual of the dialect, for messages; "" if nothing is."""
        parts = [] if self.sep == usual or self.fields == 1 else [f"separator {separator_name(self.sep)}"]
        parts += [] if self.encoding in ("utf-8", "ascii") else [f"encoding {self.encoding}"]
        parts += [] if self.quote == '"' else [f"quotes {self.quote}"]
        parts += [f"{self.skip} line{'s' * (self.skip > 1)} before the header skipped"] if self.skip else []
        return ", ".join(parts)


def separator_name(sep: str) -> str:
    """Return a separator as it is written in messages and options."""
    return _SEPARATOR_NAMES.get(sep, f"'{sep}'")


def encoding_of(sample: bytes, *, complete: bool) -> str:
    """Return the encoding of a text by its first bytes.

    Parameters
    ----------
    sample : bytes
    complete : bool
        Whether these are all bytes, so that a cut character at the end is an error.
    """
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    for name, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        if len(zeros) and zeros.count(0) > 0.3 * len(zeros) and sample.count(0) < 0.7 * len(sample):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=complete)
    except UnicodeDecodeError:
        return "latin-1" if _NOT_CP1252.search(sample) else "cp1252"
    return "utf-8"


def layout_of(sample: bytes, dialect: CSVDialect, *, complete: bool, usual: str = ",") -> CSVLayout:
    """Return the layout of a CSV file by its first bytes.

    Parameters
    ----------
    sample : bytes
        The beginning of the file, decompressed.
    dialect : CSVDialect
        What is known.
    complete : bool
        Whether the sample is the whole file.
    usual : str
        The separator that the file's name implies.

    Raises
    ------
    InputError
        If the file is empty, is not text, or its header does not fit its rows. The messages do not name the file.
    """
    encoding = dialect.encoding or encoding_of(sample, complete=complete)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=complete).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not text in the encoding {encoding} (byte {error.start}). Name another with "
            "CSVDialect(encoding=...) (on the command line --encoding)."
        ) from None
    if not text.strip("\r\n"):
        raise InputError("is empty.")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"has a NUL character in line {line}, so it is not text or is damaged.")
    hint = _EXCEL_HINT.match(text)
    if hint and dialect.sep is None:
        dialect = replace(dialect, sep=hint[1])
        text = text[hint.end() :]
        if not text.strip("\r\n"):
            raise InputError("is empty.")
    quote = _quote(text)
    candidates = [dialect.sep] if dialect.sep else sorted(SEPARATORS, key=lambda sep: sep != usual)
    tables = [_Table.of(text, sep, quote, header=dialect.header, complete=complete) for sep in candidates]
    best = max(tables, key=lambda table: table.rank(candidates))
    if best.width == 1 and dialect.sep is None:
        for sep in _RARE_SEPARATORS:
            table = _Table.of(text, sep, quote, header=dialect.header, complete=complete)
            named = sep == " " or (dialect.header and table.is_even and not any_number(table.rows[0]))
            if best.width == 1 and named and table.is_even and any_number(table.rows[-1]):
                best = table
    if best.width == 1 and dialect.sep is None:
        first = next((row[0] for row in best.rows if row), "")
        inside = [sep for sep in SEPARATORS if sep in first and (dialect.header or not any_number([first]))]
        if inside:
            raise InputError(
                f"seems to be separated by {separator_name(inside[0])}, as in its first row '{first[:80]}', but its "
                "rows do not all have as many fields. Correct them, or name the separator with CSVDialect(sep=...) "
                "(on the command line --sep)."
            )
        unused = next((sep for sep in (usual, ";", "\t", "|", "\x1f") if sep not in text), None)
        if unused is None:
            raise InputError(
                "has every separator in its texts, and rows of different lengths. Name the separator with "
                "CSVDialect(sep=...) (on the command line --sep)."
            )
        best = replace(best, sep=unused)
    names, fields = best.names_and_fields(header=dialect.header)
    skip = best.header_at + (1 if hint else 0)
    return CSVLayout(best.sep, quote, encoding, skip, names, fields, best.body(header=dialect.header), complete)


@dataclass(frozen=True)
class _Table:
    """The rows of a sample under one separator.

    `width` is the most frequent number of fields, `header_at` the number of lines before the header.
    """

    sep: str
    rows: list[list[str]]
    width: int
    header_at: int
    header_fits: bool

    @classmethod
    def of(cls, text: str, sep: str, quote: str, *, header: bool, complete: bool) -> _Table:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, quotechar=quote)
        lines, rows = [], []
        try:
            for row in reader:
                rows.append(row)
                lines.append(reader.line_num)
        except csv.Error:
            complete = False
        if not complete and len(rows) > 1:
            rows.pop()
        counts = Counter(len(row) for row in rows if row)
        width = max(counts, key=lambda n: (counts[n], n)) if counts else 1
        at = next((i for i, row in enumerate(rows) if row), 0)
        start = cls._header(rows, width) if header else at
        fits = start < len(rows) and len(rows[start]) in ((width, width - 1) if width > 2 else (width,))
        before = lines[start - 1] if start else 0
        return cls(sep, rows[start:], width, before, fits)

    @staticmethod
    def _header(rows: list[list[str]], width: int) -> int:
        """Return which row is the header: the first, but for notes and comments above a row of names.

        A short row above rows of two fields may as well be the header of one column of text, unless it is a comment or
        an empty line follows it.
        """
        first = next((i for i, row in enumerate(rows) if row), 0)
        for i, row in enumerate(rows[first:], first):
            filled = [cell for cell in row if cell.strip()]
            if len(row) == width > 1 and len(filled) >= max(2, width - 1) and not any_number(filled):
                notes = [note for note in rows[first:i] if note and not note[0].lstrip().startswith("#")]
                even = all(len(row) in (0, width) for row in rows[i:])
                return i if not notes or (even and (width > 2 or not rows[i - 1])) else first
            if len(filled) > max(1, width // 3) and not row[0].lstrip().startswith("#"):
                break
        return first

    @property
    def is_even(self) -> bool:
        """Whether all rows have as many fields as the header, and at least two."""
        return len(self.rows) > 1 and all(len(row) in (0, self.width) for row in self.rows) and self.width > 1

    def rank(self, candidates: list[str]) -> tuple[bool, bool, float, float]:
        """Return how well the separator explains the rows; more is better."""
        counts = [len(row) for row in self.rows if row]
        even = sum(n == self.width for n in counts) / max(len(counts), 1)
        cells = [cell for row in self.rows[:50] for cell in row]
        odd = sum(any(sep in cell for sep in candidates) and not any_number([cell]) for cell in cells)
        has_header = bool(self.rows) and len(self.rows[0]) > 1
        return has_header, self.width > 1 and self.header_fits, round(even, 1), -odd / max(len(cells), 1)

    def names_and_fields(self, *, header: bool) -> tuple[list[str], int]:
        """Return the names of the columns and the number of fields in a row."""
        if not header:
            return [f"column_{i}" for i in range(len(self.rows[0]))], len(self.rows[0])
        names, width = self.rows[0], self.width
        rows = [row for row in self.rows[1:] if len(row) == width]
        last_is_empty = all(not row[-1].strip() for row in rows)
        if len(names) == width - 1 and rows:
            if not last_is_empty:
                raise InputError(
                    f"has {len(names)} names in its header, but rows of {width} fields, such as "
                    f"'{self.sep.join(rows[0])[:80]}'. Give each column a name."
                )
            return list(names), width
        if len(names) > 1 and not names[-1].strip() and last_is_empty:
            return list(names[:-1]), len(names)
        return list(names), len(names)

    def body(self, *, header: bool) -> list[list[str]]:
        return self.rows[1:] if header else self.rows


def _quote(text: str) -> str:
    """Return the quotation mark: a double one unless the text has none and fields stand in single ones."""
    if '"' in text:
        return '"'
    fields = [field for line in text.splitlines()[1:50] for field in re.split(r"[,;\t|]", line)]
    quoted = [len(field) > 1 and field[0] == field[-1] == "'" for field in fields]
    return "'" if sum(quoted) > 0.2 * len(fields) > 0 else '"'


def header_notes(name: str, layout: CSVLayout, dialect: CSVDialect, usual: str) -> list[Note]:
    """Return notes about a dialect that is not the usual one, and about a header that looks like a row."""
    notes: list[Note] = []
    if words := layout.words(usual):
        notes.append(FileNote(f"{name} is read with {words}."))
    if dialect.header and any_number(layout.names):
        listed = ", ".join(f"'{name}'" for name in layout.names[:5]) + (", ..." if len(layout.names) > 5 else "")
        seen = f"The first row of {name} ({listed}) was taken for the names of the columns but holds numbers."
        advice = "If the file has no header, give {}."
        notes.append(FileNote(seen, advice.format("CSVDialect(header=False)"), advice.format("--no-header")))
    return notes
