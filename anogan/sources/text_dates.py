"""Dates written as text or as numbers: their formats are recognised from the values, read and written again."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError
from .text_numbers import GAP_WORDS

ISO = "ISO8601"
"""ISO dates without a time zone, whose precision differs from value to value."""
ISO_ZONED = "ISO8601%z"
"""The same with a time zone."""
ISO_ANY = "ISO8601:any"
"""The same with or without a time zone, as models of older files read them."""
EXCEL = "excel"
"""Days since the end of 1899, as spreadsheets count them."""
EPOCHS = {"epoch:s": "s", "epoch:ms": "ms", "epoch:us": "us"}
"""Time since 1970 in a unit."""
NUMERIC_FORMATS = (EXCEL, *EPOCHS)

_ISO_FORMATS = (ISO, ISO_ZONED, ISO_ANY)
_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d%m%Y", "%m%d%Y", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y",
    "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y",
    "%B %d, %Y", "%b %d %Y", "%d%b%Y", "%a %d %b %Y", "%a, %d %b %Y", "%A, %d %B %Y",
)  # fmt: skip
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%m-%Y", "%b-%Y", "%b %Y", "%B %Y", "%b-%y")
_WHOLE = ("%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%dT%H%M%S%z")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(:\d\d(?:([.,])\d{1,9})?)?(?:( ?)[AaPp][Mm])?(?:( ?)(Z|[+-]\d\d:?\d\d|UTC|GMT))?")
_ISO_ZONE = r":\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)$"
_ISO_TEXT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_DIGITS = {"Y": r"\d{4}", "m": r"\d{1,2}", "d": r"\d{1,2}", "y": r"\d\d", "H": r"\d\d", "M": r"\d\d", "S": r"\d\d"}
_WORDS = {
    "b": "[A-Za-z]{3}",
    "B": "[A-Za-z]{3,9}",
    "a": "[A-Za-z]{3}",
    "A": "[A-Za-z]{6,9}",
    "z": r"(?:Z|[+-]\d\d:?\d\d)",
}
_EXCEL_START = pd.Timestamp("1899-12-30")
_YEARS = (1900, 2100)
_LONGEST = 40  # characters
_CONVINCING = 5  # different numbers that are all days, of which one number in 27 is; of days first, one in 1,000
_PLACEHOLDER_DIGITS = {"99991231", "31129999", "12319999", "00010101", "01010001", "99999999"}
_PLACEHOLDER_NUMBERS = {-1, 0, 999912, 999999, *map(int, _PLACEHOLDER_DIGITS)}
_DAY_FIRST = ("%d%m%Y", "%m%d%Y")
_EPOCH_YEARS = (631152000, 2524608000)  # seconds from 1970 to 1990 and to 2050


def _pattern(form: str) -> re.Pattern[str]:
    """Return the pattern of texts that may be in this format; without separators all numbers have two digits."""
    parts = {**_DIGITS, **_WORDS}
    if not re.search(r"[^%A-Za-z]", form.replace("%", "")):
        parts |= {"m": r"\d\d", "d": r"\d\d"}
    return re.compile(re.sub(r"%([A-Za-z])", lambda found: parts[found[1]], re.escape(form).replace(r"\%", "%")))


_PATTERNS = {form: _pattern(form) for form in (*_DAYS, *_MONTHS, *_WHOLE)}


def formats_of(texts: Sequence[str]) -> list[str]:
    """Return the formats in which all of these texts are dates of the years 1900 to 2100, or times of day.

    Words for a gap, such as "n/a", do not count. There are several formats if nothing decides between day and month,
    such as for 03/04/2024. The first one is the usual one.
    """
    texts = [text for text in texts if text.strip().lower() not in GAP_WORDS]
    first = next((text.strip() for text in texts), "")
    if not first or len(first) > _LONGEST or not any(character.isdigit() for character in first):
        return []
    few = len(set(texts)) < _CONVINCING
    found = [form for form in _candidates(first) if not (few and form in _DAY_FIRST) and _reads(texts, form)]
    if not found and all(_ISO_TEXT.fullmatch(text.strip()) for text in texts):
        return [form for form in (ISO, ISO_ZONED) if _reads(texts, form)]
    return found


def is_placeholder(value: object) -> bool:
    """Whether a text or a number stands for no date among others that are dates: 31.12.9999, 0000-00-00, 0."""
    if isinstance(value, str):
        digits = re.sub(r"\D", "", value)
        return digits[:8] in _PLACEHOLDER_DIGITS or (len(digits) >= 6 and not digits.strip("0"))
    return value in _PLACEHOLDER_NUMBERS


def has_weekday(form: str) -> bool:
    """Whether the format has a day of the month, without which the weekday is unknown."""
    return form in (*_ISO_FORMATS, *NUMERIC_FORMATS) or "%d" in form


def numeric_formats_of(values: np.ndarray, *, dated: bool) -> list[str]:
    """Return the formats in which these distinct numbers are dates, the usual one first; none if they are no dates.

    There are several if nothing decides between day, month and year, such as for 3042024.

    Parameters
    ----------
    values : (n,) numbers
        Without missing ones.
    dated : bool
        Whether the column's name speaks of dates. If not, only many days such as 20240131 or 31012024 are convincing.
    """
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return []
    if not len(x) or np.any(x != np.floor(x)):
        return []
    low, high, many = x.min(), x.max(), len(x) >= _CONVINCING

    def reads(form: str, first: int, last: int) -> bool:
        return bool(first <= low and high <= last and _reads(_padded(x, form), form))

    if (dated or many) and reads("%Y%m%d", 19000101, 21001231):
        return ["%Y%m%d"]
    if many and (found := [form for form in _DAY_FIRST if reads(form, 1011900, 31122100)]):
        return found
    if not dated:
        return []
    if reads("%Y%m", 190001, 210012):
        return ["%Y%m"]
    if many and reads("%m%Y", 11900, 122100):
        return ["%m%Y"]
    found = ["%y%m%d"] if reads("%y%m%d", 100101, 991231) else []
    found += [form for form in ("%d%m%y", "%m%d%y") if many and reads(form, 10100, 311299)]
    for form, unit in (("epoch:s", 1.0), ("epoch:ms", 1e3), ("epoch:us", 1e6)):
        if _EPOCH_YEARS[0] * unit <= low and high <= _EPOCH_YEARS[1] * unit:
            return [form]
    return found


def has_day(form: str) -> bool:
    """Whether the format has a day, and not only a time of day."""
    return form in (*_ISO_FORMATS, *NUMERIC_FORMATS) or any(part in form for part in ("%Y", "%y"))


def read_texts(texts: pd.Series, form: str) -> pd.Series:
    """Read texts as datetime64 without a time zone (UTC where the texts have one); gaps are missing.

    Raises
    ------
    ValueError
        If a text is not in the format.
    """
    texts = texts.str.strip()
    texts = texts.mask(texts.str.lower().isin(GAP_WORDS))
    if form in _ISO_FORMATS:
        if form != ISO_ANY and (texts.dropna().str.contains(_ISO_ZONE) != (form == ISO_ZONED)).any():
            raise ValueError(f"some dates are with{'out' if form == ISO_ZONED else ''} a time zone")
        form = "ISO8601"
    dates = pd.to_datetime(texts, format=form, utc=True)
    return dates.dt.tz_localize(None).astype("datetime64[us]")


def read_numbers(x: np.ndarray, form: str) -> pd.Series:
    """Read numbers as datetime64; NaN is missing.

    Raises
    ------
    ValueError
        If a number is no date in the format.
    """
    numbers = pd.Series(x)
    if form in EPOCHS:
        return pd.to_datetime(numbers, unit=EPOCHS[form]).astype("datetime64[us]")
    if form == EXCEL:
        return pd.to_datetime(numbers, unit="D", origin=_EXCEL_START).astype("datetime64[us]")
    return read_texts(pd.Series(_padded(x, form), dtype="str"), form)


def write(dates: pd.Series, form: str) -> pd.Series:
    """Write datetime64 as the texts or numbers of a format; missing ones stay missing."""
    if form in EPOCHS:
        return (dates - pd.Timestamp(0)) / pd.Timedelta(1, EPOCHS[form])
    if form == EXCEL:
        return (dates - _EXCEL_START) / pd.Timedelta(1, "D")
    if "%z" in form:
        dates = dates.dt.tz_localize("UTC")
    texts = dates.map(
        lambda date: date.isoformat() if form in _ISO_FORMATS else date.strftime(form), na_action="ignore"
    )
    return texts.astype(object).where(dates.notna(), None)


def check_format(form: str) -> None:
    """Raise `InputError` if this is no format of dates."""
    if form in (*_ISO_FORMATS, *NUMERIC_FORMATS):
        return
    try:
        if "%" not in form:
            raise ValueError("it has no directives")
        read_texts(pd.Series([pd.Timestamp("2024-02-03 04:05:06", tz="UTC").strftime(form)], dtype="str"), form)
    except ValueError as error:
        raise InputError(
            f"{form!r} is no format of dates ({error}); needed is one as in datetime.strptime, such as '%d.%m.%Y', or "
            f"one of {', '.join(NUMERIC_FORMATS)}."
        ) from None


def _candidates(text: str) -> list[str]:
    """Return the formats whose pattern a text has."""
    whole = [form for form, pattern in _PATTERNS.items() if pattern.fullmatch(text)]
    clock = next((found for found in _CLOCK.finditer(text) if found.end() == len(text)), None)
    if whole or clock is None:
        return whole
    time = _clock_format(clock)
    day = text[: clock.start()]
    if not day:
        return [time]
    separator = day[-1] if day[-1] in " T" else ""
    day = day[: len(day) - len(separator)].rstrip(",")
    comma = "," if text[len(day) : len(day) + 1] == "," else ""
    return [f"{form}{comma}{separator}{time}" for form in _DAYS if separator and _PATTERNS[form].fullmatch(day)]


def _padded(x: np.ndarray, form: str) -> list[str | None]:
    """Return whole numbers as texts, with the leading zeros that a format of digits needs; None for NaN."""
    width = sum(4 if part == "Y" else 2 for part in re.findall("%(.)", form))
    return [None if np.isnan(value) else f"{value:.0f}".zfill(width) for value in x]


def _clock_format(clock: re.Match[str]) -> str:
    _, _, seconds, point, before_half, before_zone, zone = clock.groups()
    half = before_half is not None
    time = ("%I:%M" if half else "%H:%M") + (":%S" if seconds else "") + (f"{point}%f" if point else "")
    time += f"{before_half}%p" if half else ""
    if zone in ("UTC", "GMT"):
        return f"{time}{before_zone}{zone}"
    return time + (f"{before_zone}%z" if zone else "")


def _reads(texts: Sequence[str | None], form: str) -> bool:
    """Whether all texts are plausible dates in the format; a few are tried first."""
    for part in (texts[:20], texts):
        try:
            years = read_texts(pd.Series(part, dtype="str"), form).dt.year
        except ValueError:
            return False
        if has_day(form) and not years.between(*_YEARS).all():
            return False
    return True
