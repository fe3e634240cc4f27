"""What kind a table's column is: `infer_kind` decides, `learn_column` learns the column of that kind."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from ...sources.column_roles import LEFT_OUT_ROLES, Role
from ...sources.notes import ColumnNote, role_note, role_option
from ...sources.sampling import MAX_CATEGORIES, UNITS
from ...sources.text_dates import check_format, formats_of, has_day, is_placeholder, numeric_formats_of
from ...sources.text_numbers import MISSING_WORDS, NumberFormat, partly_numbers
from ...wording import counted
from . import doubts
from .category import (
    Category,
    CategoryColumn,
    check_cardinality,
    distinct_values,
    family_of,
    value_family,
)
from .column import Column
from .date import DATE_OBJECTS, DAY, DateColumn, is_arrow_date, learned_parts, midnight_share, to_seconds, zone_name
from .dtypes import BOOLEAN, CATEGORY, DATE, NUMBER, OBJECT, TEXT, dtype_name
from .number import NO_RANGE, NUMBER_OBJECTS, NumberColumn, spread_values, to_numbers
from .series import check_whole_characters, column_error, inferred_type, plain
from .texts import number_format

Kind = Literal["number", "boolean", "category", "date"]
_EACH = "learns each value"
_DURATIONS = "If they are durations, convert them to seconds, for example with pandas.to_timedelta."
_TRIED = 100  # different values that are tried as dates before all are
_NOTED_UNSEEN = 0.05  # expected share of new rows with an unseen value from which on it is noted


@dataclass(frozen=True)
class Learned:
    """What was learned of a column.

    Attributes
    ----------
    column : Column or None
        None if the column is not learned.
    training : (m,) float64 or None
        Its training values if it needs scaling.
    why : str
        Why it is not learned, as the rest of a sentence that starts with the column's name.
    notes : list of ColumnNote
    """

    column: Column | None
    training: np.ndarray | None = None
    why: str = ""
    notes: list[ColumnNote] = field(default_factory=list)


def infer_kind(name: str | int, series: pd.Series) -> Kind:
    """The kind of a column, by its dtype; for object columns by what pandas infers from the values.

    Raises
    ------
    InputError
        If the column's type cannot be used.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        families = {value_family(value) for value in dtype.categories.tolist()}
        if len(families) > 1 or families - {"text", "number", "boolean"}:
            seen = f"has categories of type {', '.join(sorted(families))}; needed are all texts or all numbers"
            raise column_error(name, seen, "Convert them.", "Convert them.", drop=True)
        check_whole_characters(f"Column {name!r}", dtype.categories)
        return "category"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(dtype) or is_arrow_date(dtype):
        return "date"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    inferred = inferred_type(series)
    if inferred in ("string", "empty"):
        texts = series if types.is_object_dtype(dtype) else ()  # Arrow holds whole characters only
        check_whole_characters(f"Column {name!r}", texts)
        return "category"
    if inferred == "boolean":
        return "boolean"
    if inferred in NUMBER_OBJECTS:
        return "number"
    if inferred in DATE_OBJECTS:
        return "date"
    if inferred.startswith("mixed"):
        found = sorted({type(value).__name__ for value in series.dropna().head(10_000)})
        if not {"list", "tuple", "dict", "set", "ndarray"}.isdisjoint(found):
            several = f"holds several values in one cell ({', '.join(found)}); needed are numbers, dates or texts"
            raise column_error(name, several, "Make columns of them.", "Make columns of them.", drop=True)
        one = f"Make them one type, for example X[{name!r}] = X[{name!r}].astype(str)."
        raise column_error(name, f"mixes types ({', '.join(found)})", one, "Make them one type.", drop=True)
    hint = f"Convert it: X[{name!r}].dt.total_seconds()." if "timedelta" in inferred else ""
    if inferred == "time":
        hint = f"Convert it: X[{name!r}].astype(str)."
    if inferred == "bytes":
        hint = f"Convert it: X[{name!r}].str.decode('utf-8')."
    seen = f"is of type {dtype} ({inferred}), which is not supported"
    raise column_error(name, seen, hint, "Convert it." if hint else "", drop=True)


def learn_column(
    name: str | int, series: pd.Series, rows: np.ndarray | None, *, role: Role | None = None, sampled: int | None = None
) -> Learned:
    """Learn a column in its role, or in the kind that its values suggest.

    Parameters
    ----------
    name : str or int
    series : (n,) Series
        All values: categories and missing values are known from all of them.
    rows : (m,) int or None
        The training rows; by default all.
    role : Role or None
        Without a role, identifiers, texts that differ in most rows, and dates without a period that training covers
        are not learned.
    sampled : int or None
        The number of rows that are data, in their order; those after them only show further values. By default all.

    Raises
    ------
    InputError
        If the column's type cannot be used, or it does not suit its role.
    """
    if role is not None and role.kind in LEFT_OUT_ROLES:
        return Learned(None, why="is left out by its role")
    n = len(series) if sampled is None else sampled
    kind = infer_kind(name, series)
    if role is not None:
        return _in_role(name, series, rows, n, kind, role)
    learned = _inferred(name, series, rows, n, kind)
    if not series[:n].isna().all():
        return learned
    if learned.column is None:
        return Learned(None, why="has no value", notes=[ColumnNote(name, "has no value and is not learned")])
    seen = "has no value, so that a row with one will count as unusual"
    return replace(learned, notes=[role_note(name, seen, "drop", "leaves it out")])


