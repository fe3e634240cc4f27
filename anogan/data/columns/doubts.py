"""Columns that say nothing about what is normal: identifiers, row numbers, and parts of the calendar.

Each function decides from the values and the name of a column, without labels, and returns why it is doubtful or "".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

FEWEST_ROWS = 30
"""Below, order and uniqueness of the values say too little."""
MAX_DISTINCT_SHARE = 0.5
"""Of the rows; a text with more distinct values has too few rows for each of them."""
FEW_TEXTS = 10
"""A text with so few distinct values is a category, however short the table is."""
_EXPECTED_REPETITIONS = 10.0
"""Independent values of a range in which so many repetitions are expected are all different once in 22,000 columns."""

_BLANK_NAME = re.compile(
    r"\s*|unnamed: ?\d+|index|level_\d+|row ?names?|row ?num(ber)?s?|(row|line)? ?(nr|no|#)\.?", re.I
)
_ID_WORDS = {
    "id",
    "ids",
    "uid",
    "uuid",
    "guid",
    "oid",
    "pk",
    "key",
    "identifier",
    "ident",
    "objectid",
    "rowid",
    "serial",
}
_THINGS = (
    "account|acct|app|application|article|bill|booking|building|case|card|cc|client|contract|cust|customer|device|doc|"
    "document|employee|emp|encounter|event|invoice|item|job|loan|location|match|member|message|object|offer|order|parcel|"
    "patient|person|policy|product|record|ref|reference|request|row|sample|session|shipment|student|survey|ticket|trans|"
    "transaction|trip|tx|txn|user|visit|phone|mobile|passport|license|tracking|bug|play|file|entity|group"
)
_ID_JOINED = re.compile(rf"(?:{_THINGS})s?(?:id|nr|no|nbr|num|number|key|ref|hash)", re.I)
_ID_PAIR = re.compile(rf"(?:.* )?(?:{_THINGS})s? (?:nr|no|nbr|num|number|ref|reference|hash)", re.I)
_KEY_NAME = re.compile(
    r"(?:.* )?(?:account|acct|card|cc|phone|mobile|tel|telephone|telefon|fax|iban|imei|ssn|passport|license|ean|isbn|"
    r"barcode|customer|cust|client|user|member|patient|person|employee|policy|contract|invoice|order|ticket|booking|"
    r"document|shipment|parcel|ref|reference|record|code|number|nummer|num|nr|nbr|sno|konto|kunde|rechnung|hash)#?",
    re.I,
)
_KEY_SHARE = 0.95  # of the rows; a column that is named after a thing and has more distinct values names single things
_LONG = 10_000_000  # whole numbers of eight digits, all different and of one length, are rather keys than amounts
_CODE_NAME = re.compile(r"(?:.* )?(?:code|mcc|sic|naics|zip|zip ?code|plz|postcode|postal ?code)", re.I)
_FEW_CODES = 50
_SAME_LENGTH = 0.85  # of the rows; of numbers drawn evenly from all of up to k digits nine in ten have k
_NINES = re.compile(r"-9{1,10}|9{2,10}|-32768|-2147483648|2147483647")
_CALENDAR = (
    (re.compile(r"(?:.* )?(?:month|mon|monat|mes|mois)(?: ?(?:nr|no|num|number))?", re.I), "months", 1, 12),
    (re.compile(r"(?:.* )?(?:quarter|qtr)", re.I), "quarters", 1, 4),
    (re.compile(r"week|calendar ?week|week ?of ?(?:the ?)?year|kw", re.I), "weeks", 1, 52),
    (re.compile(r"day|dom|day ?of ?(?:the ?)?month", re.I), "days of the month", 1, 31),
    (re.compile(r"doy|yday|day ?of ?(?:the ?)?year", re.I), "days of the year", 1, 365),
)  # fmt: skip
_YEARS = (1900, 2100)
_YEAR_NAME = re.compile(r"(?:.* )?(?:date|year|datum|jahr)(?: .*)?", re.I)
_COVERED = 0.8  # of a period, at least
_NO_DATES = (
    "0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2099-12-31", "2999-12-31",
    "9999-12-31",
)  # fmt: skip
_OFTEN = 10  # times as often as any other day, and at least in as many rows
_SPREADSHEET_DAYS = (25569, 54788)  # from 1970 to 2049
_SPREADSHEET_NAME = re.compile(r"(?:.* )?(?:date|datetime|datum|fecha)(?: .*)?", re.I)
_DATED = re.compile(
    r"(?:.* )?(?:date|day|time|datetime|timestamp|ts|when|datum|zeit|fecha|yyyymm(?:dd)?|epoch)(?: .*)?"
    r"|(?:.* )?(?:created|updated|modified|opened|closed|issued?|launched)(?: (?:at|on|d))?",
    re.I,
)
_DURATION_NAME = re.compile(
    r"(?:.* )?(?:duration|dur|elapsed|run ?time|up ?time|down ?time|length|lasted|"
    r"(?:talk|wait|waiting|hold|handling|handle|processing|response|lead|travel|play|idle|cycle|total) ?time|"
    r"dauer|\w+dauer|laufzeit|\w+laufzeit|wartezeit|bearbeitungszeit|durée|duree|duración|duracion|durata)(?: .*)?",
    re.I,
)
_DURATION = re.compile(r"\d+:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?")


def words_of(name: str | int) -> str:
    """Return the words of a column's name with spaces between them: ``customerID`` -> ``customer ID``."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", str(name))
    return re.sub(r"[^\w#]+|_+", " ", text).strip() if text.strip() else ""


