"""Labels of rows and columns: which rows are normal, and the names of columns."""

from __future__ import annotations

import difflib
import numbers
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError


def label_text(value: Any) -> str | None:
    """Return a label as the text that labels are compared as; None stays None.

    Raises
    ------
    InputError
        The value is neither a text nor a number.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, numbers.Number | np.generic):
        return str(value)
    raise InputError(f"normal is {value!r}; needed is one label, a text or a number.")


def equals(labels: np.ndarray, value: str) -> np.ndarray:
    """Return which text labels (n,) mean `value`: they are equal as text, as numbers, or as true or false in any case.

    Blanks at the ends do not count.

    Returns
    -------
    (n,) bool
    """
    found, inverse = np.unique(labels.astype(str), return_inverse=True)
    same = np.array([_same(text, value) for text in found], dtype=bool)
    matches: np.ndarray = same[inverse]
    return matches


def _same(text: str, value: str) -> bool:
    text, value = text.strip(), value.strip()
    if text == value or text.lower() == value.lower() in ("true", "false"):
        return True
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def anomalous_rows(labels: np.ndarray, normal: str | None, data: str) -> np.ndarray:
    """Return which rows (n,) are anomalous.

    Parameters
    ----------
    labels : (n,) array of str
    normal : str or None
        The label of normal rows; all others are anomalous. By default the labels must be 0 or false for normal rows and
        1 or true for anomalous ones.
    data : str
        Name of the data in messages.

    Raises
    ------
    InputError
        If the labels do not say which rows are normal, or all rows are of one kind.
    """
    found = np.unique(labels)
    if normal is not None:
        anomalous = ~equals(labels, normal)
        if anomalous.all():
            listed = ", ".join(f"'{v}'" for v in found[:10])
            raise InputError(f"No row of {data} has the label '{normal}'. Labels are {listed}.")
    else:
        anomalous = equals(labels, "1") | equals(labels, "true")
        if not (anomalous | equals(labels, "0") | equals(labels, "false")).all():
            listed = ", ".join(f"'{v}'" for v in found[:10])
            raise InputError(
                f"The labels of {data} are {listed}; say which one is normal (on the command line with --normal VALUE)."
            )
    if not anomalous.any() or anomalous.all():
        only = "anomalous" if anomalous.all() else "normal"
        raise InputError(f"All {len(labels)} rows of {data} are {only}; both kinds are needed.")
    return anomalous


def label_texts(column: pa.ChunkedArray, name: str, path: Path, *, first: int = 0) -> np.ndarray:
    """Return a label column as text (n,); its first value is that of row `first` of the file.

    Raises
    ------
    InputError
        If a label is missing.
    """
    missing = pc.is_null(column, nan_is_null=True)
    if pc.any(missing).as_py():
        row = first + pc.index(missing, True).as_py()
        raise InputError(f"{path}: label column '{name}' has missing values (first at row {row}).")
    texts: np.ndarray = column.cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
    return texts


class NormalRows:
    """Selects the rows of a table whose label marks them as normal; for ``TableFile(keep=...)``.

    Parameters
    ----------
    path : Path
        The file, which messages name.
    label, normal : str
        The column, and the label of normal rows.

    Attributes
    ----------
    found : Counter
        Labels of all rows so far.
    """

    def __init__(self, path: Path, label: str, normal: str) -> None:
        self.path, self.label, self.normal = path, label, normal
        self.found: Counter[str] = Counter()

    def __call__(self, rows: pa.Table) -> np.ndarray:
        labels = label_texts(rows.column(self.label), self.label, self.path, first=self.found.total())
        self.found.update(labels)
        return equals(labels, self.normal)

    def check_any(self) -> None:
        """Raise `InputError` if there were rows and none of them was normal."""
        if self.found:
            check_any_normal(self.found, self.normal, f"column '{self.label}' of {self.path}")


def check_any_normal(found: Counter[str], normal: str, where: str) -> None:
    """Raise `InputError` if no label that was found means `normal`."""
    if not equals(np.array(list(found)), normal).any():
        listed = ", ".join(f"'{value}' ({count:,})" for value, count in found.most_common(10))
        raise InputError(
            f"No row is normal: {where} is never '{normal}'. It has {listed}.{closest(normal, list(found))}"
        )


def closest(name: str, names: Sequence[str]) -> str:
    """Return a hint at the closest of `names`, or at all of them if there are few."""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" There are: {', '.join(names)}." if 0 < len(names) <= 20 else ""


def column_label(name: str | int) -> str:
    """Return the name of a column in messages; the columns of arrays have numbers."""
    return f"column {name}" if isinstance(name, int) else name