def _inferred(name: str | int, series: pd.Series, rows: np.ndarray | None, n: int, kind: Kind) -> Learned:
    """Learn a column in the kind that its values suggest."""
    if kind == "date":
        return _date(name, series, rows, n, "", trend=False)
    if kind == "number":
        learned = _inferred_number(name, series, rows, n)
    elif kind == "category" and not isinstance(series.dtype, pd.CategoricalDtype):
        learned = _inferred_text(name, series, rows, n)
    else:
        return Learned(_category(name, series, kind, n))
    note = None if isinstance(learned.column, DateColumn) else _unread_dates(name, series[:n], kind)
    return learned if note is None else replace(learned, notes=[note])


def learn_category(name: str | int, series: pd.Series) -> CategoryColumn:
    """Learn a column as a category, whatever its values are."""
    return _category(name, series, infer_kind(name, series), len(series))


def _in_role(name: str | int, series: pd.Series, rows: np.ndarray | None, n: int, kind: Kind, role: Role) -> Learned:
    if role.kind == "number":
        is_text = kind == "category" and inferred_type(series) == "string"
        return _number(name, series, rows, n, number_format(name, series, certain=True) if is_text else None)
    if role.kind == "category":
        return Learned(_category(name, series, "boolean" if kind == "boolean" else "category", n))
    form = role.format
    notes: list[ColumnNote] = []
    if not form and kind != "date":
        form, notes = _date_format(name, series, kind, anyway=True)
        if not form:
            with_format = f"{role.kind}:%d.%m.%Y"
            raise column_error(
                name,
                f"has the role {role.kind!r}, but its values are in no known format of dates (such as "
                f"{series.dropna().iloc[0]!r})",
                f"Give the format: columns={{{name!r}: {with_format!r}}}.",
                f"Give the format: {role_option(name, with_format)}.",
            )
    if form:
        check_format(form)
    return _date(
        name, series, rows, n, form if kind != "date" else "", trend=role.kind == "trend", notes=notes, anyway=True
    )


def _inferred_number(name: str | int, series: pd.Series, rows: np.ndarray | None, n: int) -> Learned:
    form, notes = _date_format(name, series, "number")
    if form:
        return _date(name, series, rows, n, form, trend=False, notes=notes)
    return _unless_doubtful(name, series, _number(name, series, rows, n), n)


def _unless_doubtful(name: str | int, series: pd.Series, learned: Learned, n: int) -> Learned:
    """Return what was learned of a column of numbers, or why it says nothing about what is normal."""
    assert isinstance(learned.column, NumberColumn)
    x = learned.column.values(series[:n])
    why = doubts.identifier(name, x) or doubts.calendar(name, x)
    if why:
        return Learned(None, why=why, notes=[role_note(name, f"{why}; it is not learned", "number", "learns it")])
    if seen := doubts.key(x):
        return replace(learned, notes=[role_note(name, f"{seen}, but is learned as a number", "id", "leaves it out")])
    if seen := doubts.sentinel(x):
        value = seen.split()[1]
        python = f"If it means a missing value, replace it: X[{name!r}].mask(X[{name!r}] == {value})."
        note = ColumnNote(name, seen, python, f"If it means a missing value, give --na-values={value}.")
        return replace(learned, notes=[note])
    if seen := doubts.code(name, x):
        return replace(learned, notes=[role_note(name, f"{seen}, but is learned as a number", "category", _EACH)])
    if doubts.names_identifier(name) and len(x) >= doubts.FEWEST_ROWS:
        seen = f"is named like an identifier, but its {len(np.unique(x)):,} distinct values are learned as a number"
        return replace(learned, notes=[role_note(name, seen, "category", _EACH)])
    return learned


def _number(
    name: str | int, series: pd.Series, rows: np.ndarray | None, n: int, form: NumberFormat | None = None
) -> Learned:
    written = [] if form is None else [form.decimal, form.thousands, form.unit]
    x = to_numbers(series, n, written)
    whole = types.is_integer_dtype(series.dtype) or inferred_type(series) == "integer"
    dtype = dtype_name(series.dtype, NUMBER, otherwise="float64")
    training = x if rows is None else x[rows]
    low, high = _range(x[:n])
    column = NumberColumn(name, dtype, whole, bool(np.isnan(x).any()), -1, spread_values(training), low, high, written)
    column.unit = series.attrs.get(UNITS, {}).get(str(name), "") if form is None else form.unit
    return Learned(column, training)