def is_dated(name: str | int) -> bool:
    """Whether a column's name speaks of a date or a time."""
    return _DATED.fullmatch(words_of(name)) is not None


def names_identifier(name: str | int) -> bool:
    """Whether a column's name says that it identifies rows, customers or other things."""
    if isinstance(name, int):
        return False
    words = words_of(name)
    if _BLANK_NAME.fullmatch(str(name)) or _BLANK_NAME.fullmatch(words):
        return True
    last = words.lower().split(" ")[-1].rstrip("#")
    return (
        last in _ID_WORDS
        or words.lower().startswith("id ")
        or bool(_ID_JOINED.fullmatch(last))
        or bool(_ID_PAIR.fullmatch(words))
    )


def identifier(name: str | int, x: np.ndarray) -> str:
    """Return why a column of numbers identifies rows rather than measures something.

    Strictly rising or falling whole numbers have an order that new rows do not share. Whole numbers that are all
    different although their range is narrow were not drawn independently: of `n` values in a range of `r`, about
    n² / 2r coincide with another. Fractions are measurements. A telling name is enough if the values are more than a
    few, since those of new rows will be others; the name of a thing, such as "account", if nearly all are different.

    Parameters
    ----------
    name : str or int
    x : (n,) float
        In the order of the rows, NaN = missing.
    """
    x = x[~np.isnan(x)]
    n = len(x)
    if n < FEWEST_ROWS or np.any(x != np.floor(x)):
        return ""
    distinct = len(np.unique(x))
    if distinct == n:
        steps = np.diff(x)
        if np.all(steps > 0) or np.all(steps < 0):
            return f"numbers the rows in their order ({x[0]:.0f} to {x[-1]:.0f})"
        if n * (n - 1) / 2 / (np.ptp(x) + 1) > _EXPECTED_REPETITIONS:
            return f"has another whole number in each row ({x.min():.0f} to {x.max():.0f}), as identifiers have"
    is_key = distinct > _KEY_SHARE * n and _KEY_NAME.fullmatch(words_of(name))
    if is_key or (names_identifier(name) and distinct > min(_FEW_CODES, MAX_DISTINCT_SHARE * n)):
        return f"is named like an identifier and has {distinct:,} distinct values in {n:,} rows"
    return ""


def key(x: np.ndarray) -> str:
    """Return why whole numbers may be keys, such as those of accounts, although the name does not say so, or "".

    Parameters
    ----------
    x : (n,) float
        NaN = missing.
    """
    x = x[~np.isnan(x)]
    if len(x) < FEWEST_ROWS or np.any(x != np.floor(x)) or x.min() < 0 or x.max() < _LONG:
        return ""
    longest = 10.0 ** np.floor(np.log10(x.max()))
    if len(np.unique(x)) < len(x) or np.mean(x >= longest) < _SAME_LENGTH:
        return ""
    return f"has another whole number of {len(f'{x.max():.0f}')} digits in each row, as keys have"


def sentinel(x: np.ndarray) -> str:
    """Return the value that seems to stand for a missing one, such as -999, and why; or "".

    Parameters
    ----------
    x : (n,) float
        NaN = missing.
    """
    x = x[~np.isnan(x)]
    values, counts = np.unique(x, return_counts=True)
    if len(values) < 3:
        return ""
    for value, rows, others in ((values[0], counts[0], values[1:]), (values[-1], counts[-1], values[:-1])):
        gap = min(abs(value - others[0]), abs(value - others[-1]))
        is_apart = gap > np.ptp(others) or (value < 0 <= others[0])
        if rows > 1 and is_apart and _NINES.fullmatch(f"{value:.10g}"):
            return (
                f"holds {value:.10g} in {rows:,} rows, apart from its other values ({others[0]:.10g} to "
                f"{others[-1]:.10g}), as codes for missing values are"
            )
    return ""


