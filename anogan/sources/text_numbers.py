"""Numbers written as text: which texts are numbers, how they are written, and their values.

Files and DataFrames use it. `NumberTexts` looks at all texts of a column, `number_formats` decides how the columns of
one table are written, and `NumberFormat.parse` reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..wording import counted

GAP_WORDS = frozenset({
    "", "?", "??", "-", "--", "---", "–", "—", ".", "..", "...", "*", "na", "n/a", "n.a.", "n.a", "n.d.", "nan", "<na>",
    "null", "(null)", "none", "nil", "missing", "(missing)", "unknown", "blank", "(blank)", "empty", "(empty)", "nat",
    "not available", "k.a.", "\\n", "#n/a", "#na", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!",
})  # fmt: skip
"""Texts, in lower case, that mean a missing value among numbers."""

CODE = r"^(?:0\d+|\+\d[\d ]{7,})$"
"""Regular expression of whole numbers that are codes: those with leading zeros, and phone numbers with a plus sign."""

MOSTLY = 0.9
"""Share of rows that must be numbers for the other texts to be errors among numbers."""

_FEW_NUMBERS = 20  # different numbers among which a text is another category rather than an error
_OTHERS_KEPT = 20  # different texts that do not fit a format until it is given up
_WORDS = {" ": "spaces", "'": "apostrophes", ",": "commas", ".": "points", "_": "underscores"}

_CURRENCY = (
    r"(?:US\$|A\$|C\$|R\$|[$€£¥₹₽₺₩฿]|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|TRY|"
    r"Fr\.|kr\.?|zł|Kč)"
)
_UNIT = rf"(?:{_CURRENCY}|%)"
_BODY = r"[0-9.,]*(?:[eE][+-]?[0-9]+)?"
_ORDINARY = rf"^[+-]?{_BODY}$"
_POWER = r"(?:[eE][+-]?\d+)?"
_NOT_FINITE = r"[+-]?(?:inf|Inf|INF|infinity|Infinity)"


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal : {".", ","}
        Decimal separator.
    thousands : {"", ",", ".", " ", "'", "_"}
        Separator of thousands.
    unit : str
        Currency or percent sign beside the numbers; "" if there is none.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the numbers are written as in code, such as ``-1234.5``."""
        return self == NumberFormat()

    @property
    def pattern(self) -> str:
        """Regular expression of the numbers without units."""
        whole = r"\d+"
        if self.thousands:
            group = r"(?:,\d{2,3})*,\d{3}" if self.thousands == "," else rf"(?:[{self.thousands}]\d{{3}})+"
            whole = rf"(?:[1-9]\d{{0,2}}{group}|\d+)"
        return rf"^(?:[+-]?(?:{whole}(?:[{self.decimal}]\d*)?|[{self.decimal}]\d+){_POWER}|{_NOT_FINITE})$"

    def words(self) -> str:
        """Return how the numbers are written, for messages."""
        parts = ["decimal commas"] if self.decimal == "," else []
        parts += [f"{_WORDS[self.thousands]} between thousands"] if self.thousands else []
        parts += [f"the sign '{self.unit}'"] if self.unit else []
        return "numbers with " + " and ".join(parts) if parts else "numbers"

    def parse(self, texts: pa.Array, na_values: Collection[str] = ()) -> ParsedNumbers:
        """Return the values of texts.

        Parameters
        ----------
        texts : (n,) string array
        na_values : collection of str
            Further texts that mean a missing value.
        """
        bare = _bare(texts)
        number = pc.match_substring_regex(bare, self.pattern)
        gap = _is_gap(bare, na_values)
        kept = pc.if_else(pc.fill_null(number, False), bare, pa.scalar(None, pa.string()))
        if self.thousands:
            kept = pc.replace_substring(kept, self.thousands, "")
        if self.decimal != ".":
            kept = pc.replace_substring(kept, self.decimal, ".")
        values = pc.cast(pc.replace_substring_regex(kept, r"^\+", ""), pa.float64())
        good = pc.or_(pc.fill_null(number, False), gap)
        return ParsedNumbers(values, pc.invert(good))