def _inferred_text(name: str | int, series: pd.Series, rows: np.ndarray | None, n: int) -> Learned:
    form, notes = _date_format(name, series, "category")
    if form and not has_day(form) and doubts.names_duration(name):
        seen = "is named like a duration, but is learned as times of day, which start again at midnight"
        notes = [*notes, ColumnNote(name, seen, _DURATIONS, _DURATIONS)]
    if form:
        return _date(name, series, rows, n, form, trend=False, notes=notes)
    written = number_format(name, series)
    if written is not None:
        seen = f"holds {written.words()} as text and is read as numbers"
        learned = _unless_doubtful(name, series, _number(name, series, rows, n, written), n)
        return replace(learned, notes=learned.notes or [role_note(name, seen, "category", _EACH)])
    codes, values = distinct_values(series)
    known = [value for value in values if value is not None]
    counts = np.bincount(codes[:n], minlength=len(values))[: len(known)]
    there, distinct = int(counts.sum()), len(known)
    numbers = partly_numbers(known[:MAX_CATEGORIES]) if distinct > doubts.FEW_TEXTS else ""
    advice = "If they are amounts, write the numbers alone, and empty cells where there is none." if numbers else ""
    if distinct > MAX_CATEGORIES or (
        n >= doubts.FEWEST_ROWS and distinct > doubts.FEW_TEXTS and distinct > doubts.MAX_DISTINCT_SHARE * there
    ):
        least = "more than " if distinct > MAX_CATEGORIES else ""
        shown, what = min(distinct, MAX_CATEGORIES), numbers or f"such as {known[0]!r}"
        why = f"has {least}{shown:,} distinct texts in {n:,} rows ({what}), too many to learn"
        advice = advice or "Group its rare values, or convert it if it holds numbers or dates."
        advice = _DURATIONS if doubts.are_durations(known[:MAX_CATEGORIES]) else advice
        return Learned(None, why=why, notes=[ColumnNote(name, f"{why}; it is not learned", advice, advice)])
    words = {value: count for value, count in zip(known, counts.tolist(), strict=True) if value in MISSING_WORDS}
    if words and not notes:
        notes = [_words_note(name, words)]
    unseen = doubts.expected_unseen(counts)
    if distinct > doubts.FEW_TEXTS and unseen > _NOTED_UNSEEN:
        what = f" ({numbers})" if numbers else ""
        seen = (
            f"has {distinct:,} distinct texts in {n:,} rows{what}; about {unseen:.0%} of new rows will have another one"
        )
        notes = [ColumnNote(name, seen, advice, advice) if numbers else role_note(name, seen, "drop", "leaves it out")]
    return Learned(_category(name, series, "category", n), notes=notes)


def _words_note(name: str | int, words: dict[str, int]) -> ColumnNote:
    """Return the note about words among texts that mean a missing value among numbers."""
    listed = ", ".join(f"'{word}' ({counted(rows, 'row')})" for word, rows in list(words.items())[:5])
    word = next(iter(words))
    return ColumnNote(
        name,
        f"has {listed} among its texts, learned as {'a value' if len(words) == 1 else 'values'} like the others",
        python=f"If it means a missing value, replace it: X[{name!r}].replace({word!r}, None).",
        shell=f"If it means a missing value, give --na-values {shlex.quote(word)}.",
    )


def _category(name: str | int, series: pd.Series, kind: Kind, n: int) -> CategoryColumn:
    missing = bool(series.isna().any())
    if kind == "boolean":
        dtype = dtype_name(series.dtype, BOOLEAN, otherwise=OBJECT)
        return CategoryColumn(name, dtype, [False, True], missing, kind="boolean")
    codes, values = distinct_values(series)
    present = np.bincount(codes, minlength=len(values)) > 0
    categories = [plain(value) for value, used in zip(values, present, strict=True) if used and value is not None]
    check_cardinality(name, categories, n)
    levels: list[Category] = []
    ordered = False
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels, ordered = [plain(v) for v in series.dtype.categories.tolist()], bool(series.dtype.ordered)
    categories.sort(key=lambda value: (str(type(value)), value))
    dtype = dtype_name(series.dtype, CATEGORY, otherwise=OBJECT)
    return CategoryColumn(name, dtype, categories, missing, levels, ordered)


