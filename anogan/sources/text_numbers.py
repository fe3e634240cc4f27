"""Numbers written as text: which texts are numbers, how they are written, and their values.

Files and DataFrames use it. `NumberTexts` looks at all texts of a column, `number_formats` decides how the columns of
one table are written, and `NumberFormat.parse` reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

GAP_WORDS = frozenset({
    "", "?", "??", "-", "--", "---", "–", "—", ".", "..", "...", "*", "na", "n/a", "n.a.", "n.a", "n.d.", "nan", "<na>",
    "null", "(null)", "none", "nil", "missing", "(missing)", "unknown", "blank", "(blank)", "empty", "(empty)", "nat",
    "not available", "k.a.", "\\n", "#n/a", "#na", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!",
    "#n/a n/a", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
})  # fmt: skip
"""Texts, in lower case, that mean a missing value among numbers."""

MISSING_WORDS = frozenset({"NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "#N/A", "#NA"})
"""Those of them that may be a value among texts, but are missing for most programs that read a CSV file."""

CODE = r"^(?:0\d+|\+\d[\d ]{7,})$"
"""Regular expression of whole numbers that are codes: those with leading zeros, and phone numbers with a plus sign."""

_WORDS = {" ": "spaces", "'": "apostrophes", ",": "commas", ".": "points", "_": "underscores"}

_CURRENCY = (
    r"(?:US\$|A\$|C\$|R\$|[$€£¥₹₽₺₩฿]|(?i:USD|EUR|GBP|CHF)|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|"
    r"TRY|Fr\.|kr\.?|zł|Kč)"
)
_UNIT = rf"(?:{_CURRENCY}|%|(?i:percent|pct\.?))"
_SIGNS = {
    "EUR": "€", "USD": "$", "US$": "$", "GBP": "£", "AUD": "A$", "CAD": "C$", "BRL": "R$", "INR": "₹", "TRY": "₺",
    "PLN": "zł", "CZK": "Kč", "PERCENT": "%", "PCT": "%",
}  # fmt: skip
"""Other spellings of a unit, in upper case, and its sign. ¥ and kr are left out, which several currencies have."""
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
        Currency or percent sign beside the numbers, € also where they are written with EUR; "" if there is none.
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
        """Return the values of texts; numbers in another unit are unreadable.

        A number without a unit may be an amount of any currency, but no percentage.

        Parameters
        ----------
        texts : (n,) string array
        na_values : collection of str
            Further texts that mean a missing value.
        """
        bare = bare_texts(texts)
        number = pc.and_(pc.match_substring_regex(bare, self.pattern), self._has_unit(texts))
        gap = is_gap(bare, na_values)
        kept = pc.if_else(pc.fill_null(number, False), bare, pa.scalar(None, pa.string()))
        if self.thousands:
            kept = pc.replace_substring(kept, self.thousands, "")
        if self.decimal != ".":
            kept = pc.replace_substring(kept, self.decimal, ".")
        values = pc.cast(pc.replace_substring_regex(kept, r"^\+", ""), pa.float64())
        good = pc.or_(pc.fill_null(number, False), gap)
        return ParsedNumbers(values, pc.invert(good))

    def _has_unit(self, texts: pa.Array) -> pa.Array:
        """Return which of some numbers may be in the unit of the column; null for null."""
        units, unit = _units(texts), _sign(self.unit)  # models of older files have other spellings
        if unit == "%":
            return pc.equal(units, "%")
        if not unit:
            return pc.not_equal(units, "%")
        return pc.or_(pc.equal(units, unit), pc.equal(units, ""))


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


FORMATS = [NumberFormat(d, t) for t in ("", ",", ".", " ", "'", "_") for d in (".", ",") if d != t]
ANY_FORMAT = "|".join(form.pattern for form in FORMATS)
_ANY_NUMBER = re.compile(ANY_FORMAT)
_NUMBER_AND_UNIT = re.compile(r"([+-]?[\d.,' ]*\d[.,]?)\s*([^\W\d_]\S{0,7}|[°%]\S{0,7})?$")


def bare_texts(texts: pa.Array) -> pa.Array:
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


def is_gap(bare: pa.Array, na_values: Collection[str]) -> pa.Array:
    """Return where texts are null or mean a missing value."""
    words = pa.array(sorted(GAP_WORDS | {value.strip().lower() for value in na_values}))
    return pc.or_(pc.is_null(bare), pc.is_in(pc.utf8_lower(bare), value_set=words))


def is_ambiguous(formats: Sequence[NumberFormat], signs: Collection[str]) -> bool:
    """Return whether a sign is the decimal separator in one format and that of thousands in another."""
    return any(
        any(form.decimal == sign for form in formats) and any(form.thousands == sign for form in formats)
        for sign in (".", ",")
        if sign in signs
    )


def units_of(texts: pa.Array) -> dict[str, tuple[str, int]]:
    """Return the units beside numbers that are written as text, "" for none: the first text of each, and its rows."""
    units = _units(texts)
    return {
        entry["values"].as_py(): (texts[pc.index(units, entry["values"]).as_py()].as_py(), entry["counts"].as_py())
        for entry in pc.value_counts(pc.drop_null(units))
    }


def _units(texts: pa.Array) -> pa.Array:
    """Return the sign of the unit beside each number that is written as text, "" for none and null for null."""
    trimmed = pc.utf8_trim_whitespace(texts)
    has = pc.match_substring_regex(trimmed, rf"^[+(-]?\s*{_UNIT}|{_UNIT}\s*[)-]?$")
    if not pc.any(has).as_py():
        return pc.if_else(pc.is_valid(texts), "", pa.scalar(None, pa.string()))
    pattern = rf"[+-]?\s*[.,]?\d{_BODY}|^{_NOT_FINITE}|[.,'’´`_()\s−+-]+"
    found = pc.dictionary_encode(pc.if_else(has, pc.replace_substring_regex(trimmed, pattern, ""), ""))
    return pa.array(map(_sign, found.dictionary.to_pylist()), pa.string()).take(found.indices)


def _sign(unit: str) -> str:
    """Return one spelling of a unit: its sign, if it has one."""
    return _SIGNS.get(unit.upper(), unit)


def any_number(texts: Collection[str]) -> bool:
    """Return whether any of some texts is a number in any format."""
    return any(_ANY_NUMBER.match(text.strip()) for text in texts)


def partly_numbers(texts: Collection[str]) -> str:
    """Return what most of some texts have to do with numbers, such as "most of them numbers with 'kg'", or ""."""
    parts = [_NUMBER_AND_UNIT.match(text.strip()) for text in texts]
    amounts = [found for found in parts if found and _ANY_NUMBER.match(found[1]) and not re.match(CODE, found[1])]
    units = Counter((found[2] or "").casefold() for found in amounts)
    if not units:
        return ""
    unit, number = units.most_common(1)[0]
    unit = next(found[2] or "" for found in amounts if (found[2] or "").casefold() == unit)
    if 2 * number <= len(texts):
        return ""
    if unit:
        return f"most of them numbers with '{unit}'"
    others = [text for text in texts if not _ANY_NUMBER.match(text.strip())]
    return f"most of them numbers, but also '{others[0]}'" if others else ""  # else they are codes