class ParsedNumbers(NamedTuple):
    """Numbers read from texts.

    Attributes
    ----------
    values : (n,) float64 array
        Null where the text is missing or no number.
    unreadable : (n,) bool array
        Where a text is neither a number nor a gap.
    """

    values: pa.Array
    unreadable: pa.Array


_FORMATS = [NumberFormat(d, t) for t in ("", ",", ".", " ", "'", "_") for d in (".", ",") if d != t]
_ANY = "|".join(form.pattern for form in _FORMATS)
_ANY_NUMBER = re.compile(_ANY)
_NUMBER_AND_UNIT = re.compile(r"([+-]?[\d.,' ]*\d[.,]?)\s*([^\W\d_]\S{0,7}|[°%]\S{0,7})?$")


class NumberTexts:
    """Looks at the texts of a column and keeps what says whether and how they are numbers.

    Parameters
    ----------
    decimal, thousands : str, optional
        What is known of the format.
    na_values : collection of str
        Further texts that mean a missing value.
    certain : bool
        Whether the column is known to be one of numbers.

    Attributes
    ----------
    rows : int
        Texts that were offered so far, without gaps.
    gaps : dict of str to int
        Words for a missing value, and in how many rows they occurred; empty texts are not counted.
    number_rows : int
        Texts that are numbers in any format.
    signs : dict of str to str
        Which of ".", ",", " ", "'" and "_" occur in numbers, with the first text.
    units : dict of str to str
        Units beside the numbers ("" for none), with the first text.
    wrong : dict of NumberFormat to int
        Texts that do not fit each format that is still possible.
    code : str
        The first whole number that matches `CODE`, such as "01000"; "" if there is none.
    others : dict of NumberFormat to dict of str to (int, int)
        Those texts, each with its number of rows and its first row, as far as they are few.
    """

    def __init__(
        self,
        decimal: str | None = None,
        thousands: str | None = None,
        na_values: Collection[str] = (),
        *,
        certain: bool = False,
    ) -> None:
        self.others: dict[NumberFormat, dict[str, tuple[int, int]]] = {
            form: {}
            for form in _FORMATS
            if decimal in (None, form.decimal) and (thousands is None or form.thousands in ("", thousands))
        }
        self.wrong = dict.fromkeys(self.others, 0)
        self.na_values = frozenset(na_values)
        self.certain = certain
        self.rows = self.number_rows = 0
        self.gaps: dict[str, int] = {}
        self.signs: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.code = ""
        self._seen = 0
        self._numbers: set[str] = set()

    @property
    def hopeless(self) -> bool:
        """Whether the column is certainly not one of numbers; then further texts need not be offered."""
        return not self.certain and self.number_rows < MOSTLY * self.rows

    @property
    def are_codes(self) -> bool:
        """Whether the numbers are codes: all of them whole, and some as in `CODE`."""
        return bool(self.code) and not self.certain and not self.signs.keys() - {" "} and bool(self.fitting())

    @property
    def has_commas(self) -> bool:
        """Whether commas occur in the column's numbers."""
        return "," in self.signs and bool(self.fitting())

    @property
    def uses_decimals(self) -> bool:
        """Whether the format of the column matters: points or commas occur in its numbers."""
        return "," in self.signs or "." in self.signs

    @property
    def is_clear(self) -> bool:
        """Whether the decimal separator of the column is beyond doubt."""
        fitting = self.fitting()
        return bool(fitting) and fitting[0].decimal in self.signs and not _is_ambiguous(fitting, self.signs)

    def offer(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Look at the next rows of the column."""
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        first, self._seen = self._seen, self._seen + len(texts)
        if self.hopeless:
            return
        bare = _bare(texts)
        gap = _is_gap(bare, self.na_values)
        if pc.any(gap).as_py():
            for entry in pc.value_counts(pc.drop_null(texts.filter(gap))):
                word = entry["values"].as_py()
                if word.strip():
                    self.gaps[word] = self.gaps.get(word, 0) + entry["counts"].as_py()
        there = pc.invert(gap)
        places = np.flatnonzero(there.to_numpy(zero_copy_only=False)) + first
        texts, bare = texts.filter(there), bare.filter(there)
        self.rows += len(bare)
        number = pc.match_substring_regex(bare, _ANY)
        self.number_rows += pc.sum(number).as_py() or 0
        if not self.hopeless:
            for form, others in list(self.others.items()):
                wrong = pc.invert(pc.match_substring_regex(bare, form.pattern))
                self._add_others(form, others, texts, places, wrong)
        self._note_numbers(texts.filter(number), bare.filter(number))

    def fitting(self) -> list[NumberFormat]:
        """Return the formats that all texts fit."""
        if self.hopeless or not self.rows:
            return []
        return [form for form, rows in self.wrong.items() if not rows]

    def nearest(self) -> NumberFormat | None:
        """Return the format that the most texts fit, None if fewer than `MOSTLY` of them fit any."""
        if self.hopeless or not self.wrong or not self.rows:
            return None
        form = min(self.wrong, key=self.wrong.__getitem__)
        return form if self.certain or self.wrong[form] <= (1 - MOSTLY) * self.rows else None

    @property
    def few(self) -> bool:
        """Whether the numbers are so few, and all of them whole, that they may be categories."""
        return len(self._numbers) <= _FEW_NUMBERS and not self.signs

    def unit(self) -> str:
        """Return the unit of the numbers.

        Raises
        ------
        InputError
            If there are several units, or only some of the numbers are percentages.
        """
        units = list(filter(None, self.units))
        if len(units) > 1 or (units == ["%"] and "" in self.units):
            texts = " and ".join(f"'{text}'" for text in list(self.units.values())[:2])
            raise InputError(f"mixes units: {texts}. Convert the column to one unit")
        return "".join(units)

    def _add_others(
        self,
        form: NumberFormat,
        others: dict[str, tuple[int, int]],
        texts: pa.Array,
        places: np.ndarray,
        wrong: pa.Array,
    ) -> None:
        if not pc.any(wrong).as_py():
            return
        failed = texts.filter(wrong)
        where = places[wrong.to_numpy(zero_copy_only=False)]
        self.wrong[form] += len(failed)
        counts = pc.value_counts(failed)
        if len(others) + len(counts) <= _OTHERS_KEPT:
            for entry in counts:
                text = entry["values"].as_py()
                rows, row = others.get(text, (0, int(where[pc.index(failed, text).as_py()])))
                others[text] = (rows + entry["counts"].as_py(), row)
        elif not self.certain:
            del self.others[form], self.wrong[form]

    def _note_numbers(self, texts: pa.Array, bare: pa.Array) -> None:
        if len(self._numbers) <= _FEW_NUMBERS:
            self._numbers.update(pc.unique(bare)[: _FEW_NUMBERS + 1].to_pylist())
        if not self.code:
            coded = pc.match_substring_regex(bare, CODE)
            if pc.any(coded).as_py():
                self.code = bare[pc.index(coded, True).as_py()].as_py()
        for sign in ".,' _":
            if sign not in self.signs:
                has = pc.match_substring(bare, sign)
                if pc.any(has).as_py():
                    self.signs[sign] = texts[pc.index(has, True).as_py()].as_py()
        trimmed = pc.utf8_trim_whitespace(texts)
        if pc.any(pc.match_substring_regex(trimmed, rf"^[+(-]?\s*{_UNIT}|{_UNIT}\s*[)-]?$")).as_py():
            signs = pc.replace_substring_regex(trimmed, rf"[+-]?\s*[.,]?\d{_BODY}|^{_NOT_FINITE}|[.,'’´`_()\s−+-]+", "")
            found = {name.as_py(): texts[pc.index(signs, name).as_py()].as_py() for name in pc.unique(signs)}
        else:
            found = {"": texts[0].as_py()} if len(texts) else {}
        self.units = found | self.units


def number_formats(
    columns: Mapping[str, NumberTexts], *, points_are_plain: bool = True, needed: Collection[str] = ()
) -> dict[str, NumberFormat]:
    """Decide for the columns of one table which hold numbers, and how these are written.

    What is ambiguous in one column, such as "1,234" or "1.234", is decided by the others, which are written alike.

    Parameters
    ----------
    columns : dict of str to NumberTexts
    points_are_plain : bool
        Whether "1.234" is 1.234 where nothing else decides. It is not in tables that are separated by semicolons,
        because comma decimals are the usual reason for semicolons.
    needed : collection of str
        Columns that hold numbers for certain; in them texts that are no numbers are no errors, and leading zeros do not
        make codes.

    Returns
    -------
    dict of str to NumberFormat
        The columns of numbers.

    Raises
    ------
    InputError
        If a column is ambiguous, writes numbers in several ways, or holds numbers but for a few texts.
    """
    clear: set[str] = set()
    open_columns: dict[str, list[NumberFormat]] = {}
    found: dict[str, NumberFormat] = {}
    for name, texts in columns.items():
        if texts.are_codes and name not in needed:
            continue
        fitting = texts.fitting()
        if not fitting and name not in needed:
            _check_not_mostly_numbers(name, texts)
            continue
        if not fitting:
            found[name] = texts.nearest() or NumberFormat()
            continue
        try:
            unit = texts.unit()
        except InputError as error:
            raise InputError(f"column '{name}' {error}, or drop it.") from None
        fitting = [replace(form, unit=unit) for form in fitting]
        if _is_ambiguous(fitting, texts.signs):
            open_columns[name] = fitting
            continue
        found[name] = fitting[0]
        if fitting[0].decimal in texts.signs or fitting[0].thousands in (".", ","):
            clear.add(fitting[0].decimal)
    for name, fitting in open_columns.items():
        sign = "," if "," in columns[name].signs else "."
        if len(clear) == 1:
            found[name] = next(form for form in fitting if form.decimal in clear)
        elif sign == "." and points_are_plain and not clear:
            found[name] = fitting[0]
        else:
            raise InputError(_ambiguous_message(name, columns[name], sign))
    return {name: found[name] for name in columns if name in found}


def number_note(form: NumberFormat, texts: NumberTexts | None) -> str:
    """Return what was seen in a column of numbers, as the rest of a sentence after the column's name; "" if plain."""
    words = [f"holds {form.words()} and is read as numbers"] if not form.is_plain else []
    if texts is not None and texts.gaps:
        listed = ", ".join(f"'{word}' ({counted(rows, 'row')})" for word, rows in list(texts.gaps.items())[:5])
        words.append(f"{'' if words else 'is read as numbers '}with missing values for {listed}")
    return " ".join(words)


def code_note(texts: NumberTexts) -> str:
    """Return what was seen in a column of codes, as the rest of a sentence after the column's name."""
    what = "phone numbers" if texts.code.startswith("+") else "codes with leading zeros"
    return f"holds {what}, such as '{texts.code}', and is read as text"


def _is_ambiguous(fitting: list[NumberFormat], signs: Collection[str]) -> bool:
    """Return whether a sign is the decimal separator in one format and that of thousands in another."""
    return any(
        any(form.decimal == sign for form in fitting) and any(form.thousands == sign for form in fitting)
        for sign in (".", ",")
        if sign in signs
    )


def _ambiguous_message(name: str, texts: NumberTexts, sign: str) -> str:
    example, other = texts.signs[sign], "." if sign == "," else ","
    return (
        f"column '{name}' is ambiguous: '{example}' may have a decimal '{sign}', or a '{sign}' between thousands. Say "
        f"which with decimal='{sign}' or decimal='{other}' (on the command line --decimal '{sign}' or "
        f"--decimal '{other}')."
    )


def _check_not_mostly_numbers(name: str, texts: NumberTexts) -> None:
    """Raise `InputError` if a column holds numbers but for a few texts, or numbers in several formats."""
    if texts.hopeless or texts.few or not texts.rows:
        return
    form = texts.nearest()
    if form is None:
        examples = " and ".join(f"'{text}'" for text in texts.signs.values())
        raise InputError(
            f"column '{name}' does not write all of its numbers in one way, or not in the one that was named: it has "
            f"{examples}. Convert it, or drop it."
        )
    others = list(texts.others[form].items())
    listed = ", ".join(
        f"'{text}' (row {row:,}{f' and {rows - 1:,} more' * (rows > 1)})" for text, (rows, row) in others[:5]
    )
    more = f" and {len(others) - 5} more texts" if len(others) > 5 else ""
    raise InputError(
        f"column '{name}' holds {form.words()}, but also {listed}{more}. If they mean missing values, give "
        f"na_values=[{others[0][0]!r}] (on the command line --na-values '{others[0][0]}'); if the column holds "
        f"categories, give columns={{{name!r}: 'category'}} (--category '{name}'); otherwise correct them."
    )


def _bare(texts: pa.Array) -> pa.Array:
    """Return texts in one spelling, without units and spaces around them."""
    bare = pc.utf8_trim_whitespace(texts)
    if pc.all(pc.match_substring_regex(bare, _ORDINARY), min_count=0).as_py():
        return bare
    bare = pc.replace_substring_regex(bare, "[\u00a0\u2007\u2009\u202f]", " ")
    bare = pc.replace_substring_regex(bare, "[’´`]", "'")
    bare = pc.replace_substring_regex(bare, "^−", "-")
    bare = pc.replace_substring_regex(bare, r"^\(([^()+-]*\d[^()]*)\)$", r"-\1")  # as accountants write
    bare = pc.replace_substring_regex(bare, r"^([\d.,' ]*\d)-$", r"-\1")  # as SAP writes
    bare = pc.replace_substring_regex(bare, rf"^([+-]?)\s*{_UNIT}\s*([+-]?[\d.,])", r"\1\2")
    return pc.replace_substring_regex(bare, rf"(\d[.,]?)\s*{_UNIT}$", r"\1")


def _is_gap(bare: pa.Array, na_values: Collection[str]) -> pa.Array:
    """Return where texts are null or mean a missing value."""
    words = pa.array(sorted(GAP_WORDS | {value.strip().lower() for value in na_values}))
    return pc.or_(pc.is_null(bare), pc.is_in(pc.utf8_lower(bare), value_set=words))


def any_number(texts: Collection[str]) -> bool:
    """Return whether any of some texts is a number in any format."""
    return any(_ANY_NUMBER.match(text.strip()) for text in texts)


def partly_numbers(texts: Collection[str]) -> str:
    """Return what most of some texts have to do with numbers, such as "most of them numbers with 'kg'", or ""."""
    parts = [_NUMBER_AND_UNIT.match(text.strip()) for text in texts]
    amounts = [found for found in parts if found and _ANY_NUMBER.match(found[1]) and not re.match(CODE, found[1])]
    units = Counter(found[2] or "" for found in amounts)
    if not units:
        return ""
    unit, number = units.most_common(1)[0]
    if 2 * number <= len(texts):
        return ""
    if unit:
        return f"most of them numbers with '{unit}'"
    others = [text for text in texts if not _ANY_NUMBER.match(text.strip())]
    return f"most of them numbers, but also '{others[0]}'" if others else ""  # else they are codes
