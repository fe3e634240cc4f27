"""What the texts of a column say of whether they are numbers, and how these are written."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .text_numbers import ANY_FORMAT, CODE, FORMATS, NumberFormat, bare_texts, is_ambiguous, is_gap, units_of

MOSTLY = 0.9
"""Share of rows that must be numbers for the other texts to be errors among numbers."""

_FEW_NUMBERS = 20  # different numbers among which a text is another category rather than an error
_OTHERS_KEPT = 20  # different texts that do not fit a format until it is given up


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
    units : dict of str to (str, int)
        Units beside the numbers ("" for none), each with its first text and its number of rows.
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
            for form in FORMATS
            if decimal in (None, form.decimal) and (thousands is None or form.thousands in ("", thousands))
        }
        self.wrong = dict.fromkeys(self.others, 0)
        self.na_values = frozenset(na_values)
        self.certain = certain
        self.rows = self.number_rows = 0
        self.gaps: dict[str, int] = {}
        self.signs: dict[str, str] = {}
        self.units: dict[str, tuple[str, int]] = {}
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
        return bool(fitting) and fitting[0].decimal in self.signs and not is_ambiguous(fitting, self.signs)

    def offer(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Look at the next rows of the column."""
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        first, self._seen = self._seen, self._seen + len(texts)
        if self.hopeless:
            return
        bare = bare_texts(texts)
        gap = is_gap(bare, self.na_values)
        if pc.any(gap).as_py():
            for entry in pc.value_counts(pc.drop_null(texts.filter(gap))):
                word = entry["values"].as_py()
                if word.strip():
                    self.gaps[word] = self.gaps.get(word, 0) + entry["counts"].as_py()
        there = pc.invert(gap)
        places = np.flatnonzero(there.to_numpy(zero_copy_only=False)) + first
        texts, bare = texts.filter(there), bare.filter(there)
        self.rows += len(bare)
        number = pc.match_substring_regex(bare, ANY_FORMAT)
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

    def nearest(self) -> list[NumberFormat]:
        """Return the formats that the most texts fit, none if fewer than `MOSTLY` of them fit any."""
        if self.hopeless or not self.wrong or not self.rows:
            return []
        least = min(self.wrong.values())
        if not self.certain and least > (1 - MOSTLY) * self.rows:
            return []
        return [form for form, rows in self.wrong.items() if rows == least]

    @property
    def few(self) -> bool:
        """Whether the numbers are so few, and all of them whole, that they may be categories."""
        return len(self._numbers) <= _FEW_NUMBERS and not self.signs

    def unit(self) -> str:
        """Return the unit of the numbers; in a column that is certainly one of numbers, that of the most rows.

        Raises
        ------
        InputError
            If there are several units, or only some of the numbers are percentages.
        """
        units = [unit for unit in self.units if unit]
        if not self.certain and (len(units) > 1 or (units == ["%"] and "" in self.units)):
            texts = " and ".join(f"'{text}'" for text, _ in list(self.units.values())[:2])
            raise InputError(f"mixes units: {texts}")
        rows = {unit: count for unit, (_, count) in self.units.items()}
        if rows and max(rows, key=rows.__getitem__) != "%":
            rows = {unit: count for unit, count in rows.items() if unit not in ("", "%")}
        return max(rows, key=rows.__getitem__, default="")

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
        for unit, (text, rows) in units_of(texts).items():
            first, known = self.units.get(unit, (text, 0))
            self.units[unit] = (first, known + rows)