def _date(
    name: str | int,
    series: pd.Series,
    rows: np.ndarray | None,
    n: int,
    form: str,
    *,
    trend: bool,
    notes: list[ColumnNote] | None = None,
    anyway: bool = False,
) -> Learned:
    zone = "" if form else zone_name(series)
    seconds = to_seconds(series, zone, form)
    notes = [*(notes or []), *_placeholder_note(name, series[:n], seconds[:n], form)]
    training = seconds if rows is None else seconds[rows]
    parts = learned_parts(training, form)
    missing = bool(np.isnan(seconds).any())
    if not (parts or trend):
        why = "holds dates that do not cover and vary within a day, a week or a year"
        if anyway:
            raise column_error(
                name,
                why,
                f"Leave it out, or learn the time itself: columns={{{name!r}: 'trend'}}.",
                f"Leave it out, or learn the time itself: {role_option(name, 'trend')}.",
            )
        return Learned(
            None,
            why=why,
            notes=[*notes, role_note(name, f"{why}; it is not learned", "trend", "learns the time itself")],
        )
    there = training[~np.isnan(training)]
    clock = float(there[0] % DAY) if len(there) else 0.0
    dtype = dtype_name(series.dtype, f"{TEXT}|{NUMBER}" if form else DATE, otherwise=OBJECT)
    low, high = _range(training)
    column = DateColumn(
        name,
        dtype,
        zone,
        inferred_type(series) == "date",
        parts,
        clock,
        missing,
        channel=0 if trend else -1,
        known=spread_values(training),
        format=form,
        low=low,
        high=high,
        midnights=midnight_share(training),
    )
    return Learned(column, training if trend else None, notes=notes)


def _date_format(
    name: str | int, series: pd.Series, kind: Kind, *, anyway: bool = False
) -> tuple[str, list[ColumnNote]]:
    """Return the format of texts or numbers that are dates, and a note if nothing decides between two; "" if none."""
    values = series.dropna().unique()
    if not len(values):
        return "", []
    if kind == "number":
        found = numeric_formats_of(values, dated=anyway or doubts.is_dated(name))
    else:
        found = formats_of([str(value) for value in values]) if family_of([plain(values[0])]) == "text" else []
    if not found:
        return "", []
    if len(found) == 1:
        return found[0], []
    note = role_note(
        name, f"holds dates read as {found[0]}, such as {plain(values[0])!r}", f"date:{found[1]}", "reads them so"
    )
    return found[0], [] if anyway else [note]


def _unread_dates(name: str | int, series: pd.Series, kind: Kind) -> ColumnNote | None:
    """Return a note if a column of texts or numbers would be one of dates but for how it is written."""
    if kind == "number":
        seen = doubts.spreadsheet_days(name, to_numbers(series, len(series)))
        if seen:
            return role_note(name, seen, "date:excel", "reads them so")
    values = series.dropna().drop_duplicates()
    few = values[:_TRIED]
    if not _date_format(name, few[[not is_placeholder(value) for value in few]], kind)[0]:
        return None
    is_code = np.array([is_placeholder(value) for value in values], dtype=bool)
    codes, dates = values[is_code], values[~is_code]
    if codes.empty or not _date_format(name, dates, kind)[0]:
        return None
    example, listed = plain(dates.iloc[0]), [plain(value) for value in codes]
    said = " and ".join(map(repr, listed))
    options = "give " + " ".join(f"--na-values={shlex.quote(str(value))}" for value in listed)
    if any(len(str(value)) < 6 for value in listed):
        options = "leave these cells empty"  # 0 is a number in other columns
    return ColumnNote(
        name,
        f"holds dates such as {example!r}, but also {said} in {counted(int(series.isin(codes).sum()), 'row')}, so that "
        "it is not read as dates",
        python=f"If {said} means a missing value, replace it: X[{name!r}].mask(X[{name!r}].isin({listed})).",
        shell=f"If {said} means a missing value, {options}.",
    )


def _placeholder_note(name: str | int, series: pd.Series, seconds: np.ndarray, form: str) -> list[ColumnNote]:
    """Return a note if a date seems to stand for a missing one."""
    rows, seen = doubts.placeholder_date(seconds)
    if not seen:
        return []
    column, found = f"X[{name!r}]", series[rows]
    compared = column
    if not form and not isinstance(series.dtype, np.dtypes.DateTime64DType | pd.DatetimeTZDtype):
        compared, found = f"{column}.astype(str)", found.astype(str)  # dates of other types equal no text
    value = found.mode().iloc[0]
    value = plain(value) if form else str(value)
    text = shlex.quote(str(value)) if form else "TEXT with the text of such a cell"
    return [
        ColumnNote(
            name,
            seen,
            python=f"If it means a missing value, replace it: {column}.mask({compared} == {value!r}).",
            shell=f"If it means a missing value, give --na-values={text}.",
        )
    ]


def _range(x: np.ndarray) -> tuple[float, float]:
    x = x[~np.isnan(x)]
    return (float(x.min()), float(x.max())) if len(x) else NO_RANGE