def placeholder_date(seconds: np.ndarray) -> tuple[np.ndarray, str]:
    """Return in which rows a date seems to stand for a missing one, such as 1900-01-01 or 9999-12-31, and why.

    It is farther from the other dates than they are from each other, or ten times as frequent as any of them.

    Parameters
    ----------
    seconds : (n,) float
        Since 1970, NaN = missing.

    Returns
    -------
    (n,) bool array, and text
        The text is the rest of a sentence that starts with the column's name, "" if there is no such date.
    """
    days = np.floor(seconds / 86400.0)
    known = np.array(_NO_DATES, dtype="datetime64[D]").astype(np.int64)
    others, counts = np.unique(days[~np.isnan(days) & ~np.isin(days, known)], return_counts=True)
    if len(others) < 3:
        return np.zeros(len(days), dtype=bool), ""
    for day, name in zip(known, _NO_DATES, strict=True):
        rows = days == day
        count = np.count_nonzero(rows)
        is_apart = max(others[0] - day, day - others[-1]) > np.ptp(others)
        if count > 1 and (is_apart or count >= _OFTEN * max(counts.max(), 1)):
            first, last = others[[0, -1]].astype("datetime64[D]")
            how = (
                f"apart from its other dates ({first} to {last})" if is_apart else "far more often than any other date"
            )
            return rows, f"holds {name} in {count:,} rows, {how}, as codes for missing values are"
    return np.zeros(len(days), dtype=bool), ""


def spreadsheet_days(name: str | int, x: np.ndarray) -> str:
    """Return why numbers may be dates as spreadsheets count them, or "".

    Parameters
    ----------
    name : str or int
    x : (n,) float
        NaN = missing.
    """
    x = x[~np.isnan(x)]
    if len(x) < FEWEST_ROWS or not _SPREADSHEET_NAME.fullmatch(words_of(name)):
        return ""
    low, high = _SPREADSHEET_DAYS
    if not (low <= x.min() and x.max() <= high):
        return ""
    first, last = (np.datetime64("1899-12-30") + int(day) for day in (x.min(), x.max()))
    return f"holds numbers that may be days as spreadsheets count them ({first} to {last}), but is not read as dates"


def code(name: str | int, x: np.ndarray) -> str:
    """Return why whole numbers look like codes, such as those of merchants or regions, or "".

    Parameters
    ----------
    name : str or int
    x : (n,) float
        NaN = missing.
    """
    x = x[~np.isnan(x)]
    if len(x) < FEWEST_ROWS or np.any(x != np.floor(x)):
        return ""
    values = np.unique(x)
    few = 2 < len(values) <= min(_FEW_CODES, 0.1 * len(x))
    if _CODE_NAME.fullmatch(words_of(name)) and len(values) > 2:
        return f"is named like a code ({len(values):,} distinct values)"
    sparse = np.ptp(values) >= 10 * len(values)
    if few and sparse and values[0] >= 100 and len(f"{values[0]:.0f}") == len(f"{values[-1]:.0f}"):
        return f"holds {len(values)} distinct whole numbers of the same length, as codes have (such as {values[0]:.0f})"
    return ""


def calendar(name: str | int, x: np.ndarray) -> str:
    """Return why a column is the time itself, or a part of the calendar of which training shows no whole period.

    Months of a training set that ends in August say nothing about September.

    Parameters
    ----------
    name : str or int
    x : (n,) float
        NaN = missing.
    """
    x = x[~np.isnan(x)]
    if len(x) < FEWEST_ROWS:
        return ""
    if np.any(x != np.floor(x)):
        is_time = _YEAR_NAME.fullmatch(words_of(name)) and x.min() >= _YEARS[0] and x.max() <= _YEARS[1]
        return f"holds years with fractions ({x.min():.3f} to {x.max():.3f}), which new rows exceed" if is_time else ""
    if words_of(name).lower() in ("year", "yr", "jahr") and _YEARS[0] <= x[0] <= _YEARS[1] and np.all(x == x[0]):
        return f"holds the year {x[0]:.0f} alone"
    for pattern, what, low, high in _CALENDAR:
        if pattern.fullmatch(words_of(name)) and low - 1 <= x.min() and x.max() <= high + 1:
            distinct = len(np.unique(x))
            if np.ptp(x) + 1 < _COVERED * (high - low + 1):
                return f"holds only the {what} {x.min():.0f} to {x.max():.0f} ({distinct} distinct)"
    return ""


def expected_unseen(counts: np.ndarray) -> float:
    """Return the share of new rows that is expected to have a value which is not among these (Good and Turing)."""
    total = int(counts.sum())
    return float((counts == 1).sum() / total) if total else 0.0


def names_duration(name: str | int) -> bool:
    """Whether a column's name speaks of how long something takes."""
    return _DURATION_NAME.fullmatch(words_of(name)) is not None


def are_durations(texts: Sequence[str]) -> bool:
    """Whether some texts are hours, minutes and perhaps seconds; those of 24 hours and more are no times of day."""
    return all(_DURATION.fullmatch(text.strip()) for text in texts)
