"""The formats of the numbers in the columns of one table, decided together, and what the user should know of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..wording import counted
from .column_texts import NumberTexts
from .text_numbers import NumberFormat, is_ambiguous


class UnclearNumbersError(InputError):
    """The numbers of a column cannot be read.

    Attributes
    ----------
    column : str
    seen : str
        Why, as the rest of a sentence that starts with the column's name.
    """

    def __init__(self, column: str, seen: str, advice: str) -> None:
        super().__init__(f"column '{column}' {seen}. {advice}")
        self.column, self.seen = column, seen


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
    UnclearNumbersError
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
        fitting = fitting or texts.nearest() or [NumberFormat()]
        try:
            unit = texts.unit()
        except InputError as error:
            raise UnclearNumbersError(name, str(error), "Convert the column to one unit, or drop it.") from None
        fitting = [replace(form, unit=unit) for form in fitting]
        if is_ambiguous(fitting, texts.signs):
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
            raise _ambiguous(name, columns[name], sign)
    return {name: found[name] for name in columns if name in found}


def number_note(form: NumberFormat, texts: NumberTexts | None, *, mixed: bool = False) -> str:
    """Return what was seen in a column of numbers, as the rest of a sentence after the column's name; "" if plain.

    Parameters
    ----------
    form : NumberFormat
    texts : NumberTexts or None
    mixed : bool
        Whether only some of the numbers are written as text.
    """
    as_text = ", some of them as text," if mixed else ""
    words = [f"holds {form.words()}{as_text} and is read as numbers"] if mixed or not form.is_plain else []
    if texts is not None and texts.gaps:
        listed = ", ".join(f"'{word}' ({counted(rows, 'row')})" for word, rows in list(texts.gaps.items())[:5])
        words.append(f"{'' if words else 'is read as numbers '}with missing values for {listed}")
    return " ".join(words)


def code_note(texts: NumberTexts) -> str:
    """Return what was seen in a column of codes, as the rest of a sentence after the column's name."""
    what = "phone numbers" if texts.code.startswith("+") else "codes with leading zeros"
    return f"holds {what}, such as '{texts.code}', and is read as text"


def formats_without_dialect(
    columns: Mapping[str, NumberTexts], path: Path, *, needed: Collection[str] = ()
) -> dict[str, NumberFormat]:
    """Return `number_formats` of a file whose format has numbers, so that its dialect cannot be named.

    Raises
    ------
    InputError
        As `number_formats` raises it; the advice is to write numbers as such.
    """
    try:
        return number_formats(columns, needed=needed)
    except UnclearNumbersError as error:
        name, advice = error.column, "Write its numbers as numbers rather than as text"
        if name not in needed:
            advice += f"; if it holds categories, give columns={{{name!r}: 'category'}} (--category '{name}')"
        raise InputError(f"{path}: column '{name}' {error.seen}. {advice}.") from None


def _ambiguous(name: str, texts: NumberTexts, sign: str) -> UnclearNumbersError:
    example, other = texts.signs[sign], "." if sign == "," else ","
    return UnclearNumbersError(
        name,
        f"is ambiguous: '{example}' may have a decimal '{sign}', or a '{sign}' between thousands",
        f"Say which with decimal='{sign}' or decimal='{other}' (on the command line --decimal '{sign}' or "
        f"--decimal '{other}').",
    )


def _check_not_mostly_numbers(name: str, texts: NumberTexts) -> None:
    """Raise `InputError` if a column holds numbers but for a few texts, or numbers in several formats."""
    if texts.hopeless or texts.few or not texts.rows:
        return
    nearest = texts.nearest()
    if not nearest:
        examples = " and ".join(f"'{text}'" for text in texts.signs.values())
        raise UnclearNumbersError(
            name,
            f"does not write all of its numbers in one way, or not in the one that was named: it has {examples}",
            "Convert it, or drop it.",
        )
    form = nearest[0]
    others = list(texts.others[form].items())
    listed = ", ".join(
        f"'{text}' (row {row:,}{f' and {rows - 1:,} more' * (rows > 1)})" for text, (rows, row) in others[:5]
    )
    more = f" and {len(others) - 5} more texts" if len(others) > 5 else ""
    raise UnclearNumbersError(
        name,
        f"holds {form.words()}, but also {listed}{more}",
        f"If they mean missing values, give na_values=[{others[0][0]!r}] (on the command line "
        f"--na-values '{others[0][0]}'); if the column holds categories, give "
        f"columns={{{name!r}: 'category'}} (--category '{name}'); otherwise correct them.",
    )
